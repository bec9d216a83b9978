"""The loops around Numba's scalar formulas: serial and parallel, compiled on first call and cached on disk.

Parallel kernels call the serial loop, apart from their own, on chunks of `CHUNK` elements: LLVM compiles that
loop as if it stood alone, with a register for each of its constants (1.5 times as fast on sigmoid), and a sum over
chunks does not depend on the number of threads. Chunks are `unowned`: threads do not count references to them.

Formulas compute with float32 or float64. Numbers of 16 bits become float32 as they are loaded, and are rounded as
they are stored (`narrow`): the same loops, compiled for them when they are first asked for. Of bfloat16, those
that memory limits take two numbers at a time, as one of 32 bits: a vector of these needs no shuffle, and 0.7 of
the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np
from numba import prange, types
from numba.extending import overload

from backends.host import rounded
from backends.numba.compilation import OPTIONS, SOURCES, formula, jit
from backends.numba.intrinsics import LINE, buffer, call_apart, fence, fetch_line, per_line, store_line, unowned
from backends.numba.narrow import bits, even, floats, has_pairs, odd, store_pair  # noqa: F401 - see `_of_each`

CHUNK = 8192
"""Elements that one thread takes at a time."""
BLOCK = 512
"""Elements that are computed before they are summed or streamed; they stay in the first-level cache."""
APART_FROM = 64
"""From this many elements on, a loop gains more than a call costs (2 ns); see `call_apart`."""
AHEAD = 8
"""So many lines of a block are fetched ahead; all of them would cost what is in a cache a tenth of its time."""
SERIAL_BELOW = 30_000
"""Below this many elements, starting threads (3 to 5 us) costs more than it saves."""
STREAM_FROM = 32 * 2**20
"""An output of this many bytes or more may be written past the caches, which then need not read it first."""

numbers = buffer(BLOCK)
"""Return, for compiled code, an array of a block's length on the stack, of the type of its argument."""


