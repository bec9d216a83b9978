"""Where Numba's kernels put what they compute: an array that is given, or a new one for each call."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any

import numpy as np

from backends.arguments import without_axis
from backends.host import Run, computed_in, reduced, rounded
from backends.numba.loops import Kernels, Repeated
from backends.numba.narrow import bits

Weight = Callable[[], float]
"""Returns a number that comes before the operands, and may change from call to call."""


def filling(
    kernels: Kernels,
    out: np.ndarray | None,
    like: np.ndarray,
    operands: tuple[Any, ...],
    threads: int,
    shape: tuple[int, ...] | None = None,
    weight: Weight | None = None,
) -> Run:
    """Return a call that fills `out`, or a new array like `like`, of its shape or the one given.

    With a `weight`, what that returns by then comes before the operands.
    """
    shape = like.shape if shape is None else shape
    flat = (math.prod(shape),)
    return _filling(kernels, out, like, shape, flat, operands, threads, weight)


def filling_rows(
    kernels: Kernels,
    out: np.ndarray | None,
    x: np.ndarray,
    shape: tuple[int, ...],
    operands: tuple[Any, ...],
    axis: int,
    threads: int,
    weight: Weight | None = None,
) -> Run:
    """Return a call that fills the rows of `out`, or of a new array like `x`; see `filling` for `weight`.

    An output whose classes lie along another axis than the last is filled from a copy.
    """
    if math.prod(shape) == 0:
        return lambda: np.empty(shape, x.dtype) if out is None else out
    if axis in (-1, len(shape) - 1):
        rows = (math.prod(shape[:-1]), shape[-1])
        return _filling(kernels, out, x, shape, rows, operands, threads, weight)
    moved = (*without_axis(shape, axis), shape[axis])
    rows = (math.prod(moved[:-1]), moved[-1])
    fill_rows = _filling(kernels, None, x, rows, rows, operands, threads, weight)

    def run() -> np.ndarray:
        made = np.empty(shape, x.dtype) if out is None else out
        np.moveaxis(made, axis, -1)[...] = fill_rows().reshape(moved)
        return made

    return run


def _filling(
    kernels: Kernels,
    out: np.ndarray | None,
    like: np.ndarray,
    shape: tuple[int, ...],
    taken: tuple[int, ...],
    operands: tuple[Any, ...],
    threads: int,
    weight: Weight | None,
) -> Run:
    """Return a call that fills `out`, or a new array of `shape`; kernels take either in the shape `taken`."""
    if kernels.is_serial(math.prod(shape) * like.itemsize, elements=like.size, threads=threads):
        return _filling_soon(kernels.serial, out, shape, taken, like.dtype, operands, weight)
    if out is not None and weight is None:
        return _returning(kernels.bound(out.reshape(taken), operands, elements=like.size, threads=threads), out)

    def run() -> np.ndarray:
        made = np.empty(shape, like.dtype) if out is None else out
        every = operands if weight is None else (rounded(weight(), like.dtype), *operands)
        kernels.bound(made.reshape(taken), every, elements=like.size, threads=threads)()
        return made

    return run


def _returning(call: Callable[[], None], out: np.ndarray) -> Run:
    """Return `call` with `out` as its result."""

    def run() -> np.ndarray:
        call()
        return out

    return run


def _filling_soon(
    kernel: Callable[..., None],
    out: np.ndarray | None,
    shape: tuple[int, ...],
    taken: tuple[int, ...],
    dtype: np.dtype,
    operands: tuple[Any, ...],
    weight: Weight | None,
) -> Run:
    """Return such a call of a serial kernel, in which nothing is done that can be done before."""
    new, view = partial(np.empty, shape, dtype), _viewed(shape, taken, dtype)
    if weight is not None:
        return _filling_by_weight(Repeated(kernel, computed_in(dtype)), out, taken, new, view, operands, weight)
    repeated = Repeated(kernel)
    if out is not None:
        given = bits(out.reshape(taken))

        def refill() -> np.ndarray:
            repeated.call(given, operands)
            return out

        return refill
    if view is None:

        def fill_as_it_is() -> np.ndarray:
            made = new()
            repeated.call(made, operands)
            return made

        return fill_as_it_is

    def fill() -> np.ndarray:
        made = new()
        repeated.call(view(made), operands)
        return made

    return fill


def _filling_by_weight(
    repeated: Repeated,
    out: np.ndarray | None,
    taken: tuple[int, ...],
    new: Callable[[], np.ndarray],
    view: Callable[[np.ndarray], np.ndarray] | None,
    operands: tuple[Any, ...],
    weight: Weight,
) -> Run:
    """Return such a call with a number that comes before the operands."""
    if out is not None:
        given = bits(out.reshape(taken))

        def refill() -> np.ndarray:
            repeated.call(given, (weight(), *operands))
            return out

        return refill

    def fill() -> np.ndarray:
        made = new()
        repeated.call(made if view is None else view(made), (weight(), *operands))
        return made

    return fill


def _viewed(
    shape: tuple[int, ...], taken: tuple[int, ...], dtype: np.dtype
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what makes an array of this shape and type what kernels take; None if it is."""
    if dtype.itemsize > 2:
        if shape == taken:
            return None
        # Of a new array a line is a view, which costs half of what reshaping does.
        return methodcaller("ravel") if len(taken) == 1 else methodcaller("reshape", taken)
    if shape == taken:
        return methodcaller("view", bits(np.empty(0, dtype)).dtype)
    return lambda array: bits(array.reshape(taken))


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
