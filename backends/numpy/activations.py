"""NumPy: smooth activations, stable over the whole range.

Those with a tail to the left are written for a = |x|, where exp(-a) cannot overflow, and mirrored: exactly one of
x and -x has the small result, and max(x, 0) - small or 1 - small loses nothing for the other. A kernel gets one
block, scratch arrays that it may use as it likes, and numbers; see `elementwise`.
"""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

import math

from scipy import special

from backends import gelu_constants as constants
from backends.host import Pairs
from backends.numpy import gelu as gelus
from backends.numpy import parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import SMALL, Array, Out, Result, elementwise, pullback, quietly
from backends.numpy.parts import bell, exp_sides

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""With these two, mean 0 and variance 1 stay fixed: Klambauer et al. 2017, equation 14."""

LEVELS = tuple(np.array(float(level)) for level in range(23, 3, -2))
"""Denominators of tanh's continued fraction, innermost first: for |x| < 1 the rest is below 1e-20."""
NEAR = 0.02
"""Below this, x - tanh(x) loses 4 of float64's 16 digits; the series used instead is good for 10."""


@elementwise(scratch=2, numbers=(1,))
def sigmoid(x: Array, y: Array, e: Array, one: Array, out: Out) -> Result:
    """1 / (1 + exp(-x))."""
    return parts.sigmoid(x, y, e, one, out)


@pullback(scratch=3, numbers=(1,))
def sigmoid_vjp(x: Array, y: Array, e: Array, s: Array, one: Array) -> Result:
    """σ(x)·σ(-x) = e/(1 + e)², e = exp(-|x|): 1 - σ(x) would cancel."""
    parts.exp_minus_abs(x, y, e)
    return bell(e, y, s, one)


tanh = elementwise(direct=np.tanh)(np.tanh)


@pullback(scratch=3, numbers=(1, -2, 4), quiet=True)
def tanh_vjp(x: Array, y: Array, e: Array, s: Array, one: Array, minus_two: Array, four: Array) -> Result:
    """sech²(x) = 4e/(1 + e)², e = exp(-2|x|): 1 - tanh² would cancel.

    In float64, where `np.cosh` is exact enough, 1/cosh²(x): half as many calls.
    """
    if x.itemsize == 8:
        np.cosh(x, y)  # infinite where the result is 0
        return np.square(np.divide(one, y, e), y)
    np.abs(x, e)
    np.multiply(e, minus_two, y)  # an |x| that overflows is as good as infinite
    np.exp(y, e)
    return np.multiply(bell(e, y, s, one), four, s)


@elementwise(scratch=3, zeros=True, numbers=lambda alpha: (alpha,))
def elu(x: Array, low: Array, high: Array, y: Array, zero: Array, alpha: Array, out: Out) -> Result:
    """max(x, 0) + alpha·(exp(min(x, 0)) - 1)."""
    np.minimum(x, zero, out=y)
    np.expm1(y, low)
    np.multiply(low, alpha, y)
    return np.add(np.maximum(x, zero, out=high), y, out)


@pullback(scratch=2, zeros=True)
def elu_vjp(x: Array, y: Array, e: Array, zero: Array, *, alpha: float) -> Result:
    """exp(min(x, 0)), times alpha where x <= 0."""
    np.minimum(x, zero, out=y)
    np.exp(y, e)
    return e if alpha == 1 else parts.slopes(x, e, alpha, 1)


@elementwise(scratch=3, zeros=True, numbers=lambda alpha: (alpha,))
def celu(x: Array, low: Array, high: Array, y: Array, zero: Array, alpha: Array, out: Out) -> Result:
    """max(x, 0) + alpha·(exp(min(x, 0)/alpha) - 1)."""
    np.minimum(x, zero, out=low)
    quietly(np.divide, low, alpha, y)  # an alpha below 1 may overflow, to -inf as it should
    np.expm1(y, low)
    np.multiply(low, alpha, y)
    np.maximum(x, zero, out=high)
    if alpha.item() > 1:  # near 0, the quotient is subnormal and has lost digits
        np.copyto(y, np.minimum(x, zero, out=low), where=np.abs(x) < alpha * np.finfo(x.dtype).tiny)
    return np.add(high, y, out)


@pullback(scratch=2, zeros=True, numbers=lambda alpha: (alpha,))
def celu_vjp(x: Array, y: Array, e: Array, zero: Array, alpha: Array) -> Result:
    """exp(min(x, 0)/alpha)."""
    np.minimum(x, zero, out=e)
    quietly(np.divide, e, alpha, y)  # an alpha below 1 may overflow, to -inf as it should
    return np.exp(y, e)


