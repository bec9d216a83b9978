"""The gallery: each function with its derivative, as in the course notes, and each backend's errors under it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.report.pages.figures import MARGIN, Board, Figure, Panel, figure, numbers, safe
from benchmarks.report.palette import Style

_CURVES = (("y", "f(x)", "#0072B2", "solid"), ("derivative", "f′(x)", "#D55E00", "6px,3px"))
_MODES = {"forward": "f(x)", "backward": "f′(x)"}
_LEAST, _MOST = 0.01, 1e4
"""The ends of the axis of errors, in ULP: errors beyond them are drawn there."""
_SPLIT = 0.36
"""Share of a panel's height that the errors take."""


def boards(curves: pd.DataFrame, errors: pd.DataFrame, styles: Mapping[str, Style]) -> list[Board]:
    """Return a panel per function of `curves`; a board for the errors of each mode, where there are any.

    `errors` holds op, mode, backend, device, x and ulp.
    """
    if errors.empty:
        return [_board(curves, errors, styles, "")]
    modes = [mode for mode in _MODES if mode in set(errors["mode"])]
    return [_board(curves, errors[errors["mode"] == mode], styles, _MODES[mode]) for mode in modes]


def _board(curves: pd.DataFrame, errors: pd.DataFrame, styles: Mapping[str, Style], name: str) -> Board:
    panels = []
    for op, curve in curves.groupby("op", sort=False):
        values = pd.concat([curve["y"], curve["derivative"]]).dropna()
        # Between ±1 and the course notes' ±5: bounded functions fill their panel, the others stay comparable.
        low, high = max(-5.0, values.min()), min(5.0, values.max())
        pad = 0.06 * max(high - low, 1.0)
        here = errors[errors["op"] == op]
        panels.append(Panel(str(op), _figure(curve, here, styles, (low - pad, high + pad)), _worst(here)))
    return Board(f"errors of {name}" if name else "", tuple(panels), {"errors of": name} if name else {})


def _figure(
    curve: pd.DataFrame, errors: pd.DataFrame, styles: Mapping[str, Style], y_range: tuple[float, float]
) -> Figure:
    """Return a function (solid) and its derivative (dashed) over x, and under them the errors."""
    x = numbers(curve["x"])
    traces: list[Figure] = [
        {
            "type": "scatter",
            "x": x,
            "y": numbers(curve[column]),
            "name": name,
            "mode": "lines",
            "line": {"color": colour, "width": 2.2, "dash": dash},
            "hovertemplate": f"{name} = %{{y:.3}}<extra></extra>",
        }
        for column, name, colour, dash in _CURVES
    ]
    layout: Figure = {
        "margin": {**MARGIN, "l": 58 if len(errors) else 34, "b": 26},
        "hovermode": "x unified",
        "xaxis": {"range": [x[0], x[-1]], "zeroline": True, "nticks": 6, "hoverformat": ".3"},
        "yaxis": {"range": list(y_range), "zeroline": True, "nticks": 6},
    }
    if len(errors):
        traces += _error_lines(errors, styles)
        layout["xaxis"]["anchor"] = "y2"
        layout["yaxis"]["domain"] = [_SPLIT + 0.06, 1]
        layout["yaxis2"] = {
            "domain": [0, _SPLIT],
            "type": "log",
            "range": [-2.1, 4.1],
            "tickvals": [_LEAST, 1, 100, _MOST],
            "ticktext": ["0", "1", "100", "≥10⁴"],
            "title": {"text": "ULP", "standoff": 4},
        }
    return figure(traces, layout)


def _error_lines(errors: pd.DataFrame, styles: Mapping[str, Style]) -> list[Figure]:
    several = len(errors["device"].unique()) > 1
    lines = []
    for (backend, device), rows in errors.groupby(["backend", "device"], sort=False):
        name = safe(tables.label(str(backend), str(device), across_devices=several))
        lines.append(
            {
                "type": "scatter",
                "x": numbers(rows["x"]),
                "y": [min(max(error, _LEAST), _MOST) for error in rows["ulp"]],
                "customdata": [f"{error:.3g}" for error in rows["ulp"]],
                "yaxis": "y2",
                "name": name,
                "mode": "lines",
                "line": {
                    "color": styles[str(backend)].colour,
                    "width": 1.4,
                    "dash": "solid" if device == "cpu" else "6px,3px",
                },
                "hovertemplate": f"{name}: %{{customdata}} ULP<extra></extra>",
            }
        )
    return lines


def _worst(errors: pd.DataFrame) -> str:
    """Return the largest error of each backend in words: colours alone would not tell."""
    if errors.empty:
        return ""
    largest = errors.groupby("backend", sort=False)["ulp"].max()
    told = ", ".join(f"{backend} {quantities.number(error, 2)}" for backend, error in largest.items())
    return f"At most {told} ULP on [−5, 5)."
