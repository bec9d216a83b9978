"""Kernels: the loop around a formula, a thread for an element and, of large arrays, for several."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import cuda

from backends.numba_cuda.formulas import Formula, Formulas, Machine, plain

cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = False  # small arrays are meant, too

THREADS = 256
"""Threads of a block."""
MOST_BLOCKS = 2**16
"""Of more elements than so many blocks have threads, a thread has several, a grid apart."""

_LOOP = """
def kernel(out, {operands}):
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = formula({elements})
"""
"""Written out for each number of operands, since a kernel takes no `*operands`."""


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


@cache
def elementwise(formula: Formula, n_arrays: int, n_numbers: int, dtype: str) -> Any:
    """Return a kernel `(out, *arrays, *numbers)` that puts a formula of them into each element of a line `out`."""
    return cuda.jit(loop(formulas(dtype).of(formula), n_arrays, n_numbers))


def loop(function: Formula, n_arrays: int, n_numbers: int) -> Callable[..., None]:
    """Return the Python function of such a kernel."""
    arrays, numbers = ([f"{letter}{i}" for i in range(n)] for letter, n in (("a", n_arrays), ("p", n_numbers)))
    elements = [*(f"{name}[i]" for name in arrays), *numbers]
    names: dict[str, Any] = {"cuda": cuda, "formula": function, "__name__": __name__}
    text = _LOOP.format(operands=", ".join([*arrays, *numbers]), elements=", ".join(elements))
    exec(compile(text, __file__, "exec"), names)
    made: Callable[..., None] = names["kernel"]
    return made


def blocks(n: int) -> int:
    """Return how many blocks `n` elements get."""
    return min(MOST_BLOCKS, -(-n // THREADS))
