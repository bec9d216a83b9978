"""Kernels: the loops around formulas, a thread for an element and, of large arrays, for several; and their sums.

A sum has the same parts for a length, whatever the GPU, and adds them up in the same order: so it is the same
number each time. It is one of float64, in which most GPUs compute slowly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numba import cuda

from backends.numba.elementary import lifted_exp
from backends.numba.rows import rising
from backends.numba_cuda.formulas import WIDE, Finishing, Formula, Formulas, Machine, plain
from backends.numba_cuda.rows import cotangents

cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = False  # small arrays are meant, too

MOST_THREADS = THREADS = 256
"""Threads of a block: a power of two, as its threads are added up by halves."""
LEAST_THREADS = 32
"""Threads that a GPU runs together."""
MOST_BLOCKS = 2**16
"""Of more elements than so many blocks have threads, a thread has several, a grid apart."""
MOST_PARTS = 1024
"""A sum has at most so many parts, a block for each: they fill every GPU, and one block adds them up."""

Reads = Literal["each", "one", "row"]
"""Where an operand's number for element i is: at i, the only one, or that of the row in which i lies."""
_READS: dict[Reads, str] = {"each": "{0}[i]", "one": "{0}[0]", "row": "{0}[i // (n * inner) * inner + i % inner]"}

_LOOP = """
def make(formula, number):
    def kernel(out, {operands}):
        for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
            out[i] = formula({elements})

    return kernel
"""
"""Written out for each number of operands, since a kernel takes no `*operands`."""
_SHARED = """
def make(formula, number):
    def kernel(out, divisor, g, {operands}):
        share = number(np.float64(g[0]) / divisor)
        for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
            out[i] = formula(share, {elements})

    return kernel
"""
_SUM = """
def make(formula, number):
    def kernel(parts, length, {operands}):
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        total = np.float64(0)
        for i in range(cuda.grid(1), length, cuda.gridsize(1)):
            total += np.float64(formula({elements}))
        total = added(kept, total)
        if cuda.threadIdx.x == 0:
            parts[cuda.blockIdx.x] = total

    return kernel
"""
_ROW_SUM = """
def make(formula, number):
    def kernel(out, n, inner, divisor, {operands}):
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        for row in range(cuda.blockIdx.x, out.size, cuda.gridDim.x):
            first = row // inner * n * inner + row % inner
            total = np.float64(0)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                total += np.float64(formula({elements}))
            total = added(kept, total)
            if cuda.threadIdx.x == 0:
                out[row] = total / divisor

    return kernel
"""


def is_simulated() -> bool:
    """Tell whether Numba's simulator is in a GPU's place (NUMBA_ENABLE_CUDASIM=1)."""
    return bool(cuda.config.ENABLE_CUDASIM)


def machine(dtype: str) -> Machine:
    """Return what libdevice has for a type; in the simulator, what Python has."""
    if is_simulated():
        return plain(dtype)
    from numba.cuda import libdevice

    if dtype == "float32":
        return Machine(libdevice.fmaf, libdevice.copysignf, libdevice.float_as_int, libdevice.int_as_float)
    return Machine(libdevice.fma, libdevice.copysign, libdevice.double_as_longlong, libdevice.longlong_as_double)


@cache
def formulas(dtype: str) -> Formulas:
    """Return the formulas as device functions on one type."""
    return Formulas(dtype, machine(dtype), cuda.jit(device=True))


def device_function(formula: Formula, dtype: str) -> Formula:
    """Return a formula as a device function for arrays of a type."""
    return formulas("float64" if formula in WIDE else dtype).of(formula)


@cache
def compiled(make: Callable[..., Callable[..., None]], *arguments: Any) -> Any:
    """Return the kernel that a function makes of these arguments, compiled when it is first called."""
    return cuda.jit(make(*arguments))


# --- elements -------------------------------------------------------------------------------------------------


