"""The loops around Numba's scalar formulas: serial and parallel, compiled on first call and cached on disk.

A kernel closes over one formula, a module-level function that Numba can compile (`formula`). Numba's disk cache
tells closures apart by a file name, made of the qualified name, and by the pickled closure, which refers to such a
function by its name. Kernels are therefore named after their formula. Since a reference says nothing about the
code behind it, the names also contain a checksum of the sources.

Parallel kernels call the serial loop, apart from their own, on chunks of `CHUNK` elements: LLVM compiles that
loop as if it stood alone, with a register for each of its constants (1.5 times as fast on sigmoid), and a sum over
chunks does not depend on the number of threads. Chunks are `unowned`: threads do not count references to them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import njit, prange, types
from numba.extending import overload, register_jitable

from backends.numba.intrinsics import LINE, add, buffer, buffer_of_results, call_apart, fence, store_line, unowned


def _allow_long_vectors() -> None:
    """Let LLVM use vectors of 512 bits if the processor does not slow down: long formulas are 1.4 times as fast.

    LLVM prefers 256 bits on all Intel processors, because those before Ice Lake, which brought AVX512_VBMI2, slow
    down. Numba reads this before it first compiles. NUMBA_CPU_FEATURES in the environment takes precedence.
    """
    features = llvm.get_host_cpu_features()
    if numba.config.CPU_FEATURES is None and features.get("avx512vbmi2"):
        numba.config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


_allow_long_vectors()

CHUNK = 8192
"""Elements that one thread takes at a time."""
BLOCK = 512
"""Elements that are computed before they are summed or streamed; they stay in the first-level cache."""
APART_FROM = 64
"""From this many elements on, a loop gains more than a call costs (2 ns); see `call_apart`."""
SHORT = 65_536
"""A row of up to this many elements, 256 KiB of float32, is still in the second-level cache when read again."""
SERIAL_BELOW = 30_000
"""Below this many elements, starting threads (3 to 5 us) costs more than it saves."""
STREAM_FROM = 32 * 2**20
"""An output of this many bytes or more may be written past the caches, which then need not read it first."""

# IEEE results instead of exceptions; no fastmath, since `contract` would undo exact products.
OPTIONS = {"error_model": "numpy"}

N_SUMS = 4
"""How many sums over a row `in_two_passes` keeps."""

_results = buffer_of_results(BLOCK)
numbers = buffer(BLOCK)
"""Return, for compiled code, an array of a block's length on the stack, of the type of its argument."""

F = TypeVar("F", bound=Callable[..., Any])


def formula(function: F) -> F:
    """Let compiled code call `function`; it stays a Python function, and nothing is compiled yet.

    It becomes part of its callers however long it is: LLVM vectorises no loop with a call in it.
    """
    return cast("F", register_jitable(**OPTIONS, forceinline=True)(function))


def subroutine(function: F) -> F:
    """Let compiled code call `function`, which has loops of its own: it is compiled once for all its callers."""
    return cast("F", register_jitable(**OPTIONS)(function))


