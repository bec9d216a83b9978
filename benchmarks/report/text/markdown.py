"""Markdown: any table of the report, for a README or a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.report.table import Cell, Table


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a table too."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def page(table: Table) -> str:
    """Return a table with its title and notes as a document of its own."""
    return document(table.title, map(escape, table.notes), [table])


def document(title: str, paragraphs: Iterable[str], tables: Iterable[Table]) -> str:
    """Return a document of several tables, each under its own title, unless that is the document's.

    Paragraphs are Markdown already.
    """
    parts = [f"# {escape(title)}", *paragraphs]
    for table in tables:
        parts += [f"## {escape(table.title)}"] if table.title != title else []
        parts += [grid(table)] if table.rows else []
    return "\n\n".join(parts) + "\n"


def grid(table: Table) -> str:
    """Return the rows of a table: texts and marks, without tips."""
    from tabulate import tabulate  # late, as most of what writes Markdown can also write for a terminal

    rows = [[_cell(cell) for cell in row] for row in table.rows]
    align = ["right" if numeric else "left" for numeric in table.numeric]
    headings = list(map(escape, table.headings))
    return str(tabulate(rows, headings, tablefmt="pipe", disable_numparse=True, colalign=align))


def _cell(cell: Cell) -> str:
    if cell.style == "code":
        return f"`{cell.shown}`"
    return f"**{escape(cell.shown)}**" if cell.best else escape(cell.shown)
