"""PyTorch: activations made of pieces, by its own functions where it has them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions


class _Step(torch.autograd.Function):
    """`torch.heaviside` has no gradient and no vector kernel, and takes NaN for zero."""

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
    """`torch.clone` with a gradient that is a copy too: autograd would return the cotangent itself."""

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


OPS: Functions = {
    "step": step,
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "hard_tanh": hard_tanh,
    "soft_shrink": soft_shrink,
    "hard_shrink": hard_shrink,
    "threshold": threshold,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "linear": linear,
}
