"""Where Numba's kernels put what they compute: an array that is given, or a new one for each call."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import numpy as np

from backends.host import Run, reduced
from backends.numba.loops import Kernels, Repeated
from backends.numba.narrow import bits


def filling(
    kernels: Kernels,
    out: np.ndarray | None,
    like: np.ndarray,
    operands: tuple[Any, ...],
    threads: int,
    shape: tuple[int, ...] | None = None,
) -> Run:
    """Return a call that fills `out`, or a new array like the first operand, of its shape or the one given."""
    shape = like.shape if shape is None else shape
    if kernels.is_serial(math.prod(shape) * like.itemsize, elements=like.size, threads=threads):
        return _filling_soon(kernels.serial, out, shape, like.dtype, operands)
    if out is not None:
        return _returning(kernels.bound(out.reshape(-1), operands, elements=like.size, threads=threads), out)

    def fresh() -> np.ndarray:
        made = np.empty(shape, like.dtype)
        kernels.bound(made.reshape(-1), operands, elements=like.size, threads=threads)()
        return made

    return fresh


def _filling_soon(
    kernel: Callable[..., None],
    out: np.ndarray | None,
    shape: tuple[int, ...],
    dtype: np.dtype,
    operands: tuple[Any, ...],
) -> Run:
    """Return such a call of a serial kernel, in which nothing is done that can be done before."""
    repeated = Repeated(kernel)
    if out is not None:
        given = bits(out.reshape(-1))

        def refill() -> np.ndarray:
            repeated.call(given, operands)
            return out

        return refill
    if len(shape) == 1 and dtype.itemsize > 2:

        def fill_line() -> np.ndarray:
            made = np.empty(shape, dtype)
            repeated.call(made, operands)
            return made

        return fill_line
    line = _to_line(shape, dtype)

    def fill() -> np.ndarray:
        made = np.empty(shape, dtype)
        repeated.call(line(made), operands)
        return made

    return fill


def _to_line(shape: tuple[int, ...], dtype: np.dtype) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes a line, as kernels take it, of an array of this shape and type, in the fewest calls."""
    if dtype.itemsize > 2:
        return methodcaller("reshape", -1)
    if len(shape) == 1:
        return methodcaller("view", bits(np.empty(0, dtype)).dtype)
    return lambda array: bits(array.reshape(-1))


def _returning(call: Callable[[], None], out: np.ndarray) -> Run:
    """Return `call` with `out` as its result."""

    def run() -> np.ndarray:
        call()
        return out

    return run


def filling_rows(
    kernels: Kernels,
    out: np.ndarray | None,
    x: np.ndarray,
    shape: tuple[int, ...],
    operands: Callable[[], tuple[Any, ...]],
    axis: int,
    threads: int,
) -> Run:
    """Return a call that fills the rows of `out`, or of a new array, from operands that may depend on values.

    An output whose classes lie along another axis than the last is filled from a copy.
    """
    last = axis in (-1, len(shape) - 1)
    size = (math.prod(shape[:-1]), shape[-1])
    if math.prod(shape) == 0:
        return lambda: np.empty(shape, x.dtype) if out is None else out

    fill = _filler(kernels, x, threads)

    def run() -> np.ndarray:
        made = np.empty(shape, x.dtype) if out is None else out
        rows = made.reshape(size) if last else matrix(made, axis)
        fill(rows, operands())
        if not last:
            moved = np.moveaxis(made, axis, -1)
            moved[...] = rows.reshape(moved.shape)
        return made

    return run


def filling_by_weight(
    kernels: Kernels,
    out: np.ndarray | None,
    like: np.ndarray,
    weight: Callable[[], Any],
    operands: tuple[Any, ...],
    threads: int,
) -> Run:
    """Return a call that fills `out`, or a new array like `like`, from a number that may change, and operands."""
    fill = _filler(kernels, like, threads)

    def run() -> np.ndarray:
        made = np.empty(like.shape, like.dtype) if out is None else out
        fill(made.reshape(-1), (weight(), *operands))
        return made

    return run


def _filler(kernels: Kernels, like: np.ndarray, threads: int) -> Callable[[np.ndarray, tuple[Any, ...]], None]:
    """Return what fills an array as large as `like` from operands, whose types are the same in each call."""
    if not kernels.is_serial(like.nbytes, elements=like.size, threads=threads):
        return lambda made, operands: kernels.bound(made, operands, elements=like.size, threads=threads)()
    repeated = Repeated(kernels.serial)
    return lambda made, operands: repeated.call(bits(made), operands)


def losses_of_nothing(
    x: np.ndarray, shape: tuple[int, ...], reduction: str, count: float, out: np.ndarray | None
) -> np.ndarray:
    """Return the losses of rows without classes, which are 0, or their sum, or that over what takes part."""
    losses = np.zeros(shape, x.dtype)
    if reduction != "none":
        return reduced(losses, count, x.dtype, reduction, out)
    if out is None:
        return losses
    out[...] = losses
    return out


def matrix(array: np.ndarray, axis: int) -> np.ndarray:
    """View or copy an array as a matrix with classes along its rows, contiguous."""
    moved = np.moveaxis(array, axis, -1)
    return np.ascontiguousarray(moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1]))
