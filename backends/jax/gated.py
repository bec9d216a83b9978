"""JAX: activations of two arrays, composed from its functions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from backends.base import Functions


def prelu(x: Any, weight: Any) -> Any:
    """Composed from `jnp.where`."""
    return jnp.where(x > 0, x, weight * x)


def swiglu(x: Any, gate: Any) -> Any:
    """Composed from `jax.nn.silu`."""
    return x * _without_limit(gate, jax.nn.silu(gate))


def geglu(x: Any, gate: Any, *, approximate: str) -> Any:
    """Composed from `jax.nn.gelu`."""
    return x * _without_limit(gate, jax.nn.gelu(gate, approximate=approximate == "tanh"))


def reglu(x: Any, gate: Any) -> Any:
    """Composed from `jax.nn.relu`."""
    return x * jax.nn.relu(gate)


def _without_limit(gate: Any, activation: Any) -> Any:
    """Return an activation, 0 where the gate is -inf: the limit, where JAX multiplies infinity by 0."""
    return jnp.where(gate == -jnp.inf, 0, activation)


OPS: Functions = {
    "prelu": prelu,
    "swiglu": swiglu,
    "geglu": geglu,
    "reglu": reglu,
}
