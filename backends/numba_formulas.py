"""Scalar formulas for Numba; `numba_loops` puts the loops around them.

Literals in compiled code are float64 or int64 and promote a float32 next to them, so constants take the type of
the argument. Formulas that need float64 for the exponent say so and round once, when the result is stored.
They are the ones of the NumPy backend, where a choice between two values costs nothing here.
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

# --- activations ----------------------------------------------------------------------------------------------


@formula
def step(x: Any) -> Any:
    """1 where x > 0, else 0."""
    number = type(x)
    return x if x != x else (number(1) if x > number(0) else number(0))  # noqa: PLR0124 - NaN


@formula
def step_vjp(g: Any, x: Any) -> Any:
    """0, but NaN at NaN."""
    return g * (x if x != x else type(x)(0))  # noqa: PLR0124


@formula
def sigmoid(x: Any) -> Any:
    """exp(min(x, 0)) / (1 + exp(-|x|))."""
    one = type(x)(1)
    e = math.exp(-abs(x))
    return (one if x >= type(x)(0) else e) / (one + e)


@formula
def sigmoid_vjp(g: Any, x: Any) -> Any:
    """σ(x)·σ(-x) = e/(1 + e)², e = exp(-|x|): 1 - σ(x) would cancel."""
    e = math.exp(-abs(x))
    s = type(x)(1) + e
    return g * (e / (s * s))


@formula
def tanh(x: Any) -> Any:
    """`math.tanh`."""
    return math.tanh(x)


@formula
def tanh_vjp(g: Any, x: Any) -> Any:
    """sech²(x) = 4e/(1 + e)², e = exp(-2|x|): 1 - tanh² would cancel."""
    number = type(x)
    e = math.exp(number(-2) * abs(x))
    s = number(1) + e
    return g * (number(4) * (e / (s * s)))


@formula
def relu(x: Any) -> Any:
    """max(x, 0), written so that NaN stays."""
    zero = type(x)(0)
    return zero if x <= zero else x


@formula
def relu_vjp(g: Any, x: Any) -> Any:
    """1 where x > 0, else 0."""
    return g * step(x)


@formula
def leaky_relu(x: Any, slope: Any) -> Any:
    """Slope 1 right of zero, `slope` left of it."""
    return x if x > type(x)(0) else slope * x


@formula
def leaky_relu_vjp(g: Any, x: Any, slope: Any) -> Any:
    """1 where x > 0, else the slope."""
    number = type(x)
    return g * (x if x != x else (number(1) if x > number(0) else slope))  # noqa: PLR0124


@formula
def silu(x: Any) -> Any:
    """x·σ(x) = max(x, 0) - a·σ(-a), a = |x|.

    h² = exp(-a), multiplied one h after the other: where exp(-a) is subnormal, a·exp(-a) is not yet.
    """
    number = type(x)
    a = _capped(abs(x))
    h = math.exp(number(-0.5) * a)
    return max_0(x) - a * h / (number(1) + h * h) * h


@formula
def silu_vjp(g: Any, x: Any) -> Any:
    """σ(x)·(1 + x·σ(-x)): left of zero r = e·(1 + e - a)/(1 + e)², right of it 1 - r; e = h² = exp(-a)."""
    number = type(x)
    a = _capped(abs(x))
    h = math.exp(number(-0.5) * a)
    s = number(1) + h * h
    r = (s - a) * h / (s * s) * h
    return g * (r if x < number(0) else number(1) - r)


@formula
def softplus(x: Any) -> Any:
    """max(x, 0) + log(1 + exp(-|x|))."""
    return max_0(x) + math.log1p(math.exp(-abs(x)))


@formula
def softplus_vjp(g: Any, x: Any) -> Any:
    """σ(x)."""
    return g * sigmoid(x)


@formula
def max_0(x: Any) -> Any:
    """Return the larger of x and 0, and 0 for NaN: to be added to what is NaN then."""
    zero = type(x)(0)
    return x if x > zero else zero


@formula
def _capped(a: Any) -> Any:
    """Keep an infinite a from making inf·0: exp(-2048) is 0 by far."""
    limit = type(a)(4096)
    return limit if a > limit else a


# --- gelu, in float64 for both dtypes -------------------------------------------------------------------------


@formula
def gelu(x: Any) -> Any:
    """x·cdf(x) = max(x, 0) - a·cdf(-a), a = |x|."""
    a = _magnitude(x)
    e = _scaled_exp(*_half_square(a))
    return max_0(np.float64(x)) - a * _scaled_cdf(x, a) * e * gelu_constants.SCALE


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
    a = _magnitude(x)
    e = _scaled_exp(*_cubic(a))
    return max_0(np.float64(x)) - a * e / (1 + e * gelu_constants.SCALE) * gelu_constants.SCALE


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

# --- losses per element ---------------------------------------------------------------------------------------


@formula
def mean_squared_error(prediction: Any, target: Any) -> Any:
    """(prediction - target)²."""
    difference = prediction - target
    return difference * difference


@formula
def mean_squared_error_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """2·(prediction - target)."""
    difference = prediction - target
    return g * (difference + difference)


@formula
def mean_absolute_error(prediction: Any, target: Any) -> Any:
    """|prediction - target|."""
    return abs(prediction - target)


@formula
def mean_absolute_error_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """Return the sign of prediction - target, 0 where they are equal."""
    number = type(prediction)
    difference = prediction - target
    return g * (number(-1) if difference < number(0) else step(difference))


@formula
def binary_cross_entropy_with_logits(x: Any, t: Any) -> Any:
    """log(1 + exp(-|x|)) + |x|·w, where w = 1 - t right of zero and t left of it."""
    zero = type(x)(0)
    w = type(x)(1) - t if x >= zero else t
    # A certain and correct prediction costs nothing, where inf·0 would be NaN.
    return math.log1p(math.exp(-abs(x))) + (zero if w == zero else abs(x) * w)


@formula
def binary_cross_entropy_with_logits_vjp(g: Any, x: Any, t: Any) -> Any:
    """σ(x) - t."""
    return g * (sigmoid(x) - t)
