"""CSV: the numbers of a frame as they are, for programs. A table for people has three digits; a file has all."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_object_dtype, is_string_dtype

from benchmarks.record.tables import harmless


def page(frame: pd.DataFrame) -> str:
    """Return a frame as CSV, the same on every system, without a text that a spreadsheet takes for a formula."""
    cells = frame.copy(deep=False)
    for i, dtype in enumerate(frame.dtypes):
        if is_object_dtype(dtype) or is_string_dtype(dtype):
            cells.isetitem(i, [_cell(value) for value in frame.iloc[:, i].tolist()])
    return cells.to_csv(index=False, lineterminator="\n")


def _cell(value: object) -> object:
    return harmless(value) if isinstance(value, str) else value
