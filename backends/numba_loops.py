"""The loops around Numba's scalar formulas: serial and parallel, compiled on first call and cached on disk.

A kernel closes over one formula, a module-level function that Numba can compile (`formula`). Numba's disk cache
tells closures apart by file name, which is made of the qualified name, and by the pickled closure, in which such a
function is a reference to its name: hence the names given here. Since a reference says nothing about the code
behind it, the names also contain a checksum of the sources.

Parallel kernels call the serial loop on chunks of `CHUNK` elements: LLVM vectorises that loop as if it stood
alone, which it does not do inside a parallel region (1.5 times on sigmoid), and a sum over chunks does not depend
on the number of threads.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import njit, prange, types
from numba.extending import overload, register_jitable

CHUNK = 8192
"""Elements that one thread takes at a time."""

SERIAL_BELOW = 30_000
"""Elements below which starting threads (3 to 5 us) costs more than it saves."""

# IEEE results instead of exceptions; no fastmath, since `contract` would undo gelu's exact products.
OPTIONS = {"error_model": "numpy"}

F = TypeVar("F", bound=Callable[..., Any])


def formula(function: F) -> F:
    """Let compiled code call `function`; it stays a Python function, and nothing is compiled yet."""
    return cast("F", register_jitable(**OPTIONS)(function))


@dataclass(frozen=True)
class Kernels:
    """One computation, serial and parallel: each fills `out` from the operands."""

    serial: Callable[..., None]
    parallel: Callable[..., None]

    def run(self, out: np.ndarray, operands: tuple[Any, ...], *, elements: int, threads: int) -> None:
        """Fill `out`, in parallel where it pays.

        The number of threads is set on each parallel call, since another backend in this process may have set it
        since: 1 us, where asking for it first would cost 0.7 us and a parallel call takes 5 us or more.
        """
        if threads > 1 and elements >= SERIAL_BELOW:
            numba.set_num_threads(threads)
            self.parallel(out, max(1, CHUNK * len(out) // elements), *operands)
        else:
            self.serial(out, *operands)


def elementwise(scalar: Callable[..., Any]) -> Kernels:
    """Return kernels for `out[i] = scalar(*operands[i])`; operands are arrays or scalars.

    Where operands are two-dimensional, `scalar` gets their rows.
    """

    def serial(out: Any, *operands: Any) -> None:
        _fill(scalar, out, operands)

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            start = c * chunk
            stop = min(start + chunk, n)
            _fill(scalar, out[start:stop], _cut(operands, start, stop))

    return _compiled("elementwise", scalar, serial, parallel)


def rowwise(row: Callable[..., None]) -> Kernels:
    """Return kernels for `row(out[i], *operands[i])`, which fills a row of a two-dimensional `out`."""

    def serial(out: Any, *operands: Any) -> None:
        for i in range(out.shape[0]):
            row(out[i], *_at(operands, i))

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            for i in range(c * chunk, min((c + 1) * chunk, n)):
                row(out[i], *_at(operands, i))

    return _compiled("rowwise", row, serial, parallel)


def summed(scalar: Callable[..., Any]) -> Kernels:
    """Return kernels for `out[c]` = the sum, in float64, of `scalar` over the c-th `CHUNK` of the operands."""

    def serial(out: Any, *operands: Any) -> None:
        for c in range(out.shape[0]):
            out[c] = total(scalar, _cut(operands, c * CHUNK, (c + 1) * CHUNK))

    def parallel(out: Any, chunk: int, *operands: Any) -> None:  # noqa: ARG001 - called like the others
        for c in prange(out.shape[0]):
            out[c] = total(scalar, _cut(operands, c * CHUNK, (c + 1) * CHUNK))

    return _compiled("summed", scalar, serial, parallel)


@formula
def total(scalar: Any, operands: Any) -> Any:
    """Sum `scalar` over the first operand and what goes with it, in float64.

    In two levels, so that the error does not grow with the length. Eight sums at a time, which do not wait for
    one another: LLVM may not do that by itself, since it would change the result.
    """
    n = operands[0].shape[0]
    result = 0.0
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        result += _chunk_total(scalar, operands, start, stop)
    return result


@formula
def _chunk_total(scalar: Any, operands: Any, start: int, stop: int) -> Any:
    result = 0.0
    whole = start + (stop - start) // 8 * 8
    for block in range(start, whole, 128):
        a = b = c = d = e = f = g = h = 0.0
        for i in range(block, min(block + 128, whole), 8):
            a += scalar(*_at(operands, i))
            b += scalar(*_at(operands, i + 1))
            c += scalar(*_at(operands, i + 2))
            d += scalar(*_at(operands, i + 3))
            e += scalar(*_at(operands, i + 4))
            f += scalar(*_at(operands, i + 5))
            g += scalar(*_at(operands, i + 6))
            h += scalar(*_at(operands, i + 7))
        result += ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(whole, stop):
        result += scalar(*_at(operands, i))
    return result


@formula
def _fill(scalar: Any, out: Any, operands: Any) -> None:
    for i in range(out.shape[0]):
        out[i] = scalar(*_at(operands, i))


# --- operands: arrays are indexed, scalars stay what they are -------------------------------------------------


def _at(operands: Any, i: int) -> Any:
    """Return the i-th of each operand."""


def _cut(operands: Any, start: int, stop: int) -> Any:
    """Return the part of each operand from `start` to `stop`."""


def _item(operand: Any, i: int) -> Any:
    """Return the i-th element or row of an array; a scalar as it is."""


def _part(operand: Any, start: int, stop: int) -> Any:
    """Return part of an array; a scalar as it is."""


def _compile_at(operands: Any, i: Any) -> Any:
    del i
    if len(operands) == 1:
        return lambda operands, i: (_item(operands[0], i),)
    return lambda operands, i: (_item(operands[0], i), *_at(operands[1:], i))


def _compile_cut(operands: Any, start: Any, stop: Any) -> Any:
    del start, stop
    if len(operands) == 1:
        return lambda operands, start, stop: (_part(operands[0], start, stop),)
    return lambda operands, start, stop: (_part(operands[0], start, stop), *_cut(operands[1:], start, stop))


def _compile_item(operand: Any, i: Any) -> Any:
    del i
    if isinstance(operand, types.Array):
        return lambda operand, i: operand[i]
    return lambda operand, i: operand  # noqa: ARG005 - both must have the same arguments


def _compile_part(operand: Any, start: Any, stop: Any) -> Any:
    del start, stop
    if isinstance(operand, types.Array):
        return lambda operand, start, stop: operand[start:stop]
    return lambda operand, start, stop: operand  # noqa: ARG005


for _stub, _implementation in (
    (_at, _compile_at),
    (_cut, _compile_cut),
    (_item, _compile_item),
    (_part, _compile_part),
):
    overload(_stub, jit_options=OPTIONS, strict=False)(_implementation)  # strict compares annotations

# --- compilation ----------------------------------------------------------------------------------------------


def _checksum() -> str:
    """Identify the code that kernels are compiled from: Numba itself looks at this file alone."""
    folder = Path(__file__).parent
    sources = sorted([*folder.glob("numba_*.py"), *folder.glob("*_constants.py")])
    return f"{zlib.crc32(b''.join(source.read_bytes() for source in sources)):08x}"


_SOURCES = _checksum()


def _compiled(
    loop: str, scalar: Callable[..., Any], serial: Callable[..., None], parallel: Callable[..., None]
) -> Kernels:
    for kernel in (serial, parallel):
        kernel.__qualname__ = f"{scalar.__name__}.{loop}.{kernel.__name__}.{_SOURCES}"
    return Kernels(_jit(serial), _jit(parallel, parallel=True))


def _jit(kernel: Callable[..., None], **options: Any) -> Callable[..., None]:
    try:
        return cast("Callable[..., None]", njit(cache=True, **OPTIONS, **options)(kernel))
    except RuntimeError:  # no folder to cache in: neither beside this file nor in the user's home
        return cast("Callable[..., None]", njit(**OPTIONS, **options)(kernel))