@dataclass(frozen=True)
class Kernels:
    """One computation: each kernel fills `out` from the operands.

    `streamed` does so with stores past the caches, `split` gives several threads a part of each row.
    """

    serial: Callable[..., None]
    parallel: Callable[..., None]
    streamed: Callable[..., None] | None = None
    split: Callable[..., None] | None = None

    def choose(
        self, out: np.ndarray, operands: tuple[Any, ...], *, elements: int, threads: int
    ) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """Return the kernel that suits the operands, and its arguments; all but the serial one use threads."""
        if self.streamed and out.nbytes >= STREAM_FROM and not _overwrites(out, operands):
            return self.streamed, (out, elements_to_line(out), *operands)
        if threads > 1 and elements >= SERIAL_BELOW:
            if self.split and len(out) < 2 * threads:
                return self.split, (out, threads, *operands)
            return self.parallel, (out, max(1, CHUNK * len(out) // elements), *operands)
        return self.serial, (out, *operands)

    def bound(
        self, out: np.ndarray, operands: tuple[Any, ...], *, elements: int, threads: int
    ) -> Callable[[], None]:
        """Return a call that fills `out`, in parallel where that pays.

        The number of threads is set on each parallel call, since another backend in this process may have changed
        it. That takes 1 us (asking for it first would take 0.7), of the 5 us or more of a parallel call.
        """
        kernel, arguments = self.choose(out, operands, elements=elements, threads=threads)
        if kernel is self.serial:
            return partial(kernel, *arguments)

        def run() -> None:
            numba.set_num_threads(threads)
            kernel(*arguments)

        return run


def _overwrites(out: np.ndarray, operands: tuple[Any, ...]) -> bool:
    """Tell whether `out` is one of the operands, which are views of what they were given as."""
    return any(isinstance(each, np.ndarray) and np.may_share_memory(out, each) for each in operands)


def elementwise(scalar: Callable[..., Any], *, streams: bool = False) -> Kernels:
    """Return kernels for `out[i] = scalar(*operands[i])`; operands are arrays or scalars.

    Of two-dimensional operands, `scalar` gets the rows. One that `streams` is limited by memory and may write past
    the caches; others gain nothing, since the processor cannot compute while it waits for these stores.
    """

    def serial(out: Any, *operands: Any) -> None:
        _fill(scalar, out, operands)

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            start = c * chunk
            stop = min(start + chunk, n)
            call_apart(_fill, (scalar, unowned(out)[start:stop], _cut(operands, start, stop)))

    def streamed(out: Any, head: int, *operands: Any) -> None:
        """Chunks begin with a cache line, `head` elements after the first."""
        n = out.shape[0]
        for c in prange((n - head + CHUNK - 1) // CHUNK + 1):
            start = max(0, head + (c - 1) * CHUNK)
            stop = min(head + c * CHUNK, n)
            call_apart(_stream, (scalar, unowned(out)[start:stop], _cut(operands, start, stop)))

    return _compiled("elementwise", scalar, serial, parallel, **({"streamed": streamed} if streams else {}))


def rowwise(row: Callable[..., None]) -> Kernels:
    """Return kernels for `row(out[i], *operands[i])`, which fills a row of a two-dimensional `out`."""

    def serial(out: Any, *operands: Any) -> None:
        _rows(row, out, operands)

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            start, stop = c * chunk, min((c + 1) * chunk, n)
            call_apart(_rows, (row, unowned(out)[start:stop], _cut(operands, start, stop)))

    return _compiled("rowwise", row, serial, parallel)


def in_two_passes(reduce: Callable[..., Any], finish: Callable[..., None], short: Callable[..., None]) -> Kernels:
    """Return kernels for rows that must be summed before `out` can be filled.

    `reduce(*row)` returns sums over a row or a part of it, which `merged` adds up; `finish(out, sums, *row)` fills
    that part of `out`. `short(out, *row)` does both for a row that stays in the cache.
    """

    def serial(out: Any, *operands: Any) -> None:
        _whole_rows(reduce, finish, short, out, operands)

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            start, stop = c * chunk, min((c + 1) * chunk, n)
            call_apart(_whole_rows, (reduce, finish, short, unowned(out)[start:stop], _cut(operands, start, stop)))

    def split(out: Any, parts: int, *operands: Any) -> None:
        n = out.shape[1]
        sums = np.empty((parts, N_SUMS))
        for i in range(out.shape[0]):
            row = _at(operands, i)
            for p in prange(parts):
                _keep(sums[p], call_apart(reduce, _cut(row, p * n // parts, (p + 1) * n // parts)))
            whole = merged(sums)
            for p in prange(parts):
                start, stop = p * n // parts, (p + 1) * n // parts
                call_apart(finish, (unowned(out)[i, start:stop], whole, *_cut(row, start, stop)))

    return _compiled(f"{finish.__name__}.in_two_passes", reduce, serial, parallel, split=split)


def summed(scalar: Callable[..., Any]) -> Kernels:
    """Return kernels for `out[0]` = the sum of `scalar` over the operands, divided by a number, in float64.

    The sum is added up from chunks of a given length, whatever the number of threads.
    """

    def serial(out: Any, length: int, divisor: float, *operands: Any) -> None:
        result = 0.0
        for start in range(0, operands[0].shape[0], length):
            result += total(scalar, _cut(operands, start, start + length))
        out[0] = result / divisor

    def parallel(out: Any, chunk: int, length: int, divisor: float, *operands: Any) -> None:  # noqa: ARG001
        sums = np.empty((operands[0].shape[0] + length - 1) // length)
        for c in prange(sums.shape[0]):
            sums[c] = call_apart(total, (scalar, _cut(operands, c * length, (c + 1) * length)))
        result = 0.0
        for c in range(sums.shape[0]):
            result += sums[c]
        out[0] = result / divisor

    return _compiled("summed", scalar, serial, parallel)


@subroutine
def total(scalar: Any, operands: Any) -> Any:
    """Sum `scalar` over the first operand and what goes with it, in float64.

    A block is computed before it is summed: the widest type in a loop decides how many elements LLVM puts into a
    vector. Sums are in two levels, so that the error does not grow with the length.
    """
    n = operands[0].shape[0]
    result = 0.0
    if n == 0:
        return result
    terms = _results(scalar, _at(operands, 0))
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        block = terms[: stop - start]
        fill(scalar, block, _cut(operands, start, stop))
        result += sum_of(block)
    return result


@subroutine
def _rows(row: Any, out: Any, operands: Any) -> None:
    for i in range(out.shape[0]):
        row(unowned(out)[i], *_at(operands, i))


@subroutine
def _whole_rows(reduce: Any, finish: Any, short: Any, out: Any, operands: Any) -> None:
    for i in range(out.shape[0]):
        row = _at(operands, i)
        if out.shape[1] <= SHORT:
            short(unowned(out)[i], *row)
        else:
            finish(unowned(out)[i], reduce(*row), *row)


@formula
def _keep(kept: Any, sums: Any) -> None:
    for k in range(N_SUMS):
        kept[k] = sums[k]


@subroutine
def merged(sums: Any) -> Any:
    """Add up what `reduce` returned for the parts of a row; each row of `sums` is one part.

    It holds the largest entry x, two sums of multiples of exp(x - largest), and a plain sum.
    """
    largest = sums[0, 0]
    for p in range(1, sums.shape[0]):
        largest = sums[p, 0] if sums[p, 0] > largest else largest  # noqa: FURB136 - as in C
    first = second = plain = 0.0
    for p in range(sums.shape[0]):
        scale = math.exp(sums[p, 0] - largest)
        first += scale * sums[p, 1]
        second += scale * sums[p, 2]
        plain += sums[p, 3]
    return largest, first, second, plain


@subroutine
def sum_of(x: Any) -> Any:
    """Sum an array in float64; LLVM chooses into how many partial sums."""
    result = 0.0
    for i in range(x.shape[0]):
        result = add(result, np.float64(x[i]))
    return result


@formula
def _stream(scalar: Any, out: Any, operands: Any) -> None:
    """Fill `out`, block by block, with stores past the caches, a line at a time."""
    n = out.shape[0]
    line = LINE // out.itemsize
    block = numbers(out[0])
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        _fill(scalar, block[: stop - start], _cut(operands, start, stop))
        lines = (stop - start) // line * line if n >= line else 0
        for i in range(0, lines, line):
            store_line(out, start + i, block, i)
        for i in range(lines, stop - start):
            out[start + i] = block[i]
    fence()


@formula
def fill(scalar: Any, out: Any, operands: Any) -> None:
    """Let out[i] = scalar(*operands[i]), apart from the caller's loops where that pays."""
    if out.shape[0] < APART_FROM:
        _fill(scalar, out, operands)
    else:
        call_apart(_fill, (scalar, out, operands))


@subroutine
def _fill(scalar: Any, out: Any, operands: Any) -> None:
    for i in range(out.shape[0]):
        out[i] = scalar(*_at(operands, i))


def elements_to_line(array: np.ndarray) -> int:
    """Return how many elements of an array come before the first that begins a cache line."""
    return -array.ctypes.data % LINE // array.itemsize


# --- operands: arrays are indexed, scalars stay what they are -------------------------------------------------


def _at(operands: Any, i: int) -> Any:
    """Return the i-th of each operand: an element, or a row."""


def _cut(operands: Any, start: int, stop: int) -> Any:
    """Return the part of each operand from `start` to `stop`."""


def _compile_at(operands: Any, i: Any) -> Any:
    del i
    return _of_each(operands, "i", "i")


def _compile_cut(operands: Any, start: Any, stop: Any) -> Any:
    del start, stop
    return _of_each(operands, "start, stop", "start:stop")


def _of_each(operands: Any, arguments: str, index: str) -> Any:
    """Return a function written out for these operands: Numba takes ten times as long for a recursive one."""
    each = (
        f"unowned(operands[{k}])[{index}]" if isinstance(operand, types.Array) else f"operands[{k}]"
        for k, operand in enumerate(operands)
    )
    return eval(f"lambda operands, {arguments}: ({', '.join(each)},)")


for _stub, _implementation in ((_at, _compile_at), (_cut, _compile_cut)):
    overload(_stub, jit_options=OPTIONS, strict=False)(_implementation)  # strict compares annotations

# --- compilation ----------------------------------------------------------------------------------------------


def _checksum() -> str:
    """Identify the code that kernels are compiled from: Numba itself looks at this file alone."""
    folder = Path(__file__).parent
    sources = sorted([*folder.glob("*.py"), folder.parent / "gelu_constants.py"])
    return f"{zlib.crc32(b''.join(source.read_bytes() for source in sources)):08x}"


_SOURCES = _checksum()


def _compiled(
    loop: str,
    scalar: Callable[..., Any],
    serial: Callable[..., None],
    parallel: Callable[..., None],
    **more: Callable[..., None],
) -> Kernels:
    for kernel in (serial, parallel, *more.values()):
        kernel.__qualname__ = f"{scalar.__name__}.{loop}.{kernel.__name__}.{_SOURCES}"
    threaded = {name: _jit(kernel, parallel=True) for name, kernel in {"parallel": parallel, **more}.items()}
    return Kernels(_jit(serial), **threaded)


def _jit(kernel: Callable[..., None], **options: Any) -> Callable[..., None]:
    try:
        return cast("Callable[..., None]", njit(cache=True, **OPTIONS, **options)(kernel))
    except RuntimeError:  # no folder to cache in: neither beside this file nor in the user's home
        return cast("Callable[..., None]", njit(**OPTIONS, **options)(kernel))
