"""JAX: activations made of pieces, by its own functions where it has them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from backends.base import Functions


def step(x: Any) -> Any:
    """Composed from `jnp.where`: `jnp.heaviside` takes NaN for zero."""
    return jnp.where(jnp.isnan(x), x, (x > 0).astype(x.dtype))


def relu(x: Any) -> Any:
    """`jax.nn.relu`."""
    return jax.nn.relu(x)


def relu6(x: Any) -> Any:
    """`jax.nn.relu6`."""
    return jax.nn.relu6(x)


def leaky_relu(x: Any, *, negative_slope: float) -> Any:
    """`jax.nn.leaky_relu`."""
    return jax.nn.leaky_relu(x, negative_slope)


def hard_sigmoid(x: Any) -> Any:
    """`jax.nn.hard_sigmoid`."""
    return jax.nn.hard_sigmoid(x)


def hard_silu(x: Any) -> Any:
    """`jax.nn.hard_silu`."""
    return jax.nn.hard_silu(x)


def hard_tanh(x: Any) -> Any:
    """`jax.nn.hard_tanh`."""
    return jax.nn.hard_tanh(x)


def soft_shrink(x: Any, *, threshold: float) -> Any:
    """Composed from `jnp.sign` and `jax.nn.relu`."""
    return jnp.sign(x) * jax.nn.relu(jnp.abs(x) - threshold)


def hard_shrink(x: Any, *, threshold: float) -> Any:
    """Composed from `jnp.where`."""
    return jnp.where(jnp.abs(x) <= threshold, 0, x)


def threshold(x: Any, *, threshold: float, value: float) -> Any:
    """Composed from `jnp.where`."""
    return jnp.where(x <= threshold, value, x)


def sparse_plus(x: Any) -> Any:
    """`jax.nn.sparse_plus`."""
    return jax.nn.sparse_plus(x)


def sparse_sigmoid(x: Any) -> Any:
    """`jax.nn.sparse_sigmoid`."""
    return jax.nn.sparse_sigmoid(x)


def linear(x: Any) -> Any:
    """`jnp.copy`: `jax.nn.identity` returns its input."""
    return jnp.copy(x)


OPS: Functions = {
    "step": step,
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "hard_tanh": hard_tanh,
    "soft_shrink": soft_shrink,
    "hard_shrink": hard_shrink,
    "threshold": threshold,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "linear": linear,
}
