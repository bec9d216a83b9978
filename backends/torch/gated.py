"""PyTorch: activations of two arrays, composed from its functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import Functions


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


OPS: Functions = {
    "prelu": prelu,
    "swiglu": swiglu,
    "geglu": geglu,
    "reglu": reglu,
}