@elementwise(scratch=3, zeros=True, numbers=(SELU_SCALE, SELU_SCALE * SELU_ALPHA))
def selu(x: Array, low: Array, high: Array, y: Array, zero: Array, right: Array, left: Array, out: Out) -> Result:
    """scale·max(x, 0) + scale·alpha·(exp(min(x, 0)) - 1)."""
    np.minimum(x, zero, out=y)
    np.expm1(y, low)
    np.multiply(low, left, y)
    np.maximum(x, zero, out=low)
    quietly(np.multiply, low, right, high)  # the scale is above 1
    return np.add(high, y, out)


@pullback(scratch=2, zeros=True)
def selu_vjp(x: Array, y: Array, e: Array, zero: Array) -> Result:
    """scale·exp(min(x, 0)), times alpha where x <= 0."""
    np.minimum(x, zero, out=y)
    np.exp(y, e)
    return parts.slopes(x, e, SELU_SCALE * SELU_ALPHA, SELU_SCALE)


@elementwise(scratch=3, dtype=np.float64)
def gelu(x: Array, a: Array, y: Array, right: Array, out: Array, *, approximate: str) -> Result:
    """x·cdf(x); the tanh form is x·σ(2u(x)), the same with another cdf.

    Computed in float64, since exponents need more digits than the result has, and rounded once for float32.
    """
    return gelus.gelu(x, a, y, right, out, approximate=approximate)


@pullback(scratch=3, dtype=np.float64)
def gelu_vjp(x: Array, a: Array, y: Array, right: Array, *, approximate: str) -> Result:
    """cdf(x) + x·pdf(x): left of zero r = cdf(-a) - a·pdf(a), right of it 1 - r; in float64 as gelu."""
    if gelus.suits_ndtr(x, approximate):
        density = np.exp(np.square(x, a, dtype=np.float64) * -0.5)
        density *= constants.PDF_AT_0
        density *= x
        return np.add(density, special.ndtr(x, y, dtype=np.float64)).astype(np.float32)
    gelus.magnitude(x, a)
    derivative = gelus.tanh_derivative if approximate == "tanh" else gelus.normal_derivative
    derivative(a, y, exact=x.dtype == np.float64)
    y *= constants.SCALE
    return parts.mirror(x, y, right, a).astype(x.dtype, copy=False)


@elementwise(scratch=2, numbers=(1,))
def silu(x: Array, a: Array, e: Array, one: Array, out: Out) -> Result:
    """x·σ(x) = x / (1 + exp(-x)), or, where that overflows, max(x, 0) - a·σ(-a), a = |x|."""
    if parts.exp_is_finite(x):
        if x.size <= SMALL:
            return np.multiply(x, special.expit(x, e), out)
        np.negative(x, e)
        np.exp(e, a)
        return np.divide(x, np.add(a, one, e), out)
    np.abs(x, a)
    tail = parts.exp_minus(a, e)
    a *= e
    e += 1
    a /= e
    if tail is not None:
        a *= tail
    return np.subtract(np.maximum(x, 0, out=e), a, out)


@pullback(scratch=3, numbers=(1,))
def silu_vjp(x: Array, y: Array, e: Array, s: Array, one: Array) -> Result:
    """σ(x)·(1 + x·σ(-x)); in the stable form r = e·(1 + e - a)/(1 + e)² left of zero, 1 - r right of it."""
    if parts.exp_is_finite(x) and parts.highest(x) < np.inf:
        parts.logistic(np.negative(x, e), y, e, one, s)
        np.multiply(y, s, e)  # σ(-x) = exp(-x)·σ(x)
        np.multiply(e, x, y)
        np.add(y, one, e)
        return np.multiply(e, s, y)
    np.abs(x, y)
    tail = parts.exp_minus(y, e)
    np.add(e, one, s)
    np.subtract(s, y, y)
    y *= e
    np.square(s, s)
    y /= s
    if tail is not None:
        y *= tail
    return parts.mirror(x, y, e, s)


