"""JAX: activations along an axis, by its own functions where it has them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from backends.base import Functions


def softmax(x: Any, *, axis: int) -> Any:
    """`jax.nn.softmax`."""
    return jax.nn.softmax(x, axis=axis)


def log_softmax(x: Any, *, axis: int) -> Any:
    """`jax.nn.log_softmax`."""
    return jax.nn.log_softmax(x, axis=axis)


def softmin(x: Any, *, axis: int) -> Any:
    """Composed from `jax.nn.softmax`."""
    return jax.nn.softmax(-x, axis=axis)


def sparsemax(x: Any, *, axis: int) -> Any:
    """Composed from `jnp.sort` and `jnp.cumsum`: algorithm 1 of Martins and Astudillo 2016."""
    if not x.shape[axis]:
        return x
    x = x - jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True))
    ranked = jnp.sort(x, axis=axis, descending=True)
    sums = jnp.cumsum(ranked, axis=axis) - 1
    ranks = jnp.arange(1, x.shape[axis] + 1, dtype=x.dtype)
    ranks = jnp.moveaxis(ranks.reshape(-1, *[1] * (x.ndim - 1)), 0, axis)
    support = jnp.maximum(jnp.sum(ranks * ranked > sums, axis=axis, keepdims=True), 1)
    threshold = jnp.take_along_axis(sums, support - 1, axis=axis) / support.astype(x.dtype)
    return jax.nn.relu(x - threshold)


def glu(x: Any, *, axis: int) -> Any:
    """`jax.nn.glu`."""
    return jax.nn.glu(x, axis)


OPS: Functions = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmin": softmin,
    "sparsemax": sparsemax,
    "glu": glu,
}
