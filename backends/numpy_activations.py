"""NumPy: smooth activations, stable over the whole range.

Those with a tail to the left are written for a = |x|, where exp(-a) cannot overflow, and mirrored: exactly one of
x and -x has the small result, and max(x, 0) - small or 1 - small loses nothing for the other. A kernel gets one
block: it fills `out`, and may use its scratch arrays as it likes. `out` may be x; see `elementwise`.
"""

from __future__ import annotations

import math

import numpy as np

from backends import numpy_parts as parts
from backends.numpy_blocks import elementwise, pullback, silent

SELU_ALPHA = 1.6732632423543772848170429916717
"""With SELU_SCALE, what keeps mean 0 and variance 1 fixed: Klambauer et al. 2017, equation 14."""
SELU_SCALE = 1.0507009873554804934193349852946

LEVELS = {"float32": (13, 11, 9, 7, 5), "float64": (23, 21, 19, 17, 15, 13, 11, 9, 7, 5)}
"""Denominators of tanh's continued fraction, innermost first: at |x| < 1 the rest is below 1e-9 and 1e-20."""


@elementwise(scratch=1)
def sigmoid(x: np.ndarray, out: np.ndarray, e: np.ndarray) -> None:
    """1 / (1 + exp(-x))."""
    parts.sigmoid(x, out, e)


@pullback(scratch=1)
def sigmoid_vjp(x: np.ndarray, out: np.ndarray, e: np.ndarray) -> None:
    """σ(x)·σ(-x) = e/(1 + e)², e = exp(-|x|): 1 - σ(x) would cancel."""
    parts.exp_minus_abs(x, e)
    np.add(e, 1, out=out)
    np.square(out, out=out)
    np.divide(e, out, out=out)


@elementwise()
def tanh(x: np.ndarray, out: np.ndarray) -> None:
    """`np.tanh`."""
    np.tanh(x, out=out)


@pullback(scratch=1)
def tanh_vjp(x: np.ndarray, out: np.ndarray, e: np.ndarray) -> None:
    """sech²(x) = 4e/(1 + e)², e = exp(-2|x|): 1 - tanh² would cancel."""
    np.abs(x, out=e)
    with silent():  # an |x| that overflows is as good as infinite
        e *= -2
    np.exp(e, out=e)
    np.add(e, 1, out=out)
    np.square(out, out=out)
    np.divide(e, out, out=out)
    out *= 4


@elementwise(scratch=1, aside=True)
def elu(x: np.ndarray, out: np.ndarray, low: np.ndarray, zero: np.ndarray, *, alpha: float) -> None:
    """max(x, 0) + alpha·(exp(min(x, 0)) - 1)."""
    _expm1_left(x, out, low, zero)
    low *= alpha
    out += low


@pullback()
def elu_vjp(x: np.ndarray, out: np.ndarray, *, alpha: float) -> None:
    """exp(min(x, 0)), times alpha where x <= 0."""
    np.minimum(x, 0, out=out)
    np.exp(out, out=out)
    if alpha != 1:
        parts.slopes(x, out, alpha, 1)


@elementwise(scratch=1, aside=True)
def celu(x: np.ndarray, out: np.ndarray, low: np.ndarray, zero: np.ndarray, *, alpha: float) -> None:
    """max(x, 0) + alpha·(exp(min(x, 0)/alpha) - 1)."""
    _expm1_left(x, out, low, zero, alpha)
    low *= alpha
    out += low


@pullback()
def celu_vjp(x: np.ndarray, out: np.ndarray, *, alpha: float) -> None:
    """exp(min(x, 0)/alpha)."""
    np.minimum(x, 0, out=out)
    with silent():  # an alpha below 1 may overflow, to -inf as it should
        out /= alpha
    np.exp(out, out=out)


@elementwise(scratch=1, aside=True)
def selu(x: np.ndarray, out: np.ndarray, low: np.ndarray, zero: np.ndarray) -> None:
    """scale·max(x, 0) + scale·alpha·(exp(min(x, 0)) - 1)."""
    _expm1_left(x, out, low, zero)
    low *= SELU_SCALE * SELU_ALPHA
    with silent():  # the scale is above 1
        out *= SELU_SCALE
    out += low


@pullback()
def selu_vjp(x: np.ndarray, out: np.ndarray) -> None:
    """scale·exp(min(x, 0)), times alpha where x <= 0."""
    np.minimum(x, 0, out=out)
    np.exp(out, out=out)
    parts.slopes(x, out, SELU_SCALE * SELU_ALPHA, SELU_SCALE)


@elementwise(scratch=3, dtype=np.float64)
def gelu(
    x: np.ndarray, out: np.ndarray, a: np.ndarray, y: np.ndarray, right: np.ndarray, *, approximate: str
) -> None:
    """x·cdf(x); the tanh form is x·σ(2u(x)), the same with another cdf.

    Computed in float64, since exponents need more digits than the result has, and rounded once for float32.
    """
    parts.gelu(x, out, a, y, right, approximate=approximate)


