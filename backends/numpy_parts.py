"""Formulas that several NumPy kernels share: each works on one block and fills the arrays it is given."""

from __future__ import annotations

import numpy as np

from backends import gelu_constants as constants

Tail = np.ndarray | None
"""What is left to multiply by, last; see `exp_minus`."""


def where_nan(x: np.ndarray) -> np.ndarray | None:
    """Return where x is NaN, or None. Looking for one by max, which keeps NaN, is what makes it cheap: 0.1 ns."""
    return np.asarray(np.isnan(x)) if np.isnan(x.max()) else None


def keep_nan(x: np.ndarray, out: np.ndarray) -> None:
    """Copy NaNs of x to `out`."""
    nan = where_nan(x)
    if nan is not None:
        np.copyto(out, x, where=nan)


def rectify(x: np.ndarray, out: np.ndarray, zero: np.ndarray) -> None:
    """Fill `out` with max(x, 0), against zeros: NumPy vectorises no maximum with a scalar (0.13, 0.41 ns)."""
    zero.fill(0)
    np.maximum(x, zero, out=out)


def mirror(x: np.ndarray, r: np.ndarray, right: np.ndarray) -> None:
    """Make r into 1 - r where x >= 0; arithmetic with the truth value takes half the time of `np.where`."""
    np.greater_equal(x, 0, out=right)
    right *= -2
    right += 1
    r *= right
    right -= 1
    right *= -0.5
    r += right


def between(x: np.ndarray, out: np.ndarray, low: float, high: float) -> None:
    """Fill `out` with 1 where low < x < high, else 0."""
    np.multiply(x > low, x < high, out=out)
    keep_nan(x, out)


def outside(x: np.ndarray, out: np.ndarray, threshold: float) -> None:
    """Fill `out` with 1 where |x| > threshold, else 0."""
    np.abs(x, out=out)
    np.greater(out, threshold, out=out)
    keep_nan(x, out)


def slopes(x: np.ndarray, out: np.ndarray, left: float, right: float) -> None:
    """Multiply `out` by `right` where x > 0, else by `left`."""
    positive = x > 0
    factor = positive * out.dtype.type(right)
    factor += ~positive * out.dtype.type(left)  # one of the two is 0: nothing is rounded
    out *= factor


def exp_minus_abs(x: np.ndarray, e: np.ndarray) -> None:
    """Fill e with exp(-|x|)."""
    np.abs(x, out=e)
    np.negative(e, out=e)
    np.exp(e, out=e)


def exp_is_finite(x: np.ndarray, sign: int = 1) -> bool:
    """Tell whether exp(-x), or with sign -1 exp(x), is far from overflow all over a block without NaN.

    Then textbook formulas serve, at two thirds of the time of the stable ones; asking costs 0.09 ns.
    """
    limit = 64 if x.dtype == np.float32 else 512
    return bool(x.min() >= -limit if sign == 1 else x.max() <= limit)


def is_moderate(x: np.ndarray) -> bool:
    """Tell whether exp(x)**4 neither overflows nor exp(x) underflows by far, all over a block without NaN."""
    low, high = (-64, 20) if x.dtype == np.float32 else (-512, 170)
    return bool(x.min() >= low and x.max() <= high)


def sigmoid(x: np.ndarray, out: np.ndarray, e: np.ndarray) -> None:
    """Fill `out` with 1 / (1 + exp(-x)), or, where that overflows, with exp(min(x, 0)) / (1 + exp(-|x|))."""
    if exp_is_finite(x):
        np.negative(x, out=e)
        np.exp(e, out=e)
        e += 1
        np.divide(1, e, out=out)
        return
    exp_minus_abs(x, e)
    np.greater_equal(x, 0, out=out)
    np.maximum(out, e, out=out)  # 1 right of zero, e left of it: exp(min(x, 0)) without a second exp
    e += 1
    out /= e


