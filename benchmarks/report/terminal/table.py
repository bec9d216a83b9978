"""Any table of the report at a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from benchmarks.report.table import Table

_LEAST_WIDTH = 24
"""Least width of a column that may wrap."""
_GAP = 2
"""Spaces between two columns."""


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


def print_named(
    table: Table,
    console: Console,
    *,
    name: str,
    wraps: bool,
    styles: Sequence[str] = (),
    say: Callable[[str], Text] = Text,
) -> None:
    """Print a table whose rows are named by the column `name`, and break no name, so that each can be copied.

    The last column may wrap if `wraps`. A name that has no room beside the others stands alone, in the line above
    the rest of its row; in a narrow terminal all do. `styles` and `say` are those of `grid`.
    """
    at = [column.heading for column in table.columns].index(name)
    headings = [say(column.heading) for column in table.columns]
    texts = [headings, *([say(cell.shown) for cell in row] for row in table.rows)]
    widths = _fitted([[text.cell_len for text in row] for row in texts], at, console.width, wraps=wraps)
    for row, style in zip(texts, ("", *(styles or [""] * len(table.rows))), strict=True):
        shown = row
        if not widths or row[at].cell_len > widths[at]:
            console.print(
                Text((" " * _GAP).join(text.plain or " " for text in row[: at + 1]), style), soft_wrap=True
            )
            shown = [*map(say, [""] * (at + 1)), *row[at + 1 :]]
        if widths:
            console.print(_line(table, shown, widths, style, wraps=wraps))
        else:
            values = Text((" " * _GAP).join(text.plain for text in shown if text.plain), style)
            console.print(Padding(values, (0, 0, 0, _GAP), expand=False))


def _fitted(lengths: Sequence[Sequence[int]], at: int, width: int, *, wraps: bool) -> list[int]:
    """Return the width of each column, from the lengths of all texts in it, or nothing if there is no room.

    The last column wraps, and gives way to names. Names are those of column `at`; those that are longer than its
    width are to stand alone.
    """
    widths = [max(column) for column in zip(*lengths, strict=True)]
    wanted = widths[-1] if wraps else 0
    room = width - (sum(widths) - widths[at] - wanted) - _GAP * (len(widths) - 1)
    if room < lengths[0][at] + _LEAST_WIDTH:
        return []
    widths[at] = max(row[at] for row in lengths if row[at] <= room - min(wanted, _LEAST_WIDTH))
    if wraps:
        widths[-1] = min(wanted, room - widths[at])
    return widths


def _line(table: Table, texts: Sequence[Text], widths: Sequence[int], style: str, *, wraps: bool) -> Grid:
    """Return one line of a table, in columns of these widths, of which the last may wrap."""
    found = Grid(box=None, pad_edge=False, show_header=False)
    for column, width in zip(table.columns, widths, strict=True):
        found.add_column(justify="right" if column.numeric else "left", width=width, overflow="fold")
    *others, last = texts
    found.add_row(*others, _Wrapped(last) if wraps else last, style=style)
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
