"""The independent reference: the catalogue's textbook definitions at high precision.

No backend is the oracle, and no stable formula is used: mpmath evaluates the definitions with so many digits that
their cancellation cannot matter. A definition that subtracts two numbers loses at most as many digits as lie
between 1 and the smallest number of the dtype (45 for float32, 324 for float64); 50 more remain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np

from backends.catalogue import OPS
from backends.interface import OpSpec

Array = np.ndarray[Any, np.dtype[Any]]

_SMALLEST_EXPONENT = {"float32": 45, "float64": 324}
_DIGITS = 50


@dataclass(frozen=True)
class Expected:
    """Exact values as unevaluated sums `high + low` of float64, and the size at which an ULP is measured."""

    high: Array
    low: Array
    scale: Array

    def __getitem__(self, index: Any) -> Expected:
        return Expected(self.high[index], self.low[index], self.scale[index])


class Shaping:
    """The part of the math namespace that only moves values, whatever they are."""

    @staticmethod
    def where(condition: Any, yes: Any, no: Any) -> Any:
        """Choose elementwise."""
        return np.where(np.asarray(condition, bool), yes, no)

    @staticmethod
    def sum(x: Any, *, axis: int, keepdims: bool = False) -> Any:
        """Sum along an axis."""
        return np.sum(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def max(x: Any, *, axis: int, keepdims: bool = False) -> Any:
        """Largest along an axis."""
        return np.max(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def take_along_axis(values: Any, labels: Any, axis: int) -> Any:
        """Pick one value of each row by its label."""
        return np.take_along_axis(values, np.expand_dims(labels, axis), axis).squeeze(axis)

    @staticmethod
    def one_hot(labels: Any, classes: int, axis: int) -> Any:
        """Zeros with a one at each label, classes along `axis`."""
        return np.moveaxis(np.eye(classes)[labels], -1, axis)


class HighPrecision(Shaping):
    """Math namespace over object arrays of mpmath numbers with `digits` decimal digits."""

    def __init__(self, digits: int) -> None:
        context = mpmath.mp.clone()
        context.dps = digits
        self.pi = +context.pi
        self.exp, self.log, self.tanh, self.cosh, self.sign = (
            _elementwise(f) for f in (context.exp, context.log, context.tanh, context.cosh, context.sign)
        )
        # Beyond 1e5 erfc is nearer to its limit than 1e-4e9, and mpmath overflows on the way there.
        self.erfc = _elementwise(lambda z: context.erfc(z) if abs(z) < 1e5 else 1 - context.sign(z))
        self.sqrt = context.sqrt  # only ever taken of constants
        self.asarray = _elementwise(lambda x: context.mpf(float(x)))


class WidePrecision(Shaping):
    """Math namespace over float arrays in the next wider type, fast enough for millions of values.

    float64 for float32, long double for float64. For losses and ops along an axis only, which sum many terms;
    and for moderate values, for which the definitions lose few digits: those of `inputs.draw`.
    """

    exp, log, sign = staticmethod(np.exp), staticmethod(np.log), staticmethod(np.sign)

    def __init__(self, dtype: str) -> None:
        self._dtype = np.float64 if dtype == "float32" else np.longdouble

    def asarray(self, x: Array) -> Array:
        """Widen."""
        return x.astype(self._dtype)


def source(dtype: str, *, wide: bool) -> str:
    """Return what the exact values come from: `mpmath`, or the next wider type."""
    return ("float64" if dtype == "float32" else "longdouble") if wide else "mpmath"


def forward(
    op: str, inputs: Sequence[Array], parameters: Mapping[str, Any], dtype: str, *, wide: bool = False
) -> Expected:
    """Return the exact output of `op` for host `inputs`, reductions included.

    `wide` settles for the next wider type (see `WidePrecision`).
    """
    spec = OPS[op]
    p, reduction = _without_reduction(spec, parameters)
    m = _namespace(dtype, wide)
    undefined = _undefined(spec, inputs, p)
    exact = _lift(m, inputs, undefined)
    value = _patch_limits(spec, 1, spec.definition(m, *exact, **p), 1, inputs)
    scale = spec.budget.forward_scale(m, *exact, **p) if spec.budget.forward_scale else value
    if spec.kind == "loss" and spec.along_axis:
        undefined = undefined.any(axis=p["axis"])
    value, scale = np.where(undefined, np.nan, value), np.asarray(abs(scale))
    if reduction in ("sum", "mean"):
        count = value.size if reduction == "mean" else 1
        value, scale = (np.asarray(v.sum() / count if count else np.nan) for v in (value, scale))
    return _split(value, scale)


def backward(
    op: str,
    cotangent: Array,
    inputs: Sequence[Array],
    parameters: Mapping[str, Any],
    dtype: str,
    *,
    n_losses: int | None = None,
    wide: bool = False,
) -> Expected:
    """Return the exact gradient with respect to the first input.

    `n_losses` is the number that a mean divides by, where `inputs` are only a sample of what was averaged.
    """
    spec = OPS[op]
    p, reduction = _without_reduction(spec, parameters)
    m = _namespace(dtype, wide)
    undefined = _undefined(spec, inputs, p)
    exact = _lift(m, inputs, undefined)
    g = _spread(spec, m.asarray(np.asarray(cotangent)), inputs, p, reduction, n_losses)
    value = _patch_limits(spec, 2, spec.gradient(m, g, *exact, **p), g, inputs)
    scale = spec.budget.backward_scale(m, g, *exact, **p) if spec.budget.backward_scale else value
    return _split(np.where(undefined, np.nan, value), np.asarray(abs(scale)))


def curve(op: str, x: Array) -> tuple[Array, Array]:
    """Return f(x) and f'(x) of an elementwise activation at its default parameters, rounded to float64."""
    parameters = OPS[op].defaults
    ones = np.ones_like(x)
    return (
        forward(op, [x], parameters, "float64").high,
        backward(op, ones, [x], parameters, "float64").high,
    )