def exp_minus(a: np.ndarray, e: np.ndarray) -> Tail:
    """Fill e with exp(-a) for a >= 0, as far as `cut`; return the factor that is missing beyond, if any.

    A product such as a·exp(-a) may be normal where exp(-a) is subnormal and has lost digits (57 ULP in silu at
    -100), so this factor must come last. Blocks without such an a pay for one max. Caps a, in place, where its
    exp is 0 by far, so that an infinite a makes no inf·0.
    """
    cut = 64 if a.dtype == np.float32 else 512  # cut - a is exact up to 2·cut, where the product is 0
    if a.max() <= cut:
        np.negative(a, out=e)
        np.exp(e, out=e)
        return None
    np.minimum(a, 4 * cut, out=a)
    np.negative(np.minimum(a, cut), out=e)
    np.exp(e, out=e)
    return np.asarray(np.exp(cut - np.maximum(a, cut)))


def left_tail(x: np.ndarray, tail: Tail) -> Tail:
    """Return what `exp_minus` left to multiply by, where x < 0, and 1 elsewhere."""
    return None if tail is None else np.asarray(np.maximum(tail, x >= 0))


def left(x: np.ndarray, out: np.ndarray, tail: Tail) -> None:
    """Multiply `out` by what `exp_minus` left to multiply by, where x < 0."""
    factor = left_tail(x, tail)
    if factor is not None:
        out *= factor


def no_less(x: np.ndarray) -> np.ndarray:
    """Return x, but no less than where x·exp(x) is 0, so that -inf makes no inf·0."""
    bound = -256 if x.dtype == np.float32 else -2048
    return x if x.min() > bound else np.maximum(x, bound)


def softplus(x: np.ndarray, out: np.ndarray, e: np.ndarray, zero: np.ndarray) -> None:
    """Fill `out` with log(1 + exp(x)), or, where that overflows, max(x, 0) + log(1 + exp(-|x|))."""
    if exp_is_finite(x, sign=-1):
        np.exp(x, out=e)
        np.log1p(e, out=out)
        return
    exp_minus_abs(x, e)
    np.log1p(e, out=e)
    rectify(x, out, zero)
    out += e


def times_sigmoid(value: np.ndarray, x: np.ndarray, out: np.ndarray, a: np.ndarray, e: np.ndarray) -> None:
    """Fill `out` with value·σ(x), with all its digits even where σ(x) is subnormal."""
    if exp_is_finite(x):
        np.negative(x, out=e)
        np.exp(e, out=e)
        e += 1
        np.divide(value, e, out=out)
        return
    np.abs(x, out=a)
    tail = exp_minus(a, e)
    np.maximum(e, x >= 0, out=a)  # exp(min(x, 0))
    e += 1
    a /= e
    np.multiply(value, a, out=out)
    left(x, out, tail)