def elementwise(formula: Formula, reads: Sequence[Reads], n_numbers: int, dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, *arrays, *numbers)` that puts a formula of them into each of a line `out`.

    Where an array has a number a row, `(out, n, inner, ...)`: rows of `n` elements that lie `inner` apart.
    """
    return _written(_LOOP, formula, reads, n_numbers, dtype)


def shared(formula: Formula, reads: Sequence[Reads], n_numbers: int, dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, divisor, g, *arrays, *numbers)` that does so with a share of the number in `g`."""
    return _written(_SHARED, formula, reads, n_numbers, dtype)


def summed(formula: Formula, reads: Sequence[Reads], n_numbers: int, dtype: str) -> Callable[..., None]:
    """Return a kernel `(parts, length, *arrays, *numbers)` that puts into each part what its block adds up."""
    return _written(_SUM, formula, reads, n_numbers, dtype)


def summed_rows(formula: Formula, reads: Sequence[Reads], n_numbers: int, dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, n, inner, divisor, *arrays, *numbers)` that adds up each row: a block for it."""
    return _written(_ROW_SUM, formula, reads, n_numbers, dtype)


def _written(
    text: str, formula: Formula, reads: Sequence[Reads], n_numbers: int, dtype: str
) -> Callable[..., None]:
    arrays, given = ([f"{letter}{i}" for i in range(n)] for letter, n in (("a", len(reads)), ("p", n_numbers)))
    elements = [*(_READS[each].format(name) for each, name in zip(reads, arrays, strict=True)), *given]
    operands = ", ".join([*(("n", "inner") if "row" in reads else ()), *arrays, *given])
    names: dict[str, Any] = {}
    # Among the names of this module, as `added` is: the simulator exchanges `cuda` there, for all threads alike.
    exec(compile(text.format(operands=operands, elements=", ".join(elements)), __file__, "exec"), globals(), names)
    made: Callable[..., None] = names["make"](device_function(formula, dtype), getattr(np, dtype))
    return made


def total(out: Any, parts: Any, divisor: Any) -> None:
    """Put the sum of the parts over a divisor into the one number of `out`; a kernel of one block."""
    kept, found = cuda.shared.array(MOST_THREADS, np.float64), np.float64(0)
    for i in range(cuda.threadIdx.x, parts.size, cuda.blockDim.x):
        found += parts[i]
    found = added(kept, found)
    if cuda.threadIdx.x == 0:
        out[0] = found / divisor


def folding(join: Formula) -> Formula:
    """Return a device function of a number in float64: `join` over those of all threads of a block, by halves.

    They meet in an array that the kernel shares: one made in here would be there twice, if called in two ways.
    """

    def fold(kept: Any, value: Any) -> Any:
        at = cuda.threadIdx.x
        kept[at] = value
        cuda.syncthreads()
        half = cuda.blockDim.x // 2
        while half > 0:
            if at < half:
                kept[at] = join(kept[at], kept[at + half])
            cuda.syncthreads()
            half //= 2
        found = kept[0]
        cuda.syncthreads()  # all have read it before the next one is written
        return found

    made: Formula = cuda.jit(device=True)(fold)
    return made


def _plus(a: Any, b: Any) -> Any:
    return a + b


def _larger(a: Any, b: Any) -> Any:
    return b if b > a else a  # noqa: FURB136 - as in C


added = folding(cuda.jit(device=True)(_plus))
largest = folding(cuda.jit(device=True)(_larger))


# --- rows of exponentials -------------------------------------------------------------------------------------


