"""Accuracy beside speed: a dot for each backend, and what the accurate one costs where the fastest is not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis.entries import entries
from benchmarks.analysis.errors import Erring, front
from benchmarks.record.schema import POLICIES
from benchmarks.report.pages.figures import LIMIT_COLOUR, MARGIN, Board, Figure, Panel, figure, safe
from benchmarks.report.palette import Style

LEAST_ULP, MOST_ULP = 0.1, 1e8
"""The ends of the axis of errors: smaller errors, also 0, and larger ones, also infinite, are drawn there."""
_FACETS = ("mode", "dtype", "device", *POLICIES)
_HOVER = (
    "<b>%{customdata[0]}</b><br>largest error %{customdata[1]} ULP%{customdata[3]}<br>"
    "%{customdata[2]}<extra></extra>"
)


@dataclass(frozen=True)
class _Dot(Erring):
    elements_per_s: float

    @property
    def x(self) -> float:
        """Elements per nanosecond."""
        return float(f"{self.elements_per_s / 1e9:.6g}")

    @property
    def y(self) -> float:
        """The error, within the ends of the axis."""
        return min(max(self.error_ulp, LEAST_ULP), MOST_ULP)


def boards(rows: pd.DataFrame, styles: Mapping[str, Style]) -> list[Board]:
    """Return error against throughput at each op's largest size; `rows` are those of `errors.with_errors`.

    There is a board per mode, dtype, device and set of policies, and a panel per op.
    """
    rows = rows[rows["error_ulp"].notna() & rows["elements_per_s"].gt(0)]
    largest = rows[rows["n_elements"] == rows.groupby(["op", *_FACETS])["n_elements"].transform("max")]
    found = []
    for values, group in largest.groupby(list(_FACETS), sort=False):
        facets = dict(zip(_FACETS, map(str, values), strict=True))
        axes = _axes(entries(group, _Dot))
        panels = [_panel(str(op), of_op, styles, axes) for op, of_op in group.groupby("op", sort=False)]
        found.append(Board(", ".join(facets[name] for name in _FACETS[:3]), tuple(panels), facets))
    return found


def _panel(op: str, rows: pd.DataFrame, styles: Mapping[str, Style], axes: Figure) -> Panel:
    dots = entries(rows, _Dot)
    best = front(dots)
    if len(best) == 1:
        note = f"{best[0].backend} has the smallest time and the smallest error."
    else:
        names = quantities.listing([dot.backend for dot in best], 8)
        note = f"From the smallest time to the smallest error: {names}."
    traces = [_line(best), *(_dot(dot, styles[dot.backend]) for dot in dots)]
    return Panel(op, figure(traces, {"margin": {**MARGIN, "l": 58}, **axes}), note)


def _line(best: Sequence[_Dot]) -> Figure:
    """Return the front as steps: what lies above and to the left of it is beaten."""
    return {
        "type": "scatter",
        "x": [dot.x for dot in best],
        "y": [dot.y for dot in best],
        "mode": "lines",
        "line": {"color": LIMIT_COLOUR, "width": 1.2, "dash": "2px,3px", "shape": "hv"},
        "hoverinfo": "skip",
    }


def _dot(dot: _Dot, style: Style) -> Figure:
    over = "" if dot.accurate else f", beyond its budget of {quantities.number(dot.budget_ulp)}"
    rate = quantities.number(dot.elements_per_s / 1e9)
    speed = f"{quantities.seconds(dot.median_s)}, {rate} elements per ns"
    return {
        "type": "scatter",
        "x": [dot.x],
        "y": [dot.y],
        "name": safe(dot.backend),
        "mode": "markers",
        "marker": {"symbol": style.symbol + ("" if dot.accurate else "-open"), "size": 11, "color": style.colour},
        "customdata": [[safe(dot.backend), quantities.number(dot.error_ulp), speed, over]],
        "hovertemplate": _HOVER,
    }


def _axes(dots: Sequence[_Dot]) -> Figure:
    rates = [dot.x for dot in dots]
    errors = [dot.y for dot in dots]
    low, high = math.log10(min(errors)), math.log10(max(errors))
    step = 2 if high - low > 4 else 1
    ticks = [10.0**k for k in range(math.floor(low), math.ceil(high) + 1, step)]
    return {
        "xaxis": {
            "type": "log",
            "range": [math.log10(min(rates)) - 0.15, math.log10(max(rates)) + 0.15],
            "dtick": 1,
            "title": {"text": "elements per nanosecond", "standoff": 6},
        },
        "yaxis": {
            "type": "log",
            "range": [low - 0.3, high + 0.3],
            "tickvals": ticks,
            "ticktext": [_tick(tick) for tick in ticks],
            "title": {"text": "largest error, ULP", "standoff": 4},
        },
    }


def _tick(error: float) -> str:
    if error <= LEAST_ULP:
        return "≤ 0.1"
    power = round(math.log10(error))
    written = f"{error:g}" if power < 3 else f"10{'⁰¹²³⁴⁵⁶⁷⁸'[power]}"
    return f"≥ {written}" if error >= MOST_ULP else written


def legend(found: Sequence[Board]) -> bool:
    """Return whether any dot is drawn open, which the page then explains."""
    return any(
        trace.get("marker", {}).get("symbol", "").endswith("-open")
        for board in found
        for panel in board.panels
        for trace in panel.figure["data"]
    )
