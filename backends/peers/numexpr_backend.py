"""NumExpr, for comparison: formulas as its users write them, computed block by block in several threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numexpr
import numpy as np

from backends.base import Functions
from backends.peers.host import HostPeer, reduced

PACKAGE = "numexpr"
EXTRA = "peers"
DEVICES = ("cpu",)
VARIANTS = ()
PEERS = ("numexpr",)


def create(variant: str, device: str, threads: int | None) -> HostPeer:
    """Return the backend of `threads` threads."""
    del device
    if threads is not None:
        numexpr.set_num_threads(threads)
    return HostPeer(variant, numexpr.get_num_threads(), OPS, "NumExpr", numexpr.__version__)


def _elementwise(formula: str) -> Callable[..., Any]:
    """Return `formula` of x as an op; numbers get the type of x, or NumExpr would widen it."""

    def function(x: np.ndarray, *, out: np.ndarray | None = None, **parameters: float) -> Any:
        numbers = {name: x.dtype.type(value) for name, value in parameters.items()}
        return numexpr.evaluate(formula, {"x": x, **_NUMBERS[x.dtype.name], **numbers}, {}, out=out)

    function.__doc__ = f"`{formula}`."
    return function


_NUMBERS = {
    name: {"zero": np.dtype(name).type(0), "one": np.dtype(name).type(1)} for name in ("float32", "float64")
}


def mean_squared_error(prediction: np.ndarray, target: np.ndarray, *, reduction: str) -> Any:
    """`(p - t)**2`, summed by NumExpr in the same pass."""
    values = {"p": prediction, "t": target}
    if reduction == "none":
        return numexpr.evaluate("(p - t) * (p - t)", values, {})
    if not prediction.size:  # of nothing, NumExpr's sum is an array like it
        return reduced(prediction, reduction)
    total = numexpr.evaluate("sum((p - t) * (p - t))", values, {})
    return np.asarray(total / (prediction.size if reduction == "mean" else 1), prediction.dtype)


def mean_absolute_error(prediction: np.ndarray, target: np.ndarray, *, reduction: str) -> Any:
    """`abs(p - t)`."""
    return reduced(numexpr.evaluate("abs(p - t)", {"p": prediction, "t": target}, {}), reduction)


OPS: Functions = {
    "relu": _elementwise("where(x > zero, x, zero)"),
    "leaky_relu": _elementwise("where(x > zero, x, negative_slope * x)"),
    "sigmoid": _elementwise("one / (one + exp(-x))"),
    "tanh": _elementwise("tanh(x)"),
    "silu": _elementwise("x / (one + exp(-x))"),
    "elu": _elementwise("where(x > zero, x, alpha * expm1(x))"),
    "softplus": _elementwise("where(x > zero, x, zero) + log1p(exp(-abs(x)))"),
    "log_sigmoid": _elementwise("where(x < zero, x, zero) - log1p(exp(-abs(x)))"),
    "mish": _elementwise("x * tanh(log1p(exp(x)))"),
    "softsign": _elementwise("x / (one + abs(x))"),
    "exponential": _elementwise("exp(x)"),
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
}
