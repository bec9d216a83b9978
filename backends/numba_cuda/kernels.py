"""Kernels: the loops around formulas, a thread for an element and, of large arrays, for several; and their sums.

A sum has the same parts for a length, whatever the GPU, and adds them up in the same order: so it is the same
number each time. It is one of float64, in which most GPUs compute slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numba import cuda

from backends.numba_cuda.formulas import WIDE, Formula, Formulas, Machine, plain

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
    found = _sum_of(cuda.shared.array(MOST_THREADS, np.float64), parts)
    if cuda.threadIdx.x == 0:
        out[0] = found / divisor


def average(out: Any, parts: Any, divisor: Any) -> None:
    """Do so with the one number that is in `divisor` by then; a kernel of one block."""
    found = _sum_of(cuda.shared.array(MOST_THREADS, np.float64), parts)
    if cuda.threadIdx.x == 0:
        out[0] = found / divisor[0]


@cuda.jit(device=True)
def _sum_of(kept: Any, parts: Any) -> Any:
    found = np.float64(0)
    for i in range(cuda.threadIdx.x, parts.size, cuda.blockDim.x):
        found += parts[i]
    return added(kept, found)


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