@pullback(scratch=3, dtype=np.float64)
def gelu_vjp(
    x: np.ndarray, out: np.ndarray, a: np.ndarray, y: np.ndarray, right: np.ndarray, *, approximate: str
) -> None:
    """cdf(x) + x·pdf(x): left of zero r = cdf(-a) - a·pdf(a), right of it 1 - r; in float64 as gelu."""
    parts.magnitude(x, a)
    derivative = parts.tanh_derivative if approximate == "tanh" else parts.normal_derivative
    derivative(a, y, exact=x.dtype == np.float64)
    y *= parts.SCALE
    parts.mirror(x, y, right)
    np.copyto(out, y, casting="same_kind")


@elementwise(scratch=2)
def silu(x: np.ndarray, out: np.ndarray, a: np.ndarray, e: np.ndarray) -> None:
    """x·σ(x) = x / (1 + exp(-x)), or, where that overflows, max(x, 0) - a·σ(-a), a = |x|."""
    if parts.exp_is_finite(x):
        np.negative(x, out=e)
        np.exp(e, out=e)
        e += 1
        np.divide(x, e, out=out)
        return
    np.abs(x, out=a)
    tail = parts.exp_minus(a, e)
    a *= e
    e += 1
    a /= e
    if tail is not None:
        a *= tail
    parts.rectify(x, out, e)
    out -= a


@pullback(scratch=2)
def silu_vjp(x: np.ndarray, out: np.ndarray, a: np.ndarray, e: np.ndarray) -> None:
    """σ(x)·(1 + x·σ(-x)); in the stable form r = e·(1 + e - a)/(1 + e)² left of zero, 1 - r right of it."""
    if parts.exp_is_finite(x) and x.max() < np.inf:
        np.negative(x, out=e)
        np.exp(e, out=e)
        np.add(e, 1, out=a)
        np.divide(1, a, out=out)
        e *= out  # σ(-x) = exp(-x)·σ(x)
        e *= x
        e += 1
        out *= e
        return
    np.abs(x, out=a)
    tail = parts.exp_minus(a, e)
    np.add(e, 1, out=out)
    np.subtract(out, a, out=a)
    a *= e
    np.square(out, out=out)
    np.divide(a, out, out=out)
    if tail is not None:
        out *= tail
    parts.mirror(x, out, a)


@elementwise(scratch=2, aside=True)
def mish(x: np.ndarray, out: np.ndarray, low: np.ndarray, high: np.ndarray, y: np.ndarray) -> None:
    """x·m(m + 2k) / (m(m + 2k) + 2k²), m = exp(min(x, 0)) and k = exp(-max(x, 0)): tanh(log(1 + exp(x)))·x.

    The same with m = exp(x) and k = 1 where that does not overflow, at two fifths of the time.
    """
    if parts.is_moderate(x):
        np.exp(x, out=low)
        np.add(low, 2, out=y)
        y *= low
        np.add(y, 2, out=high)
        y /= high
        np.multiply(x, y, out=out)
        return
    tail = parts.left_tail(x, _exp_sides(x, low, high))
    np.add(high, high, out=y)
    y += low
    y *= low
    np.square(high, out=high)
    high += high
    high += y
    y /= high
    np.multiply(parts.no_less(x), y, out=out)
    if tail is not None:
        out *= tail


@pullback(scratch=3)
def mish_vjp(x: np.ndarray, out: np.ndarray, low: np.ndarray, high: np.ndarray, x4: np.ndarray) -> None:
    """m(m³ + 4m²k + (4x + 6)mk² + 4(x + 1)k³) / (m² + 2mk + 2k²)², m and k as in mish."""
    if parts.is_moderate(x):
        np.exp(x, out=low)
        np.multiply(x, 4, out=x4)
        np.add(low, 4, out=out)
        out *= low
        x4 += 4
        np.add(x4, 2, out=high)
        out += high
        out *= low
        out += x4
        np.add(low, 2, out=high)
        high *= low
        high += 2
        out /= high
        low /= high
        out *= low
        return
    tail = _exp_sides(x, low, high)
    bound = 256 if x.dtype == np.float32 else 2048
    np.clip(x, -bound, bound, out=x4)  # beyond, k or m·tail is 0
    x4 *= 4
    np.add(x4, 4, out=out)
    out *= high
    x4 += 6
    x4 *= low
    out += x4
    out *= high
    square = np.square(low, out=x4)
    square *= 4
    out += square
    out *= high
    square *= low
    square *= 0.25
    out += square
    denominator = np.add(low, high, out=square)  # m² + 2k(m + k) rounds least
    denominator *= high
    denominator += denominator
    denominator += np.square(low, out=high)
    out /= denominator
    low /= denominator
    out *= low
    parts.left(x, out, tail)


@elementwise(scratch=2)
def softplus(x: np.ndarray, out: np.ndarray, e: np.ndarray, zero: np.ndarray) -> None:
    """log(1 + exp(x)), or, where that overflows, max(x, 0) + log(1 + exp(-|x|))."""
    parts.softplus(x, out, e, zero)


@pullback(scratch=1)
def softplus_vjp(x: np.ndarray, out: np.ndarray, e: np.ndarray) -> None:
    """σ(x)."""
    parts.sigmoid(x, out, e)


