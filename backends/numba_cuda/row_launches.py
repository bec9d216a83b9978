"""Launches of row kernels: softmax and its kin, and losses of classes with a distribution or a label for each row.

Each function returns a call that writes into `out`, or into a new array each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from backends.arguments import without_axis
from backends.numba_cuda import kernels, row_kernels, rows
from backends.numba_cuda.arrays import Run, Shape, filling, line_of, row_of
from backends.numba_cuda.kernels import compiled
from backends.numba_cuda.rows import Row

NO_LABEL = -1
"""What is ignored where no label is: no class has it."""


def of_exponentials(row: Row, g: Any, x: Any, axis: int, out: Any) -> Run:
    """Let each row be what becomes of its exponentials."""
    n, inner = row_of(tuple(x.shape), axis)
    lines = line_of(g), line_of(x)
    kernel = compiled(exponentials, row, x.dtype.name)
    launch = None
    if math.prod(x.shape):
        launch = kernel[blocks_of(without_axis(tuple(x.shape), axis)), kernels.threads(n)]
    return filling(tuple(x.shape), x.dtype, out, launch and (lambda line: launch(line, *lines, n, inner)))


def exponentials(row: Row, dtype: str) -> Callable[..., None]:
    """Return the kernel of a row's exponentials."""
    finish = row.finish(rows.finishing(dtype, kernels.formulas("float64")))
    return row_kernels.exponentials(row.turned, row.weigh, finish, dtype)


def blocks_of(shape: Shape) -> int:
    """Return how many blocks rows of this shape get."""
    return min(kernels.MOST_BLOCKS, math.prod(shape))


# --- losses of classes ------------------------------------------------------------------------------------------


class ClassLoss(NamedTuple):
    """A loss of each row: what makes its kernels for a type, which grids these get, and which parameters.

    The kernels are `loss` `(losses, x, *operands)` and `slope` `(out, g, divisor, x, *operands)`; `grids` returns
    the blocks and threads of both for so many rows of so many numbers. Operands end with parameters, `given`.
    """

    loss: Callable[[str], Callable[..., None]]
    slope: Callable[[str], Callable[..., None]]
    grids: Callable[[int, int], tuple[tuple[int, int], tuple[int, int]]]
    given: tuple[str, ...] = ()


