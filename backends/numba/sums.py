"""Numba: sums of formulas over arrays, in float64 or by fours in float32, the same whatever the number of threads.

A processor fetches ahead by itself, but not from page to page: see `loops.fetch_after_next`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from backends.numba.compilation import formula, subroutine
from backends.numba.intrinsics import add, buffer_of_results, by_type, call_apart, unowned
from backends.numba.loops import BLOCK, Kernels, at, compiled, cut, fetch_after_next, fill
from backends.numba.narrow import floats

FOURS_FROM = 256
"""From this many numbers on, it pays to add up four at a time first."""

is_float32 = by_type({"float32": 1.0, "float64": 0.0})
"""Return 1 for a float32, as numbers of 16 bits are in registers, and else 0: as a constant, to choose by."""
_results = buffer_of_results(BLOCK)


def summed(scalar: Callable[..., Any]) -> Kernels:
    """Return kernels for `out[0]` = the sum of `scalar` over the operands, divided by a number, in float64.

    The sum is added up from chunks of a given length, whatever the number of threads.
    """

    def serial(out: Any, *operands: Any) -> None:
        """Take the length and the divisor first."""
        length, divisor, given = operands[0], operands[1], operands[2:]
        result = 0.0
        for start in range(0, given[0].shape[0], length):
            result += total(scalar, cut(given, start, start + length))
        floats(out)[0] = result / divisor

    def parallel(out: Any, chunk: int, length: int, divisor: float, *operands: Any) -> None:  # noqa: ARG001
        sums = np.empty((operands[0].shape[0] + length - 1) // length)
        for c in prange(sums.shape[0]):
            sums[c] = call_apart(total, (scalar, cut(operands, c * length, (c + 1) * length)))
        result = 0.0
        for c in range(sums.shape[0]):
            result += sums[c]
        floats(out)[0] = result / divisor

    return compiled("summed", scalar, serial, parallel)


@subroutine
def total(scalar: Any, operands: Any) -> Any:
    """Sum `scalar` over the first operand and what goes with it, in float64.

    A block is computed before it is summed: the widest type in a loop decides how many elements LLVM puts into a
    vector. Sums are in two levels, so that the error does not grow with the length. Terms in float32 are added up
    by fours first: of what is in a cache or in memory, a sixth more a second.
    """
    n = operands[0].shape[0]
    result = 0.0
    if n == 0:
        return result
    terms = _results(scalar, at(operands, 0))
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        fetch_after_next(operands, stop)
        block = terms[: stop - start]
        fill(scalar, block, cut(operands, start, stop))
        part = sum_of_fours(block) if is_float32(block[0]) > 0 else sum_of(block)
        # Four may exceed float32 where a mean of all does not.
        result += part if abs(part) < np.inf else sum_of(block)
    return result


@subroutine
def sum_of(x: Any) -> Any:
    """Sum an array in float64; LLVM chooses into how many partial sums."""
    result = 0.0
    for i in range(x.shape[0]):
        result = add(result, np.float64(x[i]))
    return result


@formula
def sum_of_fours(x: Any) -> Any:
    """Sum an array in float64, four added up in its own type at a time: a third of the instructions of `sum_of`.

    Not for a sum whose logarithm is taken: log(1 + tiny) would lose what is tiny.
    """
    n = x.shape[0] // 4 if x.shape[0] >= FOURS_FROM else 0
    first, second, third, fourth = x[:n], x[n : 2 * n], x[2 * n : 3 * n], x[3 * n : 4 * n]
    result = sum_of(x[4 * n :])
    for j in range(n):
        result = add(result, np.float64((first[j] + second[j]) + (third[j] + fourth[j])))
    return result


@subroutine
def sums_in_fours(first: Any, second: Any, third: Any, x: Any, y: Any) -> Any:
    """Return three sums in one pass, each of a formula of two arrays' elements, added up as by `sum_of_fours`."""
    n = x.shape[0]
    ones = twos = threes = 0.0
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        fetch_after_next((x, y), stop)
        one, two, three = _three_of_block(first, second, third, x, y, start, stop, (stop - start) // 4)
        if not abs(one + two + three) < np.inf:  # as in `total`
            one, two, three = _three_of_block(first, second, third, x, y, start, stop, 0)
        ones, twos, threes = ones + one, twos + two, threes + three
    return ones, twos, threes


@formula
def _three_of_block(
    first: Any, second: Any, third: Any, x: Any, y: Any, start: Any, stop: Any, n_fours: Any
) -> Any:
    """Return these sums of a part of the arrays, of which so many fours are added up in their own type."""
    xs, ys = _fours(x, start, n_fours), _fours(y, start, n_fours)
    one = two = three = 0.0
    for j in range(n_fours):
        one = add(one, _of_four(first, xs, ys, j))
        two = add(two, _of_four(second, xs, ys, j))
        three = add(three, _of_four(third, xs, ys, j))
    for j in range(start + 4 * n_fours, stop):
        one += np.float64(first(x[j], y[j]))
        two += np.float64(second(x[j], y[j]))
        three += np.float64(third(x[j], y[j]))
    return one, two, three


@formula
def _fours(x: Any, start: Any, k: Any) -> Any:
    """Return four parts of k elements each."""
    ends = start + k, start + 2 * k, start + 3 * k, start + 4 * k
    x = unowned(x)
    return x[start : ends[0]], x[ends[0] : ends[1]], x[ends[1] : ends[2]], x[ends[2] : ends[3]]


@formula
def _of_four(formula: Any, xs: Any, ys: Any, j: Any) -> Any:
    """Return what a formula gives for the j-th elements of four parts, added up in their type."""
    a, b = formula(xs[0][j], ys[0][j]), formula(xs[1][j], ys[1][j])
    c, d = formula(xs[2][j], ys[2][j]), formula(xs[3][j], ys[3][j])
    return np.float64((a + b) + (c + d))
