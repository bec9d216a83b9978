"""PyTorch: losses of a row of classes, by its own functions where it has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions
from backends.torch.losses import reduced

NO_LABEL = -100
"""PyTorch's own default of `ignore_index`."""


def categorical_cross_entropy(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, eps: float
) -> torch.Tensor:
    """Composed from `torch.log`: PyTorch's cross entropies take logits."""
    return reduced(-(target * torch.log(prediction + eps)).sum(axis), reduction)


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
    return reduced(F.relu(margin), reduction)


def cosine_similarity(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, eps: float
) -> torch.Tensor:
    """`F.cosine_similarity`."""
    return reduced(F.cosine_similarity(prediction, target, dim=axis, eps=eps), reduction)


def dice(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, eps: float) -> torch.Tensor:
    """Composed from `torch.sum`."""
    both = 2 * (target * prediction).sum(axis)
    return reduced(1 - (both + eps) / ((target + prediction).sum(axis) + eps), reduction)


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
    return reduced(1 - both / (both + alpha * false_positive + beta * false_negative), reduction)


# --- shared parts -------------------------------------------------------------------------------------------


def rows(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Flatten all dimensions but classes into dimension 0: PyTorch's losses have classes in dimension 1."""
    if x.ndim == 2 and axis in (-1, 1):
        return x
    return x.movedim(axis, -1).reshape(-1, x.shape[axis])


def _unflatten(losses: torch.Tensor, like: torch.Tensor, axis: int) -> torch.Tensor:
    """Give losses of flattened rows the shape of the rows; what has been reduced has none."""
    return losses.reshape(like.movedim(axis, -1).shape[:-1]) if losses.ndim else losses


OPS: Functions = {
    "categorical_cross_entropy": categorical_cross_entropy,
    "softmax_cross_entropy": softmax_cross_entropy,
    "softmax_cross_entropy_with_integer_labels": softmax_cross_entropy_with_integer_labels,
    "negative_log_likelihood": negative_log_likelihood,
    "kl_divergence": kl_divergence,
    "categorical_hinge": categorical_hinge,
    "cosine_similarity": cosine_similarity,
    "dice": dice,
    "tversky": tversky,
}
