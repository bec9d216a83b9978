"""PyTorch: ops that overwrite their first argument and return it, in the order of the catalogue.

They are functions whose name ends in an underscore or that take `inplace`, and pointwise ones whose `out` may be
the input. Ops composed of several functions are left out: their temporaries would be allocated all the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions
from backends.torch import out


def relu(x: torch.Tensor) -> torch.Tensor:
    """`F.relu`."""
    return F.relu(x, inplace=True)


def relu6(x: torch.Tensor) -> torch.Tensor:
    """`F.relu6`."""
    return F.relu6(x, inplace=True)


def leaky_relu(x: torch.Tensor, *, negative_slope: float) -> torch.Tensor:
    """`F.leaky_relu`."""
    return F.leaky_relu(x, negative_slope, inplace=True)


def hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """`F.hardsigmoid`."""
    return F.hardsigmoid(x, inplace=True)


def hard_silu(x: torch.Tensor) -> torch.Tensor:
    """`F.hardswish`."""
    return F.hardswish(x, inplace=True)


def hard_tanh(x: torch.Tensor) -> torch.Tensor:
    """`F.hardtanh`."""
    return F.hardtanh(x, inplace=True)


def soft_shrink(x: torch.Tensor, *, threshold: float) -> torch.Tensor:
    """`F.softshrink`'s kernel."""
    return out.soft_shrink(x, threshold=threshold, out=x)


def hard_shrink(x: torch.Tensor, *, threshold: float) -> torch.Tensor:
    """`torch.hardshrink`."""
    return out.hard_shrink(x, threshold=threshold, out=x)


def threshold(x: torch.Tensor, *, threshold: float, value: float) -> torch.Tensor:
    """`F.threshold`."""
    return F.threshold(x, threshold, value, inplace=True)


def sigmoid(x: torch.Tensor) -> torch.Tensor:
    """`torch.sigmoid_`."""
    return torch.sigmoid_(x)


def tanh(x: torch.Tensor) -> torch.Tensor:
    """`torch.tanh_`."""
    return torch.tanh_(x)


def elu(x: torch.Tensor, *, alpha: float) -> torch.Tensor:
    """`F.elu`."""
    return F.elu(x, alpha, inplace=True)


def celu(x: torch.Tensor, *, alpha: float) -> torch.Tensor:
    """`F.celu`."""
    return F.celu(x, alpha, inplace=True)


def selu(x: torch.Tensor) -> torch.Tensor:
    """`F.selu`."""
    return F.selu(x, inplace=True)


def gelu(x: torch.Tensor, *, approximate: str) -> torch.Tensor:
    """`F.gelu`'s kernel."""
    return torch._C._nn.gelu_(x, approximate=approximate)  # noqa: SLF001 - where F finds its functions


def silu(x: torch.Tensor) -> torch.Tensor:
    """`F.silu`."""
    return F.silu(x, inplace=True)


def mish(x: torch.Tensor) -> torch.Tensor:
    """`F.mish`."""
    return F.mish(x, inplace=True)


def softplus(x: torch.Tensor) -> torch.Tensor:
    """`F.softplus`."""
    return out.softplus(x, out=x)


def exponential(x: torch.Tensor) -> torch.Tensor:
    """`torch.exp_`."""
    return torch.exp_(x)


OPS: Functions = {
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "hard_tanh": hard_tanh,
    "soft_shrink": soft_shrink,
    "hard_shrink": hard_shrink,
    "threshold": threshold,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "elu": elu,
    "celu": celu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "mish": mish,
    "softplus": softplus,
    "exponential": exponential,
}
