"""The catalogue: every op declared once, found by its name or an alias."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from backends.catalogue import activations, class_losses, gated, likelihoods, losses, piecewise, rows
from backends.interface import OpSpec

OPS: Mapping[str, OpSpec] = MappingProxyType(
    {
        spec.name: spec
        for module in (piecewise, activations, gated, rows, losses, likelihoods, class_losses)
        for spec in module.OPS
    }
)
"""All ops by name, activations first, in the order of the catalogue."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {alias: name for name, spec in OPS.items() for alias in spec.aliases}
)
"""Other names of ops, as other libraries spell them, with ours."""


def find(name: str) -> OpSpec:
    """Return the op called `name`; raise ValueError with the nearest and all valid names otherwise."""
    if spec := OPS.get(ALIASES.get(name, name)):
        return spec
    from difflib import get_close_matches  # late: names are rarely wrong

    near = get_close_matches(name, [*OPS, *ALIASES], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"op: unknown name {name!r}{hint} Valid names: {', '.join(OPS)}")
