"""JAX: losses of each element that are likelihoods, composed from its functions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from backends.base import Functions
from backends.jax.losses import reduced


def binary_cross_entropy(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `xlogy` and `xlog1py`."""
    return reduced(_binary_cross_entropy(prediction, target), reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, pos_weight: Any, *, reduction: str) -> Any:
    """Composed from `jax.nn.log_sigmoid`, as Optax does."""
    yes = target if pos_weight is None else pos_weight * target
    losses = -yes * jax.nn.log_sigmoid(logits) - (1 - target) * jax.nn.log_sigmoid(-logits)
    return reduced(losses, reduction)


def binary_focal_cross_entropy(
    prediction: Any, target: Any, *, reduction: str, alpha: float | None, gamma: float
) -> Any:
    """Composed from `xlogy` and `xlog1py`."""
    wrong = target * (1 - prediction) + (1 - target) * prediction
    losses = wrong**gamma * _binary_cross_entropy(prediction, target)
    if alpha is not None:
        losses = (alpha * target + (1 - alpha) * (1 - target)) * losses
    return reduced(losses, reduction)


def poisson(prediction: Any, target: Any, *, reduction: str, log_input: bool) -> Any:
    """Composed from `jnp.exp`, or `xlogy`."""
    if log_input:
        return reduced(jnp.exp(prediction) - target * prediction, reduction)
    return reduced(prediction - jax.scipy.special.xlogy(target, prediction), reduction)


def gaussian_negative_log_likelihood(
    prediction: Any, target: Any, variance: Any, *, reduction: str, eps: float
) -> Any:
    """Composed from `jnp.log`."""
    variance = jnp.maximum(variance, eps)
    return reduced((jnp.log(variance) + jnp.square(prediction - target) / variance) / 2, reduction)


# --- shared parts -------------------------------------------------------------------------------------------


def _binary_cross_entropy(prediction: Any, target: Any) -> Any:
    special = jax.scipy.special
    return -special.xlogy(target, prediction) - special.xlog1py(1 - target, -prediction)


OPS: Functions = {
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "binary_focal_cross_entropy": binary_focal_cross_entropy,
    "poisson": poisson,
    "gaussian_negative_log_likelihood": gaussian_negative_log_likelihood,
}
