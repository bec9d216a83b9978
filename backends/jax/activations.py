"""JAX: smooth activations, by its own functions where it has them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from backends.base import Functions


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


OPS: Functions = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "elu": elu,
    "celu": celu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "mish": mish,
    "softplus": softplus,
    "softsign": softsign,
    "log_sigmoid": log_sigmoid,
    "tanh_shrink": tanh_shrink,
    "squareplus": squareplus,
    "exponential": exponential,
}