@cache
def _namespace(dtype: str, wide: bool) -> HighPrecision | WidePrecision:  # noqa: FBT001 - cached by position
    return WidePrecision(dtype) if wide else HighPrecision(_DIGITS + _SMALLEST_EXPONENT[dtype])


def _elementwise(function: Any) -> Any:
    ufunc = np.frompyfunc(function, 1, 1)
    # A ufunc over a 0-d array returns a bare object.
    return lambda x: np.asarray(ufunc(x), dtype=object)


def _lift(m: HighPrecision | WidePrecision, inputs: Sequence[Array], undefined: Array) -> list[Any]:
    return [m.asarray(np.where(undefined, 0, a)) if a.dtype.kind == "f" else a for a in inputs]


def _without_reduction(spec: OpSpec, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    rest = spec.complete(parameters)
    reduction = rest.pop("reduction", None)
    return rest, reduction


def _spread(
    spec: OpSpec,
    g: Any,
    inputs: Sequence[Array],
    p: Mapping[str, Any],
    reduction: str | None,
    n_losses: int | None,
) -> Any:
    """Spread the cotangent of a reduced loss over its terms: each counts once, or 1/n in a mean."""
    if spec.kind != "loss":
        return g
    shape = inputs[0].shape
    axis = p.get("axis")
    if reduction == "mean":
        g = g / max(n_losses or inputs[0].size // (shape[axis] if axis is not None else 1), 1)
    if reduction == "none" and axis is not None:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def _patch_limits(spec: OpSpec, column: int, value: Any, factor: Any, inputs: Sequence[Array]) -> Any:
    """Put in the limits at infinity where the textbook formula has none (0·∞)."""
    for limit in spec.limits:
        at_limit = inputs[0] == limit[0]
        if at_limit.any():
            value = np.where(at_limit, limit[column] * factor, value)
    return value


def _undefined(spec: OpSpec, inputs: Sequence[Array], p: Mapping[str, Any]) -> Array:
    """Where the result is NaN: NaN in, NaN out; and a row whose largest logit is infinite has no softmax."""
    floats = [a for a in inputs if a.dtype.kind == "f"]
    if not spec.along_axis or spec.inputs[0].domain == "distribution":
        return np.asarray(np.any([np.isnan(a) for a in floats], axis=0))
    largest = [np.max(a, axis=p["axis"], keepdims=True, initial=-np.inf) for a in floats]
    return np.broadcast_to(np.any(~np.isfinite(largest), axis=0), inputs[0].shape)


def _split(value: Any, scale: Any) -> Expected:
    high = np.asarray(value, dtype=np.float64)
    finite = np.isfinite(high)
    rest = np.where(finite, value, 0) - np.where(finite, high, 0)
    low = np.where(finite, np.asarray(rest, dtype=np.float64), 0.0)
    return Expected(high, low, np.maximum(np.abs(high), np.asarray(scale, np.float64)))
