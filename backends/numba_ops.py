"""How Numba's kernels become ops on arrays: shapes, axes, reductions, and outputs that are given or new.

Ops take `threads`; see `numba_loops.Kernels.run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backends import numba_loops as loops
from backends.host import output, reduced, share

Function = Callable[..., np.ndarray]


def elementwise(scalar: Callable[..., Any]) -> Function:
    """Turn `scalar(*numbers)` into an op on arrays of one shape."""
    kernels = loops.elementwise(scalar)

    def function(*arrays: np.ndarray, out: np.ndarray | None = None, threads: int = 1) -> np.ndarray:
        out = output(out, arrays[0])
        kernels.run(_flat(out), tuple(map(_flat, arrays)), elements=out.size, threads=threads)
        return out

    return _named(function, scalar)


def with_slope(scalar: Callable[..., Any], without: Function) -> Function:
    """Turn `scalar(*numbers, slope)` into an op; `without` is the one for a slope of 0, which may meet -inf."""
    kernels = loops.elementwise(scalar)

    def function(
        *arrays: np.ndarray, negative_slope: float, out: np.ndarray | None = None, threads: int = 1
    ) -> np.ndarray:
        if negative_slope == 0:
            return without(*arrays, out=out, threads=threads)
        out = output(out, arrays[0])
        slope = out.dtype.type(negative_slope)
        kernels.run(_flat(out), (*map(_flat, arrays), slope), elements=out.size, threads=threads)
        return out

    return _named(function, scalar)


def one_of(forms: dict[str, Function]) -> Function:
    """Return the op whose `approximate` chooses among `forms`."""

    def function(
        *arrays: np.ndarray, approximate: str, out: np.ndarray | None = None, threads: int = 1
    ) -> np.ndarray:
        return forms[approximate](*arrays, out=out, threads=threads)

    return _named(function, forms["none"])


def along_axis(row: Callable[..., None]) -> Function:
    """Turn `row(out, *rows)` into an op with an axis."""
    kernels = loops.rowwise(row)

    def function(*arrays: np.ndarray, axis: int, out: np.ndarray | None = None, threads: int = 1) -> np.ndarray:
        out = output(out, arrays[0])
        _run_rows(kernels, out, tuple(_rows(a, axis) for a in arrays), axis, threads)
        return out

    return _named(function, row)


def loss(scalar: Callable[..., Any]) -> Function:
    """Turn `scalar(prediction, target)` into a reduced loss, summed in the same pass."""
    each, sums = loops.elementwise(scalar), loops.summed(scalar)

    def function(
        prediction: np.ndarray,
        target: np.ndarray,
        *,
        reduction: str,
        out: np.ndarray | None = None,
        threads: int = 1,
    ) -> np.ndarray:
        n = prediction.size
        operands = (_flat(prediction), _flat(target))
        if reduction == "none":
            out = output(out, prediction)
            each.run(_flat(out), operands, elements=n, threads=threads)
            return out
        parts = np.empty(-(-n // loops.CHUNK))
        sums.run(parts, operands, elements=n, threads=threads)
        return reduced(parts, n, prediction.dtype, reduction, out)

    return _named(function, scalar)


def loss_vjp(scalar: Callable[..., Any]) -> Function:
    """Turn `scalar(g, prediction, target)` into the vjp of a reduced loss."""
    kernels = loops.elementwise(scalar)

    def function(
        g: np.ndarray,
        prediction: np.ndarray,
        target: np.ndarray,
        *,
        reduction: str,
        out: np.ndarray | None = None,
        threads: int = 1,
    ) -> np.ndarray:
        out = output(out, prediction)
        weight = _flat(g) if reduction == "none" else share(g, out.size, reduction)
        operands = (weight, _flat(prediction), _flat(target))
        kernels.run(_flat(out), operands, elements=out.size, threads=threads)
        return out

    return _named(function, scalar)


def row_loss(row: Callable[..., Any]) -> Function:
    """Turn `row(x, target, *parameters)`, the loss of one row, into a reduced loss."""
    kernels = loops.elementwise(row)

    def function(
        x: np.ndarray,
        target: np.ndarray,
        *,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: float,
    ) -> np.ndarray:
        shape = _without_axis(x, axis)
        each = reduction == "none"
        losses = output(out, x, shape) if each else np.empty(shape)  # float64 until they are summed
        if x.size:
            scalars = map(x.dtype.type, parameters.values())
            operands = (_rows(x, axis), _targets(target, x, axis), *scalars)
            kernels.run(_flat(losses), operands, elements=x.size, threads=threads)
        else:
            losses.fill(0)
        return losses if each else reduced(losses, losses.size, x.dtype, reduction, out)

    return _named(function, row)


def row_loss_vjp(row: Callable[..., None]) -> Function:
    """Turn `row(out, g, x, target, *parameters)`, the vjp of one row, into that of a reduced loss."""
    kernels = loops.rowwise(row)

    def function(
        g: np.ndarray,
        x: np.ndarray,
        target: np.ndarray,
        *,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: float,
    ) -> np.ndarray:
        out = output(out, x)
        losses = math.prod(_without_axis(x, axis))
        weight = _flat(g) if reduction == "none" else share(g, losses, reduction)
        scalars = map(x.dtype.type, parameters.values())
        _run_rows(kernels, out, (weight, _rows(x, axis), _targets(target, x, axis), *scalars), axis, threads)
        return out

    return _named(function, row)


def _named(function: Function, after: Callable[..., Any]) -> Function:
    function.__name__, function.__doc__ = after.__name__, after.__doc__
    return function


def _flat(array: np.ndarray) -> np.ndarray:
    """View an array as one line of numbers in C order, or copy it into one."""
    return array.reshape(-1)


def _rows(array: np.ndarray, axis: int) -> np.ndarray:
    """View or copy an array as a matrix with classes along its rows."""
    moved = np.moveaxis(array, axis, -1)
    return np.ascontiguousarray(moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1]))


def _targets(target: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Rows of probabilities, or labels, one per row."""
    return _flat(target) if target.ndim < x.ndim else _rows(target, axis)


def _without_axis(x: np.ndarray, axis: int) -> tuple[int, ...]:
    return np.moveaxis(x, axis, -1).shape[:-1]


def _run_rows(kernels: loops.Kernels, out: np.ndarray, operands: tuple[Any, ...], axis: int, threads: int) -> None:
    """Run on rows; an `out` whose classes do not lie along its last axis is filled from a copy."""
    if out.size == 0:
        return
    rows = _rows(out, axis)
    kernels.run(rows, operands, elements=out.size, threads=threads)
    if not np.may_share_memory(rows, out):
        moved = np.moveaxis(out, axis, -1)
        moved[...] = rows.reshape(moved.shape)
