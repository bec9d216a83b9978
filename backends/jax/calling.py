"""JAX: how its users call a function of its own. Imports no JAX: pages and answers are made without it."""

from __future__ import annotations

from collections.abc import Mapping

from backends.calling import Idiom

_WIDE = ('jax.config.update("jax_enable_x64", True)  # or float64 silently becomes float32',)
_BOTH = (
    "def both(g, {inputs}):",
    "    y, pull = jax.vjp(lambda {first}: {call}, {first})",
    "    return y, *pull(g)",
    "",
)

IDIOMS: Mapping[str, Idiom] = {
    "jax": Idiom(
        imports=("import jax",),
        forward=("compiled = jax.jit(lambda {inputs}: {call})", "y = compiled({inputs})"),
        gradient=(*_BOTH, "compiled = jax.jit(both)", "y, gradient = compiled(g, {inputs})"),
        wide=_WIDE,
    ),
    "jax-eager": Idiom(
        imports=("import jax",),
        gradient=(*_BOTH, "y, gradient = both(g, {inputs})"),
        wide=_WIDE,
    ),
}
"""The idiom of each variant."""
