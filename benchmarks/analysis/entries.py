"""Entries: rows of a table as data classes, so that whatever is read from a row has a name and a type.

Entries are also quick: of thousands of groups with a handful of rows, frames take a hundred times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

from benchmarks.record.rows import Rows, is_missing, keys_of, listed
from benchmarks.record.schema import CASE

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed import DataclassInstance

Entry = TypeVar("Entry", bound="DataclassInstance")
Item = TypeVar("Item")
Part = TypeVar("Part")
Key = tuple[Any, ...]
"""The values that some columns have in one row, in the order of these columns."""


@dataclass(frozen=True)
class Timed:
    """A backend's median time in one case, with its 95 % interval; `warning` says what makes it doubtful."""

    case: Annotated[Key, CASE]
    op: str
    mode: str
    dtype: str
    device: str
    shape: str
    n_elements: int
    backend: str
    median_s: float
    ci95_low_s: float
    ci95_high_s: float
    warning: str


def entries(table: Rows | pd.DataFrame, kind: type[Entry]) -> list[Entry]:
    """Return the rows of `table` as `kind`, a data class whose fields name some of its columns.

    A field of type `Annotated[Key, columns]` holds the values of these columns. A text that is missing is empty, a
    missing number NaN, and a missing truth value false.
    """
    columns = [_values(table, name, hint) for name, hint in _hints(kind).items()]
    return [kind(*values) for values in zip(*columns, strict=True)]


def grouped(table: Rows | pd.DataFrame, keys: Sequence[str], kind: type[Entry]) -> dict[Key, list[Entry]]:
    """Return the rows that agree in `keys` as entries, in their order."""
    found: dict[Key, list[Entry]] = {}
    for key, entry in zip(keys_of(table, keys), entries(table, kind), strict=True):
        found.setdefault(key, []).append(entry)
    return found


def parted(items: Iterable[Item], by: Callable[[Item], Part]) -> dict[Part, list[Item]]:
    """Return the items by what a function says of each, in their order."""
    found: dict[Part, list[Item]] = {}
    for item in items:
        found.setdefault(by(item), []).append(item)
    return found


def assembled(keys: Sequence[str], found: Iterable[tuple[Key, Entry]], kind: type[Entry]) -> pd.DataFrame:
    """Return a frame with a row for each key and entry: the columns are `keys`, then the fields of `kind`."""
    import pandas as pd  # late: who reads entries alone starts without it

    names = [each.name for each in fields(kind)]
    rows = [(*key, *(getattr(entry, name) for name in names)) for key, entry in found]
    return pd.DataFrame(rows, columns=[*keys, *names])


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name] for each in fields(kind)}


def _values(table: Rows | pd.DataFrame, name: str, hint: Any) -> list[Any]:
    if hasattr(hint, "__metadata__"):
        return keys_of(table, hint.__metadata__[0])
    values = listed(table[name])
    if hint not in _EMPTY or set(map(type, values)) == {hint}:
        return values
    empty = _EMPTY[hint]
    # Without fillna, which takes longest of all in small frames, of which there are many.
    return [empty if is_missing(value) else hint(value) for value in values]


_EMPTY: Mapping[type, object] = {str: "", float: math.nan, bool: False}
"""What stands for what is missing, in fields of these types."""
