"""The catalogue: every op declared once, found by its name or an alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from backends import plugins
from backends.catalogue import activations, class_losses, gated, likelihoods, losses, own, piecewise, rows
from backends.interface import OpSpec
from backends.nearest import nearest

_OPS = {
    spec.name: spec
    for module in (piecewise, activations, gated, rows, losses, likelihoods, class_losses)
    for spec in module.OPS
}
_ALIASES = {alias: name for name, spec in _OPS.items() for alias in spec.aliases}

OPS: Mapping[str, OpSpec] = MappingProxyType(_OPS)
"""All ops by name, activations first, in the order of the catalogue; then those of packages and files."""

ALIASES: Mapping[str, str] = MappingProxyType(_ALIASES)
"""Other names of ops, as other libraries spell them, with ours."""


def _add(specs: Iterable[OpSpec]) -> None:
    """Take ops of somebody's own, which may import from here: by then ours are there."""
    for spec in specs:
        _OPS[spec.name] = spec
        _ALIASES.update(dict.fromkeys(spec.aliases, spec.name))


_installed, PASSED_OVER = plugins.ops({*_OPS, *_ALIASES})
"""Why ops of installed packages are not among these, by the entry point that names them."""
_add(_installed)
_add(own.ops({*_OPS, *_ALIASES}))


def find(name: str) -> OpSpec:
    """Return the op called `name`; raise ValueError with the nearest and all valid names otherwise."""
    if spec := OPS.get(ALIASES.get(name, name)):
        return spec
    near = nearest(name, [*OPS, *ALIASES])
    hint = f"; did you mean {near!r}?" if near else "."
    skipped = "".join(f"; {entry} was passed over: {reason}" for entry, reason in PASSED_OVER.items())
    raise ValueError(f"op: unknown name {name!r}{hint} Valid names: {', '.join(OPS)}{skipped}")
