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

import numpy as np

from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import OpSpec
from benchmarks.check.namespaces import Array, HighPrecision, WidePrecision

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
    if inputs[0].size == 0:
        return _exactly(_value_of_nothing(spec, inputs, spec.complete(parameters)))
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
    """Return the exact gradient of an op; see `gradient`."""
    return gradient(OPS[op], cotangent, inputs, parameters, dtype, n_losses=n_losses, wide=wide)


def gradient(
    spec: OpSpec,
    cotangent: Array,
    inputs: Sequence[Array],
    parameters: Mapping[str, Any],
    dtype: str,
    *,
    n_losses: int | None = None,
    wide: bool = False,
) -> Expected:
    """Return the exact gradient with respect to the first input: x, or the output y that a gradient starts from.

    `n_losses` is the number that a mean divides by, where `inputs` are only a sample of what was averaged.
    """
    if inputs[0].size == 0:
        return _exactly(np.zeros(inputs[0].shape))
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


def _value_of_nothing(spec: OpSpec, inputs: Sequence[Array], p: dict[str, Any]) -> Array:
    """Return the output for inputs without elements: a row without classes loses 0, the mean of no losses is 0/0.

    Without a class there is no label, and all rows are ignored.
    """
    value = np.zeros(output_shape(spec, inputs, p))
    if p.get("reduction") != "mean":
        return value
    each = output_shape(spec, inputs, p | {"reduction": "none"})
    counted = 0 not in each and spec.mean_weight is None
    return value if counted else np.full_like(value, np.nan)


def _exactly(value: Array) -> Expected:
    return Expected(value, np.zeros_like(value), np.abs(value))


COURSE_NOTES_X = np.arange(-5.0, 5.0, 0.1)
"""Where the course notes draw their functions: [-5, 5) in steps of 0.1."""


@cache
def curve(op: str) -> tuple[Array, Array, Array]:
    """Return `COURSE_NOTES_X`, and f and f' there of an elementwise activation at its default parameters."""
    x, parameters = COURSE_NOTES_X, OPS[op].defaults
    slope = backward(op, np.ones_like(x), [x], parameters, "float64").high
    return x, forward(op, [x], parameters, "float64").high, slope


@cache
def _namespace(dtype: str, wide: bool) -> HighPrecision | WidePrecision:  # noqa: FBT001 - cached by position
    return WidePrecision(dtype) if wide else HighPrecision(_DIGITS + _SMALLEST_EXPONENT[dtype])


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

    Of ops along an axis, the whole row is; so is one without a softmax, whose largest logit is infinite, even if
    its loss has a limit. None where a formula itself takes NaN along, to the few outputs that depend on it.
    """
    if spec.shape is not None or (spec.linear and any(d.extent == "rows" for d in spec.inputs)):
        return None
    if spec.kind == "along_axis" and spec.inputs[0].domain != "real":  # an output, whose rows nothing normalises
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
        if spec.kind == "loss":
            value = np.broadcast_to(np.expand_dims(value, p["axis"]), shape)
            if np.isinf(inputs[0]).any():
                slope = np.asarray(spec.gradient(m, 1, *_lift(m, inputs, undefined), **p), np.float64)
                value = np.where(np.isnan(slope), slope, value)
    rows = (undefined | np.isnan(value)).any(axis=p["axis"], keepdims=True)
    if p.get("ignore_index") is not None:
        rows &= np.expand_dims(inputs[1] != p["ignore_index"], p["axis"])
    return np.broadcast_to(rows, shape)


def _split(value: Any, scale: Any) -> Expected:
    high = np.asarray(value, dtype=np.float64)
    finite = np.isfinite(high)
    rest = np.where(finite, value, 0) - np.where(finite, high, 0)
    low = np.where(finite, np.asarray(rest, dtype=np.float64), 0.0)
    size = np.asarray(scale, np.float64)
    # Beside an infinite term no error would be seen: what is exact there is a limit, and has no rounding in it.
    return Expected(high, low, np.maximum(np.abs(high), np.where(np.isfinite(size), size, 0)))
