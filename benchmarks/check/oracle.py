"""The independent reference: the catalogue's textbook definitions at high precision.

No backend is the oracle, and no stable formula is used: mpmath evaluates the definitions with so many digits that
their cancellation cannot matter. A definition that subtracts two numbers loses at most as many digits as lie
between 1 and the smallest number of the dtype (8 for float16, 45 for float32, 324 for float64); 50 more remain.
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

_SMALLEST_EXPONENT = {"float16": 8, "bfloat16": 41, "float32": 45, "float64": 324}
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
    def sort(x: Any, *, axis: int) -> Any:
        """Ascending along an axis."""
        return np.sort(x, axis=axis)

    @staticmethod
    def cumsum(x: Any, *, axis: int) -> Any:
        """Sum up to each entry along an axis."""
        return np.cumsum(x, axis=axis)

    @staticmethod
    def halves(x: Any, *, axis: int) -> Any:
        """Two halves along an axis."""
        return np.split(x, 2, axis=axis)

    @staticmethod
    def join(*parts: Any, axis: int) -> Any:
        """One array of several along an axis."""
        return np.concatenate(parts, axis=axis)

    @staticmethod
    def along(x: Any, ndim: int, axis: int) -> Any:
        """Return a vector as an array of `ndim` dimensions that lies along one of them."""
        return np.reshape(x, [-1 if i == axis % ndim else 1 for i in range(ndim)])

    def count(self, x: Any, *, axis: int) -> Any:
        """1, 2, 3, ... along an axis, to go with x."""
        return self.along(np.arange(1, x.shape[axis] + 1), x.ndim, axis)

    def one_hot(self, labels: Any, classes: int, axis: int) -> Any:
        """Zeros with a one at each label, classes along `axis`; zeros alone where a label is negative."""
        hot = np.expand_dims(labels, -1) == np.arange(classes)
        return np.moveaxis(self.asarray(hot.astype(np.float64)), -1, axis)

    def asarray(self, x: Array) -> Array:
        """Bring an array of floats into the namespace."""
        raise NotImplementedError


class HighPrecision(Shaping):
    """Math namespace over object arrays of mpmath numbers with `digits` decimal digits."""

    def __init__(self, digits: int) -> None:
        context = mpmath.mp.clone()
        context.dps = digits
        self.pi = +context.pi
        self.exp, self.tanh, self.cosh, self.sign, self.sqrt = (
            _elementwise(f) for f in (context.exp, context.tanh, context.cosh, context.sign, context.sqrt)
        )
        self.log = _elementwise(lambda x: context.log(x) if x >= 0 else context.nan)
        # Beyond 1e5 erfc is nearer to its limit than 1e-4e9, and mpmath overflows on the way there.
        self.erfc = _elementwise(lambda z: context.erfc(z) if abs(z) < 1e5 else 1 - context.sign(z))
        self._number = _elementwise(lambda x: context.mpf(float(x)))
        self.ratio = _pairwise(lambda a, b: a / b if b else context.sign(a) * context.inf if a else context.zero)
        self.quotient = _pairwise(lambda a, b: a / b if b else context.nan)

    def asarray(self, x: Array) -> Array:
        """Make mpmath numbers of floats, exactly."""
        return np.asarray(self._number(np.asarray(x, np.float64)))


class WidePrecision(Shaping):
    """Math namespace over float arrays in the next wider type, fast enough for millions of values.

    float64 for float32 and narrower, long double for float64. For losses and ops along an axis only, which sum
    many terms; and for moderate values, for which the definitions lose few digits: those of `inputs.draw`.
    """

    exp, log, sign = staticmethod(np.exp), staticmethod(np.log), staticmethod(np.sign)
    sqrt, tanh, cosh = staticmethod(np.sqrt), staticmethod(np.tanh), staticmethod(np.cosh)

    def __init__(self, dtype: str) -> None:
        self._dtype = np.longdouble if dtype == "float64" else np.float64

    def asarray(self, x: Array) -> Array:
        """Widen."""
        return x.astype(self._dtype)

    quotient = staticmethod(np.divide)

    @staticmethod
    def ratio(a: Any, b: Any) -> Any:
        """Return a / b, and 0 where a is 0."""
        return np.where(a == 0, 0, np.divide(a, b))


def source(dtype: str, *, wide: bool) -> str:
    """Return what the exact values come from: `mpmath`, or the next wider type."""
    return ("longdouble" if dtype == "float64" else "float64") if wide else "mpmath"


def forward(
    op: str, inputs: Sequence[Array], parameters: Mapping[str, Any], dtype: str, *, wide: bool = False
) -> Expected:
    """Return the exact output of `op` for host `inputs`, reductions included.

    `wide` settles for the next wider type (see `WidePrecision`).
    """
    spec = OPS[op]
    p, reduction = _without_reduction(spec, parameters)
    m = _namespace(dtype, wide)
    undefined = _undefined(spec, m, inputs, p, inputs)
    exact = _lift(m, inputs, undefined)
    with np.errstate(all="ignore"):
        value = _patch_limits(spec, 1, spec.definition(m, *exact, **p), 1, inputs)
        scale = spec.budget.forward_scale(m, *exact, **p) if spec.budget.forward_scale else value
    if spec.kind == "loss" and spec.along_axis and undefined is not None:
        undefined = undefined.any(axis=p["axis"])
    value, scale = _mask(value, undefined), np.asarray(abs(scale))
    if reduction in ("sum", "mean"):
        count = _total_weight(spec, m, exact, p, value.size) if reduction == "mean" else 1
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
    # What is linear in its first input has a gradient that does not look at it.
    undefined = _undefined(spec, m, inputs, p, [None, *inputs[1:]] if spec.linear else inputs)
    exact = _lift(m, inputs, undefined)
    with np.errstate(all="ignore"):
        g = _spread(spec, m, m.asarray(np.asarray(cotangent)), exact, p, reduction, n_losses)
        value = _patch_limits(spec, 2, spec.gradient(m, g, *exact, **p), g, inputs)
        scale = spec.budget.backward_scale(m, g, *exact, **p) if spec.budget.backward_scale else value
    return _split(_mask(value, undefined), np.asarray(abs(scale)))


COURSE_NOTES_X = np.arange(-5.0, 5.0, 0.1)
"""Where the course notes draw their functions: [-5, 5) in steps of 0.1."""


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
    return _over_objects(function, 1)


def _pairwise(function: Any) -> Any:
    return _over_objects(function, 2)


def _over_objects(function: Any, n_arguments: int) -> Any:
    ufunc = np.frompyfunc(function, n_arguments, 1)

    def apply(*arrays: Any) -> Any:
        with np.errstate(invalid="ignore"):  # a NaN on its way through gmpy2 raises the flag that NumPy looks at
            # A ufunc over a 0-d array returns a bare object.
            return np.asarray(ufunc(*arrays), dtype=object)

    return apply


def _is_float(array: Array | None) -> bool:
    return array is not None and array.dtype.kind not in "iu"


def _lift(m: HighPrecision | WidePrecision, inputs: Sequence[Array | None], undefined: Array | None) -> list[Any]:
    """Bring inputs into the namespace, with 0 where the result is undefined whatever the formula says."""

    def lift(a: Any) -> Any:
        if not _is_float(a):
            return a
        if undefined is None or a.shape != undefined.shape:
            return m.asarray(a)
        return m.asarray(np.where(undefined, np.zeros((), a.dtype), a))

    return [lift(a) for a in inputs]


def _mask(value: Any, undefined: Array | None) -> Any:
    return value if undefined is None else np.where(undefined, np.nan, value)


def _total_weight(spec: OpSpec, m: Any, exact: Sequence[Any], p: Mapping[str, Any], losses: int) -> Any:
    """Return what a mean divides by: the number of losses, or the sum of their weights."""
    return losses if spec.mean_weight is None else spec.mean_weight(m, *exact, **p).sum()


def _without_reduction(spec: OpSpec, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    rest = spec.complete(parameters)
    reduction = rest.pop("reduction", None)
    return rest, reduction


def _spread(
    spec: OpSpec,
    m: Any,
    g: Any,
    exact: Sequence[Any],
    p: Mapping[str, Any],
    reduction: str | None,
    n_losses: int | None,
) -> Any:
    """Spread the cotangent of a reduced loss over its terms: each counts once, or 1/n in a mean."""
    if spec.kind != "loss":
        return g
    shape = exact[0].shape
    axis = p.get("axis")
    if reduction == "mean":
        losses = exact[0].size // (shape[axis] if axis is not None else 1)
        g = m.ratio(g, n_losses or _total_weight(spec, m, exact, p, losses))
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


def _undefined(
    spec: OpSpec, m: Any, inputs: Sequence[Array], p: Mapping[str, Any], seen: Sequence[Array | None]
) -> Array | None:
    """Where the result is NaN: NaN in (among the inputs `seen`), NaN out.

    Of ops along an axis, the whole row is; so is one without a softmax, whose largest logit is infinite. None
    where a formula itself takes NaN along, to the few outputs that depend on it.
    """
    if spec.shape is not None or (spec.linear and any(d.extent == "rows" for d in spec.inputs)):
        return None
    shape = inputs[0].shape
    floats = [
        np.broadcast_to(a, shape)
        for d, a in zip(spec.inputs, seen, strict=True)
        if a is not None and d.extent in ("same", "broadcast") and _is_float(a)
    ]
    undefined = np.any([np.isnan(a) for a in floats], axis=0) if floats else np.zeros(shape, bool)
    if not spec.along_axis or spec.inputs[0].domain in ("distribution", "log_distribution"):
        return np.asarray(undefined)
    with np.errstate(all="ignore"):
        value = np.asarray(spec.definition(m, *_lift(m, inputs, None), **p), np.float64)
    value = np.expand_dims(value, p["axis"]) if spec.kind == "loss" else value
    rows = (undefined | np.isnan(value)).any(axis=p["axis"], keepdims=True)
    if p.get("ignore_index") is not None:
        rows &= np.expand_dims(inputs[1] != p["ignore_index"], p["axis"])
    return np.broadcast_to(rows, shape)


def _split(value: Any, scale: Any) -> Expected:
    high = np.asarray(value, dtype=np.float64)
    finite = np.isfinite(high)
    rest = np.where(finite, value, 0) - np.where(finite, high, 0)
    low = np.where(finite, np.asarray(rest, dtype=np.float64), 0.0)
    return Expected(high, low, np.maximum(np.abs(high), np.asarray(scale, np.float64)))
