"""JAX: losses of a difference or a margin, composed from its functions: it has no losses of its own."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from backends.base import Functions


def mean_squared_error(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jnp.square`."""
    return reduced(jnp.square(prediction - target), reduction)


def mean_absolute_error(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jnp.abs`."""
    return reduced(jnp.abs(prediction - target), reduction)


def mean_absolute_percentage_error(prediction: Any, target: Any, *, reduction: str, eps: float) -> Any:
    """Composed from `jnp.abs`."""
    return reduced(100 * jnp.abs((prediction - target) / jnp.maximum(jnp.abs(target), eps)), reduction)


def mean_squared_logarithmic_error(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jnp.log1p`."""
    return reduced(jnp.square(jnp.log1p(prediction) - jnp.log1p(target)), reduction)


def huber(prediction: Any, target: Any, *, reduction: str, delta: float) -> Any:
    """Composed from `jnp.where`."""
    distance = jnp.abs(prediction - target)
    losses = jnp.where(distance > delta, delta * (distance - delta / 2), jnp.square(_up_to(distance, delta)) / 2)
    return reduced(losses, reduction)


def smooth_l1(prediction: Any, target: Any, *, reduction: str, beta: float) -> Any:
    """Composed from `jnp.where`."""
    distance = jnp.abs(prediction - target)
    if beta == 0:
        return reduced(distance, reduction)
    near = _up_to(distance, beta)
    losses = jnp.where(distance > beta, distance - beta / 2, near * (near / beta) / 2)
    return reduced(losses, reduction)


def log_cosh(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jnp.logaddexp`, as Optax does."""
    difference = prediction - target
    return reduced(jnp.logaddexp(difference, -difference) - math.log(2), reduction)


def quantile(prediction: Any, target: Any, *, reduction: str, q: float) -> Any:
    """Composed from `jax.nn.relu`; a slope of 0 makes 0 of an infinite distance."""
    below, above = jax.nn.relu(target - prediction), jax.nn.relu(prediction - target)
    losses = above if q == 0 else below if q == 1 else q * below + (1 - q) * above
    return reduced(losses, reduction)


def hinge(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jax.nn.relu`."""
    return reduced(jax.nn.relu(1 - target * prediction), reduction)


def squared_hinge(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jax.nn.relu`."""
    return reduced(jnp.square(jax.nn.relu(1 - target * prediction)), reduction)


def soft_margin(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jax.nn.softplus`."""
    return reduced(jax.nn.softplus(-target * prediction), reduction)


# --- shared parts -------------------------------------------------------------------------------------------


def _up_to(distance: Any, bend: float) -> Any:
    """Return 0 beyond the bend: the square of an infinite distance would make the gradient NaN, chosen or not."""
    return jnp.where(distance > bend, 0, distance)


def unless_absent(factor: Any, x: Any) -> Any:
    """factor·x, and 0 where the factor is 0, even if x is infinite; NaN stays."""
    return jnp.where((factor == 0) & ~jnp.isnan(x), 0, factor * x)


def reduced(losses: Any, reduction: str) -> Any:
    """Return losses, their mean or their sum."""
    return {"mean": jnp.mean, "sum": jnp.sum, "none": lambda a: a}[reduction](losses)


OPS: Functions = {
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "mean_absolute_percentage_error": mean_absolute_percentage_error,
    "mean_squared_logarithmic_error": mean_squared_logarithmic_error,
    "huber": huber,
    "smooth_l1": smooth_l1,
    "log_cosh": log_cosh,
    "quantile": quantile,
    "hinge": hinge,
    "squared_hinge": squared_hinge,
    "soft_margin": soft_margin,
}
