"""Losses in PyTorch: the framework's own functions where it has them, in the order of the catalogue."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

NO_LABEL = -100
"""PyTorch's own default of `ignore_index`."""


# --- losses of elements ------------------------------------------------------------------------------------------


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
    return _reduce(100 * torch.abs((prediction - target) / torch.abs(target).clamp(min=eps)), reduction)


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
    return _reduce(torch.logaddexp(difference, -difference) - math.log(2), reduction)


def quantile(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, q: float) -> torch.Tensor:
    """Composed from `F.relu`."""
    return _reduce(q * F.relu(target - prediction) + (1 - q) * F.relu(prediction - target), reduction)


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
    if alpha is not None:
        losses = (alpha * target + (1 - alpha) * (1 - target)) * losses
    return _reduce(losses, reduction)


def poisson(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, log_input: bool) -> torch.Tensor:
    """`F.poisson_nll_loss`, with nothing added to a rate."""
    return F.poisson_nll_loss(prediction, target, log_input=log_input, eps=0, reduction=reduction)


def gaussian_negative_log_likelihood(
    prediction: torch.Tensor, target: torch.Tensor, variance: torch.Tensor, *, reduction: str, eps: float
) -> torch.Tensor:
    """`F.gaussian_nll_loss`."""
    return F.gaussian_nll_loss(prediction, target, variance, eps=eps, reduction=reduction)


def hinge(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """Composed from `F.relu`."""
    return _reduce(F.relu(1 - target * prediction), reduction)


def squared_hinge(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """Composed from `F.relu`."""
    return _reduce(F.relu(1 - target * prediction).square(), reduction)


def soft_margin(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """`F.soft_margin_loss`."""
    return F.soft_margin_loss(prediction, target, reduction=reduction)


# --- losses of rows ----------------------------------------------------------------------------------------------


def categorical_cross_entropy(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, eps: float
) -> torch.Tensor:
    """Composed from `torch.log`: PyTorch's cross entropies take logits."""
    return _reduce(-(target * torch.log(prediction + eps)).sum(axis), reduction)


def softmax_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, label_smoothing: float
) -> torch.Tensor:
    """`F.cross_entropy` with class probabilities."""
    losses = F.cross_entropy(
        rows(logits, axis), rows(target, axis), reduction=reduction, label_smoothing=label_smoothing
    )
    return _unflatten(losses, logits, axis)


def softmax_cross_entropy_with_integer_labels(
    logits: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor | None,
    *,
    reduction: str,
    axis: int,
    ignore_index: int | None,
    label_smoothing: float,
) -> torch.Tensor:
    """`F.cross_entropy` with class indices, which must be int64."""
    losses = F.cross_entropy(
        rows(logits, axis),
        labels.reshape(-1).long(),
        weight,
        ignore_index=NO_LABEL if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    return _unflatten(losses, logits, axis)


def negative_log_likelihood(
    prediction: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor | None,
    *,
    reduction: str,
    axis: int,
    ignore_index: int | None,
) -> torch.Tensor:
    """`F.nll_loss`, whose class indices must be int64."""
    losses = F.nll_loss(
        rows(prediction, axis),
        labels.reshape(-1).long(),
        weight,
        ignore_index=NO_LABEL if ignore_index is None else ignore_index,
        reduction=reduction,
    )
    return _unflatten(losses, prediction, axis)


def kl_divergence(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int) -> torch.Tensor:
    """`F.kl_div`, whose mean over rows is called `batchmean`."""
    arrays = rows(prediction, axis), rows(target, axis)
    if reduction == "none":
        return _unflatten(F.kl_div(*arrays, reduction="none").sum(1), prediction, axis)
    return F.kl_div(*arrays, reduction="batchmean" if reduction == "mean" else reduction)


def categorical_hinge(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int
) -> torch.Tensor:
    """Composed from `torch.amax`, as Keras does."""
    best_other = torch.amax((1 - target) * prediction, dim=axis)
    margin = 1 + best_other - (target * prediction).sum(axis)
    return _reduce(F.relu(margin), reduction)


def cosine_similarity(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, eps: float
) -> torch.Tensor:
    """`F.cosine_similarity`."""
    return _reduce(F.cosine_similarity(prediction, target, dim=axis, eps=eps), reduction)


def dice(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, eps: float) -> torch.Tensor:
    """Composed from `torch.sum`."""
    both = 2 * (target * prediction).sum(axis)
    return _reduce(1 - (both + eps) / ((target + prediction).sum(axis) + eps), reduction)


def tversky(
    prediction: torch.Tensor,
    target: torch.Tensor,
    *,
    reduction: str,
    axis: int,
    alpha: float,
    beta: float,
    eps: float,
) -> torch.Tensor:
    """Composed from `torch.sum`."""
    both = (target * prediction).sum(axis) + eps
    false_positive = ((1 - target) * prediction).sum(axis)
    false_negative = (target * (1 - prediction)).sum(axis)
    return _reduce(1 - both / (both + alpha * false_positive + beta * false_negative), reduction)


# --- reductions and rows -----------------------------------------------------------------------------------------


def rows(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Flatten all dimensions but classes into dimension 0: PyTorch's losses have classes in dimension 1."""
    if x.ndim == 2 and axis in (-1, 1):
        return x
    return x.movedim(axis, -1).reshape(-1, x.shape[axis])


def _reduce(losses: torch.Tensor, reduction: str) -> torch.Tensor:
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda a: a}[reduction](losses)


def _unflatten(losses: torch.Tensor, like: torch.Tensor, axis: int) -> torch.Tensor:
    """Give losses of flattened rows the shape of the rows; what has been reduced has none."""
    return losses.reshape(like.movedim(axis, -1).shape[:-1]) if losses.ndim else losses
