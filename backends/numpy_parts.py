"""Formulas that several NumPy kernels share: each works on one block and fills the arrays it is given."""

from __future__ import annotations

import numpy as np

from backends import gelu_constants as constants

Tail = np.ndarray | None
"""What is left to multiply by, last; see `exp_minus`."""


def keep_nan(x: np.ndarray, out: np.ndarray) -> None:
    """Copy NaNs of x to `out`. Looking for one by max, which keeps NaN, is what makes it cheap: 0.1 ns."""
    if np.isnan(x.max()):
        np.copyto(out, x, where=np.isnan(x))


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


def normal_cdf(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with the normal distribution function of -a, over SCALE."""
    _normal_ratio(a, y, exact=exact)
    y *= _normal_exp(a, exact=exact)


def normal_derivative(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with cdf(-a) - a·pdf(a), over SCALE."""
    _normal_ratio(a, y, exact=exact)
    y -= a * constants.PDF_AT_0
    y *= _normal_exp(a, exact=exact)


def tanh_cdf(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with (1 - tanh(u))/2 = σ(-2u), over SCALE."""
    e = _cubic_exp(a, exact=exact)
    np.divide(e, 1 + e * SCALE, out=y)


def tanh_derivative(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with σ(-v) - a·v'·σ(v)·σ(-v), v = 2u(a), over SCALE."""
    e = _cubic_exp(a, exact=exact)
    s = 1 + e * SCALE
    slope = a * (constants.LINEAR + 3 * constants.CUBIC * np.square(a))
    np.divide((s - slope) * e, s * s, out=y)


def _normal_exp(a: np.ndarray, *, exact: bool) -> np.ndarray:
    """Return exp(-a²/2) / SCALE."""
    if not exact:
        return _scaled_exp(np.square(a) * 0.5)
    h = np.rint(a * constants.GRID) / constants.GRID
    return _scaled_exp(np.square(h) * 0.5, (a - h) * (a + h) * 0.5)


def _cubic_exp(a: np.ndarray, *, exact: bool) -> np.ndarray:
    """Return exp(-2u(a)) / SCALE."""
    square = np.square(a)
    if not exact:
        return _scaled_exp(a * (constants.LINEAR + constants.CUBIC * square))
    h = np.rint(a * constants.GRID) / constants.GRID
    h_square = np.square(h)
    rest = (a - h) * (constants.LINEAR + constants.CUBIC * (square + a * h + h_square))
    rest += h * (constants.LINEAR_LOW + constants.CUBIC_LOW * h_square)
    return _scaled_exp(h * (constants.LINEAR_HIGH + constants.CUBIC_HIGH * h_square), rest)


def _scaled_exp(high: np.ndarray, low: np.ndarray | None = None) -> np.ndarray:
    """Return exp(-(high + low)) / SCALE; what their sum rounds off, below 1e-13, enters to first order."""
    high = high - constants.SHIFT_HIGH
    if low is None:
        return np.asarray(np.exp(-high))
    total = high + low
    error = (high - total) + (low - constants.SHIFT_LOW)
    e = np.exp(-total)
    return np.asarray(e - e * error)


def _normal_ratio(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with cdf(-a) / exp(-a²/2)."""
    coefficients = constants.TAIL_FLOAT64 if exact else constants.TAIL_FLOAT32
    t = (a - 5) / (a + 5)
    y.fill(coefficients[0])
    for coefficient in coefficients[1:]:
        y *= t
        y += coefficient
    y /= 1 + constants.SQRT_2 * a
