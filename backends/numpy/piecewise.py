"""NumPy: activations made of pieces.

A kernel gets one block, scratch arrays that it may use as it likes, and numbers; see `elementwise`.
"""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

from backends.host import Pairs, Run, bound_by
from backends.numpy import parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import SMALL, Array, Out, Result, elementwise, pullback, quietly


@elementwise(numbers=(0,), direct=np.heaviside)
def step(x: Array, zero: Array, out: Out) -> Result:
    """1 where x > 0, else 0; `np.heaviside` is one call, but takes 5 ns an element."""
    if x.size <= SMALL:
        return np.heaviside(x, zero, out)
    nan = np.isnan(x) if parts.has_nan(x) else None
    right = np.greater(x, zero)
    out = np.empty_like(x) if out is None else out
    np.copyto(out, right)
    if nan is not None:
        np.copyto(out, np.nan, where=nan)
    return out


@pullback(numbers=(0,))
def step_vjp(x: Array, y: Array, zero: Array) -> Result:
    """0."""
    return zero if not parts.has_nan(x) else np.where(np.isnan(x), x, y.dtype.type(0))


@elementwise(zeros=True, direct=np.maximum)
def relu(x: Array, zero: Array, out: Out) -> Result:
    """max(x, 0)."""
    return np.maximum(x, zero, out=out)


@pullback(numbers=(0,))
def relu_vjp(x: Array, y: Array, zero: Array) -> Result:
    """1 where x > 0, else 0."""
    return parts.above_zero(x, y, zero)


@elementwise(numbers=(0, 6))
def relu6(x: Array, zero: Array, six: Array, out: Out) -> Result:
    """min(max(x, 0), 6)."""
    return parts.clip(x, zero, six, out)


@pullback(numbers=(0, 6))
def relu6_vjp(x: Array, y: Array, zero: Array, six: Array) -> Result:
    """1 where 0 < x < 6, else 0."""
    return parts.between(x, y, zero, six)


@elementwise(scratch=1, numbers=lambda negative_slope: (negative_slope, 0))
def leaky_relu(x: Array, low: Array, slope: Array, zero: Array, out: Out) -> Result:
    """max(x, slope·x), or min for slopes above 1."""
    factor = slope.item()
    if factor == 0:  # which would meet infinity
        return np.maximum(x, zero, out=out)
    if factor > 1:  # which may overflow
        return np.minimum(x, quietly(np.multiply, x, slope, low), out=out)
    return np.maximum(x, np.multiply(x, slope, low), out=out)


@pullback(scratch=2, numbers=lambda negative_slope: (negative_slope, 0))
def leaky_relu_vjp(x: Array, y: Array, d: Array, slope: Array, zero: Array) -> Result:
    """1 where x > 0, else the slope."""
    right = parts.above_zero(x, y, zero)
    if 0 <= slope.item() <= 1:
        return np.maximum(right, slope, out=d)
    np.subtract(1, right, out=d)
    d *= slope
    d += right
    return d


@elementwise(scratch=2, numbers=(0, 3, 6))
def hard_sigmoid(x: Array, y: Array, z: Array, zero: Array, three: Array, six: Array, out: Out) -> Result:
    """min(max(x + 3, 0), 6) / 6."""
    return _hard_sigmoid(x, y, z, zero, three, six, out)


@pullback(scratch=2, numbers=(-3, 3, 6))
def hard_sigmoid_vjp(x: Array, y: Array, d: Array, low: Array, high: Array, six: Array) -> Result:
    """1/6 where -3 < x < 3, else 0."""
    return np.divide(parts.between(x, y, low, high), six, d)


@elementwise(scratch=3, numbers=(0, 3, 6, -3))
def hard_silu(
    x: Array, y: Array, z: Array, s: Array, zero: Array, three: Array, six: Array, low: Array, out: Out
) -> Result:
    """max(x, -3) · hard_sigmoid(x): without a product that overflows, and 0 at -inf."""
    _hard_sigmoid(x, y, z, zero, three, six, s)
    return np.multiply(np.maximum(x, low, out=y), s, out)


@pullback(scratch=2, numbers=(-3, 3, 6))
def hard_silu_vjp(x: Array, y: Array, inner: Array, low: Array, high: Array, six: Array) -> Result:
    """(2x + 3) / 6 where -3 < x < 3, 0 left and 1 right of it."""
    np.copyto(inner, parts.between(x, y, low, high))
    parts.clip(x, low, high, y)
    y += y
    y += high
    y /= six
    y *= inner
    y += x >= high
    return y


@elementwise(numbers=(-1, 1))
def hard_tanh(x: Array, low: Array, high: Array, out: Out) -> Result:
    """min(max(x, -1), 1)."""
    return parts.clip(x, low, high, out)


@pullback(numbers=(-1, 1))
def hard_tanh_vjp(x: Array, y: Array, low: Array, high: Array) -> Result:
    """1 where -1 < x < 1, else 0."""
    return parts.between(x, y, low, high)


