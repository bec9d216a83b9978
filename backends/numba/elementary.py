"""Elementary functions for Numba that LLVM vectorises: exp, expm1, log, log1p and tanh, float32 and float64.

A call of the C library's exp keeps a loop from being vectorised, and Numba's wheels bring no vector library. These
functions are arithmetic without branches: the argument is reduced to a small interval, a polynomial is evaluated
there, and the exponent is put in through the bits of the number. Fused multiply-adds are asked for one by one,
since they are part of the error analysis; a processor without them gets the same results, slowly.

Their errors are below 1 ULP for exp and logarithms, 1.7 for expm1 and 2.6 for tanh:
tests/backends/test_elementary.py goes through all of float32. Special values are those of C's Annex F. The
coefficients are in `elementary_constants`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import overload

from backends.numba import elementary_constants as constants
from backends.numba.compilation import OPTIONS, formula
from backends.numba.intrinsics import by_type, copysign, fma, one_power, polynomial, split, two_powers

INFINITY = math.inf
NOT_A_NUMBER = math.nan

_exp_polynomial = polynomial(constants.EXP)
_log_polynomial = polynomial(constants.LOG)
_log_quotient_polynomial = polynomial(constants.LOG_QUOTIENT)
_log_to_2_polynomial = polynomial(constants.LOG_TO_2)
_log_2_high = by_type(constants.LOG_2_HIGH)
_log_2_low = by_type(constants.LOG_2_LOW)
_lowest_exponent = by_type(constants.LOWEST_EXPONENT)
_highest_exponent = by_type(constants.HIGHEST_EXPONENT)
lowest_lifted = by_type(constants.LOWEST_LIFTED)
lift = by_type({name: 2.0**power for name, power in constants.LIFT.items()})
lowered = by_type({name: 2.0**-power for name, power in constants.LIFT.items()})
_large = by_type(constants.LARGE)
_lifted_large = by_type(constants.LIFTED_LARGE)
_halved_large = by_type(constants.HALVED_LARGE)
_lowest_expm1 = by_type(constants.LOWEST_EXPM1)
smallest_normal = by_type({"float32": 2.0**-126, "float64": 2.0**-1022})
_subnormal_shift = by_type({"float32": 24, "float64": 53})

# --- exponentials ---------------------------------------------------------------------------------------------


@formula
def exp(x: Any) -> Any:
    """2**n·exp(r)."""
    part, rest = exp_parts(x)
    return part * rest


@formula
def exp_parts(x: Any) -> Any:
    """Return two factors of exp(x), the second of them a power of two; neither is subnormal.

    Multiplying by one and then by the other rounds once more only where the product itself is subnormal.
    """
    highest = _highest_exponent(x)
    return _exp_parts(highest if x > highest else x)  # noqa: FURB136 - NaN stays


@formula
def lifted_exp(x: Any) -> Any:
    """2**LIFT·exp(x) for x <= 0, to be brought down (`lowered`) last: a normal number, made with one power."""
    lowest = lowest_lifted(x)
    shifted, r = _reduce(lowest if x < lowest else x, _lifted_large(x))  # noqa: FURB136 - NaN stays
    power = one_power(shifted)
    return fma(r * power, _growth(r), power)


@formula
def exp_minus(a: Any) -> Any:
    """exp(-a) for a >= 0; made with one power of two, where `exp` needs two."""
    return lifted_exp(-a) * lowered(a)


@formula
def exp_minus_parts(a: Any) -> Any:
    """Return such factors of exp(-a), for a >= 0."""
    return _exp_parts(-a)


@formula
def expm1(x: Any) -> Any:
    """exp(x) - 1, without cancellation."""
    highest = _highest_exponent(x)
    half = _half_expm1(highest if x > highest else x)  # noqa: FURB136 - NaN stays
    return copysign(half + half, x)  # -0 is its own


@formula
def tanh(x: Any) -> Any:
    """-m/(2 + m), m = exp(-2|x|) - 1."""
    half = _half_expm1(type(x)(-2) * abs(x))
    return copysign(half / (type(x)(1) + half), x)


@formula
def _half_expm1(x: Any) -> Any:
    """(exp(x) - 1) / 2 = 2**(n - 1)·(exp(r) - 1) + (2**(n - 1) - 1/2); the last difference is exact near 0."""
    lowest = _lowest_expm1(x)
    shifted, r = _reduce(lowest if x < lowest else x, _halved_large(x))  # noqa: FURB136 - NaN stays
    power = one_power(shifted)
    return fma(r * power, _growth(r), power - type(x)(0.5))


@formula
def _exp_parts(x: Any) -> Any:
    lowest = _lowest_exponent(x)
    shifted, r = _reduce(lowest if x < lowest else x, _large(x))  # noqa: FURB136 - NaN stays
    first, second = two_powers(shifted)
    return fma(r * first, _growth(r), first), second


@formula
def _reduce(x: Any, large: Any) -> Any:
    """Return n + `large`, whose last bits are an exponent, and r, with x = n·log(2) + r and |r| <= log(2)/2."""
    shifted = fma(x, type(x)(constants.LOG2_E), large)  # rounds to an integer
    n = shifted - large
    return shifted, fma(n, -_log_2_low(x), fma(n, -_log_2_high(x), x))


@formula
def _growth(r: Any) -> Any:
    """(exp(r) - 1) / r = 1 + r·Q(r)."""
    return fma(_exp_polynomial(r), r, type(r)(1))


# --- logarithms -----------------------------------------------------------------------------------------------


@formula
def log(x: Any) -> Any:
    """Return the natural logarithm: -inf at 0, NaN below."""
    number = type(x)
    shift = _subnormal_shift(x)
    small = x < smallest_normal(x)
    m, n = split(x * number(2.0) ** shift if small else x)
    y = _log_of_parts(m - number(1), n - shift if small else n, number(0))
    y = x if x == number(INFINITY) else y
    y = number(-INFINITY) if x == number(0) else y
    return y if x >= number(0) else number(NOT_A_NUMBER)


@formula
def log1p(x: Any) -> Any:
    """log(1 + x): what 1 + x rounds off is added to its mantissa. -inf at -1, NaN below."""
    number = type(x)
    one = number(1)
    u = one + x
    m, n = split(u)
    lost = x - (u - one) if u < number(2) else one - (u - x)
    y = _log_of_parts(m - one, n, lost / u)
    y = x if (x == number(INFINITY)) | (u == one) else y
    y = number(-INFINITY) if x == number(-1) else y
    return y if x >= number(-1) else number(NOT_A_NUMBER)


@formula
def log1p_of_fraction(x: Any) -> Any:
    """Return log(1 + x) for 0 <= x <= 1, which needs no reduction and half the time."""
    s = x / (type(x)(2) + x)
    z = s * s
    half_square = type(x)(0.5) * x * x
    return x - (half_square - s * fma(z, _log_to_2_polynomial(z), half_square))


def _log_of_parts(f: Any, n: Any, rest: Any) -> Any:
    """log(1 + f) + n·log(2) + rest."""


def _log_by_polynomial(f: Any, n: Any, rest: Any) -> Any:
    """Let log(1 + f) = f - f²/2 + f³·P(f): eight coefficients do for float32."""
    bent = fma(_log_polynomial(f), f, type(f)(-0.5))
    small = fma(bent, f * f, fma(n, _log_2_low(f), rest))
    return fma(n, _log_2_high(f), f + small)


def _log_by_quotient(f: Any, n: Any, rest: Any) -> Any:
    """Let log(1 + f) = f - (f²/2 - s·(f²/2 + z·R(z))), s = f/(2 + f), z = s²: this is shorter for float64."""
    number = type(f)
    s = f / (number(2) + f)
    z = s * s
    half_square = number(0.5) * f * f
    small = s * fma(z, _log_quotient_polynomial(z), half_square) + fma(n, _log_2_low(f), rest)
    return fma(n, _log_2_high(f), f - (half_square - small))


@overload(_log_of_parts, jit_options={**OPTIONS, "forceinline": True}, strict=False)
def _choose_log(f: Any, n: Any, rest: Any) -> Callable[..., Any]:
    del n, rest
    return _log_by_polynomial if f == types.float32 else _log_by_quotient
