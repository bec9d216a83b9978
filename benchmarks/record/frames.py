"""Frames: records as tables of exactly the schema's columns, in their order and dtypes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from benchmarks.exits import CannotTell
from benchmarks.record.rows import SomeTable, is_missing, listed, to_rows
from benchmarks.record.schema import COLUMNS, Column

if TYPE_CHECKING:
    import pandas as pd


def to_frame(records: Iterable[Mapping[str, object]], columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Return `records` as a frame with exactly `columns`, in their order and dtypes; raise as `to_rows` does."""
    return to_rows(records, columns).frame()


def only_with(records: SomeTable, only: Mapping[str, Collection[object]]) -> SomeTable:
    """Return the records whose columns have one of the values that `only` gives for them.

    Raises CannotTell for a value that no record has.
    """
    for name, values in only.items():
        known = [value for value in dict.fromkeys(listed(records[name])) if not is_missing(value)]
        if missing := [str(value) for value in values if value not in known]:
            choices = ", ".join(sorted(map(str, known))) or "none"
            raise CannotTell(f"{name}: no record has {', '.join(missing)}; there are {choices}")
    for name, values in only.items():
        wanted = set(values)
        positions = [i for i, value in enumerate(listed(records[name])) if value in wanted]
        records = cast("SomeTable", records.take(positions))
    return records
