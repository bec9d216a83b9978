"""LaTeX: any table of the report, as wide as a page, for a paper.

It needs the packages `booktabs` and, where a table does not fit a page, `longtable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks.analysis import peers
from benchmarks.report.table import Cell, Table

_PAGE_ROWS = 45
"""More rows do not fit a page, and take an environment that breaks."""
_BREAKING: Mapping[str, Any] = {"environment": "longtable"}
_FLOATING: Mapping[str, Any] = {"environment": "table*", "position": "tbp", "position_float": "centering"}
_SUPERSCRIPTS = {
    high: rf"\textsuperscript{{{low}}}" for high, low in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)
}
_ESCAPES = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        **_SUPERSCRIPTS,
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"$\sim$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "µ": r"\textmu{}",
        "×": r"\texttimes{}",
        "–": "--",
        "−": r"\textminus{}",
        "∞": r"$\infty$",
        peers.MARK: r"\textdagger{}",
        "\n": " ",
    }
)
"""What LaTeX would take for a command, and signs that not all of its fonts have."""


def escape(text: object) -> str:
    """Return text that LaTeX sets as it is."""
    return str(text).translate(_ESCAPES)


def page(table: Table) -> str:
    """Return a table; its title and notes become the caption."""
    frame = pd.DataFrame([[_cell(cell) for cell in row] for row in table.rows])
    breaks = len(frame) > _PAGE_ROWS
    layout, packages = (_BREAKING, "booktabs, longtable") if breaks else (_FLOATING, "booktabs")
    # In a label, pandas takes braces for a field.
    headings = [escape(name).replace("{", "{{").replace("}", "}}") for name in table.headings]
    style = frame.style.hide(axis="index").relabel_index(headings, axis="columns")
    caption = escape(" ".join([f"{table.title}.", *table.notes]))
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    text = style.to_latex(hrules=True, column_format=columns, caption=caption, **layout)
    return f"% \\usepackage{{{packages}}}\n{text}"


def _cell(cell: Cell) -> str:
    return rf"\textbf{{{escape(cell.shown)}}}" if cell.best else escape(cell.shown)
