"""PyTorch: losses of each element that are likelihoods, by its own functions where it has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions
from backends.torch.losses import reduced


def binary_cross_entropy(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """`F.binary_cross_entropy`, which refuses NaN on the CPU."""
    return F.binary_cross_entropy(prediction, target, reduction=reduction)


def binary_cross_entropy_with_logits(
    logits: torch.Tensor, target: torch.Tensor, pos_weight: torch.Tensor | None, *, reduction: str
) -> torch.Tensor:
    """`F.binary_cross_entropy_with_logits`."""
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction=reduction)


def binary_focal_cross_entropy(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, alpha: float | None, gamma: float
) -> torch.Tensor:
    """Composed from `F.binary_cross_entropy`."""
    wrong = target * (1 - prediction) + (1 - target) * prediction
    losses = wrong**gamma * F.binary_cross_entropy(prediction, target, reduction="none")
    if alpha is not None:  # PyTorch's own losses are finite: no weight of 0 meets infinity
        losses = (alpha * target + (1 - alpha) * (1 - target)) * losses
    return reduced(losses, reduction)


def poisson(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, log_input: bool) -> torch.Tensor:
    """`F.poisson_nll_loss`, with nothing added to a rate."""
    return F.poisson_nll_loss(prediction, target, log_input=log_input, eps=0, reduction=reduction)


def gaussian_negative_log_likelihood(
    prediction: torch.Tensor, target: torch.Tensor, variance: torch.Tensor, *, reduction: str, eps: float
) -> torch.Tensor:
    """`F.gaussian_nll_loss`."""
    return F.gaussian_nll_loss(prediction, target, variance, eps=eps, reduction=reduction)


OPS: Functions = {
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "binary_focal_cross_entropy": binary_focal_cross_entropy,
    "poisson": poisson,
    "gaussian_negative_log_likelihood": gaussian_negative_log_likelihood,
}
