"""PyTorch: losses of a difference or a margin, by its own functions where it has them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions


def mean_squared_error(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """`F.mse_loss`."""
    return F.mse_loss(prediction, target, reduction=reduction)


def mean_absolute_error(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """`F.l1_loss`."""
    return F.l1_loss(prediction, target, reduction=reduction)


def mean_absolute_percentage_error(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, eps: float
) -> torch.Tensor:
    """Composed from `torch.abs`."""
    return reduced(100 * torch.abs((prediction - target) / torch.abs(target).clamp(min=eps)), reduction)


def mean_squared_logarithmic_error(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str
) -> torch.Tensor:
    """Composed from `F.mse_loss`."""
    return F.mse_loss(torch.log1p(prediction), torch.log1p(target), reduction=reduction)


def huber(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, delta: float) -> torch.Tensor:
    """`F.huber_loss`."""
    return F.huber_loss(prediction, target, delta=delta, reduction=reduction)


def smooth_l1(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, beta: float) -> torch.Tensor:
    """`F.smooth_l1_loss`."""
    return F.smooth_l1_loss(prediction, target, beta=beta, reduction=reduction)


def log_cosh(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """Composed from `torch.logaddexp`."""
    difference = prediction - target
    return reduced(torch.logaddexp(difference, -difference) - math.log(2), reduction)


def quantile(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, q: float) -> torch.Tensor:
    """Composed from `F.relu`; a slope of 0 makes 0 of an infinite distance."""
    if q in (0, 1):
        return reduced(F.relu(target - prediction if q else prediction - target), reduction)
    return reduced(q * F.relu(target - prediction) + (1 - q) * F.relu(prediction - target), reduction)


def hinge(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """Composed from `F.relu`."""
    return reduced(F.relu(1 - target * prediction), reduction)


def squared_hinge(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """Composed from `F.relu`."""
    return reduced(F.relu(1 - target * prediction).square(), reduction)


def soft_margin(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """`F.soft_margin_loss`."""
    return F.soft_margin_loss(prediction, target, reduction=reduction)


# --- shared parts -------------------------------------------------------------------------------------------


def reduced(losses: torch.Tensor, reduction: str) -> torch.Tensor:
    """Return losses, their mean or their sum."""
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda a: a}[reduction](losses)


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
