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

from backends.numba_activations import times_sigmoid, times_sigmoid_slope
from backends.numba_elementary import exp, log
from backends.numba_intrinsics import add, maximum
from backends.numba_loops import BLOCK, formula, numbers, subroutine, sum_of

# --- softmax and its kin: what is summed, and how that fills the row ------------------------------------------


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
    number = type(x[0])
    largest, exps, weighted_exps = number(-math.inf), 0.0, 0.0
    block = numbers(x[0])
    for start in range(0, x.shape[0], BLOCK):
        part = x[start : start + BLOCK]
        grown = largest
        for j in range(part.shape[0]):
            grown = maximum(grown, number(sign) * part[j])
        if grown == number(-math.inf):  # masked so far
            continue
        if grown != largest:
            shrink = math.exp(np.float64(largest) - np.float64(grown))
            exps *= shrink
            weighted_exps *= shrink
            largest = grown
        for j in range(part.shape[0]):
            block[j] = exp(number(sign) * part[j] - largest)
        exps += sum_of(block[: part.shape[0]])
        if weighted:
            for j in range(part.shape[0]):
                block[j] *= g[start + j]
            weighted_exps += sum_of(block[: part.shape[0]])
    return np.float64(largest), exps, weighted_exps, 0.0


@formula
def softmax(out: Any, sums: Any, x: Any) -> None:
    """exp(x - max(x)), normalised. A row with +inf, or of -inf alone, is NaN, as in PyTorch and JAX."""
    number = type(x[0])
    largest, scale = number(sums[0]), number(1 / sums[1])
    for j in range(x.shape[0]):
        out[j] = exp(x[j] - largest) * scale


@formula
def softmax_vjp(out: Any, sums: Any, g: Any, x: Any) -> None:
    """y·(g - Σ g·y), y = softmax(x)."""
    number = type(x[0])
    largest, scale, mean = number(sums[0]), number(1 / sums[1]), number(sums[2] / sums[1])
    for j in range(x.shape[0]):
        out[j] = exp(x[j] - largest) * scale * (g[j] - mean)


@formula
def log_softmax(out: Any, sums: Any, x: Any) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    number = type(x[0])
    largest, log_sum = number(sums[0]), number(log(sums[1]))
    for j in range(x.shape[0]):
        out[j] = (x[j] - largest) - log_sum


@formula
def log_softmax_vjp(out: Any, sums: Any, g: Any, x: Any) -> None:
    """g - softmax(x)·Σ g."""
    number = type(x[0])
    largest, weight = number(sums[0]), number(sums[3] / sums[1])
    for j in range(x.shape[0]):
        out[j] = g[j] - exp(x[j] - largest) * weight


@formula
def softmin(out: Any, sums: Any, x: Any) -> None:
    """softmax(-x)."""
    number = type(x[0])
    largest, scale = number(sums[0]), number(1 / sums[1])
    for j in range(x.shape[0]):
        out[j] = exp(-x[j] - largest) * scale


@formula
def softmin_vjp(out: Any, sums: Any, g: Any, x: Any) -> None:
    """y·(Σ g·y - g), y = softmin(x)."""
    number = type(x[0])
    largest, scale, mean = number(sums[0]), number(1 / sums[1]), number(sums[2] / sums[1])
    for j in range(x.shape[0]):
        out[j] = exp(-x[j] - largest) * scale * (mean - g[j])


# --- others ---------------------------------------------------------------------------------------------------


@subroutine
def sparsemax(out: Any, x: Any) -> None:
    """max(x - max(x) - tau, 0), where tau makes the sum 1; in float64. A row with +inf, or of -inf alone, is NaN.

    Σ max(x - max(x) - tau, 0) - 1 is convex and falls in tau, so that Newton's steps from the left, -1, stay left
    of its zero; they end there after a few, where sorting takes more and a copy.
    """
    largest = np.float64(largest_of(x))
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


@subroutine
def largest_of(x: Any) -> Any:
    """Return the largest entry, or NaN if there is one."""
    result = x[0]
    for j in range(1, x.shape[0]):
        result = maximum(result, x[j])
    return result


@formula
def product(x: Any, y: Any) -> Any:
    """x·y."""
    return x * y
