"""Rows: records as plain values, column by column, of which frames are made for those who compute with frames.

Importing pandas takes longer than reading a run. Who asks a run one question reads its rows; `Run` makes a frame
of them where somebody asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar, cast

from benchmarks.record.schema import COLUMNS, RETIRED, Column
from benchmarks.record.shapes import parse_shape

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Rows:
    """The values of each of `columns`, by its name, and perhaps of others; what is missing is None."""

    values: Mapping[str, list[Any]]
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.values[self.columns[0].name])

    def __getitem__(self, name: str) -> list[Any]:
        return self.values[name]

    def take(self, positions: Sequence[int]) -> Rows:
        """Return the rows at some positions, in their order."""
        return Rows({name: [values[i] for i in positions] for name, values in self.values.items()}, self.columns)

    def assign(self, **values: Any) -> Rows:
        """Return the rows with other values in some columns, or with more columns."""
        return Rows({**self.values, **values}, self.columns)

    def frame(self) -> pd.DataFrame:
        """Return a frame with exactly `columns`, in their order and dtypes."""
        return _frame(self) if len(self) else _without_rows(self.columns).copy()


@dataclass(frozen=True, eq=False)
class Later:
    """A table of other columns than the schema's, of which a frame is made where somebody asks for it."""

    make: Callable[[], pd.DataFrame]

    def frame(self) -> pd.DataFrame:
        """Return the frame."""
        return self.make()


SomeTable = TypeVar("SomeTable", bound="Rows | pd.DataFrame")
"""Rows, or a frame: a rule that holds for both is written once, for what both have."""


def to_rows(records: Iterable[Mapping[str, object]], columns: Sequence[Column] = COLUMNS) -> Rows:
    """Return `records` as rows with exactly `columns`.

    A column that a record lacks gets the value from before there was such a column, or else stays empty. Retired
    columns are left out. Another name outside the schema raises ValueError, as does a value that its column cannot
    hold. A shape may be given as a sequence of integers.
    """
    rows = list(records)
    allowed = [column.name for column in columns]
    unknown = sorted({name for row in rows for name in row} - {*allowed, *RETIRED})
    if unknown:
        raise ValueError(f"records: unknown columns {', '.join(unknown)}; allowed are {', '.join(allowed)}")
    return Rows({c.name: _values(c, [row.get(c.name, c.before) for row in rows]) for c in columns}, tuple(columns))


def no_rows(columns: Sequence[str | Column]) -> Rows:
    """Return rows that there are none of; columns that are none of the schema's hold numbers."""
    known = tuple(each if isinstance(each, Column) else Column(each, "float64", "") for each in columns)
    return Rows({column.name: [] for column in known}, known)


def joined(tables: Sequence[Rows]) -> Rows:
    """Return the rows of several tables of the same columns, one after the other."""
    columns = tables[0].columns
    return Rows({c.name: list(chain.from_iterable(each[c.name] for each in tables)) for c in columns}, columns)


def listed(values: list[Any] | pd.Series) -> list[Any]:
    """Return the values of a column, of rows or of a frame."""
    return values if isinstance(values, list) else values.tolist()


def keys_of(table: Rows | pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return what each row has in some columns."""
    return list(zip(*(listed(table[name]) for name in columns), strict=True))


def filled(table: SomeTable, gaps: Mapping[str, object]) -> SomeTable:
    """Return a table with a value in place of what is missing, for each of some columns."""
    if isinstance(table, Rows):
        told = {name: [gap if is_missing(each) else each for each in table[name]] for name, gap in gaps.items()}
        return cast("SomeTable", table.assign(**told))
    return cast("SomeTable", table.fillna(dict(gaps)))


def taken(table: SomeTable, positions: Sequence[int]) -> SomeTable:
    """Return the rows at some positions, in their order and numbered anew."""
    found = table.take(positions)
    return cast("SomeTable", found if isinstance(found, Rows) else found.reset_index(drop=True))


def is_missing(value: object) -> bool:
    """Tell whether a value is None, NaN or pandas' NA."""
    try:
        return value is None or bool(value != value)  # noqa: PLR0124 - NaN alone differs from itself
    except TypeError:  # of NA, nobody knows
        return True


def require_shapes(records: Rows) -> None:
    """Raise ValueError for records with a shape that is none."""
    for label in dict.fromkeys(records["shape"]):
        try:
            if label is not None:
                parse_shape(label)
        except ValueError:
            raise ValueError(f"shape: must be numbers such as 1024x1024; got {label!r:.80}") from None


def integer(value: Any) -> int:
    """Return a whole number of 64 bits, whatever its type; raise ValueError or OverflowError for another value."""
    if not isinstance(value, (int, float, Real)) or (found := int(value)) != value:  # type: ignore[arg-type]
        raise ValueError(f"must be a whole number; got {value!r:.80}")
    if not -(2**63) <= found < 2**63:
        raise OverflowError("must fit into 64 bits")
    return found


def _frame(rows: Rows) -> pd.DataFrame:
    import pandas as pd  # late, here and below: see above

    # No series: a frame would compare the indexes of all its columns, which takes longer than to fill them.
    arrays = {c.name: pd.array(rows[c.name], dtype=c.dtype) for c in rows.columns}  # type: ignore[call-overload]
    return pd.DataFrame(arrays)


@cache
def _without_rows(columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return a frame without rows: made from its columns each time, it would take ten times as long as a copy."""
    return _frame(Rows({column.name: [] for column in columns}, columns))


def _values(column: Column, values: Sequence[object]) -> list[Any]:
    convert = _CONVERTERS[column.dtype]
    converted: list[object] = []
    for value in values:
        try:
            converted.append(None if is_missing(value) else convert(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{column.name}: must hold {column.dtype}; got {value!r:.80}") from error
    return converted


def _string(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return "x".join(str(integer(each)) for each in value)
    if not isinstance(value, (str, int, float, Real)):
        raise TypeError
    return str(value)


def _float(value: object) -> float:
    # Strings because a journal spells infinities as "Infinity", which float() reads.
    if not isinstance(value, (int, float, str, Real)):
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
