"""PyTorch: smooth activations, by its own functions where it has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions


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
    """`F.celu`, which holds alpha and 1/alpha in float32; composed from `torch.expm1` where they leave it."""
    if not 2.0**-126 <= alpha <= 2.0**126:
        left = torch.where(x > 0, 0, x)
        return torch.where(x > 0, x, alpha * torch.expm1(left / alpha))
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


OPS: Functions = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "elu": elu,
    "celu": celu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "mish": mish,
    "softplus": softplus,
    "softsign": softsign,
    "log_sigmoid": log_sigmoid,
    "tanh_shrink": tanh_shrink,
    "squareplus": squareplus,
    "exponential": exponential,
}
