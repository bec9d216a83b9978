"""PyTorch: ops that write into `out`, in the order of the catalogue.

Each calls the kernel that the function of the same name in `piecewise`, `activations` and so on ends in. Two kinds
are left out: what is composed of several functions, and what PyTorch offers as `.out` but computes into a new
tensor and copies (in `torch.ops.aten`: relu, celu, clone, binary_cross_entropy_with_logits).
"""

from __future__ import annotations

from typing import Any

import torch

from backends.base import Functions
from backends.torch import class_losses
from backends.torch.class_losses import NO_LABEL, rows

_nn: Any = torch._C._nn  # noqa: SLF001 - where `torch.nn.functional` finds its functions, without `out`

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""`F.selu` calls its ELU with these two."""

REDUCTION = {"none": 0, "mean": 1, "sum": 2}

# --- activations made of pieces ----------------------------------------------------------------------------------


def relu(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`torch.clamp_min`, which is what `F.relu` calls."""
    return torch.clamp_min(x, 0, out=out)


def relu6(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.hardtanh`, which is what `F.relu6` calls."""
    return _nn.hardtanh(x, 0, 6, out=out)


def leaky_relu(x: torch.Tensor, *, negative_slope: float, out: torch.Tensor) -> torch.Tensor:
    """`F.leaky_relu`."""
    return _nn.leaky_relu(x, negative_slope, out=out)


def hard_sigmoid(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.hardsigmoid`."""
    return _nn.hardsigmoid(x, out=out)


def hard_silu(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.hardswish`."""
    return _nn.hardswish(x, out=out)


def hard_tanh(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.hardtanh`."""
    return _nn.hardtanh(x, -1, 1, out=out)


def soft_shrink(x: torch.Tensor, *, threshold: float, out: torch.Tensor) -> torch.Tensor:
    """`F.softshrink`."""
    return _nn.softshrink(x, threshold, out=out)


def hard_shrink(x: torch.Tensor, *, threshold: float, out: torch.Tensor) -> torch.Tensor:
    """`torch.hardshrink`."""
    return torch.hardshrink(x, threshold, out=out)


def threshold(x: torch.Tensor, *, threshold: float, value: float, out: torch.Tensor) -> torch.Tensor:
    """`torch.threshold`."""
    return torch.threshold(x, threshold, value, out=out)


def linear(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`torch.Tensor.copy_`."""
    return out.copy_(x)


# --- smooth activations ------------------------------------------------------------------------------------------


def sigmoid(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`torch.sigmoid`."""
    return torch.sigmoid(x, out=out)


def tanh(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`torch.tanh`."""
    return torch.tanh(x, out=out)


def elu(x: torch.Tensor, *, alpha: float, out: torch.Tensor) -> torch.Tensor:
    """`F.elu`."""
    return _nn.elu(x, alpha, out=out)


def celu(x: torch.Tensor, *, alpha: float, out: torch.Tensor) -> torch.Tensor:
    """`F.elu`, which is what `F.celu` calls."""
    return _nn.elu(x, alpha, 1, 1 / alpha, out=out)


def selu(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.elu`, which is what `F.selu` calls."""
    return _nn.elu(x, SELU_ALPHA, SELU_SCALE, out=out)


def gelu(x: torch.Tensor, *, approximate: str, out: torch.Tensor) -> torch.Tensor:
    """`F.gelu`."""
    return _nn.gelu(x, approximate=approximate, out=out)


def silu(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.silu`."""
    return _nn.silu(x, out=out)


def mish(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.mish`."""
    return _nn.mish(x, out=out)


def softplus(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.softplus`."""
    return _nn.softplus(x, out=out)


def log_sigmoid(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`F.logsigmoid`, which needs a buffer as well."""
    return _nn.log_sigmoid(x, out=out)


def exponential(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """`torch.exp`."""
    return torch.exp(x, out=out)


# --- activations along an axis -----------------------------------------------------------------------------------


def softmax(x: torch.Tensor, *, axis: int, out: torch.Tensor) -> torch.Tensor:
    """`torch.softmax`."""
    return torch.softmax(x, axis, out=out)


def log_softmax(x: torch.Tensor, *, axis: int, out: torch.Tensor) -> torch.Tensor:
    """`torch.log_softmax`."""
    return torch.log_softmax(x, axis, out=out)


def glu(x: torch.Tensor, *, axis: int, out: torch.Tensor) -> torch.Tensor:
    """`F.glu`."""
    return _nn.glu(x, axis, out=out)


# --- losses ------------------------------------------------------------------------------------------------------
#
# PyTorch wants room for all losses in the output of a reduced one, and warns if it has to make that itself. The
# memory stays the output's, so that only the first call allocates; but `mse_loss` and `smooth_l1_loss` leave it
# unused before a mean or a sum, and allocate as much on every call.


def mean_squared_error(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, out: torch.Tensor
) -> torch.Tensor:
    """`F.mse_loss`."""
    return _nn.mse_loss(prediction, target, REDUCTION[reduction], out=out.resize_(prediction.shape))


def huber(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, delta: float, out: torch.Tensor
) -> torch.Tensor:
    """`F.huber_loss`."""
    return _nn.huber_loss(prediction, target, REDUCTION[reduction], delta, out=out.resize_(prediction.shape))


def smooth_l1(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, beta: float, out: torch.Tensor
) -> torch.Tensor:
    """`F.smooth_l1_loss`."""
    return _nn.smooth_l1_loss(prediction, target, REDUCTION[reduction], beta, out=out.resize_(prediction.shape))


def soft_margin(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, out: torch.Tensor
) -> torch.Tensor:
    """`F.soft_margin_loss`."""
    return _nn.soft_margin_loss(prediction, target, REDUCTION[reduction], out=out.resize_(prediction.shape))


def binary_cross_entropy(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, out: torch.Tensor
) -> torch.Tensor:
    """`F.binary_cross_entropy`."""
    return _nn.binary_cross_entropy(
        prediction, target, None, REDUCTION[reduction], out=out.resize_(prediction.shape)
    )


def negative_log_likelihood(
    prediction: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor | None,
    *,
    reduction: str,
    axis: int,
    ignore_index: int | None,
    out: torch.Tensor,
) -> torch.Tensor:
    """`F.nll_loss`."""
    if prediction.dtype == torch.float16 and reduction != "none":  # which sums in float16
        reduced = class_losses.negative_log_likelihood(
            prediction, labels, weight, reduction=reduction, axis=axis, ignore_index=ignore_index
        )
        return out.copy_(reduced)
    _nn.nll_loss(
        rows(prediction, axis),
        labels.reshape(-1).long(),
        weight,
        REDUCTION[reduction],
        NO_LABEL if ignore_index is None else ignore_index,
        out=out.reshape(-1) if reduction == "none" else out,
    )
    return out


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
    "linear": linear,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "elu": elu,
    "celu": celu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "mish": mish,
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "exponential": exponential,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "glu": glu,
    "mean_squared_error": mean_squared_error,
    "huber": huber,
    "smooth_l1": smooth_l1,
    "soft_margin": soft_margin,
    "binary_cross_entropy": binary_cross_entropy,
    "negative_log_likelihood": negative_log_likelihood,
}
