"""Any table of the report at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rich.table import Table as Grid
from rich.text import Text

from benchmarks.report.table import Table

_LEAST_WIDTH = 24
"""Least width of a column that may wrap."""


def grid(
    table: Table,
    *,
    wrapped: Collection[str] = (),
    styles: Sequence[str] = (),
    say: Callable[[str], Text] = Text,
    least_width: int = _LEAST_WIDTH,
) -> Grid:
    """Return a table for rich to print: the columns `wrapped` may wrap, and each row may have a style.

    `say` turns a text into signs that the terminal has. Columns that wrap keep at least `least_width`.
    """
    found = Grid(box=None, pad_edge=False, header_style="")
    for column in table.columns:
        found.add_column(
            column.heading,
            justify="right" if column.numeric else "left",
            no_wrap=column.heading not in wrapped,
            overflow="fold",
            min_width=least_width if column.heading in wrapped else None,
        )
    for i, row in enumerate(table.rows):
        found.add_row(*(say(cell.shown) for cell in row), style=styles[i] if styles else None)
    return found
