"""Numba: activations along an axis, as formulas of one row, which fill `out`.

Sums are in float64 (see `sums.total`), and are rounded to the type of the row where an array is filled. For long
rows, one pass finds both the largest entry and the sum of exponentials, block by block: when the largest entry
grows, the sum so far is scaled down (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax").
"""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import overload

from backends.catalogue import find
from backends.host import Pairs
from backends.numba.compilation import OPTIONS, formula, subroutine
from backends.numba.elementary import lifted_exp, log, lowered
from backends.numba.gated import times_sigmoid, times_sigmoid_slope
from backends.numba.intrinsics import (
    add,
    begin_together,
    call_apart,
    larger,
    smaller_unsigned,
    unowned,
)
from backends.numba.loops import APART_FROM, BLOCK, fetch, fill, numbers
from backends.numba.narrow import is_narrow, number_of_stored, stored_bits
from backends.numba.ops import along_axis, along_axis_in_two_passes
from backends.numba.sums import sum_of, sum_of_fours

# --- softmax and its kin: short rows --------------------------------------------------------------------------


@formula
def softmax(out: Any, x: Any) -> None:
    """exp(x - max(x)), normalised. A row with +inf, or of -inf alone, is NaN, as in PyTorch and JAX."""
    _scale(out, 1 / exps(out, x, rising))


@formula
def softmin(out: Any, x: Any) -> None:
    """softmax(-x)."""
    _scale(out, 1 / exps(out, x, falling))


@formula
def softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """y·(g - Σ g·y), y = softmax(x)."""
    fetch(g, 0, g.shape[0])
    _turn(out, g, exps(out, x, rising), rising)


@formula
def softmin_vjp(out: Any, g: Any, x: Any) -> None:
    """y·(Σ g·y - g), y = softmin(x)."""
    fetch(g, 0, g.shape[0])
    _turn(out, g, exps(out, x, falling), falling)