@elementwise(scratch=1)
def softsign(x: np.ndarray, out: np.ndarray, a: np.ndarray) -> None:
    """X / (1 + |x|)."""
    np.abs(x, out=a)
    if not a.max() < np.inf:
        x = np.clip(x, np.finfo(x.dtype).min, np.finfo(x.dtype).max)
        np.abs(x, out=a)
    a += 1
    np.divide(x, a, out=out)


@pullback()
def softsign_vjp(x: np.ndarray, out: np.ndarray) -> None:
    """(1 / (1 + |x|))²: the square of 1 + |x| may overflow."""
    np.abs(x, out=out)
    out += 1
    np.divide(1, out, out=out)
    np.square(out, out=out)


@elementwise(scratch=3)
def log_sigmoid(x: np.ndarray, out: np.ndarray, minus: np.ndarray, e: np.ndarray, zero: np.ndarray) -> None:
    """-softplus(-x)."""
    np.negative(x, out=minus)
    parts.softplus(minus, out, e, zero)
    np.negative(out, out=out)


@pullback(scratch=2)
def log_sigmoid_vjp(x: np.ndarray, out: np.ndarray, minus: np.ndarray, e: np.ndarray) -> None:
    """σ(-x)."""
    np.negative(x, out=minus)
    parts.sigmoid(minus, out, e)


@elementwise(scratch=2, aside=True)
def tanh_shrink(x: np.ndarray, out: np.ndarray, near: np.ndarray, square: np.ndarray, y: np.ndarray) -> None:
    """X - tanh(x), and for |x| < 1, where that cancels, x·c/(1 + c), c = x²/(3 + x²/(5 + ...)).

    Lambert's continued fraction, DLMF 4.39: tanh(x) = x/(1 + c).
    """
    np.clip(x, -1, 1, out=near)
    np.square(near, out=square)
    levels = LEVELS[x.dtype.name]
    np.divide(square, levels[0], out=y)
    for level in (*levels[1:], 3):
        y += level
        np.divide(square, y, out=y)
    near *= y
    y += 1
    near /= y
    np.abs(x, out=square)
    np.tanh(x, out=y)
    np.subtract(x, y, out=out)
    near *= square < 1
    out *= square >= 1  # a product with 0 or 1 costs a fifth of a masked copy
    out += near


@pullback()
def tanh_shrink_vjp(x: np.ndarray, out: np.ndarray) -> None:
    """tanh²(x)."""
    np.tanh(x, out=out)
    np.square(out, out=out)


@elementwise(scratch=2)
def squareplus(x: np.ndarray, out: np.ndarray, y: np.ndarray, zero: np.ndarray, *, b: float) -> None:
    """(x + h)/2, h = √(x² + b), as max(x, 0) + (b/4)/y, y = (|x| + h)/2: nothing cancels."""
    _root(x, zero, y, b)
    np.divide(b / 4, y, out=y)
    parts.rectify(x, out, zero)
    out += y


@pullback(scratch=2)
def squareplus_vjp(x: np.ndarray, out: np.ndarray, y: np.ndarray, h: np.ndarray, *, b: float) -> None:
    """(1 + x/h)/2: left of zero r = (b/4)/y/h, right of it 1 - r."""
    _root(x, h, y, b)
    np.divide(b / 4, y, out=out)
    out /= h
    parts.mirror(x, out, y)


@elementwise()
def exponential(x: np.ndarray, out: np.ndarray) -> None:
    """exp(x)."""
    with silent():
        np.exp(x, out=out)


@pullback()
def exponential_vjp(x: np.ndarray, out: np.ndarray) -> None:
    """exp(x)."""
    with silent():
        np.exp(x, out=out)


# --- shared parts -------------------------------------------------------------------------------------------


def _expm1_left(x: np.ndarray, right: np.ndarray, left: np.ndarray, zero: np.ndarray, scale: float = 1) -> None:
    """Fill `right` with max(x, 0) and `left` with exp(min(x, 0)/scale) - 1: always one of them is 0."""
    zero.fill(0)
    np.minimum(x, zero, out=left)
    np.maximum(x, zero, out=right)
    if scale != 1:
        with silent():  # a scale below 1 may overflow, to -inf as it should
            left /= scale
    np.expm1(left, out=left)


def _exp_sides(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> parts.Tail:
    """Fill `low` with exp(min(x, 0)), `high` with exp(-max(x, 0)), up to a factor left for last (`exp_minus`)."""
    np.abs(x, out=high)
    tail = parts.exp_minus(high, low)
    right = x >= 0
    np.maximum(low, ~right, out=high)
    np.maximum(low, right, out=low)
    return tail


def _root(x: np.ndarray, h: np.ndarray, y: np.ndarray, b: float) -> None:
    """Fill h with √(x² + b) and y with (|x| + h)/2; `np.hypot`, which cannot overflow, takes ten times as long."""
    np.abs(x, out=y)
    if y.max() < 2.0**60 and b > 2.0**-60:
        np.square(x, out=h)
        h += b
        np.sqrt(h, out=h)
    else:
        np.hypot(x, math.sqrt(b), out=h)
    y *= 0.5
    y += h * 0.5
