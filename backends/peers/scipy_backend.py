"""SciPy, for comparison: `scipy.special`, and what its users compose of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy import special

from backends.base import Functions
from backends.peers.host import HostPeer, reduced

PACKAGE = "scipy"
EXTRA = ""
DEVICES = ("cpu",)
VARIANTS = ()
PEERS = ("scipy",)


def create(variant: str, device: str, threads: int | None) -> HostPeer:
    """Return the backend; SciPy's ufuncs compute in one thread."""
    del device, threads
    return HostPeer(variant, 1, OPS, "scipy.special", scipy.__version__, needy=("softmax", "log_softmax"))


def sigmoid(x: np.ndarray, *, out: np.ndarray | None = None) -> Any:
    """`expit`."""
    return special.expit(x, out=out)


def log_sigmoid(x: np.ndarray, *, out: np.ndarray | None = None) -> Any:
    """`log_expit`."""
    return special.log_expit(x, out=out)


def softplus(x: np.ndarray) -> Any:
    """Composed from `log_expit`."""
    return -special.log_expit(-x)


def silu(x: np.ndarray) -> Any:
    """Composed from `expit`."""
    return x * special.expit(x)


def gelu(x: np.ndarray, *, approximate: str) -> Any:
    """Composed from `ndtr`, or from `np.tanh`."""
    if approximate == "none":
        return x * special.ndtr(x)
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(x.dtype) * (x + 0.044715 * (x * x * x))))


def elu(x: np.ndarray, *, alpha: float) -> Any:
    """Composed from `np.expm1`."""
    return np.where(x > 0, x, alpha * special.expm1(np.minimum(x, 0)))


def softmax(x: np.ndarray, *, axis: int) -> Any:
    """`softmax`."""
    return special.softmax(x, axis=axis)


def log_softmax(x: np.ndarray, *, axis: int) -> Any:
    """`log_softmax`."""
    return special.log_softmax(x, axis=axis)


def huber(prediction: np.ndarray, target: np.ndarray, *, delta: float, reduction: str) -> Any:
    """`huber`."""
    return reduced(special.huber(prediction.dtype.type(delta), prediction - target), reduction)


def binary_cross_entropy(prediction: np.ndarray, target: np.ndarray, *, reduction: str) -> Any:
    """Composed from `xlogy` and `xlog1py`."""
    return reduced(-(special.xlogy(target, prediction) + special.xlog1py(1 - target, -prediction)), reduction)


def categorical_cross_entropy(
    prediction: np.ndarray, target: np.ndarray, *, axis: int, eps: float, reduction: str
) -> Any:
    """Composed from `xlogy`."""
    return reduced(-special.xlogy(target, prediction + prediction.dtype.type(eps)).sum(axis=axis), reduction)


OPS: Functions = {
    "sigmoid": sigmoid,
    "log_sigmoid": log_sigmoid,
    "softplus": softplus,
    "silu": silu,
    "gelu": gelu,
    "elu": elu,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "huber": huber,
    "binary_cross_entropy": binary_cross_entropy,
    "categorical_cross_entropy": categorical_cross_entropy,
}
