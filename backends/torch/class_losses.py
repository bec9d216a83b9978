"""PyTorch: losses of a row of classes, by its own functions where it has them."""

from __future__ import annotations

import math

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
    shifted = prediction + eps
    if eps == 0:  # 0·log(0) is 0, and so is its slope
        shifted = torch.where((target == 0) & (shifted == 0), 1, shifted)
    return reduced(-(target * torch.log(shifted)).sum(axis), reduction)


def softmax_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, label_smoothing: float
) -> torch.Tensor:
    """`F.cross_entropy` with class probabilities."""
    if not logits.shape[axis]:  # whose mean PyTorch calls NaN
        return reduced(logits.sum(axis), reduction)
    losses = F.cross_entropy(
        rows(logits, axis),
        rows(target, axis),
        reduction=_reduced_there(logits, reduction),
        label_smoothing=label_smoothing,
    )
    return _reduced_here(losses, logits, axis, reduction)


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
    narrow = logits.dtype
    if label_smoothing and narrow == torch.float16:  # PyTorch adds up the logarithms of all classes
        logits, weight = logits.float(), None if weight is None else weight.float()
    if ignore_index is not None:  # what such rows hold must not reach the gradient
        logits = logits.masked_fill((labels == ignore_index).unsqueeze(axis), 0)
    losses = F.cross_entropy(
        rows(logits, axis),
        labels.reshape(-1).long(),
        weight,
        ignore_index=NO_LABEL if ignore_index is None else ignore_index,
        reduction=_reduced_there(logits, reduction),
        label_smoothing=label_smoothing,
    )
    losses = _reduced_here(losses, logits, axis, reduction, (labels, weight, ignore_index))
    return losses if losses.dtype == narrow else losses.to(narrow)


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
        reduction=_reduced_there(prediction, reduction),
    )
    return _reduced_here(losses, prediction, axis, reduction, (labels, weight, ignore_index))


def kl_divergence(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int) -> torch.Tensor:
    """`F.kl_div`, whose mean over rows is called `batchmean`."""
    arrays = rows(prediction, axis), rows(target, axis)
    if _reduced_there(prediction, reduction) == "none":
        return _reduced_here(F.kl_div(*arrays, reduction="none").sum(1), prediction, axis, reduction)
    return F.kl_div(*arrays, reduction="batchmean" if reduction == "mean" else reduction)


def categorical_hinge(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int
) -> torch.Tensor:
    """Composed from `torch.amax`, as Keras does."""
    if not prediction.shape[axis]:
        return reduced(prediction.sum(axis), reduction)
    best_other = torch.amax(_unless_absent(1 - target, prediction), dim=axis)
    margin = 1 + best_other - _unless_absent(target, prediction).sum(axis)
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
    moved = x.movedim(axis, -1)
    return moved.reshape(math.prod(moved.shape[:-1]), x.shape[axis])  # of no elements, -1 could be anything


def _unless_absent(factor: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return factor·x, and 0 where the factor is 0, whatever x is."""
    return torch.where(factor.bool(), factor * x, 0)  # three quarters of the time of `factor == 0`


def _reduced_there(x: torch.Tensor, reduction: str) -> str:
    """Return which reduction to ask PyTorch for: none in float16, whose sums and counts end at 65,504.

    https://github.com/pytorch/pytorch/issues/61523
    """
    return "none" if x.dtype == torch.float16 else reduction


def _reduced_here(
    losses: torch.Tensor,
    like: torch.Tensor,
    axis: int,
    reduction: str,
    part: tuple[torch.Tensor, torch.Tensor | None, int | None] | None = None,
) -> torch.Tensor:
    """Reduce what PyTorch has not, in float32; unreduced losses of flattened rows get the shape of the rows.

    A mean divides by the weights of the rows that take part, by their labels, or by the number of rows.
    """
    if reduction == "none":
        return losses.reshape(like.movedim(axis, -1).shape[:-1])
    if like.dtype != torch.float16:
        return losses
    added = losses.sum(dtype=torch.float32)
    if reduction == "mean":
        divisor = None if part is None else _total_weight(*part)
        added = added / (losses.numel() if divisor is None else divisor)
    return added.to(like.dtype)


def _total_weight(
    labels: torch.Tensor, weight: torch.Tensor | None, ignore_index: int | None
) -> torch.Tensor | None:
    """Return the sum of the weights of the rows that take part; None where all count as one."""
    if ignore_index is None:
        return None if weight is None else weight[labels].sum(dtype=torch.float32)
    ignored = labels == ignore_index
    if weight is None:
        return (~ignored).sum()
    return weight[labels[~ignored]].sum(dtype=torch.float32)  # of no classes, all rows are ignored


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
