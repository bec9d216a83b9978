"""Formulas for one row of classes, for Numba: ops along an axis, which fill `out`.

Sums are in float64 (see `numba_loops.total`), and are rounded to the type of the row where an array is filled.
Those of exponentials are taken in one pass with the largest entry, block by block: where that grows, what was
summed before shrinks (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax").
"""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.elementary_constants import LIFT
from backends.numba_activations import times_sigmoid, times_sigmoid_slope
from backends.numba_elementary import lifted_exp, log
from backends.numba_intrinsics import add, by_type, from_bits, larger, smaller_unsigned, to_bits
from backends.numba_loops import BLOCK, formula, numbers, subroutine, sum_of

FOURS_FROM = 256
"""Numbers from which on it pays to add up four at a time first."""

_lowered = by_type({name: 2.0**-lift for name, lift in LIFT.items()})

# --- softmax and its kin: short rows --------------------------------------------------------------------------


@formula
def softmax(out: Any, x: Any) -> None:
    """exp(x - max(x)), normalised. A row with +inf, or of -inf alone, is NaN, as in PyTorch and JAX."""
    _scale(out, 1 / exps(out, x, 1))


@formula
def softmin(out: Any, x: Any) -> None:
    """softmax(-x)."""
    _scale(out, 1 / exps(out, x, -1))


@formula
def softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """y·(g - Σ g·y), y = softmax(x)."""
    _turn(out, g, exps(out, x, 1), 1)


@formula
def softmin_vjp(out: Any, g: Any, x: Any) -> None:
    """y·(Σ g·y - g), y = softmin(x)."""
    _turn(out, g, exps(out, x, -1), -1)


@formula
def log_softmax(out: Any, x: Any) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    log_softmax_of_sums(out, exp_sums(x), x)


@formula
def log_softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """g - softmax(x)·Σ g."""
    weight = type(x[0])(sum_of(g) / exps(out, x, 1))
    for j in range(x.shape[0]):
        out[j] = g[j] - out[j] * weight


@subroutine
def exps(out: Any, x: Any, sign: Any) -> Any:
    """Fill `out` with exp(sign·x - largest), lifted, and return their sum."""
    scale, largest = type(x[0])(sign), largest_of(x, sign)
    total = 0.0
    for start in range(0, x.shape[0], BLOCK):
        block, part = out[start : start + BLOCK], x[start : start + BLOCK]
        for j in range(part.shape[0]):
            block[j] = lifted_exp(scale * part[j] - largest)
        total += _sum_of_fours(block)
    return total


@formula
def _sum_of_fours(x: Any) -> Any:
    """Sum an array in float64, four added up in its own type at a time: a third of the instructions of `sum_of`.

    It is for sums that divide, not for those whose logarithm is taken: log(1 + tiny) would lose what is tiny.
    """
    n = x.shape[0] // 4 if x.shape[0] >= FOURS_FROM else 0
    first, second, third, fourth = x[:n], x[n : 2 * n], x[2 * n : 3 * n], x[3 * n : 4 * n]
    result = sum_of(x[4 * n :])
    for j in range(n):
        result = add(result, np.float64((first[j] + second[j]) + (third[j] + fourth[j])))
    return result


@formula
def _scale(out: Any, factor: Any) -> None:
    scale = type(out[0])(factor)
    for j in range(out.shape[0]):
        out[j] *= scale


@formula
def _turn(y: Any, g: Any, total: Any, sign: Any) -> None:
    """Turn y, exponentials with the sum `total`, into sign·y/total·(g - Σ g·y/total)."""
    number = type(y[0])
    scale, mean = number(sign / total), number(_dot(g, y) / total)
    for j in range(y.shape[0]):
        y[j] *= scale * (g[j] - mean)


@subroutine
def _dot(x: Any, y: Any) -> Any:
    result = 0.0
    for j in range(x.shape[0]):
        result = add(result, np.float64(x[j]) * np.float64(y[j]))
    return result


@subroutine
def largest_of(x: Any, sign: Any) -> Any:
    """Return the largest of sign·x, from their bits: LLVM vectorises a maximum of integers alone."""
    scale = type(x[0])(sign)
    above = below = to_bits(scale * x[0])
    for j in range(x.shape[0]):  # from 0, for whole vectors
        bits = to_bits(scale * x[j])
        above, below = larger(above, bits), smaller_unsigned(below, bits)
    return from_bits(above if above >= 0 else below, x[0])


# --- softmax and its kin: what is summed of long rows, and how that fills the row -----------------------------


@formula
def exp_sums(x: Any) -> Any:
    """Return the largest entry, and Σ exp(x - largest)."""
    return _exp_sums(x, x, 1, False)  # noqa: FBT003 - compiled code takes no keywords here


@formula
def weighted_exp_sums(g: Any, x: Any) -> Any:
    """Return those, and Σ g·exp(x - largest)."""
    return _exp_sums(g, x, 1, True)  # noqa: FBT003


@formula
def exp_sums_and_plain(g: Any, x: Any) -> Any:
    """Return those of x, and Σ g."""
    largest, exps, _, _ = exp_sums(x)
    return largest, exps, 0.0, sum_of(g)


@formula
def falling_exp_sums(x: Any) -> Any:
    """Return the largest of -x, and Σ exp(-x - largest)."""
    return _exp_sums(x, x, -1, False)  # noqa: FBT003


@formula
def falling_weighted_exp_sums(g: Any, x: Any) -> Any:
    """Return those, and Σ g·exp(-x - largest)."""
    return _exp_sums(g, x, -1, True)  # noqa: FBT003