def exponentials(turned: Formula, weigh: Formula, finish: Formula, dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, g, x, n, inner)` for rows of `n` numbers that lie `inner` apart, a block for each.

    With e = exp(turned(x) - its largest in the row), lifted, `out` is `finish(e, g, x, largest, sum, weighted)`:
    `sum` is that of e, and `weighted` that of `weigh(e, g)`, both in float64. The row is read three times: from a
    cache, unless it is very long. What is NaN makes all of its row NaN.
    """
    exp = formulas(dtype).of(lifted_exp)
    top_of, sums_of = _of_row(turned, weigh, dtype)
    turned, finish = cuda.jit(device=True)(turned), cuda.jit(device=True)(finish)

    def kernel(out: Any, g: Any, x: Any, n: Any, inner: Any) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first = row // inner * n * inner + row % inner
            top = top_of(kept, x, first, n, inner)
            sum_, weighted = sums_of(kept, g, x, first, n, inner, top)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                out[i] = finish(exp(turned(x[i]) - top), g[i], x[i], top, sum_, weighted)

    return kernel


def cross_entropy(term: Formula, of: Finishing, dtype: str) -> Callable[..., None]:
    """Return a kernel `(losses, x, target, n, inner, label_smoothing)` of softmax cross entropy, a block a row.

    A loss is weight·log(Σ exp(x - largest)) - Σ `term`; see `backends.numba.class_losses`.
    """
    number, log, lowered = of
    top_of, sums_of = _of_row(rising, cotangents, dtype)
    term = formulas(dtype).of(term)

    def kernel(losses: Any, x: Any, target: Any, n: Any, inner: Any, smoothing: Any) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        share, rest = number(smoothing / n), number(1 - smoothing)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first = row // inner * n * inner + row % inner
            top = top_of(kept, x, first, n, inner)
            sum_, targets = sums_of(kept, target, x, first, n, inner, top)
            shifted = np.float64(0)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                shifted += np.float64(term(x[i], target[i], top, rest, share))
            shifted = added(kept, shifted)
            if cuda.threadIdx.x == 0:
                losses[row] = ((1 - smoothing) * targets + smoothing) * log(sum_ * lowered) - shifted

    return kernel


def cross_entropy_slope(dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, g, divisor, x, target, n, inner, label_smoothing)` of its gradient.

    `g` has a number a row, or the one that all rows share; it is divided first.
    """
    number = getattr(np, dtype)
    exp = formulas(dtype).of(lifted_exp)
    top_of, sums_of = _of_row(rising, cotangents, dtype)

    def kernel(out: Any, g: Any, divisor: Any, x: Any, target: Any, n: Any, inner: Any, smoothing: Any) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        share, rest = number(smoothing / n), number(1 - smoothing)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first = row // inner * n * inner + row % inner
            top = top_of(kept, x, first, n, inner)
            sum_, targets = sums_of(kept, target, x, first, n, inner, top)
            slope = number(np.float64(g[row % g.size]) / divisor)
            weight = number(((1 - smoothing) * targets + smoothing) / sum_)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                out[i] = slope * (exp(x[i] - top) * weight - (rest * target[i] + share))

    return kernel


def _of_row(turned: Formula, weigh: Formula, dtype: str) -> tuple[Formula, Formula]:
    """Return device functions of a row that a block reads: its largest, and sums of exponentials; see above."""
    number = getattr(np, dtype)
    exp = formulas(dtype).of(lifted_exp)
    turned, weigh = cuda.jit(device=True)(turned), cuda.jit(device=True)(weigh)

    def top_of(kept: Any, x: Any, first: Any, n: Any, inner: Any) -> Any:
        top = number(-math.inf)
        for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
            value = turned(x[first + j * inner])
            top = value if value > top else top  # noqa: FURB136 - NaN makes the sums NaN
        return number(largest(kept, np.float64(top)))

    def sums_of(kept: Any, g: Any, x: Any, first: Any, n: Any, inner: Any, top: Any) -> Any:
        sum_, weighted = np.float64(0), np.float64(0)
        for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
            i = first + j * inner
            e = exp(turned(x[i]) - top)
            sum_ += np.float64(e)
            weighted += weigh(e, g[i])
        return added(kept, sum_), added(kept, weighted)

    return cuda.jit(device=True)(top_of), cuda.jit(device=True)(sums_of)


# --- how many --------------------------------------------------------------------------------------------------


def blocks(n: int) -> int:
    """Return how many blocks `n` elements get."""
    return min(MOST_BLOCKS, -(-n // THREADS))


def parts(n: int) -> int:
    """Return how many parts a sum of `n` elements has."""
    return min(MOST_PARTS, -(-n // THREADS))


def threads(n: int) -> int:
    """Return how many threads a row of `n` numbers gets."""
    return min(THREADS, max(LEAST_THREADS, 1 << (n - 1).bit_length()))
