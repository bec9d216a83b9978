"""Formulas that several NumPy kernels share: each works on one block and fills the arrays it is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

from scipy import special

from backends.numpy import ufuncs as np
from backends.numpy.blocks import SMALL, Result

Tail = np.ndarray | None
"""The factor to multiply by last; see `exp_minus`."""


def lowest(x: np.ndarray) -> float:
    """Return the smallest value, or NaN if there is one; `argmin` is as fast as `min`, in shorter calls."""
    return cast("float", x.item(x.argmin()))


def highest(x: np.ndarray) -> float:
    """Return the largest value, or NaN if there is one."""
    return cast("float", x.item(x.argmax()))


def has_nan(x: np.ndarray) -> bool:
    """Tell whether x holds NaN."""
    return math.isnan(x.item(x.argmax()))


def indicator(mask: np.ndarray, x: np.ndarray, out: np.ndarray) -> Result:
    """Fill `out` with 1 where the mask is true, else 0, and NaN where x is."""
    np.copyto(out, mask)
    if has_nan(x):
        np.copyto(out, x, where=np.isnan(x))
    return out


def above_zero(x: np.ndarray, out: np.ndarray, zero: np.ndarray) -> Result:
    """Return 1 where x > 0, else 0, and NaN where x is; `np.heaviside` is one call, but takes 5 ns an element."""
    if x.size <= SMALL:
        return np.heaviside(x, zero, out)
    return indicator(np.greater(x, zero), x, out)


def above(x: np.ndarray, y: np.ndarray, out: np.ndarray, threshold: np.ndarray, zero: np.ndarray) -> Result:
    """Return 1 where x > threshold, else 0, and NaN where x is; a rounded difference still has the right sign."""
    if x.size <= SMALL:
        return np.heaviside(np.subtract(x, threshold, y), zero, out)
    return indicator(np.greater(x, threshold), x, out)


def between(x: np.ndarray, out: np.ndarray, low: np.ndarray, high: np.ndarray) -> Result:
    """Return 1 where low < x < high, else 0, and NaN where x is."""
    return indicator(np.logical_and(np.greater(x, low), np.less(x, high)), x, out)


def mirror(x: np.ndarray, r: np.ndarray, y: np.ndarray, z: np.ndarray) -> Result:
    """Return r, or 1 - r where x >= 0, in z; products with the truth value take half the time of `np.where`."""
    right = np.greater_equal(x, 0)
    if x.size <= SMALL:
        return np.where(right, 1 - r, r)
    np.copyto(y, right)
    np.multiply(r, y, z)
    np.subtract(r, z, r)
    np.subtract(r, z, r)  # r - 2r·1, without rounding
    return np.add(r, y, z)


def clip(x: np.ndarray, low: np.ndarray, high: np.ndarray, out: np.ndarray | None) -> Result:
    """Return x brought between two bounds; `np.clip` takes 2 µs more to find out what they are."""
    return x.clip(low, high, out)


def slopes(x: np.ndarray, y: np.ndarray, left: float, right: float) -> Result:
    """Return y times `right` where x > 0, else times `left`, in y."""
    positive = x > 0
    factor = positive * y.dtype.type(right)
    factor += ~positive * y.dtype.type(left)  # one of the two is 0: nothing is rounded
    return np.multiply(y, factor, y)


def exp_minus_abs(x: np.ndarray, y: np.ndarray, e: np.ndarray) -> Result:
    """Return exp(-|x|) in e."""
    np.abs(x, e)
    np.negative(e, y)
    return np.exp(y, e)


def bell(e: np.ndarray, y: np.ndarray, s: np.ndarray, one: np.ndarray) -> Result:
    """Return e/(1 + e)² in y."""
    np.add(e, one, y)
    np.square(y, s)
    return np.divide(e, s, y)


def exp_is_finite(x: np.ndarray) -> bool:
    """Tell whether a block holds no NaN and exp(-x) is far from overflow everywhere.

    Then textbook formulas will do, in two thirds of the time of the stable ones. Asking costs 0.07 ns an element.
    """
    return lowest(x) >= (-64 if x.itemsize == 4 else -512)


def is_moderate(x: np.ndarray) -> bool:
    """Tell whether a block holds no NaN, exp(x)**4 does not overflow, and exp(x) is far from underflow."""
    low, high = (-64, 20) if x.itemsize == 4 else (-512, 170)
    return lowest(x) >= low and highest(x) <= high


def sigmoid(x: np.ndarray, y: np.ndarray, e: np.ndarray, one: np.ndarray, out: np.ndarray | None) -> Result:
    """Return exp(x) / (1 + exp(x)), or, where that overflows, exp(min(x, 0)) / (1 + exp(-|x|))."""
    if x.size <= SMALL:
        if exp_is_finite(x):
            return special.expit(x, out)
    elif highest(x) <= (64 if x.itemsize == 4 else 512):
        np.exp(x, e)
        return np.divide(e, np.add(e, one, y), out)
    exp_minus_abs(x, y, e)
    np.greater_equal(x, 0, out=y)
    np.maximum(y, e, out=y)  # 1 right of zero, e left of it: exp(min(x, 0)) without a second exp
    e += 1
    return np.divide(y, e, out)


def logistic(minus: np.ndarray, y: np.ndarray, e: np.ndarray, one: np.ndarray, out: np.ndarray | None) -> Result:
    """Return 1 / (1 + exp(minus)), where that does not overflow; `minus` may be e."""
    np.exp(minus, y)
    np.add(y, one, e)
    return np.divide(one, e, out)


def exp_minus(a: np.ndarray, e: np.ndarray) -> Tail:
    """Fill e with exp(-a) for a >= 0, as far as `cut`; return the factor that is missing beyond, if any.

    A product such as a·exp(-a) may be normal where exp(-a) is subnormal and has lost digits (57 ULP in silu at
    -100), so this factor must come last. Blocks without such an a only pay for one max. Caps a, in place, where
    exp(-a) is 0 by a wide margin, so that an infinite a makes no inf·0.
    """
    cut = 64 if a.itemsize == 4 else 512  # cut - a is exact up to 2·cut, where the product is 0
    if highest(a) <= cut:
        np.negative(a, e)
        np.exp(e, e)
        return None
    np.minimum(a, 4 * cut, out=a)
    np.negative(np.minimum(a, cut), e)
    np.exp(e, e)
    return np.asarray(np.exp(cut - np.maximum(a, cut)))


def exp_sides(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> Tail:
    """Fill `low` with exp(min(x, 0)), `high` with exp(-max(x, 0)), up to a factor left for last (`exp_minus`)."""
    np.abs(x, high)
    tail = exp_minus(high, low)
    right = x >= 0
    np.maximum(low, ~right, out=high)
    np.maximum(low, right, out=low)
    return tail


def left_tail(x: np.ndarray, tail: Tail) -> Tail:
    """Return the factor that `exp_minus` left for last, where x < 0, and 1 elsewhere."""
    return None if tail is None else np.asarray(np.maximum(tail, x >= 0))


def no_less(x: np.ndarray) -> Result:
    """Return x, but no less than where x·exp(x) is 0, so that -inf makes no inf·0."""
    bound = -256 if x.itemsize == 4 else -2048
    return x if lowest(x) > bound else np.maximum(x, bound)


def softplus(x: np.ndarray, e: np.ndarray, y: np.ndarray, zero: np.ndarray, out: np.ndarray | None) -> Result:
    """Return log(1 + exp(x)), or, where that overflows, max(x, 0) + log(1 + exp(-|x|))."""
    if x.size <= SMALL // 8:
        return np.negative(special.log_expit(np.negative(x, e), y), out)
    if highest(x) <= (64 if x.itemsize == 4 else 512):
        return np.log1p(np.exp(x, e), out)
    exp_minus_abs(x, y, e)
    np.log1p(e, y)
    return np.add(np.maximum(x, zero, out=e), y, out)


def times_sigmoid(
    value: np.ndarray, x: np.ndarray, a: np.ndarray, e: np.ndarray, one: np.ndarray, out: np.ndarray | None
) -> Result:
    """Return value·σ(x), with all its digits even where σ(x) is subnormal."""
    if exp_is_finite(x):
        np.negative(x, e)
        np.exp(e, a)
        np.add(a, one, e)
        return np.divide(value, e, out)
    np.abs(x, a)
    tail = left_tail(x, exp_minus(a, e))
    np.maximum(e, x >= 0, out=a)  # exp(min(x, 0))
    e += 1
    a /= e
    if tail is None:
        return np.multiply(value, a, out)
    return np.multiply(np.multiply(value, a, a), tail, out)


def ratio(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Result:
    """Return a / b, and 0 where both are 0."""
    np.divide(a, b, out)
    if out.size and has_nan(out):
        np.copyto(out, 0, where=(a == 0) & (b == 0))
    return out


def drop(out: np.ndarray, absent: Callable[[], np.ndarray]) -> None:
    """Put 0 into `out` where a factor is `absent`: needed for terms that are not finite, which few blocks have."""
    if not (lowest(out) > -math.inf and highest(out) < math.inf):
        np.copyto(out, 0, where=absent())


def keep_infinite(x: np.ndarray, gate: np.ndarray, y: np.ndarray) -> Result:
    """Return y, infinite where x is, though the activation of a finite gate has underflowed to 0."""
    if has_nan(y):
        np.multiply(x, np.sign(gate), out=y, where=np.isinf(x) & np.isfinite(gate))
    return y
