"""Activations in PyTorch: the framework's own functions where it has them, in the order of the catalogue."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

# --- activations made of pieces ----------------------------------------------------------------------------------


class _Step(torch.autograd.Function):
    """`torch.heaviside` has no gradient and no vector kernel, and of NaN it is the value at zero."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1).ceil_()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return torch.where(x.isnan(), x, torch.zeros_like(g))


def step(x: torch.Tensor) -> torch.Tensor:
    """Composed from `torch.clamp` and `torch.ceil`; its gradient is zero."""
    return _Step.apply(x)


def relu(x: torch.Tensor) -> torch.Tensor:
    """`F.relu`."""
    return F.relu(x)


def relu6(x: torch.Tensor) -> torch.Tensor:
    """`F.relu6`."""
    return F.relu6(x)


def leaky_relu(x: torch.Tensor, *, negative_slope: float) -> torch.Tensor:
    """`F.leaky_relu`."""
    return F.leaky_relu(x, negative_slope)


def hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """`F.hardsigmoid`."""
    return F.hardsigmoid(x)


def hard_silu(x: torch.Tensor) -> torch.Tensor:
    """`F.hardswish`."""
    return F.hardswish(x)


def hard_tanh(x: torch.Tensor) -> torch.Tensor:
    """`F.hardtanh`."""
    return F.hardtanh(x)


def soft_shrink(x: torch.Tensor, *, threshold: float) -> torch.Tensor:
    """`F.softshrink`."""
    return F.softshrink(x, threshold)


def hard_shrink(x: torch.Tensor, *, threshold: float) -> torch.Tensor:
    """`F.hardshrink`."""
    return F.hardshrink(x, threshold)


def threshold(x: torch.Tensor, *, threshold: float, value: float) -> torch.Tensor:
    """`F.threshold`."""
    return F.threshold(x, threshold, value)


def sparse_plus(x: torch.Tensor) -> torch.Tensor:
    """Composed from `torch.where`."""
    return torch.where(x >= 1, x, F.relu(x + 1).square() / 4)


def sparse_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Composed from `F.hardtanh`, whose bounds can be set."""
    return F.hardtanh(x + 1, 0, 2) / 2


class _Copy(torch.autograd.Function):
    """`torch.clone` with a gradient that is a copy too: autograd would hand the cotangent on as it is."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        del ctx
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        del ctx
        return g.clone()


def linear(x: torch.Tensor) -> torch.Tensor:
    """`torch.clone`: `torch.nn.Identity` returns its input."""
    return _Copy.apply(x)


# --- smooth activations ------------------------------------------------------------------------------------------


def sigmoid(x: torch.Tensor) -> torch.Tensor:
    """`torch.sigmoid`."""
    return torch.sigmoid(x)


def tanh(x: torch.Tensor) -> torch.Tensor:
    """`torch.tanh`."""
    return torch.tanh(x)


def elu(x: torch.Tensor, *, alpha: float) -> torch.Tensor:
    """`F.elu`."""
    return F.elu(x, alpha)


def celu(x: torch.Tensor, *, alpha: float) -> torch.Tensor:
    """`F.celu`."""
    return F.celu(x, alpha)


def selu(x: torch.Tensor) -> torch.Tensor:
    """`F.selu`."""
    return F.selu(x)


def gelu(x: torch.Tensor, *, approximate: str) -> torch.Tensor:
    """`F.gelu`."""
    return F.gelu(x, approximate=approximate)


def silu(x: torch.Tensor) -> torch.Tensor:
    """`F.silu`."""
    return F.silu(x)


def mish(x: torch.Tensor) -> torch.Tensor:
    """`F.mish`."""
    return F.mish(x)


def softplus(x: torch.Tensor) -> torch.Tensor:
    """`F.softplus`."""
    return F.softplus(x)


def softsign(x: torch.Tensor) -> torch.Tensor:
    """`F.softsign`."""
    return F.softsign(x)


def log_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """`F.logsigmoid`."""
    return F.logsigmoid(x)


def tanh_shrink(x: torch.Tensor) -> torch.Tensor:
    """`F.tanhshrink`."""
    return F.tanhshrink(x)


def squareplus(x: torch.Tensor, *, b: float) -> torch.Tensor:
    """Composed from `torch.sqrt`."""
    return (x + torch.sqrt(x.square() + b)) / 2


def exponential(x: torch.Tensor) -> torch.Tensor:
    """`torch.exp`."""
    return torch.exp(x)


# --- activations of two arrays -----------------------------------------------------------------------------------


def prelu(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`F.prelu` where the weight is one number, else composed from `torch.where`."""
    if weight.numel() == 1:
        return F.prelu(x, weight.reshape(1))
    return torch.where(x > 0, x, weight * x)


def swiglu(x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """Composed from `F.silu`."""
    return x * F.silu(gate)


def geglu(x: torch.Tensor, gate: torch.Tensor, *, approximate: str) -> torch.Tensor:
    """Composed from `F.gelu`."""
    return x * F.gelu(gate, approximate=approximate)


def reglu(x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """Composed from `F.relu`."""
    return x * F.relu(gate)


# --- activations along an axis -----------------------------------------------------------------------------------


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
