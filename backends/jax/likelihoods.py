"""JAX: losses of each element that are likelihoods, composed from its functions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from backends.base import Functions
from backends.jax.losses import reduced, unless_absent


def binary_cross_entropy(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `xlogy` and `xlog1py`."""
    return reduced(_binary_cross_entropy(prediction, target), reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, pos_weight: Any, *, reduction: str) -> Any:
    """Composed from `jax.nn.log_sigmoid`, as Optax does."""
    yes, no = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    if pos_weight is not None:
        yes = pos_weight * yes
    losses = jnp.where(target == 0, 0, target * yes) + jnp.where(target == 1, 0, (1 - target) * no)
    return reduced(-losses, reduction)


def binary_focal_cross_entropy(
    prediction: Any, target: Any, *, reduction: str, alpha: float | None, gamma: float
) -> Any:
    """Composed from `xlogy` and `xlog1py`."""
    wrong = target * (1 - prediction) + (1 - target) * prediction
    losses = wrong**gamma * _binary_cross_entropy(prediction, target)
    if alpha is not None:
        weight = alpha * target + (1 - alpha) * (1 - target)
        losses = unless_absent(weight, losses) if alpha in (0, 1) else weight * losses
    return reduced(losses, reduction)


def poisson(prediction: Any, target: Any, *, reduction: str, log_input: bool) -> Any:
    """Composed from `jnp.exp` or `jnp.log`."""
    if log_input:
        rate, log_rate = jnp.exp(prediction), prediction
    else:
        # A rate of 0 is no surprise where nothing was counted.
        rate, log_rate = prediction, jnp.log(jnp.where((prediction == 0) & (target == 0), 1, prediction))
    # An infinite rate outweighs its count.
    share = jnp.where(target == 0, 0, target * jnp.where(log_rate == jnp.inf, 0, log_rate))
    return reduced(rate - share, reduction)


def gaussian_negative_log_likelihood(
    prediction: Any, target: Any, variance: Any, *, reduction: str, eps: float
) -> Any:
    """Composed from `jnp.log` and `jnp.sqrt`."""
    variance = jnp.maximum(variance, eps)
    # Over the root, since the square alone may overflow.
    deviation = (prediction - target) / jnp.sqrt(variance)
    return reduced((jnp.log(variance) + jnp.square(deviation)) / 2, reduction)


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
