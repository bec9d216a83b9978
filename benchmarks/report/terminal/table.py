"""Any table of the report at a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
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

    `say` turns a text into signs that the terminal has. Columns that wrap keep at least `least_width`, and wrap
    after an underscore where they can.
    """
    found = Grid(box=None, pad_edge=False, header_style="")
    for column in table.columns:
        found.add_column(
            say(column.heading),
            justify="right" if column.numeric else "left",
            no_wrap=column.heading not in wrapped,
            overflow="fold",
            min_width=least_width if column.heading in wrapped else None,
        )
    for i, row in enumerate(table.rows):
        texts = (
            _Wrapped(say(cell.shown)) if column.heading in wrapped else say(cell.shown)
            for column, cell in zip(table.columns, row, strict=True)
        )
        found.add_row(*texts, style=styles[i] if styles else None)
    return found


@dataclass(frozen=True)
class _Wrapped:
    """A text in lines as long as its column is wide, broken at spaces and after underscores.

    Names of functions have no spaces, and would be broken anywhere.
    """

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        lines = [""]
        for piece in re.split(r"(?<=[_ ])", self.text.plain):
            if lines[-1] and len(f"{lines[-1]}{piece}".rstrip()) > options.max_width:
                lines.append("")
            lines[-1] += piece
        yield Text("\n".join(map(str.rstrip, lines)), self.text.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        pieces = Text(self.text.plain.replace("_", "_ ")).__rich_measure__(console, options)
        return Measurement(pieces.minimum, self.text.cell_len)
