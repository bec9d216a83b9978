"""What every page is made of: a template, our style and script, and plotly, in one file that loads nothing."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import jinja2
from markupsafe import Markup

from benchmarks import invocation
from benchmarks.report.pages.figures import Board, Figure
from benchmarks.report.views import dimensions

_TERMS = {
    "group": "The cases that differ in the backend alone: one op, mode, type and size, measured together.",
    "burst": "A few rounds of calls that one backend takes in a row, before it is the next one's turn.",
}
"""Words of the first screen that only we use."""
_TERM = re.compile(rf"\b((?:{'|'.join(_TERMS)})s?)\b")


def fill(template: str, boards: Mapping[str, Sequence[Board]], **content: object) -> str:
    """Return the page in which `template` lays out `content`; panel j of board i is called `name-i-j`."""
    figures: dict[str, Figure] = {
        f"{name}-{i}-{j}": panel.figure
        for name, several in boards.items()
        for i, board in enumerate(several)
        for j, panel in enumerate(board.panels)
    }
    return (
        _environment()
        .get_template(template)
        .render(
            content,
            figures=_packed(json.dumps(figures, allow_nan=False, separators=(",", ":")).encode()),
            css=_source("report.css"),
            script=_source("report.js"),
            plotly=_packed_plotly(),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    """Return where templates are found and compiled, once for all pages of a process.

    Escaping is on for every name and value; what is trusted is wrapped in Markup, below and in sight.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["command"] = invocation.command()
    environment.filters |= {
        "breakable": _breakable,
        "coded": _coded,
        "dimensions": dimensions,
        "explained": _explained,
        "plainly": _plainly,
    }
    return environment


def _breakable(name: str) -> Markup:
    """Return a name that may break after its underscores, where a column is narrow."""
    return Markup("_<wbr>").join(name.split("_"))


def _plainly(value: float) -> str:
    """Return a number as programs read it: six digits, or all of a whole one."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.6g}"


def _explained(sentence: str) -> Markup:
    """Return a sentence in which our terms say what they mean, where one points at them."""
    pieces = _TERM.split(sentence)  # every other one is a term
    return Markup("").join(
        Markup('<dfn data-tip="{}">{}</dfn>').format(_TERMS[piece.removesuffix("s")], piece) if i % 2 else piece
        for i, piece in enumerate(pieces)
    )


def _coded(sentence: str) -> Markup:
    """Return a sentence in which what stands between backticks is code."""
    parts = (
        Markup("<code>{}</code>" if i % 2 else "{}").format(part) for i, part in enumerate(sentence.split("`"))
    )
    return Markup("").join(parts)


@cache
def _packed_plotly() -> str:
    # The page needs the script alone: importing plotly's Python beside it takes as long as reading a run.
    plotly = find_spec("plotly")
    if plotly is None or plotly.origin is None:
        raise ModuleNotFoundError("No module named 'plotly'", name="plotly")
    return _packed(Path(plotly.origin).with_name("package_data").joinpath("plotly.min.js").read_bytes())


def _packed(content: bytes) -> str:
    """Return `content` compressed, as base64: a third of plotly's 4.8 MB, and nothing that could end its element.

    Level 6 would take twice as long, 0.1 s more for every page, for a tenth less.
    """
    return base64.b64encode(gzip.compress(content, compresslevel=3, mtime=0)).decode()


def _source(name: str) -> Markup:
    text = files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
    return Markup(text)  # a file of ours
