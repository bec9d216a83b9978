"""Cells, rows and columns: a table as the pages show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from benchmarks import quantities
from benchmarks.report.views import Facets

MAX_ROWS = 1000
"""Rows of the full tables in the page; the CSV files always hold all."""

Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Cell:
    """One text, the number that it sorts by, and a class that styles it."""

    text: str
    sort: float | None = None
    style: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Table:
    """Headings and rows of cells; `numeric` says which columns hold numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[bool, ...] = ()
    label: str = ""
    facets: Facets = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A column yet to be filled: its heading, the cell that a row has there, and whether it holds numbers."""

    heading: str
    cell: Callable[[Row], Cell]
    numeric: bool = True


def fill(columns: Sequence[Column], rows: pd.DataFrame, label: str = "") -> Table:
    """Return the table of `columns` with a line for each of `rows`."""
    return Table(
        tuple(column.heading for column in columns),
        tuple(tuple(column.cell(row) for column in columns) for row in rows.to_dict("records")),
        tuple(column.numeric for column in columns),
        label,
    )


def named(name: str) -> Column:
    """Return the column of a fact that is text, under its own name."""
    return Column(name, lambda row: Cell(text(row[name])), numeric=False)


def doubted(cell: Cell, warning: object) -> Cell:
    """Return `cell` with the mark of a doubtful number, and why, where there is a warning."""
    return replace(cell, text=f"~{cell.text}", tip=f"doubtful: {warning}") if cell.text and text(warning) else cell


def measure(value: float, form: Callable[[float], str]) -> Cell:
    """Return a number in its form; empty where it was not measured."""
    return Cell("" if math.isnan(value) else form(value), float(value))


def whole(value: Any) -> Cell:
    """Return a whole number; empty where it is not known."""
    return Cell("") if pd.isna(value) else Cell(quantities.count(int(value)), float(value))


def text(value: object) -> str:
    """Return what a cell holds as text; empty where it holds nothing."""
    return "" if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]
