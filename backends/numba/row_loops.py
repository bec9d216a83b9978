"""The loops around Numba's formulas of one row: serial, parallel, and in two passes over long rows; see `loops`.

A formula may keep numbers in the row that it fills. For a narrow type it gets a spare row of float32, which stays
in the cache, so that the result is rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numba.extending import overload

from backends.numba.compilation import OPTIONS, formula, subroutine
from backends.numba.intrinsics import LINE, buffer, call_apart, fence, unowned
from backends.numba.loops import CHUNK, Kernels, at, compiled, cut, fill, itself, stream_lines
from backends.numba.narrow import floats, is_narrow

SHORT = 65_536
"""A row of up to this many elements, 256 KiB of float32, is still in the second-level cache when read again."""
N_SUMS = 4
"""How many sums over a row `in_two_passes` keeps."""
ON_STACK = 4096
"""A spare row of up to this many elements, 16 KiB, is on the stack."""

_on_stack = buffer(ON_STACK)


def rowwise(row: Callable[..., None], *, once: bool = False, streams: bool = True) -> Kernels:
    """Return kernels for `row(out[i], *operands[i])`, which fills a row of a two-dimensional `out`.

    One that stores each number `once`, by `fill`, needs no spare row. One that reads less than it writes does not
    gain from stores past the caches: `streams` is then False.
    """
    rows = _rows_filled_once if once else _rows

    def serial(out: Any, *operands: Any) -> None:
        rows(row, out, operands)

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            start, stop = c * chunk, min((c + 1) * chunk, n)
            call_apart(rows, (row, unowned(out)[start:stop], cut(operands, start, stop)))

    streamed = _streamed(row) if streams and not once else None
    return compiled("rowwise", row, serial, parallel, streamed=streamed, streams_up_to=ON_STACK)


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
            call_apart(_whole_rows, (reduce, finish, short, unowned(out)[start:stop], cut(operands, start, stop)))

    def split(out: Any, parts: int, *operands: Any) -> None:
        n = out.shape[1]
        sums = np.empty((parts, N_SUMS))
        for i in range(out.shape[0]):
            for p in prange(parts):
                _keep(sums[p], call_apart(reduce, cut(at(operands, i), p * n // parts, (p + 1) * n // parts)))
            whole = merged(sums)
            for p in prange(parts):
                start, stop = p * n // parts, (p + 1) * n // parts
                part = cut(at(operands, i), start, stop)
                call_apart(finish, (floats(unowned(out)[i, start:stop]), whole, *part))

    name, streamed = f"{finish.__name__}.in_two_passes", _streamed(short)
    return compiled(name, reduce, serial, parallel, split=split, streamed=streamed, streams_up_to=ON_STACK)


def _streamed(row: Callable[..., None]) -> Callable[..., None]:
    """Return a kernel that fills rows of up to `ON_STACK` elements past the caches.

    Each is computed in a spare row, which the processor need not read first: large outputs take a sixth less time.
    """

    def streamed(out: Any, head: int, *operands: Any) -> None:
        """Write whole lines, the first of which begins `head` elements after the first."""
        n = out.shape[0]
        chunk = max(1, CHUNK // out.shape[1])
        for c in prange((n + chunk - 1) // chunk):
            start, stop = c * chunk, min((c + 1) * chunk, n)
            before = head - start * out.shape[1]
            call_apart(_stream_rows, (row, unowned(out)[start:stop], before, cut(operands, start, stop)))

    return streamed


def weighted(
    reduce: Callable[..., Any], weigh: Callable[..., Any], each: Callable[..., Any], *, streams: bool = False
) -> Kernels:
    """Return kernels for rows of which each entry needs a number that the whole row makes.

    `reduce(*row)` returns sums over a row or a part of it, which `merged` adds up, and `weigh(sums, like)` the
    number, of the type of `like`. `each(number, *entries)` is what an entry becomes. One that `streams` is limited
    by memory and may write past the caches.
    """

    def serial(out: Any, *operands: Any) -> None:
        _weighted_rows(reduce, weigh, each, out, operands)

    def parallel(out: Any, chunk: int, *operands: Any) -> None:
        n = out.shape[0]
        for c in prange((n + chunk - 1) // chunk):
            start, stop = c * chunk, min((c + 1) * chunk, n)
            part = cut(operands, start, stop)
            call_apart(_weighted_rows, (reduce, weigh, each, unowned(out)[start:stop], part))

    def split(out: Any, parts: int, *operands: Any) -> None:
        n = out.shape[1]
        sums = np.empty((parts, N_SUMS))
        for i in range(out.shape[0]):
            for p in prange(parts):
                _keep(sums[p], call_apart(reduce, cut(at(operands, i), p * n // parts, (p + 1) * n // parts)))
            whole = merged(sums)
            for p in prange(parts):
                start, stop = p * n // parts, (p + 1) * n // parts
                part = cut(at(operands, i), start, stop)
                call_apart(_fill_weighted, (weigh, each, unowned(out)[i, start:stop], whole, part))

    def streamed(out: Any, head: int, *operands: Any) -> None:
        """Write whole lines, the first of which begins `head` elements after the first."""
        n = out.shape[0]
        chunk = max(1, CHUNK // out.shape[1])
        for c in prange((n + chunk - 1) // chunk):
            start, stop = c * chunk, min((c + 1) * chunk, n)
            part = cut(operands, start, stop)
            before = head - start * out.shape[1]
            call_apart(_stream_weighted_rows, (reduce, weigh, each, unowned(out)[start:stop], before, part))

    past = streamed if streams else None
    return compiled(f"{reduce.__name__}.weighted", each, serial, parallel, split=split, streamed=past)


@subroutine
def _weighted_rows(reduce: Any, weigh: Any, each: Any, out: Any, operands: Any) -> None:
    for i in range(out.shape[0]):
        row = at(operands, i)
        _fill_weighted(weigh, each, unowned(out)[i], reduce(*row), row)


@subroutine
def _fill_weighted(weigh: Any, each: Any, out: Any, sums: Any, row: Any) -> None:
    fill(each, out, (weigh(sums, row[0][0]),) + row)  # noqa: RUF005 - compiled code has no other way


@subroutine
def _stream_weighted_rows(reduce: Any, weigh: Any, each: Any, out: Any, head: Any, operands: Any) -> None:
    """Fill rows with stores past the caches; some line begins `head` elements after the first."""
    n, line = out.shape[1], LINE // out.itemsize
    for i in range(out.shape[0]):
        row = at(operands, i)
        weight = weigh(reduce(*row), row[0][0])
        _stream_row(each, unowned(out)[i], (head - i * n) % line, (weight,) + row)  # noqa: RUF005
    fence()


@formula
def _stream_row(each: Any, out: Any, before: Any, operands: Any) -> None:
    """Fill a row past the caches; some line begins `before` elements after the first, or beyond the last."""
    n = out.shape[0]
    before = min(before, n)
    fill(each, out[:before], cut(operands, 0, before))
    stream_lines(each, out[before:], cut(operands, before, n))


@subroutine
def _stream_rows(row: Any, out: Any, head: Any, operands: Any) -> None:
    """Fill rows with stores past the caches; some line begins `head` elements after the first."""
    n, line = out.shape[1], LINE // out.itemsize
    spare = _on_stack(floats(unowned(out)[0])[0])[:n]
    for i in range(out.shape[0]):
        row(unowned(spare), *at(operands, i))
        _stream_row(itself, unowned(out)[i], (head - i * n) % line, (unowned(spare),))
    fence()


@subroutine
def _rows_filled_once(row: Any, out: Any, operands: Any) -> None:
    for i in range(out.shape[0]):
        row(unowned(out)[i], *at(operands, i))


@subroutine
def _whole_rows(reduce: Any, finish: Any, short: Any, out: Any, operands: Any) -> None:
    if out.shape[1] <= SHORT:
        _rows(short, out, operands)
    else:
        for i in range(out.shape[0]):
            row = at(operands, i)
            finish(floats(unowned(out)[i]), reduce(*row), *row)


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


def _rows(row: Any, out: Any, operands: Any) -> None:
    """Fill rows of `out`, through a spare one if they are of a narrow type."""


def _compile_rows(row: Any, out: Any, operands: Any) -> Any:
    del row, operands

    def directly(row: Any, out: Any, operands: Any) -> None:
        _rows_filled_once(row, out, operands)

    def through_spare(row: Any, out: Any, operands: Any) -> None:
        n = out.shape[1]
        # Two threads that take theirs from one heap get neighbours, and fetch each other's lines ahead.
        on_stack = _on_stack(np.float32(0))
        spare = on_stack[:n] if n <= ON_STACK else np.empty(n, np.float32)
        for i in range(out.shape[0]):
            row(unowned(spare), *at(operands, i))
            fill(itself, unowned(out)[i], (unowned(spare),))

    return through_spare if is_narrow(out) else directly


overload(_rows, jit_options=OPTIONS, strict=False)(_compile_rows)  # strict compares annotations
