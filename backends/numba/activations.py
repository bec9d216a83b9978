"""Numba: smooth activations, as formulas of one element; see `piecewise` for their types.

They are those of the NumPy backend, but a choice between two values costs nothing here. Where exp(-a) would be
subnormal and its factor is large, it is lifted, and brought down last.
"""

# ruff: noqa: D403 - formulas begin with their variables
# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends import gelu_constants as constants
from backends.host import Pairs
from backends.numba import elementary
from backends.numba import gelu as gelus
from backends.numba.compilation import formula
from backends.numba.elementary import (
    exp,
    exp_minus,
    expm1,
    lift,
    lifted_exp,
    log1p_of_fraction,
    lowered,
    lowest_lifted,
    smallest_normal,
)
from backends.numba.intrinsics import fma, is_negative, polynomial
from backends.numba.ops import elementwise, moving, one_of
from backends.numba.piecewise import clip, max_0

SELU_SCALE = 1.0507009873554804934193349852946
SELU_SCALE_ALPHA = 1.7580993408473768599402175208123  # times 1.6732632423543772848170429916717


@formula
def sigmoid(x: Any) -> Any:
    """exp(min(x, 0)) / (1 + exp(-|x|)), both lifted."""
    one = lift(x)
    e = lifted_exp(-abs(x))
    return (e if is_negative(x) else one) / (one + e)


@formula
def sigmoid_vjp(g: Any, x: Any) -> Any:
    """σ(x)·σ(-x): 1 - σ(x) would cancel."""
    return g * _slope(lifted_exp(-abs(x)), type(x)(1))


@formula
def tanh(x: Any) -> Any:
    """2/(1 + exp(-2x)) - 1, without cancellation."""
    return elementary.tanh(x)


@formula
def tanh_vjp(g: Any, x: Any) -> Any:
    """sech²(x) = 4e/(1 + e)², e = exp(-2|x|): 1 - tanh² would cancel."""
    number = type(x)
    return g * _slope(lifted_exp(number(-2) * abs(x)), number(4))


@formula
def elu(x: Any, alpha: Any) -> Any:
    """x right of zero, alpha·(exp(x) - 1) left of it."""
    number = type(x)
    return x if x > number(0) else number(alpha) * expm1(x)


@formula
def elu_vjp(g: Any, x: Any, alpha: Any) -> Any:
    """1 right of zero, alpha·exp(x) left of it."""
    number = type(x)
    return g * (number(1) if x > number(0) else number(alpha) * exp(x))


@formula
def celu(x: Any, alpha: Any) -> Any:
    """x right of zero, alpha·(exp(x/alpha) - 1) left of it, but x where x/alpha would be subnormal."""
    number = type(x)
    near = abs(x) < number(alpha) * smallest_normal(x)
    return x if (x > number(0)) | near else number(alpha) * expm1(_quotient(x, alpha))


@formula
def celu_vjp(g: Any, x: Any, alpha: Any) -> Any:
    """1 right of zero, exp(x/alpha) left of it."""
    number = type(x)
    return g * (number(1) if x > number(0) else exp(_quotient(x, alpha)))


@formula
def selu(x: Any) -> Any:
    """scale·elu(x), alpha = 1.673."""
    number = type(x)
    return number(SELU_SCALE) * x if x > number(0) else number(SELU_SCALE_ALPHA) * expm1(x)


@formula
def selu_vjp(g: Any, x: Any) -> Any:
    """scale right of zero, scale·alpha·exp(x) left of it."""
    number = type(x)
    return g * (number(SELU_SCALE) if x > number(0) else number(SELU_SCALE_ALPHA) * exp(x))


@formula
def gelu(x: Any) -> Any:
    """x·cdf(x) = max(x, 0) - a·cdf(-a), a = |x|."""
    a = gelus.capped(x, gelus.normal_cutoff(x))
    part, rest = gelus.exp_of_minus(*gelus.half_square(a))
    return max_0(x) - a * gelus.scaled_cdf(a) * part * rest


@formula
def gelu_vjp(g: Any, x: Any) -> Any:
    """cdf(x) + x·pdf(x): left of zero r = cdf(-a) - a·pdf(a), right of it 1 - r."""
    number = type(x)
    a = gelus.capped(x, gelus.normal_cutoff(x))
    part, rest = gelus.exp_of_minus(*gelus.half_square(a))
    r = (gelus.scaled_cdf(a) - a * number(constants.PDF_AT_0)) * part * rest
    return g * (r if is_negative(x) else number(1) - r)


@formula
def gelu_tanh(x: Any) -> Any:
    """x·σ(2u(x)) = max(x, 0) - a·σ(-2u(a)): 1 + tanh(u) would cancel left of zero."""
    a = gelus.capped(x, gelus.tanh_cutoff(x))
    part, rest = gelus.exp_of_minus(*gelus.cubic(a))
    return max_0(x) - a * part / (type(x)(1) + part * rest) * rest


