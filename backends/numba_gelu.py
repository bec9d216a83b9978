"""Scalar formulas for Numba: gelu and geglu, in float64 for both dtypes, rounded once when stored.

See `gelu_constants` for how the normal tail and the exponents are computed.
"""

# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from backends import gelu_constants
from backends.numba_loops import OPTIONS, formula
from backends.numba_piecewise import max_0, unless_infinite


@formula
def gelu(x: Any) -> Any:
    """x·cdf(x) = max(x, 0) - a·cdf(-a), a = |x|."""
    return max_0(np.float64(x)) - _tail(x) * gelu_constants.SCALE


@formula
def gelu_vjp(g: Any, x: Any) -> Any:
    """cdf(x) + x·pdf(x): left of zero r = cdf(-a) - a·pdf(a), right of it 1 - r."""
    a = _magnitude(x)
    e = _scaled_exp(*_half_square(a))
    r = (_scaled_cdf(x, a) - a * gelu_constants.PDF_AT_0) * e * gelu_constants.SCALE
    return g * (r if x < 0 else 1 - r)


@formula
def gelu_tanh(x: Any) -> Any:
    """x·σ(2u(x)) = max(x, 0) - a·σ(-2u(a)): 1 + tanh(u) would cancel left of zero."""
    return max_0(np.float64(x)) - _tanh_tail(x) * gelu_constants.SCALE


@formula
def gelu_tanh_vjp(g: Any, x: Any) -> Any:
    """As silu's, with 2u(a) in place of a."""
    a = _magnitude(x)
    e = _scaled_exp(*_cubic(a))
    s = 1 + e * gelu_constants.SCALE
    slope = a * (gelu_constants.LINEAR + 3 * gelu_constants.CUBIC * (a * a))
    r = (s - slope) * e / (s * s) * gelu_constants.SCALE
    return g * (r if x < 0 else 1 - r)


@formula
def geglu(x: Any, gate: Any) -> Any:
    """x·gelu(gate)."""
    return _gated(x, gate, _tail(gate))


@formula
def geglu_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """gelu(gate)."""
    return geglu(g, gate)


@formula
def geglu_tanh(x: Any, gate: Any) -> Any:
    """x·gelu_tanh(gate)."""
    return _gated(x, gate, _tanh_tail(gate))


@formula
def geglu_tanh_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """gelu_tanh(gate)."""
    return geglu_tanh(g, gate)


@formula
def _gated(x: Any, gate: Any, tail: Any) -> Any:
    """x·(max(gate, 0) - tail·SCALE); left of zero in the order in which nothing but the result underflows."""
    x = np.float64(x)
    left = x * gelu_constants.SCALE * -tail if abs(x) > 1 else x * -tail * gelu_constants.SCALE
    right = x * (gate - tail * gelu_constants.SCALE)
    return right if gate > 0 else unless_infinite(left, x, np.float64(gate), gate)


@formula
def _tail(x: Any) -> Any:
    """a·cdf(-a) / SCALE, a = |x|."""
    a = _magnitude(x)
    return a * _scaled_cdf(x, a) * _scaled_exp(*_half_square(a))


@formula
def _tanh_tail(x: Any) -> Any:
    """a·σ(-2u(a)) / SCALE, a = |x|."""
    a = _magnitude(x)
    e = _scaled_exp(*_cubic(a))
    return a * e / (1 + e * gelu_constants.SCALE)


@formula
def _magnitude(x: Any) -> Any:
    a = abs(np.float64(x))
    return gelu_constants.CUTOFF if a > gelu_constants.CUTOFF else a


@formula
def _half_square(a: Any) -> Any:
    """Split a²/2 into an exact and a small part."""
    h = np.rint(a * gelu_constants.GRID) / gelu_constants.GRID
    return h * h * 0.5, (a - h) * (a + h) * 0.5


@formula
def _cubic(a: Any) -> Any:
    """Split 2u(a) into an exact and a small part."""
    h = np.rint(a * gelu_constants.GRID) / gelu_constants.GRID
    rest = (a - h) * (gelu_constants.LINEAR + gelu_constants.CUBIC * (a * a + a * h + h * h))
    rest += h * (gelu_constants.LINEAR_LOW + gelu_constants.CUBIC_LOW * (h * h))
    return h * (gelu_constants.LINEAR_HIGH + gelu_constants.CUBIC_HIGH * (h * h)), rest


@formula
def _scaled_exp(high: Any, low: Any) -> Any:
    """Return exp(-(high + low)) / SCALE; what the sum rounds off, below 1e-13, enters to first order."""
    high -= gelu_constants.SHIFT_HIGH
    s = high + low
    error = (high - s) + (low - gelu_constants.SHIFT_LOW)
    e = math.exp(-s)
    return e - e * error  # one rounding, where e * (1 - error) has two


def _scaled_cdf(x: Any, a: Any) -> Any:
    """cdf(-a) / exp(-a²/2), as precise as the type of x needs."""


def _compile_scaled_cdf(x: Any, a: Any) -> Any:
    del a
    coefficients = gelu_constants.TAIL_FLOAT32 if x == types.float32 else gelu_constants.TAIL_FLOAT64

    def scaled_cdf(x: Any, a: Any) -> Any:  # noqa: ARG001 - chosen by its type
        t = (a - 5) / (a + 5)
        y = 0.0
        for coefficient in coefficients:
            y = y * t + coefficient
        return y / (1 + gelu_constants.SQRT_2 * a)

    return scaled_cdf


overload(_scaled_cdf, jit_options=OPTIONS)(_compile_scaled_cdf)
