"""Scalar formulas for Numba: gelu and geglu; see `backends.gelu_constants` for the polynomial of the normal tail.

An error of an exponent is an error of exp as many times larger as the exponent, so exponents are computed in two
parts, the second of which is what the first rounds off: exp(-(high + low)) = exp(-high)·(1 - low).
"""


# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

from typing import Any

from backends import gelu_constants as constants
from backends.numba.elementary import exp_minus_parts
from backends.numba.intrinsics import by_type, fma, polynomial
from backends.numba.loops import formula
from backends.numba.piecewise import max_0, unless_infinite

_tail_above_last = polynomial({"float32": constants.TAIL_FLOAT32[:-1], "float64": constants.TAIL_FLOAT64[:-1]})
_tail_last = by_type({"float32": constants.TAIL_FLOAT32[-1], "float64": constants.TAIL_FLOAT64[-1]})
_linear_high, _linear_low = by_type(constants.LINEAR_ROUNDED), by_type(constants.LINEAR_REST)
_cubic_high, _cubic_low = by_type(constants.CUBIC_ROUNDED), by_type(constants.CUBIC_REST)
# Beyond these, a·cdf(-a) is 0 to the type, even times its largest number.
_normal_cutoff = by_type(constants.TAIL_CUTOFF)
_tanh_cutoff = by_type({"float32": 13.5, "float64": 27.0})


@formula
def gelu(x: Any) -> Any:
    """x·cdf(x) = max(x, 0) - a·cdf(-a), a = |x|."""
    a = _capped(x, _normal_cutoff(x))
    part, rest = _exp_of_minus(*_half_square(a))
    return max_0(x) - a * _scaled_cdf(a) * part * rest


@formula
def gelu_vjp(g: Any, x: Any) -> Any:
    """cdf(x) + x·pdf(x): left of zero r = cdf(-a) - a·pdf(a), right of it 1 - r."""
    number = type(x)
    a = _capped(x, _normal_cutoff(x))
    part, rest = _exp_of_minus(*_half_square(a))
    r = (_scaled_cdf(a) - a * number(constants.PDF_AT_0)) * part * rest
    return g * (r if x < number(0) else number(1) - r)


@formula
def gelu_tanh(x: Any) -> Any:
    """x·σ(2u(x)) = max(x, 0) - a·σ(-2u(a)): 1 + tanh(u) would cancel left of zero."""
    a = _capped(x, _tanh_cutoff(x))
    part, rest = _exp_of_minus(*_cubic(a))
    return max_0(x) - a * part / (type(x)(1) + part * rest) * rest


@formula
def gelu_tanh_vjp(g: Any, x: Any) -> Any:
    """As silu's, with 2u(a) in place of a."""
    number = type(x)
    a = _capped(x, _tanh_cutoff(x))
    part, rest = _exp_of_minus(*_cubic(a))
    s = number(1) + part * rest
    slope = a * (number(constants.LINEAR) + number(3 * constants.CUBIC) * (a * a))
    r = (s - slope) * part / (s * s) * rest
    return g * (r if x < number(0) else number(1) - r)


@formula
def geglu(x: Any, gate: Any) -> Any:
    """x·gelu(gate)."""
    a = _capped(gate, _normal_cutoff(gate))
    return _gated(x, gate, a * _scaled_cdf(a), *_half_square(a))


@formula
def geglu_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """gelu(gate)."""
    return geglu(g, gate)


@formula
def geglu_tanh(x: Any, gate: Any) -> Any:
    """x·gelu_tanh(gate)."""
    a = _capped(gate, _tanh_cutoff(gate))
    high, low = _cubic(a)
    part, rest = _exp_of_minus(high, low)
    return _gated(x, gate, a / (type(x)(1) + part * rest), high, low)


@formula
def geglu_tanh_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """gelu_tanh(gate)."""
    return geglu_tanh(g, gate)


@formula
def _gated(x: Any, gate: Any, factor: Any, high: Any, low: Any) -> Any:
    """x·(max(gate, 0) - factor·exp(-(high + low))), in an order in which nothing but the result underflows.

    exp(-high) is the square of exp(-high/2), since a large x makes up for more than the range of its factors.
    """
    part, rest = exp_minus_parts(type(x)(0.5) * high)
    factor = fma(factor, -low, factor)
    left = -x * factor * part * rest * part * rest
    root = part * rest
    right = x * (gate - factor * root * root)
    return right if gate > type(x)(0) else unless_infinite(left, x, gate, gate)


@formula
def _capped(x: Any, cutoff: Any) -> Any:
    a = abs(x)
    return cutoff if a > cutoff else a


@formula
def _half_square(a: Any) -> Any:
    """Return a²/2 in two parts."""
    square = a * a
    half = type(a)(0.5)
    return half * square, half * fma(a, a, -square)


@formula
def _cubic(a: Any) -> Any:
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
def _exp_of_minus(high: Any, low: Any) -> Any:
    """Return two factors of exp(-(high + low))."""
    part, rest = exp_minus_parts(high)
    return fma(part, -low, part), rest


@formula
def _scaled_cdf(a: Any) -> Any:
    """cdf(-a) / exp(-a²/2) = P(t) / (1 + √2·a), t = 2a/(a + 5) - 1, which is exact where P is steepest, at 0.

    The last step of P goes alone: the sums of neighbours that a long polynomial begins with round more.
    """
    number = type(a)
    t = fma(a + a, number(1) / (a + number(5)), -number(1))
    return fma(_tail_above_last(t), t, _tail_last(a)) / fma(number(constants.SQRT_2), a, number(1))