@formula
def gelu_tanh_vjp(g: Any, x: Any) -> Any:
    """As silu's, with 2u(a) in place of a."""
    number = type(x)
    a = gelus.capped(x, gelus.tanh_cutoff(x))
    part, rest = gelus.exp_of_minus(*gelus.cubic(a))
    s = number(1) + part * rest
    slope = a * (number(constants.LINEAR) + number(3 * constants.CUBIC) * (a * a))
    r = (s - slope) * part / (s * s) * rest
    return g * (r if is_negative(x) else number(1) - r)


@formula
def silu(x: Any) -> Any:
    """x·σ(x) = x/(1 + e) right of zero, x·e/(1 + e) left of it, e = exp(-|x|), brought down last."""
    number = type(x)
    one, lowest = number(1), lowest_lifted(x)
    x = lowest if x < lowest else x
    e = lifted_exp(-abs(x))
    left = is_negative(x)
    return x * (e if left else one) / fma(e, lowered(x), one) * (lowered(x) if left else one)


@formula
def silu_vjp(g: Any, x: Any) -> Any:
    """σ(x)·(1 + x·σ(-x)): left of zero r = e·(1 + e - a)/(1 + e)², right of it 1 - r; e = exp(-a)."""
    number = type(x)
    a = _capped(x)
    e = lifted_exp(-a)
    s = fma(e, lowered(x), number(1))
    r = (s - a) * e / (s * s) * lowered(x)
    return g * (r if is_negative(x) else number(1) - r)


@formula
def mish(x: Any) -> Any:
    """x·(1 - 2e²/(1 + 2e + 2e²)) right of zero, x·e·(1 - e·(1 + e)/(2 + 2e + e²)) left of it, e = exp(-|x|).

    tanh(log(1 + y)) is a quotient of polynomials in y; what is subtracted from 1 is at most 2/5.
    """
    number = type(x)
    one, two = number(1), number(2)
    a = _capped(x)
    lifted = lifted_exp(-a)
    e = lifted * lowered(x)
    right = x * (one - two * e * e / (one + two * e * (one + e)))
    left = -a * lifted * (one - e * (one + e) / (two + e * (two + e))) * lowered(x)
    return left if is_negative(x) else right


@formula
def mish_vjp(g: Any, x: Any) -> Any:
    """1 + e²·(4x - 2 + 4(x - 1)e - 4e²) / (1 + 2e + 2e²)², e = exp(-|x|), right of zero.

    Left of it, e·(4(x + 1) + (4x + 6)e + 4e² + e³) / (2 + 2e + e²)².
    """
    number = type(x)
    one, two, four = number(1), number(2), number(4)
    a = _capped(x)
    lifted = lifted_exp(-a)
    e = lifted * lowered(x)
    s = one + two * e * (one + e)
    right = one + e * e * (four * a - two + four * e * (a - one - e)) / (s * s)
    s = two + e * (two + e)
    left = (four * (one - a) + e * (number(6) - four * a + e * (four + e))) * lifted / (s * s) * lowered(x)
    return g * (left if is_negative(x) else right)


@formula
def softplus(x: Any) -> Any:
    """max(x, 0) + log(1 + exp(-|x|))."""
    return max_0(x) + log1p_of_fraction(exp_minus(abs(x)))


@formula
def softplus_vjp(g: Any, x: Any) -> Any:
    """σ(x)."""
    return g * sigmoid(x)


@formula
def softsign(x: Any) -> Any:
    """x / (1 + |x|), where 1 is lost next to 2**60: hence -1 and 1 at infinity."""
    x = clip(x, -(2.0**60), 2.0**60)
    return x / (type(x)(1) + abs(x))


@formula
def softsign_vjp(g: Any, x: Any) -> Any:
    """1 / (1 + |x|)²."""
    s = type(x)(1) + abs(x)
    return g / s / s


@formula
def log_sigmoid(x: Any) -> Any:
    """min(x, 0) - log(1 + exp(-|x|))."""
    return -softplus(-x)


@formula
def log_sigmoid_vjp(g: Any, x: Any) -> Any:
    """σ(-x)."""
    return g * sigmoid(-x)