@dataclass(frozen=True)
class Kernels:
    """One computation: each kernel fills `out` from the operands.

    `streamed` does so with stores past the caches, for rows of up to `streams_up_to` elements; `split` gives
    several threads a part of each row.
    """

    serial: Callable[..., None]
    parallel: Callable[..., None]
    streamed: Callable[..., None] | None = None
    split: Callable[..., None] | None = None
    streams_up_to: float = np.inf

    def choose(
        self, out: np.ndarray, operands: tuple[Any, ...], *, elements: int, threads: int
    ) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """Return the kernel that suits the operands, and its arguments; all but the serial one use threads."""
        splits = self.split is not None and len(out) < 2 * threads
        streams = self._streams(out.nbytes) and out.shape[-1] <= self.streams_up_to
        if self.streamed and streams and not splits and not _overwrites(out, operands):
            return self.streamed, (out, elements_to_line(out), *operands)
        if not self.is_serial(0, elements=elements, threads=threads):
            if self.split and splits:
                return self.split, (out, threads, *operands)
            return self.parallel, (out, max(1, CHUNK * len(out) // elements), *operands)
        return self.serial, (out, *operands)

    def is_serial(self, n_bytes: int, *, elements: int, threads: int) -> bool:
        """Tell whether the serial kernel suits an output of so many bytes, whatever it and the operands hold."""
        return not self._streams(n_bytes) and (threads == 1 or elements < SERIAL_BELOW)

    def _streams(self, n_bytes: int) -> bool:
        return self.streamed is not None and n_bytes >= STREAM_FROM

    def bound(
        self, out: np.ndarray, operands: tuple[Any, ...], *, elements: int, threads: int
    ) -> Callable[[], None]:
        """Return a call that fills `out`, in parallel where that pays; of narrow types, operands are `bits`.

        The number of threads is set on each parallel call, since another backend in this process may have changed
        it. That takes 1 us (asking for it first would take 0.7), of the 5 us or more of a parallel call.
        """
        kernel, arguments = self.choose(bits(out), operands, elements=elements, threads=threads)
        if kernel is self.serial:
            return partial(kernel, *arguments)

        def run() -> None:
            numba.set_num_threads(threads)
            kernel(*arguments)

        return run


class Repeated:
    """Calls of a kernel with arguments of the same types: from the second on, Numba does not look at each again.

    That takes 0.1 us for an array, and 0.3 for a read-only one: as much as a small op.
    `call(out, operands)` fills `out`. If `number` is given, it is the type of the first operand, which comes as a
    Python number: what is compiled rounds it itself, in a tenth of the time that making such a number takes.
    """

    def __init__(self, kernel: Callable[..., None], number: type[np.floating[Any]] | None = None) -> None:
        self._kernel: Any = kernel
        self._number = number
        self.call: Callable[[np.ndarray, tuple[Any, ...]], None] = self._first

    def _first(self, out: np.ndarray, operands: tuple[Any, ...]) -> None:
        self._kernel(out, *self._typed(operands))
        self.call = self._second

    def _second(self, out: np.ndarray, operands: tuple[Any, ...]) -> None:
        types_of = (numba.typeof(out), numba.typeof(self._typed(operands)))
        self.call = self._kernel.get_overload(types_of)
        self.call(out, operands)

    def _typed(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        if self._number is None:
            return operands
        return (rounded(operands[0], self._number), *operands[1:])


def _overwrites(out: np.ndarray, operands: tuple[Any, ...]) -> bool:
    """Tell whether `out` is one of the operands, which are views of what they were given as."""
    return any(isinstance(each, np.ndarray) and np.may_share_memory(out, each) for each in operands)


def compiled(
    loop: str,
    scalar: Callable[..., Any],
    serial: Callable[..., None],
    parallel: Callable[..., None],
    *,
    streamed: Callable[..., None] | None = None,
    split: Callable[..., None] | None = None,
    streams_up_to: float = np.inf,
) -> Kernels:
    """Return kernels that are compiled when first called, and cached under names made of the formula's."""
    for kernel in (serial, parallel, streamed, split):
        if kernel:
            kernel.__qualname__ = f"{scalar.__name__}.{loop}.{kernel.__name__}.{SOURCES}"
    return Kernels(
        jit(serial),
        jit(parallel, parallel=True),
        streamed and jit(streamed, parallel=True),
        split and jit(split, parallel=True),
        streams_up_to,
    )


def elementwise(scalar: Callable[..., Any], *, streams: bool = False) -> Kernels:
    """Return kernels for `out[i] = scalar(*operands[i])`; operands are arrays or scalars.

    Of two-dimensional operands, `scalar` gets the rows. One that `streams` is limited by memory and may write past
    the caches; others gain nothing, since the processor cannot compute while it waits for these stores.
    """
    fill_part = _fill if streams else _fill_by_blocks

    def serial(out: Any, *operands: Any) -> None:
        fill_part(scalar, out, operands)

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            start = c * chunk
            stop = min(start + chunk, n)
            call_apart(fill_part, (scalar, unowned(out)[start:stop], cut(operands, start, stop)))

    def streamed(out: Any, head: int, *operands: Any) -> None:
        """Chunks begin with a cache line, `head` elements after the first."""
        n = out.shape[0]
        for c in prange((n - head + CHUNK - 1) // CHUNK + 1):
            start = max(0, head + (c - 1) * CHUNK)
            stop = min(head + c * CHUNK, n)
            call_apart(_stream, (scalar, unowned(out)[start:stop], cut(operands, start, stop)))

    return compiled("elementwise", scalar, serial, parallel, streamed=streamed if streams else None)


@formula
def _stream(scalar: Any, out: Any, operands: Any) -> None:
    """Fill `out`, which begins with a line, with stores past the caches, and wait for them."""
    stream_lines(scalar, out, operands)
    fence()


@formula
def stream_lines(scalar: Any, out: Any, operands: Any) -> None:
    """Fill `out`, which begins with a line, block by block, with stores past the caches, a line at a time."""
    n = out.shape[0]
    line = LINE // out.itemsize
    block = numbers(out[0])
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        _fill(scalar, block[: stop - start], cut(operands, start, stop))
        lines = (stop - start) // line * line if n >= line else 0
        for i in range(0, lines, line):
            store_line(out, start + i, block, i)
        for i in range(lines, stop - start):
            out[start + i] = block[i]


@formula
def fill(scalar: Any, out: Any, operands: Any) -> None:
    """Let out[i] = scalar(*operands[i]), apart from the caller's loops where that pays."""
    if out.shape[0] < APART_FROM:
        _fill(scalar, out, operands)
    else:
        call_apart(_fill_by_blocks, (scalar, out, operands))


def _fill(scalar: Any, out: Any, operands: Any) -> None:
    """Let out[i] = scalar(*operands[i]); for what memory limits, bfloat16 in pairs."""


def _fill_by_blocks(scalar: Any, out: Any, operands: Any) -> None:
    """Let out[i] = scalar(*operands[i]); where computing takes longer, bfloat16 is rounded in a loop of its own.

    A loop that computes has no register left for it: tanh takes 0.85 of the time, sigmoid 0.9.
    """


def _one_by_one(scalar: Any, out: Any, operands: Any) -> None:
    for i in range(out.shape[0]):
        floats(out)[i] = scalar(*at(operands, i))


def _in_pairs(scalar: Any, out: Any, operands: Any) -> None:
    n = out.shape[0]
    for i in range(n // 2):
        store_pair(out, i, scalar(*_even(operands, i)), scalar(*_odd(operands, i)))
    if n % 2:
        floats(out)[n - 1] = scalar(*at(operands, n - 1))


def _by_blocks(scalar: Any, out: Any, operands: Any) -> None:
    n = out.shape[0]
    block = numbers(np.float32(0))
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        part = block[: stop - start]
        call_apart(_fill, (scalar, part, cut(operands, start, stop)))
        _fill(itself, unowned(out)[start:stop], (part,))


def _compile_fill(scalar: Any, out: Any, operands: Any) -> Any:
    del scalar
    return _in_pairs if has_pairs((out, *operands)) else _one_by_one


def _compile_fill_by_blocks(scalar: Any, out: Any, operands: Any) -> Any:
    del scalar
    return _by_blocks if has_pairs((out, *operands)) else _one_by_one


@formula
def itself(x: Any) -> Any:
    """Return x."""
    return x


def elements_to_line(array: np.ndarray) -> int:
    """Return how many elements of an array come before the first that begins a cache line."""
    return -array.ctypes.data % LINE // array.itemsize


# --- operands: arrays are indexed, scalars stay what they are -------------------------------------------------


def at(operands: Any, i: int) -> Any:
    """Return the i-th of each operand: an element, or a row."""


def cut(operands: Any, start: int, stop: int) -> Any:
    """Return the part of each operand from `start` to `stop`."""


def _even(operands: Any, i: int) -> Any:
    """Return the first number of the i-th pair of each operand."""


def _odd(operands: Any, i: int) -> Any:
    """Return the second number of the i-th pair of each operand."""


def fetch_after_next(operands: Any, stop: int) -> None:
    """Have the first `AHEAD` lines of each operand's block after the next one, which begins at `stop`, fetched.

    A processor fetches ahead by itself, but not from page to page: where a block takes longer to compute than to
    read, each page would begin with a wait. At 10 million elements, a focal loss takes half the time with this.
    """


@formula
def _fetch_after_next(x: Any, stop: int) -> None:
    fetch(x, stop + BLOCK, stop + BLOCK + AHEAD * per_line(x))


@formula
def fetch(x: Any, start: Any, stop: Any) -> None:
    """Have the lines of x[start:stop] fetched meanwhile, which may lie beyond its end: in the next row."""
    for i in range(start, stop, per_line(x)):
        fetch_line(x, i)


def _compile_fetch_after_next(operands: Any, stop: Any) -> Any:
    del stop
    return _of_each(operands, "stop", "0", "_fetch_after_next({0}, stop)")


def _compile_at(operands: Any, i: Any) -> Any:
    del i
    return _of_each(operands, "i", "floats(unowned({0})[i])", "floats({0})[i]")


def _compile_even(operands: Any, i: Any) -> Any:
    del i
    return _of_each(operands, "i", "", "even({0}, i)")


def _compile_odd(operands: Any, i: Any) -> Any:
    del i
    return _of_each(operands, "i", "", "odd({0}, i)")


def _compile_cut(operands: Any, start: Any, stop: Any) -> Any:
    del start, stop
    return _of_each(operands, "start, stop", "unowned({0})[start:stop]", "unowned({0})[start:stop]")


def _of_each(operands: Any, arguments: str, of_rows: str, of_line: str) -> Any:
    """Return a function written out for these operands: Numba takes ten times as long for a recursive one."""
    forms = [(of_line if x.ndim == 1 else of_rows) if isinstance(x, types.Array) else "{0}" for x in operands]
    each = ", ".join(form.format(f"operands[{k}]") for k, form in enumerate(forms))
    return eval(f"lambda operands, {arguments}: ({each},)")


for _stub, _implementation in (
    (_fill, _compile_fill),
    (_fill_by_blocks, _compile_fill_by_blocks),
    (at, _compile_at),
    (_even, _compile_even),
    (_odd, _compile_odd),
    (cut, _compile_cut),
    (fetch_after_next, _compile_fetch_after_next),
):
    overload(_stub, jit_options=OPTIONS, strict=False)(_implementation)  # strict compares annotations
