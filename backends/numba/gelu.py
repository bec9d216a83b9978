"""Numba: the parts of gelu and geglu; see `backends.gelu_constants` for the polynomial of the normal tail.

The relative error of exp is that of its exponent, times the exponent's size. Exponents are therefore computed in
two parts, the second of which is what the first rounds off: exp(-(high + low)) = exp(-high)·(1 - low).
"""

# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

from typing import Any

from backends import gelu_constants as constants
from backends.numba.compilation import formula
from backends.numba.elementary import lifted_exp, lowered
from backends.numba.intrinsics import by_type, fma, polynomial

_tail_above_last = polynomial({"float32": constants.TAIL_FLOAT32[:-1], "float64": constants.TAIL_FLOAT64[:-1]})
_tail_last = by_type({"float32": constants.TAIL_FLOAT32[-1], "float64": constants.TAIL_FLOAT64[-1]})
_linear_high, _linear_low = by_type(constants.LINEAR_ROUNDED), by_type(constants.LINEAR_REST)
_cubic_high, _cubic_low = by_type(constants.CUBIC_ROUNDED), by_type(constants.CUBIC_REST)
# Beyond these, a·cdf(-a) is 0 to the type, even times its largest number.
normal_cutoff = by_type(constants.TAIL_CUTOFF)
tanh_cutoff = by_type({"float32": 13.5, "float64": 27.0})


@formula
def capped(x: Any, cutoff: Any) -> Any:
    """Return |x|, or the cutoff where |x| is larger."""
    a = abs(x)
    return cutoff if a > cutoff else a


@formula
def half_square(a: Any) -> Any:
    """Return a²/2 in two parts."""
    square = a * a
    half = type(a)(0.5)
    return half * square, half * fma(a, a, -square)


@formula
def cubic(a: Any) -> Any:
    """Return 2u(a) = a·(LINEAR + CUBIC·a²) in two parts; each step adds what its product or sum rounds off."""
    square = a * a
    linear, cubic = _linear_high(a), _cubic_high(a)
    term = cubic * square
    low = fma(cubic, square, -term) + fma(cubic, fma(a, a, -square), _cubic_low(a) * square)
    slope = linear + term
    added = slope - linear
    low += (linear - (slope - added)) + (term - added) + _linear_low(a)
    return a * slope, fma(a, slope, -(a * slope)) + a * low


@formula
def exp_of_minus(high: Any, low: Any) -> Any:
    """Return two factors of exp(-(high + low)); the first may be as large as a lifted exponential."""
    part = lifted_exp(-high)
    return fma(part, -low, part), lowered(high)


@formula
def scaled_cdf(a: Any) -> Any:
    """cdf(-a) / exp(-a²/2) = P(t) / (1 + √2·a), t = 2a/(a + 5) - 1, which is exact where P is steepest, at 0.

    The last step of P goes alone: the sums of neighbours that a long polynomial begins with round more.
    """
    number = type(a)
    t = fma(a + a, number(1) / (a + number(5)), -number(1))
    return fma(_tail_above_last(t), t, _tail_last(a)) / fma(number(constants.SQRT_2), a, number(1))
