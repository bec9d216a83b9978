"""Activations in JAX: the framework's own functions where it has them, in the order of the catalogue."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

# --- activations made of pieces ----------------------------------------------------------------------------------


def step(x: Any) -> Any:
    """Composed from `jnp.where`: `jnp.heaviside` of NaN is the value at zero."""
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


# --- smooth activations ------------------------------------------------------------------------------------------


def sigmoid(x: Any) -> Any:
    """`jax.nn.sigmoid`."""
    return jax.nn.sigmoid(x)


def tanh(x: Any) -> Any:
    """`jnp.tanh`."""
    return jnp.tanh(x)


def elu(x: Any, *, alpha: float) -> Any:
    """`jax.nn.elu`."""
    return jax.nn.elu(x, alpha)


def celu(x: Any, *, alpha: float) -> Any:
    """`jax.nn.celu`."""
    return jax.nn.celu(x, alpha)


def selu(x: Any) -> Any:
    """`jax.nn.selu`."""
    return jax.nn.selu(x)


def gelu(x: Any, *, approximate: str) -> Any:
    """`jax.nn.gelu`."""
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def silu(x: Any) -> Any:
    """`jax.nn.silu`."""
    return jax.nn.silu(x)


def mish(x: Any) -> Any:
    """`jax.nn.mish`."""
    return jax.nn.mish(x)


def softplus(x: Any) -> Any:
    """`jax.nn.softplus`."""
    return jax.nn.softplus(x)


def softsign(x: Any) -> Any:
    """`jax.nn.soft_sign`."""
    return jax.nn.soft_sign(x)


def log_sigmoid(x: Any) -> Any:
    """`jax.nn.log_sigmoid`."""
    return jax.nn.log_sigmoid(x)


def tanh_shrink(x: Any) -> Any:
    """Composed from `jnp.tanh`."""
    return x - jnp.tanh(x)


def squareplus(x: Any, *, b: float) -> Any:
    """`jax.nn.squareplus`."""
    return jax.nn.squareplus(x, b)


def exponential(x: Any) -> Any:
    """`jnp.exp`."""
    return jnp.exp(x)


# --- activations of two arrays -----------------------------------------------------------------------------------


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


# --- activations along an axis -----------------------------------------------------------------------------------


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
