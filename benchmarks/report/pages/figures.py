"""Figures: what every chart of a page is made of.

They are plotly's JSON. Its own classes check every value, which takes ten seconds for a large run, so a test
does it once. Colours of text, axes and backgrounds are left to the page, which follows the reader's scheme.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from benchmarks.report.views import Facets

Figure = dict[str, Any]
"""What plotly reads: JSON."""
LIMIT_COLOUR = "#8a8a8a"
MARGIN = {"l": 44, "r": 10, "t": 8, "b": 38}


@dataclass(frozen=True)
class Panel:
    """One small chart and its heading, and what it shows in words."""

    title: str
    figure: Figure
    note: str = ""


@dataclass(frozen=True)
class Board:
    """Panels that share axes and a legend, under a label that says what is shown.

    `command` is the one that measures them again.
    """

    label: str
    panels: tuple[Panel, ...]
    facets: Facets = field(default_factory=dict)
    command: str = ""


def figure(traces: Sequence[Figure], layout: Figure) -> Figure:
    """Return a figure with a margin and without plotly's own legend."""
    usual = {"margin": MARGIN, "hovermode": "closest", "showlegend": False}
    return {"data": list(traces), "layout": {**usual, **layout}}


def safe(text: str) -> str:
    """Return text as plotly shows it: it reads tags, and the page escapes nothing inside its figures."""
    return html.escape(text, quote=False)


def numbers(values: pd.Series) -> list[float | None]:
    """Return what a figure holds of numbers: what is not finite leaves a gap."""
    return [number(value) for value in values.astype("float64")]


def number(value: float) -> float | None:
    """Return six digits of a number, which is more than a chart shows; what is not finite leaves a gap."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