def ratio(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with a / b, and 0 where both are 0."""
    np.divide(a, b, out=out)
    if np.isnan(out.max(initial=0)):
        np.copyto(out, 0, where=(a == 0) & (b == 0))


def drop(out: np.ndarray, absent: np.ndarray) -> None:
    """Put 0 into `out` where a factor is `absent`: only terms that are not finite need it, and few blocks do."""
    if not (out.min(initial=0) > -np.inf and out.max(initial=0) < np.inf):
        np.copyto(out, 0, where=absent)


def keep_infinite(x: np.ndarray, gate: np.ndarray, out: np.ndarray) -> None:
    """Make `out` infinite where x is, though the activation of a finite gate has underflowed to 0."""
    if np.isnan(out.max()):
        np.multiply(x, np.sign(gate), out=out, where=np.isinf(x) & np.isfinite(gate))


# --- rows -----------------------------------------------------------------------------------------------------


def shifted(x: np.ndarray) -> np.ndarray:
    """Return x - max(x) in a new array in C order."""
    return np.asarray(np.subtract(x, x.max(-1, keepdims=True), order="C"))


def shifted_exp(x: np.ndarray) -> np.ndarray:
    """Return exp(x - max(x)) in C order, so that sums of its rows are pairwise whatever the axis."""
    e = shifted(x)
    np.exp(e, out=e)
    return e


def dot(target: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Σ t·log p, where t = 0 counts nothing even if log p is -inf: the limit, and what masked classes need."""
    if not logs.min(initial=0) > -np.inf:
        np.copyto(logs, 0, where=(target == 0) & (logs == -np.inf))
    logs *= target
    return np.asarray(logs.sum(-1))


# --- gelu -----------------------------------------------------------------------------------------------------
#
# All arrays are float64; `exact` tells whether the result will be float64 too, so that the exponent's rounding
# must be corrected. Expressions make temporaries of a block's size, which malloc hands out from the cache.
# What is filled into y is to be multiplied by SCALE, last.

SCALE = constants.SCALE


def magnitude(x: np.ndarray, a: np.ndarray) -> None:
    """Fill a with |x|, capped where gelu is 0 or x."""
    np.abs(x, out=a)
    if not a.max() <= constants.CUTOFF:
        np.minimum(a, constants.CUTOFF, out=a)


def gelu(
    x: np.ndarray, out: np.ndarray, a: np.ndarray, y: np.ndarray, right: np.ndarray, *, approximate: str
) -> None:
    """Fill `out` with x·cdf(x) = max(x, 0) - a·cdf(-a), a = |x|; the tanh form is the same with another cdf."""
    magnitude(x, a)
    cdf = tanh_cdf if approximate == "tanh" else normal_cdf
    cdf(a, y, exact=x.dtype == np.float64)
    y *= a
    y *= SCALE
    rectify(x, right, a)
    np.subtract(right, y, out=out)


def normal_cdf(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with the normal distribution function of -a, over SCALE."""
    e, error = _normal_exp(a, exact=exact)
    _normal_ratio(a, y, error, exact=exact)
    y *= e


def normal_derivative(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with cdf(-a) - a·pdf(a), over SCALE."""
    _normal_ratio(a, y, None, exact=exact)
    y -= a * constants.PDF_AT_0
    y *= _corrected(*_normal_exp(a, exact=exact))


def tanh_cdf(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with (1 - tanh(u))/2 = σ(-2u), over SCALE."""
    e = _corrected(*_cubic_exp(a, exact=exact))
    np.divide(e, 1 + e * SCALE, out=y)


def tanh_derivative(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with σ(-v) - a·v'·σ(v)·σ(-v), v = 2u(a), over SCALE."""
    e = _corrected(*_cubic_exp(a, exact=exact))
    s = 1 + e * SCALE
    slope = a * (constants.LINEAR + 3 * constants.CUBIC * np.square(a))
    np.divide((s - slope) * e, s * s, out=y)


def _normal_exp(a: np.ndarray, *, exact: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return exp(-a²/2) / SCALE, and its error as `_scaled_exp`."""
    if not exact:
        return _scaled_exp(np.square(a) * 0.5)
    h = np.rint(a * constants.GRID) / constants.GRID
    return _scaled_exp(np.square(h) * 0.5, (a - h) * (a + h) * 0.5)


def _cubic_exp(a: np.ndarray, *, exact: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return exp(-2u(a)) / SCALE, and its error as `_scaled_exp`."""
    square = np.square(a)
    if not exact:
        return _scaled_exp(a * (constants.LINEAR + constants.CUBIC * square))
    h = np.rint(a * constants.GRID) / constants.GRID
    h_square = np.square(h)
    rest = (a - h) * (constants.LINEAR + constants.CUBIC * (square + a * h + h_square))
    rest += h * (constants.LINEAR_LOW + constants.CUBIC_LOW * h_square)
    return _scaled_exp(h * (constants.LINEAR_HIGH + constants.CUBIC_HIGH * h_square), rest)


def _scaled_exp(high: np.ndarray, low: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return exp(-(high + low)) / SCALE, and by how much, relatively, rounding that sum makes it too large."""
    high = high - constants.SHIFT_HIGH
    if low is None:
        return np.asarray(np.exp(-high)), None
    total = high + low
    return np.asarray(np.exp(-total)), np.asarray((high - total) + (low - constants.SHIFT_LOW))


def _corrected(e: np.ndarray, error: np.ndarray | None) -> np.ndarray:
    return e if error is None else np.asarray(e - e * error)


def _normal_ratio(a: np.ndarray, y: np.ndarray, error: np.ndarray | None, *, exact: bool) -> None:
    """Fill y with cdf(-a) / exp(-a²/2) / (1 + error), where it costs no rounding of its own."""
    coefficients = constants.TAIL_FLOAT64 if exact else constants.TAIL_FLOAT32
    t = (a - 5) / (a + 5)
    y.fill(coefficients[0])
    for coefficient in coefficients[1:]:
        y *= t
        y += coefficient
    divisor = constants.SQRT_2 * a
    if error is not None:
        divisor = divisor + error * (1 + divisor)
    y /= 1 + divisor
