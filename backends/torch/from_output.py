"""PyTorch: the kernels that autograd calls with an output that it saved, in the order of the catalogue.

Only ops of which autograd saves the output and nothing else. These kernels lie under `torch.ops.aten`; to call
them spares autograd's own way to them.
"""

from __future__ import annotations

from typing import Any

import torch

from backends.base import Functions

_aten: Any = torch.ops.aten


def relu(g: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """`aten.threshold_backward`."""
    return _aten.threshold_backward.default(g, y, 0)


def sigmoid(g: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """`aten.sigmoid_backward`."""
    return _aten.sigmoid_backward.default(g, y)


def tanh(g: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """`aten.tanh_backward`."""
    return _aten.tanh_backward.default(g, y)


def exponential(g: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """`torch.mul`."""
    return torch.mul(g, y)


def softmax(g: torch.Tensor, y: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`aten._softmax_backward_data`."""
    return _aten._softmax_backward_data.default(g, y, axis, y.dtype)  # noqa: SLF001


def log_softmax(g: torch.Tensor, y: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`aten._log_softmax_backward_data`."""
    return _aten._log_softmax_backward_data.default(g, y, axis, y.dtype)  # noqa: SLF001


def softmin(g: torch.Tensor, y: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`aten._softmax_backward_data`, and a change of sign, as autograd does it."""
    return softmax(g, y, axis=axis).neg()


OPS: Functions = {
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "exponential": exponential,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmin": softmin,
}