@subroutine
def _exp_sums(g: Any, x: Any, sign: Any, weighted: Any) -> Any:
    number, scale = type(x[0]), type(x[0])(sign)
    largest, exps, weighted_exps = number(-math.inf), 0.0, 0.0
    block = numbers(x[0])
    for start in range(0, x.shape[0], BLOCK):
        part = x[start : start + BLOCK]
        grown = largest_of(part, sign)
        if grown > largest:
            if exps > 0:
                shrink = math.exp(np.float64(largest) - np.float64(grown))
                exps *= shrink
                weighted_exps *= shrink
            largest = grown
        if largest == number(-math.inf) and grown == largest:  # masked so far
            continue
        for j in range(part.shape[0]):
            block[j] = lifted_exp(scale * part[j] - largest)
        exps += sum_of(block[: part.shape[0]])
        if weighted:
            weighted_exps += _dot(g[start : start + BLOCK], block[: part.shape[0]])
    lowered = np.float64(_lowered(largest))
    return np.float64(largest), exps * lowered, weighted_exps * lowered, 0.0


@formula
def softmax_of_sums(out: Any, sums: Any, x: Any) -> None:
    """softmax(x)."""
    number = type(x[0])
    largest, scale = number(sums[0]), _lowered(x[0]) * number(1 / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(x[j] - largest) * scale


@formula
def softmax_vjp_of_sums(out: Any, sums: Any, g: Any, x: Any) -> None:
    """y·(g - Σ g·y), y = softmax(x)."""
    number = type(x[0])
    largest, scale, mean = number(sums[0]), _lowered(x[0]) * number(1 / sums[1]), number(sums[2] / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(x[j] - largest) * scale * (g[j] - mean)


@formula
def log_softmax_of_sums(out: Any, sums: Any, x: Any) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    number = type(x[0])
    largest, log_sum = number(sums[0]), number(log(sums[1]))
    for j in range(x.shape[0]):
        out[j] = (x[j] - largest) - log_sum


@formula
def log_softmax_vjp_of_sums(out: Any, sums: Any, g: Any, x: Any) -> None:
    """g - softmax(x)·Σ g."""
    number = type(x[0])
    largest, weight = number(sums[0]), _lowered(x[0]) * number(sums[3] / sums[1])
    for j in range(x.shape[0]):
        out[j] = g[j] - lifted_exp(x[j] - largest) * weight


@formula
def softmin_of_sums(out: Any, sums: Any, x: Any) -> None:
    """softmax(-x)."""
    number = type(x[0])
    largest, scale = number(sums[0]), _lowered(x[0]) * number(1 / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(-x[j] - largest) * scale


@formula
def softmin_vjp_of_sums(out: Any, sums: Any, g: Any, x: Any) -> None:
    """y·(Σ g·y - g), y = softmin(x)."""
    number = type(x[0])
    largest, scale, mean = number(sums[0]), _lowered(x[0]) * number(1 / sums[1]), number(sums[2] / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(-x[j] - largest) * scale * (mean - g[j])


# --- others ---------------------------------------------------------------------------------------------------


@subroutine
def sparsemax(out: Any, x: Any) -> None:
    """max(x - max(x) - tau, 0), where tau makes the sum 1; in float64. A row with +inf, or of -inf alone, is NaN.

    Σ max(x - max(x) - tau, 0) - 1 is convex and falls in tau, so that Newton's steps from the left, -1, stay left
    of its zero; they end there after a few, where sorting takes more and a copy.
    """
    largest = np.float64(largest_of(x, 1))
    tau = -1.0 if abs(largest) < np.inf else np.nan
    while True:
        count, above = 0.0, -1.0
        for j in range(x.shape[0]):
            shifted = np.float64(x[j]) - largest
            count = add(count, 1.0 if shifted > tau else 0.0)
            above = add(above, shifted if shifted > tau else 0.0)
        if not above / count > tau:  # nor if tau is NaN
            break
        tau = above / count
    for j in range(x.shape[0]):
        rest = np.float64(x[j]) - largest - tau
        out[j] = 0.0 if rest <= 0 else rest


@formula
def sparsemax_vjp(out: Any, g: Any, x: Any) -> None:
    """g less its mean over the entries above 0, and 0 at the others."""
    sparsemax(out, x)
    number = type(x[0])
    count, total = 0.0, 0.0
    for j in range(x.shape[0]):
        count = add(count, 1.0 if out[j] > 0 else 0.0)
        total = add(total, np.float64(g[j]) if out[j] > 0 else 0.0)
    mean = total / count
    for j in range(x.shape[0]):
        y = out[j]
        out[j] = number(g[j] - mean) if y > 0 else y  # 0, or NaN


@formula
def glu(out: Any, x: Any) -> None:
    """value·σ(gate), the halves of x."""
    half = out.shape[0]
    for j in range(half):
        out[j] = times_sigmoid(x[j], x[half + j])


@formula
def glu_vjp(out: Any, g: Any, x: Any) -> None:
    """g·σ(gate), and g·value·σ(gate)·σ(-gate)."""
    half = g.shape[0]
    value, gate, of_value, of_gate = x[:half], x[half:], out[:half], out[half:]
    for j in range(half):
        of_value[j] = times_sigmoid(g[j], gate[j])
    for j in range(half):
        of_gate[j] = g[j] * times_sigmoid_slope(value[j], gate[j])


@formula
def product(x: Any, y: Any) -> Any:
    """x·y."""
    return x * y
