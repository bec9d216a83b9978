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
    return x * jax.nn.silu(gate)


def geglu(x: Any, gate: Any, *, approximate: str) -> Any:
    """Composed from `jax.nn.gelu`."""
    return x * jax.nn.gelu(gate, approximate=approximate == "tanh")


def reglu(x: Any, gate: Any) -> Any:
    """Composed from `jax.nn.relu`."""
    return x * jax.nn.relu(gate)


OPS: Functions = {
    "prelu": prelu,
    "swiglu": swiglu,
    "geglu": geglu,
    "reglu": reglu,
}
