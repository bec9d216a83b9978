"""A table as people read it: columns of cells. Every page, file and terminal writes this one kind of table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING

from benchmarks import quantities
from benchmarks.analysis import peers, tables
from benchmarks.record.rows import is_missing
from benchmarks.record.schema import POLICIES
from benchmarks.report.views import Facets
from benchmarks.stats.pairs import FASTER

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 1000
"""Rows of the full tables in the page; the files beside it always hold all."""
_DOUBT_KEY = "~: doubtful; see the column warning in records.csv."


@dataclass(frozen=True)
class Cell:
    """One text, and the number behind it, by which its column is sorted.

    `doubt` says why the number is doubtful, `best` marks the winner of a row, `style` names a look, and `tip` is
    what the page adds where one points at it. `strip` is a path that the page draws in place of a text.
    """

    text: str = ""
    value: float | None = None
    doubt: str = ""
    best: bool = False
    style: str = ""
    tip: str = ""
    strip: str = ""

    @property
    def shown(self) -> str:
        """The text, with the mark of a doubtful number."""
        return f"~{self.text}" if self.doubtful else self.text

    @property
    def doubtful(self) -> bool:
        """Whether there is a number, and a doubt about it."""
        return bool(self.doubt and self.text)

    @property
    def note(self) -> str:
        """The tip, and the doubt."""
        return "; ".join([*[self.tip] * bool(self.tip), *[f"doubtful: {self.doubt}"] * self.doubtful])


@dataclass(frozen=True)
class Column:
    """A heading, with a unit where the cells do not give theirs, and the cells. Numbers are aligned right."""

    name: str
    cells: tuple[Cell, ...]
    numeric: bool = True
    unit: str = ""

    @property
    def heading(self) -> str:
        """The name with the unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Columns under a title; `notes` are sentences that explain them, `facets` what the table is chosen by.

    `total` counts the rows, also those that `cut` left out.
    """

    columns: tuple[Column, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    facets: Facets = field(default_factory=dict)
    total: int = 0

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings of all columns."""
        return tuple(column.heading for column in self.columns)

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers."""
        return tuple(column.numeric for column in self.columns)

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells, row by row."""
        return tuple(zip(*(column.cells for column in self.columns), strict=True))

    def cut(self, most: int = MAX_ROWS) -> Table:
        """Return the table with at most this many rows."""
        columns = tuple(replace(column, cells=column.cells[:most]) for column in self.columns)
        return replace(self, columns=columns, total=len(self.columns[0].cells))


def of_rows(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], numeric: Sequence[bool], title: str = ""
) -> Table:
    """Return a table given row by row."""
    lines = list(rows)
    cells = zip(*lines, strict=True) if lines else repeat((), len(headings))
    columns = zip(headings, cells, numeric, strict=True)
    return Table(tuple(Column(name, tuple(column), number) for name, column, number in columns), title)


def texts(name: str, values: Iterable[object], style: str = "") -> Column:
    """Return a column of texts; empty where there is none."""
    return Column(name, tuple(Cell(text(value), style=style) for value in values), numeric=False)


def listings(name: str, values: Iterable[Sequence[str]], most: int = 6) -> Column:
    """Return a column of lists of names, each cut at `most`."""
    return texts(name, (quantities.listing(names, most) for names in values))


def numbers(
    name: str,
    values: Iterable[float],
    form: Callable[[float], str] = quantities.number,
    *,
    unit: str = "",
    doubts: Iterable[object] = (),
    tips: Iterable[str] = (),
) -> Column:
    """Return a column of numbers in their form; empty where one was not measured.

    `doubts` and `tips`, if any, have one for each number.
    """
    known = [math.nan if is_missing(value) else float(value) for value in values]
    beside = zip(known, [*doubts] or repeat("", len(known)), [*tips] or repeat("", len(known)), strict=True)
    cells = (number(value, form, doubt=text(doubt), tip=tip) for value, doubt, tip in beside)
    return Column(name, tuple(cells), unit=unit)


def number(
    value: float, form: Callable[[float], str] = quantities.number, *, doubt: str = "", tip: str = ""
) -> Cell:
    """Return a number in its form; empty where it was not measured."""
    return Cell("" if math.isnan(value) else form(value), value, doubt, tip=tip)


def ratios(name: str, rows: pd.DataFrame, column: str, verdicts: str, doubts: Iterable[object] = ()) -> Column:
    """Return a column of ratios of times, those that are not surely above or below 1 with their verdict.

    `verdicts` names the column of verdicts; intervals stand in `{column}_low` and `{column}_high`, if known.
    """
    ends = [rows[f"{column}_{end}"] if f"{column}_{end}" in rows else repeat(math.nan) for end in ("low", "high")]
    reasons = [*doubts] or [""] * len(rows)
    cells = [
        ratio(value, low, high, text(verdict), text(doubt))
        for value, verdict, doubt, low, high in zip(rows[column], rows[verdicts], reasons, *ends, strict=False)
    ]
    return Column(name, tuple(cells))


def ratio(value: float, low: float, high: float, verdict: str, doubt: str = "") -> Cell:
    """Return a ratio of times, with its verdict unless that is that one is faster."""
    if math.isnan(value):
        return Cell("", value)
    tip = "" if math.isnan(low) else f"95 % interval {quantities.bounds(low, high)}"
    said = "" if verdict in ("", FASTER) else f", {verdict}"
    return Cell(f"{quantities.times(value)}{said}", value, doubt, tip=tip)


def cases(
    rows: pd.DataFrame,
    first: Sequence[str] = ("op", "mode"),
    perhaps: Sequence[str] = ("dtype", "device", *POLICIES, "shape"),
    last: Sequence[str] = (),
) -> list[Column]:
    """Return columns that name the case of each row: of the keys `perhaps`, those that differ between rows."""
    return [*keys(rows, (*first, *tables.varying(rows, perhaps), *last)), elements(rows)]


def elements(rows: pd.DataFrame) -> Column:
    """Return the column of the number of elements."""
    return numbers("elements", rows["n_elements"], quantities.count)


def keys(rows: pd.DataFrame, names: Iterable[str]) -> list[Column]:
    """Return columns of facts that are text, each under its own name."""
    return [texts(name, rows[name]) for name in names]


def explained(table: Table) -> Table:
    """Return the table with notes on the marks that are in it."""
    cells = [cell for column in table.columns for cell in column.cells]
    marked = any(peers.MARK in name for name in (*table.headings, *(cell.text for cell in cells)))
    notes = [*[_DOUBT_KEY] * any(cell.doubtful for cell in cells), *[peers.KEY] * marked]
    return replace(table, notes=(*table.notes, *notes))


def text(value: object) -> str:
    """Return what a cell holds as text; empty where it holds nothing."""
    return "" if is_missing(value) else str(value)
