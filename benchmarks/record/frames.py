"""Frames: records as tables of exactly the schema's columns, in their order and dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from benchmarks.exits import CannotTell
from benchmarks.record.schema import COLUMNS, RETIRED, Column
from benchmarks.record.shapes import parse_shape


def to_frame(records: Iterable[Mapping[str, object]], columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Return `records` as a frame with exactly `columns`, in their order and dtypes.

    A column that a record lacks gets the value from before there was such a column, or else stays empty. Retired
    columns are left out. Another name outside the schema raises ValueError, as does a value that its column cannot
    hold. A shape may be given as a sequence of integers.
    """
    rows = list(records)
    allowed = [column.name for column in columns]
    unknown = sorted({name for row in rows for name in row} - {*allowed, *RETIRED})
    if unknown:
        raise ValueError(f"records: unknown columns {', '.join(unknown)}; allowed are {', '.join(allowed)}")
    return pd.DataFrame({c.name: _values(c, [row.get(c.name, c.before) for row in rows]) for c in columns})


def require_shapes(records: pd.DataFrame) -> None:
    """Raise ValueError for records with a shape that is none."""
    for label in records["shape"].dropna().unique():
        try:
            parse_shape(label)
        except ValueError:
            raise ValueError(f"shape: must be numbers such as 1024x1024; got {label!r:.80}") from None


def only_with(records: pd.DataFrame, only: Mapping[str, Collection[object]]) -> pd.DataFrame:
    """Return the records whose columns have one of the values that `only` gives for them.

    Raises CannotTell for a value that no record has.
    """
    for name, values in only.items():
        known = list(records[name].dropna().unique())
        if missing := [str(value) for value in values if value not in known]:
            choices = ", ".join(sorted(map(str, known))) or "none"
            raise CannotTell(f"{name}: no record has {', '.join(missing)}; there are {choices}")
    for name, values in only.items():
        records = records[records[name].isin(list(values))]
    return records


def _values(column: Column, values: Sequence[object]) -> ExtensionArray:
    convert = _CONVERTERS[column.dtype]
    converted: list[object] = []
    for value in values:
        try:
            converted.append(None if _is_missing(value) else convert(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{column.name}: must hold {column.dtype}; got {value!r:.80}") from error
    # No series: a frame would compare the indexes of all its columns, which takes longer than to fill them.
    return pd.array(converted, dtype=column.dtype)  # type: ignore[call-overload, no-any-return]


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _string(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return "x".join(str(integer(each)) for each in value)
    if not isinstance(value, (str, int, float, np.generic)):
        raise TypeError
    return str(value)


def integer(value: object) -> int:
    """Return a whole number of 64 bits, whatever its type; raise ValueError or OverflowError for another value."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or int(value) != value:
        raise ValueError(f"must be a whole number; got {value!r:.80}")
    if not -(2**63) <= value < 2**63:
        raise OverflowError("must fit into 64 bits")
    return int(value)


def _float(value: object) -> float:
    # Strings because a journal spells infinities as "Infinity", which float() reads.
    if not isinstance(value, (int, float, np.integer, np.floating, str)):
        raise TypeError
    return float(value)


def _boolean(value: object) -> bool:
    if value not in (True, False):
        raise ValueError
    return bool(value)


_CONVERTERS: Mapping[str, Callable[[object], object]] = {
    "string": _string,
    "Int64": integer,
    "float64": _float,
    "boolean": _boolean,
}
