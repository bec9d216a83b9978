"""Numba: gradients that start from the op's output y, in the order of the catalogue.

What is to be computed is exact in y, so 1 - y and 1 - y² are rounded once, and never cancel. Memory limits all but
one, and they are stored past the caches where they are large: see `loops.elementwise` and `row_loops.weighted`.
"""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

from typing import Any

import numpy as np

from backends.host import FromOutput
from backends.numba import piecewise
from backends.numba.compilation import formula, subroutine
from backends.numba.elementary import lifted_exp, lowered
from backends.numba.intrinsics import add, fma
from backends.numba.ops import along_axis_weighted, moving
from backends.numba.rows import dot
from backends.numba.sums import sum_of

# --- of one element --------------------------------------------------------------------------------------------


@formula
def sigmoid_from_output(g: Any, y: Any) -> Any:
    """y·(1 - y)."""
    return g * y * (type(y)(1) - y)


@formula
def tanh_from_output(g: Any, y: Any) -> Any:
    """1 - y², rounded once: from a rounded y² it would cancel where |y| approaches 1."""
    return g * fma(-y, y, type(y)(1))


@formula
def softsign_from_output(g: Any, y: Any) -> Any:
    """(1 - |y|)²."""
    rest = type(y)(1) - abs(y)
    return g * (rest * rest)


@formula
def exponential_from_output(g: Any, y: Any) -> Any:
    """y."""
    return g * y


# --- of a row: sums over it, the number that they make, and what that makes of an element ------------------------


@formula
def dot_of_row(g: Any, y: Any) -> Any:
    """Return Σ g·y as the last of the sums that `row_loops.merged` adds up."""
    return 0.0, 0.0, 0.0, dot(g, y)


@formula
def total_of_row(g: Any, y: Any) -> Any:  # noqa: ARG001 - called alike
    """Return Σ g in the same place."""
    return 0.0, 0.0, 0.0, sum_of(g)


@subroutine
def support_of_row(g: Any, y: Any) -> Any:
    """Return how many entries of y are above 0, and the sum of g there, as the second and third of the sums."""
    count, total = 0.0, 0.0
    for j in range(y.shape[0]):
        count = add(count, 1.0 if y[j] > 0 else 0.0)
        total = add(total, np.float64(g[j]) if y[j] > 0 else np.float64(y[j]) * 0.0)  # NaN stays
    return 0.0, count, total, 0.0


@formula
def last(sums: Any, like: Any) -> Any:
    """Return the last sum, in the type of `like`."""
    return type(like)(sums[3])


@formula
def mean(sums: Any, like: Any) -> Any:
    """Return the third sum over the second, in the type of `like`."""
    return type(like)(sums[2] / sums[1])


@formula
def softmax_from_output(dot: Any, g: Any, y: Any) -> Any:
    """y·(g - Σ g·y)."""
    return y * (g - dot)


@formula
def log_softmax_from_output(total: Any, g: Any, y: Any) -> Any:
    """g - exp(y)·Σ g."""
    return g - lifted_exp(y) * (lowered(y) * total)


@formula
def softmin_from_output(dot: Any, g: Any, y: Any) -> Any:
    """y·(Σ g·y - g)."""
    return y * (dot - g)


@formula
def sparsemax_from_output(mean: Any, g: Any, y: Any) -> Any:
    """g less its mean over the entries above 0, and 0 at the others; all NaN where the mean is."""
    zero = type(y)(0)
    return g - mean if y > zero else mean * zero


OPS: FromOutput = {
    "relu": piecewise.OPS["relu"][1],  # y > 0 where x is
    "sigmoid": moving(sigmoid_from_output),
    "tanh": moving(tanh_from_output),
    "softsign": moving(softsign_from_output),
    "exponential": moving(exponential_from_output),
    "softmax": along_axis_weighted(dot_of_row, last, softmax_from_output, streams=True),
    "log_softmax": along_axis_weighted(total_of_row, last, log_softmax_from_output),
    "softmin": along_axis_weighted(dot_of_row, last, softmin_from_output, streams=True),
    "sparsemax": along_axis_weighted(support_of_row, mean, sparsemax_from_output, streams=True),
}
