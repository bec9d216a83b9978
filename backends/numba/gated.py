"""Numba: activations of two arrays, as formulas of one element; see `piecewise` for their types.

Where an op is linear in x, its vjp is the op itself, with g in place of x. Where exp(-a) would be subnormal and
its factor is large, h² = exp(-a) is multiplied in one h after the other.
"""

# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here
# ruff: noqa: PLR0124 - only NaN differs from itself

from __future__ import annotations

import math
from typing import Any

from backends.host import Pairs
from backends.numba import gelu as gelus
from backends.numba.compilation import formula
from backends.numba.elementary import exp_minus, exp_minus_parts
from backends.numba.intrinsics import fma, is_negative
from backends.numba.ops import elementwise, moving, one_of
from backends.numba.piecewise import relu


@formula
def prelu(x: Any, weight: Any) -> Any:
    """Slope 1 right of zero, `weight` left of it; NaN for any weight that is."""
    return x if x > type(x)(0) and weight == weight else weight * x


@formula
def prelu_vjp(g: Any, x: Any, weight: Any) -> Any:
    """1 where x > 0, else the weight."""
    number = type(x)
    return g * (x if x != x else (number(1) if x > number(0) and weight == weight else weight))


@formula
def swiglu(x: Any, gate: Any) -> Any:
    """x·silu(gate); left of zero -x·a·h/(1 + h²)·h, a = -gate."""
    number = type(x)
    a = abs(gate)
    a = number(4096) if a > number(4096) else a  # exp(-2048) is 0, and infinity times it NaN
    h = exp_minus(number(0.5) * a)
    part = a * h / (number(1) + h * h)
    return x * (gate - part * h) if gate > number(0) else _unless_infinite(-x * part * h, x, gate, gate)


@formula
def swiglu_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """silu(gate)."""
    return swiglu(g, gate)


@formula
def geglu(x: Any, gate: Any) -> Any:
    """x·gelu(gate)."""
    a = gelus.capped(gate, gelus.normal_cutoff(gate))
    return _gated(x, gate, a * gelus.scaled_cdf(a), *gelus.half_square(a))


@formula
def geglu_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """gelu(gate)."""
    return geglu(g, gate)


@formula
def geglu_tanh(x: Any, gate: Any) -> Any:
    """x·gelu_tanh(gate)."""
    a = gelus.capped(gate, gelus.tanh_cutoff(gate))
    high, low = gelus.cubic(a)
    part, rest = gelus.exp_of_minus(high, low)
    return _gated(x, gate, a / (type(x)(1) + part * rest), high, low)


@formula
def geglu_tanh_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """gelu_tanh(gate)."""
    return geglu_tanh(g, gate)


@formula
def reglu(x: Any, gate: Any) -> Any:
    """x·relu(gate)."""
    return x * relu(gate)


@formula
def reglu_vjp(g: Any, x: Any, gate: Any) -> Any:  # noqa: ARG001 - called like the others
    """relu(gate)."""
    return g * relu(gate)


# --- shared parts ----------------------------------------------------------------------------------------------


@formula
def times_sigmoid(x: Any, gate: Any) -> Any:
    """x·σ(gate); left of zero x·h/(1 + h²)·h."""
    number = type(x)
    h = exp_minus(number(0.5) * abs(gate))
    part = x / (number(1) + h * h)
    return _unless_infinite(part * h * h if is_negative(gate) else part, x, number(1), gate)


@formula
def times_sigmoid_slope(x: Any, gate: Any) -> Any:
    """x·σ(gate)·σ(-gate) = x·h/(1 + h²)²·h."""
    number = type(x)
    h = exp_minus(number(0.5) * abs(gate))
    s = number(1) + h * h
    return _unless_infinite(x * h / (s * s) * h, x, number(1), gate)


@formula
def _gated(x: Any, gate: Any, factor: Any, high: Any, low: Any) -> Any:
    """x·(max(gate, 0) - factor·exp(-(high + low))), in an order in which nothing but the result underflows.

    exp(-high) is the square of exp(-high/2), since a large x makes up for more than the range of its factors.
    """
    part, rest = exp_minus_parts(type(x)(0.5) * high)
    factor = fma(factor, -low, factor)
    left = -x * part * rest * factor * part * rest  # factor times either root is below 1: x does not overflow
    left = x * type(x)(0) if gate == type(x)(-math.inf) else left
    root = part * rest
    right = x * (gate - factor * root * root)
    return right if gate > type(x)(0) else _unless_infinite(left, x, gate, gate)


@formula
def _unless_infinite(product: Any, x: Any, factor: Any, gate: Any) -> Any:
    """Return the product, but x·factor where x is infinite: the other factors may have underflowed to 0.

    If the gate is infinite too, 0·inf is NaN, and stays.
    """
    infinity = type(x)(math.inf)
    return x * factor if (abs(x) == infinity) & (abs(gate) < infinity) else product


OPS: Pairs = {
    "prelu": (moving(prelu), moving(prelu_vjp)),
    "swiglu": (elementwise(swiglu), elementwise(swiglu_vjp)),
    "geglu": (
        one_of("approximate", {"none": elementwise(geglu), "tanh": elementwise(geglu_tanh)}),
        one_of("approximate", {"none": elementwise(geglu_vjp), "tanh": elementwise(geglu_tanh_vjp)}),
    ),
    "reglu": (moving(reglu), moving(reglu_vjp)),
}
