"""PyTorch: activations along an axis, by its own functions where it has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions


def softmax(x: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`F.softmax`."""
    return F.softmax(x, dim=axis)


def log_softmax(x: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`F.log_softmax`."""
    return F.log_softmax(x, dim=axis)


def softmin(x: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`F.softmin`."""
    return F.softmin(x, dim=axis)


def sparsemax(x: torch.Tensor, *, axis: int) -> torch.Tensor:
    """Composed from `torch.sort` and `torch.cumsum`: algorithm 1 of Martins and Astudillo 2016."""
    if not x.shape[axis]:
        return x.clone()
    x = x - x.detach().amax(dim=axis, keepdim=True)
    ranked = torch.sort(x, dim=axis, descending=True).values
    sums = torch.cumsum(ranked, dim=axis) - 1
    ranks = torch.arange(1, x.shape[axis] + 1, dtype=x.dtype, device=x.device)
    ranks = ranks.reshape(-1, *[1] * (x.ndim - 1)).movedim(0, axis)
    support = (ranks * ranked > sums).sum(dim=axis, keepdim=True).clamp(min=1)
    threshold = sums.gather(axis, support - 1) / support.to(x.dtype)
    return F.relu(x - threshold)


def glu(x: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`F.glu`."""
    return F.glu(x, dim=axis)


OPS: Functions = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmin": softmin,
    "sparsemax": sparsemax,
    "glu": glu,
}
