"""NumPy: the parts of gelu, from the tail of the normal distribution or the tanh approximation.

All arrays are float64, but for the input of `gelu`. `exact` tells whether the result will be float64 too: the
exponent's rounding must then be corrected. Expressions make temporaries of a block's size, which malloc hands out
from the cache. What is filled into y is to be multiplied by SCALE last.
"""

from __future__ import annotations

import math

from scipy import special

from backends import gelu_constants as constants
from backends.numpy import ufuncs as np
from backends.numpy.blocks import SMALL, Result
from backends.numpy.parts import highest, lowest

_TAIL_FLOAT32, _TAIL_FLOAT64 = (
    tuple(np.array(coefficient) for coefficient in tail)
    for tail in (constants.TAIL_FLOAT32, constants.TAIL_FLOAT64)
)
"""As arrays: passing one to a ufunc costs half as much as passing a number."""


def suits_ndtr(x: np.ndarray, approximate: str) -> bool:
    """Tell whether x is float32 and has few elements, all finite: SciPy's function is exact enough for these."""
    is_few = x.itemsize == 4 and x.size <= SMALL and approximate == "none"
    return is_few and lowest(x) > -math.inf and highest(x) < math.inf


def magnitude(x: np.ndarray, a: np.ndarray) -> Result:
    """Fill a with |x|, capped where gelu is 0 or x."""
    np.abs(x, a)
    return a if highest(a) <= constants.CUTOFF else np.minimum(a, constants.CUTOFF, out=a)


def gelu(
    x: np.ndarray, a: np.ndarray, y: np.ndarray, right: np.ndarray, out: np.ndarray, *, approximate: str
) -> Result:
    """Return x·cdf(x) = max(x, 0) - a·cdf(-a), a = |x|; the tanh form is the same with another cdf."""
    if suits_ndtr(x, approximate):
        return np.multiply(x, special.ndtr(x, y, dtype=np.float64), out, casting="same_kind")
    magnitude(x, a)
    cdf = tanh_cdf if approximate == "tanh" else normal_cdf
    cdf(a, y, exact=x.dtype == np.float64)
    y *= a
    y *= constants.SCALE
    return np.subtract(np.maximum(x, 0, out=right), y, out, casting="same_kind")


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
    np.divide(e, 1 + e * constants.SCALE, out=y)


def tanh_derivative(a: np.ndarray, y: np.ndarray, *, exact: bool) -> None:
    """Fill y with σ(-v) - a·v'·σ(v)·σ(-v), v = 2u(a), over SCALE."""
    e = _corrected(*_cubic_exp(a, exact=exact))
    s = 1 + e * constants.SCALE
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
    """Return exp(-(high + low)) / SCALE, and its relative error, which comes from rounding that sum."""
    high = high - constants.SHIFT_HIGH
    if low is None:
        return np.asarray(np.exp(-high)), None
    total = high + low
    return np.asarray(np.exp(-total)), np.asarray((high - total) + (low - constants.SHIFT_LOW))


def _corrected(e: np.ndarray, error: np.ndarray | None) -> np.ndarray:
    return e if error is None else np.asarray(e - e * error)


def _normal_ratio(a: np.ndarray, y: np.ndarray, error: np.ndarray | None, *, exact: bool) -> None:
    """Fill y with cdf(-a) / exp(-a²/2) / (1 + error); put into this divisor, the error costs no more roundings."""
    first, *others = _TAIL_FLOAT64 if exact else _TAIL_FLOAT32
    t, z = (a - 5) / (a + 5), np.empty(a.shape) if a.size <= SMALL else y
    y.fill(first)
    for coefficient in others:
        np.multiply(y, t, z)
        np.add(z, coefficient, y)
    divisor = constants.SQRT_2 * a
    if error is not None:
        divisor = divisor + error * (1 + divisor)
    y /= 1 + divisor
