"""Formulas for one row of classes, for Numba: ops along an axis, which fill `out`.

Sums are in float64 (see `numba_loops.total`), and are rounded to the type of the row where an array is filled.
"""

# ruff: noqa: D403 - formulas begin with their variables
# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.numba_activations import times_sigmoid, times_sigmoid_slope
from backends.numba_loops import formula, total


@formula
def softmax(out: Any, x: Any) -> None:
    """exp(x - max(x)), normalised. A row with +inf, or of -inf alone, is NaN, as in PyTorch and JAX."""
    largest = largest_of(x)
    for j in range(x.shape[0]):
        out[j] = math.exp(x[j] - largest)
    scale = type(x[0])(total(itself, (out,)))
    for j in range(x.shape[0]):
        out[j] /= scale


@formula
def softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """y·(g - Σ g·y), y = softmax(x)."""
    softmax(out, x)
    mean = type(x[0])(total(product, (g, out)))
    for j in range(x.shape[0]):
        out[j] *= g[j] - mean


@formula
def log_softmax(out: Any, x: Any) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    largest = largest_of(x)
    log_sum = math.log(total(shifted_exp, (x, largest)))
    for j in range(x.shape[0]):
        out[j] = (x[j] - largest) - log_sum


@formula
def log_softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """-softmax(x)·Σ g + g."""
    softmax(out, x)
    weight = type(x[0])(total(itself, (g,)))
    for j in range(x.shape[0]):
        out[j] = g[j] - out[j] * weight


@formula
def softmin(out: Any, x: Any) -> None:
    """softmax(-x)."""
    for j in range(x.shape[0]):
        out[j] = -x[j]
    softmax(out, out)


@formula
def softmin_vjp(out: Any, g: Any, x: Any) -> None:
    """y·(Σ g·y - g), y = softmin(x)."""
    softmin(out, x)
    mean = type(x[0])(total(product, (g, out)))
    for j in range(x.shape[0]):
        out[j] *= mean - g[j]


@formula
def sparsemax(out: Any, x: Any) -> None:
    """max(x - max(x) - tau, 0), where tau makes the sum 1; in float64. A row with +inf, or of -inf alone, is NaN.

    Σ max(x - max(x) - tau, 0) - 1 is convex and falls in tau, so that Newton's steps from the left, -1, stay left
    of its zero; they end there after a few, where sorting takes more and a copy.
    """
    largest = np.float64(largest_of(x))
    tau = -1.0
    for j in range(x.shape[0]):
        tau = np.nan if np.isnan(np.float64(x[j]) - largest) else tau
    while True:
        count, above = 0, -1.0
        for j in range(x.shape[0]):
            shifted = np.float64(x[j]) - largest
            if shifted > tau:
                count += 1
                above += shifted
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
    count, mean = 0, 0.0
    for j in range(x.shape[0]):
        if out[j] > 0:
            count += 1
            mean += g[j]
    mean /= count
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
    for j in range(half):
        out[j] = times_sigmoid(g[j], x[half + j])
        out[half + j] = g[j] * times_sigmoid_slope(x[j], x[half + j])


@formula
def largest_of(x: Any) -> Any:
    """Return the largest entry; NaN or not, since a NaN makes its row NaN all the same."""
    result = x[0]
    for j in range(1, x.shape[0]):
        result = x[j] if x[j] > result else result
    return result


@formula
def itself(x: Any) -> Any:
    """x."""
    return x


@formula
def product(x: Any, y: Any) -> Any:
    """x·y."""
    return x * y


@formula
def shifted_exp(x: Any, largest: Any) -> Any:
    """exp(x - max)."""
    return math.exp(x - largest)
