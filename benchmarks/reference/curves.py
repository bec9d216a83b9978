"""The picture of a function and its derivative, for the built site: an SVG in the colours of its page."""

from __future__ import annotations

import io
import re

import numpy as np

from backends.catalogue import OPS
from benchmarks.check import oracle

_INK = "#010203"
"""Stands for the page's own colour of text, whether it is light or dark."""
_LOOK = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.edgecolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.15,
    "grid.color": _INK,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "activation-bench",
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def figure(op: str) -> str:
    """Return an HTML figure of an elementwise activation: f and f' over [-5, 5) at its default parameters.

    Empty for other ops. Needs matplotlib.
    """
    if OPS[op].derivative is None:
        return ""
    return (
        f'<figure role="img" aria-label="{op} and its derivative from -5 to 5" style="margin:0;max-width:34rem">\n'
        f"{_svg(op)}\n"
        "<figcaption>f(x) is solid, f′(x) dashed, both at the default parameters.</figcaption>\n</figure>"
    )


def _svg(op: str) -> str:
    import matplotlib.style
    from matplotlib.figure import Figure

    x, y, slope = oracle.curve(op)
    file = io.StringIO()
    with matplotlib.style.context(["default", _LOOK]):
        drawn = Figure(figsize=(4.8, 2.6))
        axes = drawn.add_axes((0.07, 0.1, 0.91, 0.87))
        axes.plot(x, y, color="#0072B2", label="f(x)")
        axes.plot(x, slope, "--", color="#D55E00", label="f′(x)")
        axes.set(xlim=(-5, 5), ylim=_limits(np.concatenate([y, slope])))
        axes.grid(visible=True)
        axes.legend(loc="upper left")
        drawn.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(file.getvalue())


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of the axis of values: within ±5, so that what is not bounded looks alike."""
    low, high = max(-5.0, float(np.nanmin(values))), min(5.0, float(np.nanmax(values)))
    pad = 0.06 * max(high - low, 1.0)
    return low - pad, high + pad


def _embedded(svg: str) -> str:
    """Return an SVG file as a part of a page: as wide as there is room, in the colour of its text."""
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    body = re.sub(
        r'(<svg[^>]*?) (?:height|width)="[^"]*"([^>]*?) (?:height|width)="[^"]*"', r"\1\2", body, count=1
    )
    return body.replace(_INK, "currentColor").replace("<svg", '<svg style="width:100%;height:auto"', 1)
