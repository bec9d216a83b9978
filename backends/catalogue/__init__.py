"""The catalogue: every op declared once, found by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from backends.catalogue import activations, losses
from backends.interface import OpSpec

OPS: Mapping[str, OpSpec] = MappingProxyType({spec.name: spec for spec in (*activations.OPS, *losses.OPS)})
"""All ops by name, activations first, in the order of the catalogue."""


def find(name: str) -> OpSpec:
    """Return the op called `name`; raise ValueError with the nearest and all valid names otherwise."""
    if name in OPS:
        return OPS[name]
    near = difflib.get_close_matches(name, OPS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"op: unknown name {name!r}{hint} Valid names: {', '.join(OPS)}")