def _shrink_fraction(depth: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return numerator and denominator of 1 - tanh(x)/x as polynomials in s = x², highest power first.

    Lambert's continued fraction (DLMF 4.39.1), tanh(x) = x/(1 + c), c = s/(3 + s/(5 + ... s/(2·depth + 1))),
    evaluated from its end, so that 1 - tanh(x)/x = c/(1 + c). All coefficients are positive integers.
    """
    above, below = [0], [1]  # of c, lowest power first
    for n in range(2 * depth + 1, 1, -2):
        above, below = [0, *below], _sum([n * k for k in below], above)
    return tuple(map(float, above[::-1])), tuple(map(float, _sum(below, above)[::-1]))


def _sum(p: list[int], q: list[int]) -> list[int]:
    length = max(len(p), len(q))
    return [a + b for a, b in zip(p + [0] * (length - len(p)), q + [0] * (length - len(q)), strict=True)]


# At |x| = 2 the errors are 2e-10 and 1e-18, relative to 1 - tanh(x)/x.
_SHRINK = {"float32": _shrink_fraction(7), "float64": _shrink_fraction(11)}
_shrink_above = polynomial({name: above for name, (above, _) in _SHRINK.items()})
_shrink_below = polynomial({name: below for name, (_, below) in _SHRINK.items()})


@formula
def tanh_shrink(x: Any) -> Any:
    """x - tanh(x), by a continued fraction up to |x| = 2, where the difference cancels."""
    s = x * x
    near = x * (_shrink_above(s) / _shrink_below(s))
    return near if abs(x) < type(x)(2) else x - elementary.tanh(x)


@formula
def tanh_shrink_vjp(g: Any, x: Any) -> Any:
    """tanh²(x), in float64: the square doubles the 2 ULP of a tanh."""
    y = elementary.tanh(np.float64(x))
    return g * y * y


@formula
def squareplus(x: Any, b: Any) -> Any:
    """y = (|x| + √(x² + b)) / 2 right of zero, b/(4y) left of it, where x + √(x² + b) would cancel."""
    number = type(x)
    y = _squareplus_of_size(x, _hypot(x, number(math.sqrt(b))))
    return number(0.25 * b) / y if is_negative(x) else y


@formula
def squareplus_vjp(g: Any, x: Any, b: Any) -> Any:
    """(1 + x/√(x² + b)) / 2: left of zero r = b/(4y√(x² + b)), right of it 1 - r."""
    number = type(x)
    root = _hypot(x, number(math.sqrt(b)))
    r = number(0.25 * b) / _squareplus_of_size(x, root) / root
    return g * (r if is_negative(x) else number(1) - r)


@formula
def exponential(x: Any) -> Any:
    """exp(x)."""
    return exp(x)


@formula
def exponential_vjp(g: Any, x: Any) -> Any:
    """exp(x)."""
    return g * exp(x)


# --- shared parts ----------------------------------------------------------------------------------------------


@formula
def _slope(e: Any, factor: Any) -> Any:
    """factor·e/(1 + e)² of a lifted e."""
    one = lift(e)
    s = one + e
    return e * (factor * one) / (s * s)


@formula
def _capped(x: Any) -> Any:
    """Return |x|, capped where |x|·exp(-|x|) is 0, so that an infinite one makes no inf·0."""
    a, limit = abs(x), -lowest_lifted(x)
    return limit if a > limit else a


@formula
def _quotient(x: Any, divisor: Any) -> Any:
    """x / divisor, where 1/divisor in two parts of the type of x makes up for a division in float64."""
    inverse = np.float64(1) / divisor
    high = type(x)(inverse)
    low = type(x)(inverse - np.float64(high))
    # An infinite x times a low part of 0 would be NaN.
    return x * high if abs(x) == type(x)(math.inf) else fma(x, high, x * low)


@formula
def _hypot(x: Any, y: Any) -> Any:
    """√(x² + y²) for y > 0: the larger times √(1 + quotient²), which does not overflow."""
    a = abs(x)
    large, small = (y, a) if a < y else (a, y)
    quotient = small / large
    return large * math.sqrt(fma(quotient, quotient, type(x)(1)))


@formula
def _squareplus_of_size(x: Any, root: Any) -> Any:
    """(|x| + root) / 2, halved first so that it does not overflow."""
    half = type(x)(0.5)
    return half * abs(x) + half * root


OPS: Pairs = {
    "sigmoid": (elementwise(sigmoid), elementwise(sigmoid_vjp)),
    "tanh": (elementwise(tanh), elementwise(tanh_vjp)),
    "elu": (elementwise(elu), elementwise(elu_vjp)),
    "celu": (elementwise(celu), elementwise(celu_vjp)),
    "selu": (elementwise(selu), elementwise(selu_vjp)),
    "gelu": (
        one_of("approximate", {"none": elementwise(gelu), "tanh": elementwise(gelu_tanh)}),
        one_of("approximate", {"none": elementwise(gelu_vjp), "tanh": elementwise(gelu_tanh_vjp)}),
    ),
    "silu": (elementwise(silu), elementwise(silu_vjp)),
    "mish": (elementwise(mish), elementwise(mish_vjp)),
    "softplus": (elementwise(softplus), elementwise(softplus_vjp)),
    "softsign": (moving(softsign), moving(softsign_vjp)),
    "log_sigmoid": (elementwise(log_sigmoid), elementwise(log_sigmoid_vjp)),
    "tanh_shrink": (elementwise(tanh_shrink), elementwise(tanh_shrink_vjp)),
    "squareplus": (elementwise(squareplus), elementwise(squareplus_vjp)),
    "exponential": (elementwise(exponential), elementwise(exponential_vjp)),
}