@elementwise(scratch=3, numbers=(1, 2), quiet=True)
def mish(x: Array, low: Array, high: Array, y: Array, one: Array, two: Array, out: Out) -> Result:
    """x·m(m + 2k) / (m(m + 2k) + 2k²), m = exp(min(x, 0)) and k = exp(-max(x, 0)): tanh(log(1 + exp(x)))·x.

    The same as x / (1 + 2/(m(m + 2))), m = exp(x), where that does not underflow; it may overflow.
    """
    if np.inf > parts.lowest(x) >= (-64 if x.itemsize == 4 else -512):
        np.exp(x, low)
        np.add(low, two, high)
        np.multiply(high, low, y)
        np.divide(two, y, low)
        np.add(low, one, high)
        return np.divide(x, high, out)
    tail = parts.left_tail(x, exp_sides(x, low, high))
    np.add(high, high, y)
    y += low
    y *= low
    np.square(high, high)
    high += high
    high += y
    y /= high
    if tail is None:
        return np.multiply(parts.no_less(x), y, out)
    return np.multiply(np.multiply(parts.no_less(x), y, y), tail, out)


@pullback(scratch=4, numbers=(2, 4))
def mish_vjp(x: Array, low: Array, high: Array, x4: Array, y: Array, two: Array, four: Array) -> Result:
    """m(m³ + 4m²k + (4x + 6)mk² + 4(x + 1)k³) / (m² + 2mk + 2k²)², m and k as in mish."""
    if parts.is_moderate(x):
        np.exp(x, low)
        np.multiply(x, four, y)
        np.add(y, four, x4)
        np.add(low, four, y)
        y *= low
        np.add(x4, two, high)
        y += high
        y *= low
        y += x4
        np.add(low, two, high)
        high *= low
        high += two
        y /= high
        low /= high
        return np.multiply(y, low, high)
    tail = parts.left_tail(x, exp_sides(x, low, high))
    bound = 256 if x.itemsize == 4 else 2048
    np.clip(x, -bound, bound, out=x4)  # beyond, k or m·tail is 0
    x4 *= 4
    np.add(x4, 4, y)
    y *= high
    x4 += 6
    x4 *= low
    y += x4
    y *= high
    square = np.square(low, x4)
    square *= 4
    y += square
    y *= high
    square *= low
    square *= 0.25
    y += square
    denominator = np.add(low, high, square)  # m² + 2k(m + k) rounds least
    denominator *= high
    denominator += denominator
    denominator += np.square(low, high)
    y /= denominator
    low /= denominator
    y *= low
    return y if tail is None else np.multiply(y, tail, y)


@elementwise(scratch=2, numbers=(0,))
def softplus(x: Array, e: Array, y: Array, zero: Array, out: Out) -> Result:
    """log(1 + exp(x)), or, where that overflows, max(x, 0) + log(1 + exp(-|x|))."""
    return parts.softplus(x, e, y, zero, out)


@pullback(scratch=3, numbers=(1,))
def softplus_vjp(x: Array, y: Array, e: Array, s: Array, one: Array) -> Result:
    """σ(x)."""
    return parts.sigmoid(x, y, e, one, s)


@elementwise(scratch=2, numbers=(1,))
def softsign(x: Array, a: Array, y: Array, one: Array, out: Out) -> Result:
    """x / (1 + |x|)."""
    np.abs(x, a)
    if not parts.highest(a) < np.inf:
        x = np.clip(x, np.finfo(x.dtype).min, np.finfo(x.dtype).max)
        np.abs(x, a)
    return np.divide(x, np.add(a, one, y), out)


@pullback(scratch=2, numbers=(1,))
def softsign_vjp(x: Array, y: Array, a: Array, one: Array) -> Result:
    """(1 / (1 + |x|))²: the square of 1 + |x| may overflow."""
    np.abs(x, a)
    np.add(a, one, y)
    np.divide(one, y, a)
    return np.square(a, y)


@elementwise(scratch=3, numbers=(0,))
def log_sigmoid(x: Array, minus: Array, e: Array, y: Array, zero: Array, out: Out) -> Result:
    """-softplus(-x)."""
    if x.size <= SMALL:
        return special.log_expit(x, out)
    np.negative(x, minus)
    return np.negative(parts.softplus(minus, e, y, zero, minus), out)


@pullback(scratch=4, numbers=(1,))
def log_sigmoid_vjp(x: Array, minus: Array, y: Array, e: Array, s: Array, one: Array) -> Result:
    """σ(-x)."""
    if x.size > SMALL and parts.highest(x) <= (64 if x.itemsize == 4 else 512):
        return parts.logistic(x, y, e, one, s)
    return parts.sigmoid(np.negative(x, minus), y, e, one, s)