def _by_rows(n_rows: int, n: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a block for each row."""
    grid = blocks_of((n_rows,)), kernels.threads(n)
    return grid, grid


def _by_elements(n_rows: int, n: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a thread for each row, and for each element."""
    return (kernels.blocks(n_rows), kernels.THREADS), (kernels.blocks(n_rows * n), kernels.THREADS)


def _crossing(dtype: str) -> Callable[..., None]:
    return row_kernels.cross_entropy(rows.crossed, rows.finishing(dtype, kernels.formulas("float64")), dtype)


def _surprising(dtype: str) -> Callable[..., None]:
    wide = kernels.formulas("float64")
    return row_kernels.label_cross_entropy(wide.of(rows.surprise), rows.finishing(dtype, wide), dtype)


def _picking(dtype: str) -> Callable[..., None]:
    return row_kernels.likelihood(rows.picked, dtype)


LOSSES: Mapping[str, ClassLoss] = {
    rows.CROSS_ENTROPY: ClassLoss(_crossing, row_kernels.cross_entropy_slope, _by_rows, ("label_smoothing",)),
    rows.LABEL_CROSS_ENTROPY: ClassLoss(
        _surprising, row_kernels.label_cross_entropy_slope, _by_rows, ("label_smoothing",)
    ),
    rows.LIKELIHOOD: ClassLoss(_picking, row_kernels.likelihood_slope, _by_elements),
}


def losses(loss: ClassLoss, arrays: Sequence[Any], parameters: Mapping[str, Any], out: Any) -> Run:
    """Let each row's number, or the one of all rows, be its loss."""
    x, of = arrays[0], _Rows.of(loss, arrays, parameters)
    each = compiled(loss.loss, x.dtype.name)[loss.grids(of.n_rows, of.n)[0]] if math.prod(x.shape) else None

    def fill(found: Any) -> None:
        if each is not None:
            each(found, *of.operands)
        else:  # rows without a class lose nothing
            found.copy_to_device(np.zeros(found.shape, found.dtype))

    if parameters["reduction"] == "none":
        return filling(of.shape, x.dtype, out, fill if of.n_rows else None)
    every, divisor = cuda.to_device(np.zeros(max(1, of.n_rows))), _divisor(arrays, of, parameters)
    last = compiled(_average)[1, kernels.THREADS]

    def launch(line: Any) -> None:
        divisor.renew()
        fill(every)
        last(line, every, divisor.line)

    return filling((), x.dtype, out, launch)


def slopes(loss: ClassLoss, g: Any, arrays: Sequence[Any], parameters: Mapping[str, Any], out: Any) -> Run:
    """Let each element be its part of the gradient."""
    x, of = arrays[0], _Rows.of(loss, arrays, parameters)
    if not math.prod(x.shape):
        return filling(tuple(x.shape), x.dtype, out, None)
    each, one = compiled(loss.slope, x.dtype.name)[loss.grids(of.n_rows, of.n)[1]], line_of(g)
    divisor = _divisor(arrays, of, parameters)

    def launch(line: Any) -> None:
        divisor.renew()
        each(line, one, divisor.line, *of.operands)

    return filling(tuple(x.shape), x.dtype, out, launch)


class _Rows(NamedTuple):
    """Rows: the shape without their axis, how many and how long they are, and what kernels take, `x` first."""

    shape: Shape
    n_rows: int
    n: int
    operands: tuple[Any, ...]

    @classmethod
    def of(cls, loss: ClassLoss, arrays: Sequence[Any], parameters: Mapping[str, Any]) -> _Rows:
        axis = parameters["axis"]
        n, inner = row_of(tuple(arrays[0].shape), axis)
        shape = without_axis(tuple(arrays[0].shape), axis)
        beside = _labelled(arrays, n, parameters) if _has_labels(parameters) else map(line_of, arrays[1:])
        given = (float(parameters[name]) for name in loss.given)
        return cls(shape, math.prod(shape), n, (line_of(arrays[0]), *beside, n, inner, *given))


# --- labels -----------------------------------------------------------------------------------------------------


def _has_labels(parameters: Mapping[str, Any]) -> bool:
    return "ignore_index" in parameters


def _labelled(arrays: Sequence[Any], n: int, parameters: Mapping[str, Any]) -> tuple[Any, Any, int]:
    """Return the labels, a weight for each class, and which label is ignored."""
    x, labels, weight = arrays
    weights = cuda.to_device(np.ones(max(1, n), x.dtype)) if weight is None else line_of(weight)
    ignored = parameters["ignore_index"]
    return line_of(labels), weights, NO_LABEL if ignored is None else ignored


class _Divisor(NamedTuple):
    """What a reduction divides by: the one number of a `line`, and what puts it there before a call."""

    line: Any
    renew: Callable[[], None]


def _divisor(arrays: Sequence[Any], of: _Rows, parameters: Mapping[str, Any]) -> _Divisor:
    """Return it: the number of rows, or the weights of the labels that take part, which a call adds up anew."""
    is_mean = parameters["reduction"] == "mean"
    line = cuda.to_device(np.full(1, float(of.n_rows) if is_mean else 1.0))
    depends = _has_labels(parameters) and (arrays[2] is not None or parameters["ignore_index"] is not None)
    if not (is_mean and depends and of.n_rows):
        return _Divisor(line, lambda: None)
    _, labels, weight, ignored, *_ = of.operands
    parts = cuda.to_device(np.zeros(kernels.parts(of.n_rows)))
    first = compiled(_taking_part)[parts.size, kernels.THREADS]
    last = compiled(_average)[1, kernels.THREADS]
    one = cuda.to_device(np.ones(1))

    def renew() -> None:
        first(parts, labels, weight, ignored)
        last(line, parts, one)

    return _Divisor(line, renew)


def _taking_part() -> Callable[..., None]:
    return row_kernels.taking_part


def _average() -> Callable[..., None]:
    return kernels.average