@formula
def log_softmax(out: Any, x: Any) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x))).

    The exponentials go through `out`, whose lines the processor then fetches while it computes: a tenth to a fifth
    of the time.
    """
    if begin_together(out, x):  # in place: x is needed again
        log_softmax_of_sums(out, exp_sums(x), x)
    else:
        largest, lifted = exps_summed(out, x, rising, sum_of)
        _subtract(out, x, largest, type(x[0])(log(lifted * np.float64(lowered(x[0])))))


@formula
def log_softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """g - softmax(x)·Σ g."""
    fetch(g, g.shape[0], 2 * g.shape[0])
    weight = type(x[0])(sum_of(g) / exps(out, x, rising))
    for j in range(x.shape[0]):
        out[j] = g[j] - out[j] * weight


@formula
def rising(x: Any) -> Any:
    """Return x: softmax takes its exponential. As a function, it is compiled into the loop."""
    return x


@formula
def falling(x: Any) -> Any:
    """Return -x: softmin takes its exponential."""
    return -x


@formula
def exps(out: Any, x: Any, turned: Any) -> Any:
    """Fill `out` with exp(turned(x) - largest), lifted, and return their sum, to divide by."""
    _, total = exps_summed(out, x, turned, sum_of_fours)
    return total


@subroutine
def exps_summed(out: Any, x: Any, turned: Any, add_up: Any) -> Any:
    """Fill `out` with exp(turned(x) - largest), lifted; return the largest, and their sum by `add_up`."""
    n, total = x.shape[0], 0.0
    largest = largest_of(x, turned)
    for start in range(0, n, BLOCK):
        block = unowned(out)[start : start + BLOCK]
        # Of the next row: with nothing to compute meanwhile, its largest entry would wait for memory.
        fetch(x, n + start, n + min(start + BLOCK, n))
        _fill_exps(block, unowned(x)[start : start + BLOCK], largest, turned)
        total += add_up(block)
    return largest, total


@formula
def _fill_exps(out: Any, x: Any, largest: Any, turned: Any) -> None:
    if x.shape[0] < APART_FROM:
        _exps_of(out, x, largest, turned)
    else:
        call_apart(_exps_of, (out, x, largest, turned))


@subroutine
def _exps_of(out: Any, x: Any, largest: Any, turned: Any) -> None:
    for j in range(x.shape[0]):
        out[j] = lifted_exp(turned(x[j]) - largest)


@formula
def _scale(out: Any, factor: Any) -> None:
    scale = type(out[0])(factor)
    for j in range(out.shape[0]):
        out[j] *= scale


@formula
def _turn(y: Any, g: Any, total: Any, turned: Any) -> None:
    """Turn y, exponentials with the sum `total`, into turned(y/total·(g - Σ g·y/total))."""
    number = type(y[0])
    scale, mean = number(turned(1 / total)), number(dot(g, y) / total)
    for j in range(y.shape[0]):
        y[j] *= scale * (g[j] - mean)


def dot(x: Any, y: Any) -> Any:
    """Return Σ x·y, in float64; where x is of a narrow type, four products are added up in float32 first.

    Each is rounded by at most 2^-12 of what the result of a narrow type is rounded by. A gradient of softmax whose
    rows are in the cache takes 12 to 24 % less time.
    """


@formula
def _dot(x: Any, y: Any) -> Any:
    result = 0.0
    for j in range(x.shape[0]):
        result = add(result, np.float64(x[j]) * np.float64(y[j]))
    return result


@formula
def _dot_in_fours(x: Any, y: Any) -> Any:
    n = x.shape[0] // 4
    result = _dot(x[4 * n :], y[4 * n :])
    for j in range(n):
        first = x[j] * y[j] + x[n + j] * y[n + j]
        second = x[2 * n + j] * y[2 * n + j] + x[3 * n + j] * y[3 * n + j]
        result = add(result, np.float64(first + second))
    return result


def _compile_dot(x: Any, y: Any) -> Any:
    del y

    def in_fours(x: Any, y: Any) -> Any:
        return _dot_in_fours(x, y)

    def one_by_one(x: Any, y: Any) -> Any:
        return _dot(x, y)

    return in_fours if is_narrow(x) else one_by_one


overload(dot, jit_options=OPTIONS, strict=False)(_compile_dot)


@subroutine
def largest_of(x: Any, turned: Any) -> Any:
    """Return the largest of turned(x), x or -x, from its bits: LLVM vectorises a maximum of integers only."""
    above = below = stored_bits(turned(x[0]), x)
    for j in range(x.shape[0]):  # from 0, for whole vectors
        bits = stored_bits(turned(x[j]), x)
        above, below = larger(above, bits), smaller_unsigned(below, bits)
    return number_of_stored(above if above >= 0 else below, x)


# --- softmax and its kin: sums of long rows, and how they fill the row -----------------------------------------


@formula
def exp_sums(x: Any) -> Any:
    """Return the largest entry, and Σ exp(x - largest)."""
    return _exp_sums(x, x, rising, False)  # noqa: FBT003 - compiled code takes no keywords here


@formula
def weighted_exp_sums(g: Any, x: Any) -> Any:
    """Return the largest entry, Σ exp(x - largest), and Σ g·exp(x - largest)."""
    return _exp_sums(g, x, rising, True)  # noqa: FBT003


@formula
def exp_sums_and_plain(g: Any, x: Any) -> Any:
    """Return the sums of `exp_sums`, and Σ g."""
    largest, exps, _, _ = exp_sums(x)
    return largest, exps, 0.0, sum_of(g)


@formula
def falling_exp_sums(x: Any) -> Any:
    """Return the largest of -x, and Σ exp(-x - largest)."""
    return _exp_sums(x, x, falling, False)  # noqa: FBT003


@formula
def falling_weighted_exp_sums(g: Any, x: Any) -> Any:
    """Return the largest of -x, Σ exp(-x - largest), and Σ g·exp(-x - largest)."""
    return _exp_sums(g, x, falling, True)  # noqa: FBT003


@subroutine
def _exp_sums(g: Any, x: Any, turned: Any, weighted: Any) -> Any:
    number = type(x[0])
    largest, exps, weighted_exps = number(-math.inf), 0.0, 0.0
    block = numbers(x[0])
    for start in range(0, x.shape[0], BLOCK):
        part = unowned(x)[start : start + BLOCK]
        grown = largest_of(part, turned)
        if grown > largest:
            if exps > 0:
                shrink = math.exp(np.float64(largest) - np.float64(grown))
                exps *= shrink
                weighted_exps *= shrink
            largest = grown
        if largest == number(-math.inf) and grown == largest:  # masked so far; a NaN with a sign may be among it
            exps += _sum_of_nans(part)
            continue
        fetch(x, start + BLOCK, start + 2 * BLOCK)  # or of the next row
        _fill_exps(block, part, largest, turned)
        exps += sum_of(block[: part.shape[0]])
        if weighted:
            weighted_exps += dot(unowned(g)[start : start + BLOCK], block[: part.shape[0]])
    unit = np.float64(lowered(largest))
    return np.float64(largest), exps * unit, weighted_exps * unit, 0.0


@subroutine
def _sum_of_nans(x: Any) -> Any:
    """Return 0, or NaN if there is one in x."""
    result = 0.0
    for j in range(x.shape[0]):
        result += np.float64(x[j]) if x[j] != x[j] else 0.0
    return result


@formula
def softmax_of_sums(out: Any, sums: Any, x: Any) -> None:
    """softmax(x)."""
    number = type(x[0])
    largest, scale = number(sums[0]), lowered(x[0]) * number(1 / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(x[j] - largest) * scale


@formula
def softmax_vjp_of_sums(out: Any, sums: Any, g: Any, x: Any) -> None:
    """y·(g - Σ g·y), y = softmax(x)."""
    number = type(x[0])
    largest, scale, mean = number(sums[0]), lowered(x[0]) * number(1 / sums[1]), number(sums[2] / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(x[j] - largest) * scale * (g[j] - mean)


@formula
def log_softmax_of_sums(out: Any, sums: Any, x: Any) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    number = type(x[0])
    _subtract(out, x, number(sums[0]), number(log(sums[1])))


@formula
def _subtract(out: Any, x: Any, largest: Any, log_sum: Any) -> None:
    for j in range(x.shape[0]):
        out[j] = (x[j] - largest) - log_sum


@formula
def log_softmax_vjp_of_sums(out: Any, sums: Any, g: Any, x: Any) -> None:
    """g - softmax(x)·Σ g."""
    number = type(x[0])
    largest, weight = number(sums[0]), lowered(x[0]) * number(sums[3] / sums[1])
    for j in range(x.shape[0]):
        out[j] = g[j] - lifted_exp(x[j] - largest) * weight


@formula
def softmin_of_sums(out: Any, sums: Any, x: Any) -> None:
    """softmax(-x)."""
    number = type(x[0])
    largest, scale = number(sums[0]), lowered(x[0]) * number(1 / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(-x[j] - largest) * scale


@formula
def softmin_vjp_of_sums(out: Any, sums: Any, g: Any, x: Any) -> None:
    """y·(Σ g·y - g), y = softmin(x)."""
    number = type(x[0])
    largest, scale, mean = number(sums[0]), lowered(x[0]) * number(1 / sums[1]), number(sums[2] / sums[1])
    for j in range(x.shape[0]):
        out[j] = lifted_exp(-x[j] - largest) * scale * (mean - g[j])


# --- others ---------------------------------------------------------------------------------------------------


@subroutine
def sparsemax(out: Any, x: Any) -> None:
    """max(x - max(x) - tau, 0), where tau makes the sum 1; in float64. A row with +inf, or of -inf alone, is NaN.

    Σ max(x - max(x) - tau, 0) - 1 is convex and falls in tau, so Newton's steps from the left, -1, stay left of
    its zero. They reach it after a few, while sorting takes more passes, and a copy.
    """
    largest = np.float64(largest_of(x, rising))
    tau = -1.0 if abs(largest) < np.inf else np.nan
    while True:
        count, above = 0.0, -1.0
        for j in range(x.shape[0]):
            shifted = np.float64(x[j]) - largest
            count = add(count, 1.0 if shifted > tau else 0.0)
            above = add(above, shifted if shifted > tau else 0.0)
        if not above / count > tau:  # also if tau is NaN
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
    fill(times_sigmoid, out, (unowned(x)[:half], unowned(x)[half:]))


@formula
def glu_vjp(out: Any, g: Any, x: Any) -> None:
    """g·σ(gate), and g·value·σ(gate)·σ(-gate)."""
    half = g.shape[0]
    value, gate = unowned(x)[:half], unowned(x)[half:]
    fill(times_sigmoid, unowned(out)[:half], (g, gate))
    fill(_gate_slope, unowned(out)[half:], (g, value, gate))


@formula
def _gate_slope(g: Any, value: Any, gate: Any) -> Any:
    return g * times_sigmoid_slope(value, gate)


@formula
def product(x: Any, y: Any) -> Any:
    """x·y."""
    return x * y


OPS: Pairs = {
    "softmax": (
        along_axis_in_two_passes(exp_sums, softmax_of_sums, softmax),
        along_axis_in_two_passes(weighted_exp_sums, softmax_vjp_of_sums, softmax_vjp),
    ),
    "log_softmax": (
        along_axis_in_two_passes(exp_sums, log_softmax_of_sums, log_softmax),
        along_axis_in_two_passes(exp_sums_and_plain, log_softmax_vjp_of_sums, log_softmax_vjp),
    ),
    "softmin": (
        along_axis_in_two_passes(falling_exp_sums, softmin_of_sums, softmin),
        along_axis_in_two_passes(falling_weighted_exp_sums, softmin_vjp_of_sums, softmin_vjp),
    ),
    "sparsemax": (along_axis(sparsemax), along_axis(sparsemax_vjp)),
    "glu": (along_axis(glu, find("glu").shape, once=True), along_axis(glu_vjp, once=True)),
}