@elementwise(scratch=4, dtype=np.float64, numbers=(-1, 1, 3))
def tanh_shrink(
    x: Array, w: Array, square: Array, y: Array, z: Array, minus_one: Array, one: Array, three: Array, out: Array
) -> Result:
    """x - tanh(x): for float32 in float64, and for float64 where |x| >= 1 does not cancel too much.

    For |x| < 1, x·c/(1 + c), c = x²/(3 + x²/(5 + ...)): Lambert's continued fraction, DLMF 4.39, by which
    tanh(x) = x/(1 + c). For float32, below 0.02, the first terms of the series, DLMF 4.33.3.
    """
    if x.itemsize == 4:
        np.copyto(w, x)
        np.subtract(w, np.tanh(w, y), z)
        near = np.flatnonzero(np.abs(x) < NEAR)
        if near.size:
            few = w.reshape(-1)[near]
            square = np.square(few)
            z.reshape(-1)[near] = few * square * (1 / 3 - square * (2 / 15 - square * (17 / 315)))
        np.copyto(out, z, casting="same_kind")
        return out
    parts.clip(x, minus_one, one, w)
    np.square(w, square)
    np.divide(square, LEVELS[0], y)
    for level in (*LEVELS[1:], three):
        np.add(y, level, z)
        np.divide(square, z, y)
    np.multiply(w, y, z)
    np.add(y, one, w)
    np.divide(z, w, y)
    far = np.abs(x) >= 1
    np.subtract(x, np.tanh(x, z), w)
    np.multiply(w, far, z)  # a product with 0 or 1 costs a fifth of a masked copy
    np.multiply(y, ~far, w)
    return np.add(z, w, out)


@pullback(scratch=2)
def tanh_shrink_vjp(x: Array, y: Array, square: Array) -> Result:
    """tanh²(x)."""
    return np.square(np.tanh(x, y), square)


@elementwise(scratch=3, zeros=True, numbers=lambda b: (b, b / 2))
def squareplus(x: Array, y: Array, h: Array, s: Array, zero: Array, b: Array, half_b: Array, out: Out) -> Result:
    """(x + h)/2, h = √(x² + b), as max(x, 0) + (b/2)/(|x| + h): nothing cancels."""
    _root(x, h, y, s, b, half_b)
    return np.add(np.maximum(x, zero, out=h), y, out)


@pullback(scratch=3, numbers=lambda b: (b, b / 2))
def squareplus_vjp(x: Array, y: Array, h: Array, s: Array, b: Array, half_b: Array) -> Result:
    """(1 + x/h)/2: left of zero r = (b/2)/(|x| + h)/h, right of it 1 - r."""
    _root(x, h, y, s, b, half_b)
    np.divide(y, h, s)
    # r lies between 0 and 1/2, so that |1 - r| and |0 - r| are what is wanted.
    return np.abs(np.subtract(np.greater_equal(x, 0), s, y), h)


exponential = elementwise(quiet=True)(np.exp)
exponential_vjp = pullback(quiet=True)(np.exp)


# --- shared parts -------------------------------------------------------------------------------------------


def _root(x: Array, h: Array, y: Array, s: Array, b: Array, half_b: Array) -> None:
    """Fill h with √(x² + b) and y with (b/2)/(|x| + h); `np.hypot` cannot overflow, but takes 10 times as long."""
    np.abs(x, y)
    if parts.highest(y) < 2.0**60 and b.item() > 2.0**-60:
        np.square(x, h)
        np.add(h, b, s)
        np.sqrt(s, h)
        np.add(y, h, s)
        np.divide(half_b, s, y)
    else:
        np.hypot(x, math.sqrt(b), h)
        y *= 0.5
        y += h * 0.5
        np.divide(half_b * 0.5, y, y)


OPS: Pairs = {
    "sigmoid": (sigmoid, sigmoid_vjp),
    "tanh": (tanh, tanh_vjp),
    "elu": (elu, elu_vjp),
    "celu": (celu, celu_vjp),
    "selu": (selu, selu_vjp),
    "gelu": (gelu, gelu_vjp),
    "silu": (silu, silu_vjp),
    "mish": (mish, mish_vjp),
    "softplus": (softplus, softplus_vjp),
    "softsign": (softsign, softsign_vjp),
    "log_sigmoid": (log_sigmoid, log_sigmoid_vjp),
    "tanh_shrink": (tanh_shrink, tanh_shrink_vjp),
    "squareplus": (squareplus, squareplus_vjp),
    "exponential": (exponential, exponential_vjp),
}