@elementwise(scratch=1, numbers=lambda threshold: (-threshold, threshold))
def soft_shrink(x: Array, inner: Array, low: Array, high: Array, out: Out) -> Result:
    """x less x clipped to the threshold."""
    return np.subtract(x, parts.clip(x, low, high, inner), out)


@pullback(scratch=3, numbers=lambda threshold: (threshold, 0))
def soft_shrink_vjp(x: Array, size: Array, y: Array, z: Array, threshold: Array, zero: Array) -> Result:
    """1 where |x| > threshold, else 0."""
    return parts.above(np.abs(x, size), y, z, threshold, zero)


@elementwise(scratch=1, numbers=lambda threshold: (threshold,))
def hard_shrink(x: Array, size: Array, threshold: Array, out: Out) -> Result:
    """x · (|x| > threshold)."""
    return np.multiply(x, np.greater(np.abs(x, size), threshold), out)


@elementwise(scratch=2, numbers=lambda threshold, value: (threshold, value))
def threshold(x: Array, y: Array, z: Array, threshold: Array, value: Array, out: Out) -> Result:
    """x where x > threshold, else the value: one product of two is 0 (8 times as fast as `np.where`)."""
    above = np.greater(x, threshold)
    np.maximum(x, threshold, out=y)  # so that -inf makes no inf·0
    if not value.item():
        return np.multiply(y, above, out)
    np.multiply(y, above, z)
    return np.add(z, np.multiply(np.logical_not(above), value, y), out)


@pullback(scratch=2, numbers=lambda threshold, value: (threshold, 0))  # noqa: ARG005 - has a slope of 0
def threshold_vjp(x: Array, y: Array, z: Array, threshold: Array, zero: Array) -> Result:
    """1 where x > threshold, else 0."""
    return parts.above(x, y, z, threshold, zero)


@elementwise(scratch=2, numbers=(-1, 1, 0.25))
def sparse_plus(x: Array, y: Array, z: Array, low: Array, one: Array, quarter: Array, out: Out) -> Result:
    """max(x, (min(max(x, -1), 1) + 1)² / 4): the parabola lies above x and meets it at 1."""
    parts.clip(x, low, one, y)
    np.add(y, one, z)
    np.square(z, y)
    return np.maximum(x, np.multiply(y, quarter, z), out=out)


@elementwise(scratch=2, numbers=(-1, 1, 0.5))
def sparse_sigmoid(x: Array, y: Array, z: Array, low: Array, one: Array, half: Array, out: Out) -> Result:
    """(min(max(x, -1), 1) + 1) / 2."""
    return _sparse_sigmoid(x, y, z, low, one, half, out)


@pullback(scratch=2, numbers=(-1, 1, 0.5))
def sparse_plus_vjp(x: Array, y: Array, z: Array, low: Array, one: Array, half: Array) -> Result:
    """sparse_sigmoid(x)."""
    return _sparse_sigmoid(x, y, z, low, one, half, y)


@pullback(scratch=2, numbers=(-1, 1, 0.5))
def sparse_sigmoid_vjp(x: Array, y: Array, d: Array, low: Array, high: Array, half: Array) -> Result:
    """1/2 where -1 < x < 1, else 0."""
    return np.multiply(parts.between(x, y, low, high), half, d)


@elementwise()
def linear(x: Array, out: Out) -> Result:
    """x, copied."""
    if out is None:
        return x.copy()
    out[...] = x
    return out


def _linear_vjp(g: Array, x: Array, *, out: Out = None) -> Run:
    """g, copied."""
    del x
    return linear.bind(g, out=out)


linear_vjp = bound_by(_linear_vjp)


def _hard_sigmoid(x: Array, y: Array, z: Array, zero: Array, three: Array, six: Array, out: Out) -> Result:
    np.add(x, three, y)
    return np.divide(parts.clip(y, zero, six, z), six, out)


def _sparse_sigmoid(x: Array, y: Array, z: Array, low: Array, one: Array, half: Array, out: Out) -> Result:
    parts.clip(x, low, one, y)
    return np.multiply(np.add(y, one, z), half, out)


OPS: Pairs = {
    "step": (step, step_vjp),
    "relu": (relu, relu_vjp),
    "relu6": (relu6, relu6_vjp),
    "leaky_relu": (leaky_relu, leaky_relu_vjp),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_vjp),
    "hard_silu": (hard_silu, hard_silu_vjp),
    "hard_tanh": (hard_tanh, hard_tanh_vjp),
    "soft_shrink": (soft_shrink, soft_shrink_vjp),
    "hard_shrink": (hard_shrink, soft_shrink_vjp),
    "threshold": (threshold, threshold_vjp),
    "sparse_plus": (sparse_plus, sparse_plus_vjp),
    "sparse_sigmoid": (sparse_sigmoid, sparse_sigmoid_vjp),
    "linear": (linear, linear_vjp),
}
