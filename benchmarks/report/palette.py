"""One colour and one marker per backend, the same in every chart and table; or per run, where runs are compared.

Colours are Okabe and Ito's, which remain distinct for colour-blind readers (Okabe and Ito 2008, "Color universal
design"); black is left out, as it vanishes on a dark page, and yellow comes last, as it does on a light one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How a backend or a run is drawn: `symbol` is plotly's name, `path` that shape in an SVG box of 16 by 16."""

    colour: str
    symbol: str
    path: str


_PATHS = {
    "circle": "M8 3a5 5 0 1 0 .01 0z",
    "square": "M3.5 3.5h9v9h-9z",
    "diamond": "M8 1.8 14.2 8 8 14.2 1.8 8z",
    "triangle-up": "M8 2.5 14 13H2z",
    "triangle-down": "M8 13.5 2 3h12z",
    "cross": "M6 2.5h4V6h3.5v4H10v3.5H6V10H2.5V6H6z",
    "star": "m8 1.5 1.9 4.2 4.6.5-3.4 3.1.9 4.5L8 11.5l-4 2.3.9-4.5L1.500 6.200l4.600-.5z",
    "hexagon": "M8 2l5.200 3v6L8 14l-5.200-3V5z",
}
_KNOWN = {
    "numpy": ("#8a8a8a", "circle"),
    "numba": ("#E69F00", "square"),
    "numba-parallel": ("#D55E00", "diamond"),
    "jax": ("#009E73", "triangle-up"),
    "jax-eager": ("#56B4E9", "triangle-down"),
    "torch": ("#0072B2", "cross"),
    "torch-compile": ("#CC79A7", "star"),
}
_IN_TURN = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8a8a8a")
_OTHERS = ("#CC79A7", "#56B4E9", "#F0E442")


def styles(backends: Sequence[str]) -> dict[str, Style]:
    """Return the style of each backend; names that we do not know get the remaining ones, in turn."""
    found = {}
    strangers = sorted(set(backends) - set(_KNOWN))
    for name in backends:
        if name in _KNOWN:
            colour, symbol = _KNOWN[name]
        else:
            turn = strangers.index(name)
            # Symbols from the back: a reused colour still comes with another marker.
            colour, symbol = _OTHERS[turn % len(_OTHERS)], list(_PATHS)[-1 - turn % len(_PATHS)]
        found[name] = Style(colour, symbol, _PATHS[symbol])
    return found


def in_turn(names: Sequence[str]) -> dict[str, Style]:
    """Return a style for each name by its place in the list: for runs, say, which are no backends."""
    symbols = list(_PATHS)
    return {
        # Seven colours and eight symbols: a pair comes again only after 56 names.
        name: Style(_IN_TURN[i % len(_IN_TURN)], symbols[i % len(symbols)], _PATHS[symbols[i % len(symbols)]])
        for i, name in enumerate(names)
    }
