"""How Numba's kernels become ops on arrays: shapes, axes, reductions, and outputs that are given or new.

Ops take `threads`; see `numba_loops.Kernels.run`. Formulas get the arrays' numbers or rows, then parameters by
the names of their arguments, in float64; NaN stands for None.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends import numba_loops as loops
from backends.host import output, reduced, share, total_weight

Function = Callable[..., np.ndarray]


def elementwise(scalar: Callable[..., Any]) -> Function:
    """Turn `scalar(*numbers, *parameters)` into an op on arrays that broadcast to the first."""
    kernels = loops.elementwise(scalar)
    names = _arguments(scalar)

    def function(
        *arrays: np.ndarray, out: np.ndarray | None = None, threads: int = 1, **parameters: Any
    ) -> np.ndarray:
        out = output(out, arrays[0])
        operands = _numbers(arrays, parameters, names)
        kernels.run(_flat(out), operands, elements=out.size, threads=threads)
        return out

    return _named(function, scalar)


def one_of(parameter: str, forms: Mapping[Any, Function]) -> Function:
    """Return the op whose `parameter` chooses among `forms`; that of None suits what has none of its own."""

    def function(*arrays: np.ndarray, **options: Any) -> np.ndarray:
        value = options.pop(parameter)
        if value in forms:
            return forms[value](*arrays, **options)
        return forms[None](*arrays, **{parameter: value}, **options)

    return _named(function, next(iter(forms.values())))


def along_axis(row: Callable[..., None], shape: Callable[..., tuple[int, ...]] | None = None) -> Function:
    """Turn `row(out, *rows)` into an op with an axis; `shape` is its output's where it is not that of x."""
    return _along_axis(loops.rowwise(row), row, shape)


def along_axis_in_two_passes(reduce: Callable[..., Any], finish: Callable[..., None]) -> Function:
    """Turn `reduce(*rows)` and `finish(out, sums, *rows)` into an op with an axis."""
    return _along_axis(loops.in_two_passes(reduce, finish), finish, None)


def _along_axis(
    kernels: loops.Kernels, named_after: Callable[..., Any], shape: Callable[..., tuple[int, ...]] | None
) -> Function:
    def function(*arrays: np.ndarray, axis: int, out: np.ndarray | None = None, threads: int = 1) -> np.ndarray:
        x = arrays[-1]
        out = output(out, x, shape(x.shape, axis=axis) if shape else None)
        _run_rows(kernels, out, tuple(_rows(a, axis) for a in arrays), axis, threads)
        return out

    return _named(function, named_after)


def loss(scalar: Callable[..., Any]) -> Function:
    """Turn `scalar(*numbers, *parameters)` into a reduced loss, summed in the same pass."""
    each, sums = loops.elementwise(scalar), loops.summed(scalar)
    names = _arguments(scalar)

    def function(
        *arrays: np.ndarray, reduction: str, out: np.ndarray | None = None, threads: int = 1, **parameters: Any
    ) -> np.ndarray:
        n = arrays[0].size
        operands = _numbers(arrays, parameters, names)
        if reduction == "none":
            out = output(out, arrays[0])
            each.run(_flat(out), operands, elements=n, threads=threads)
            return out
        parts = np.empty(-(-n // loops.CHUNK))
        sums.run(parts, operands, elements=n, threads=threads)
        return reduced(parts, n, arrays[0].dtype, reduction, out)

    return _named(function, scalar)


def loss_vjp(scalar: Callable[..., Any]) -> Function:
    """Turn `scalar(g, *numbers, *parameters)` into the vjp of a reduced loss."""
    kernels = loops.elementwise(scalar)
    names = _arguments(scalar)[1:]

    def function(
        g: np.ndarray,
        *arrays: np.ndarray,
        reduction: str,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: Any,
    ) -> np.ndarray:
        out = output(out, arrays[0])
        weight = _flat(g) if reduction == "none" else share(g, out.size, reduction)
        operands = (weight, *_numbers(arrays, parameters, names))
        kernels.run(_flat(out), operands, elements=out.size, threads=threads)
        return out

    return _named(function, scalar)


def row_loss(row: Callable[..., Any]) -> Function:
    """Turn `row(*rows, *parameters)`, the loss of one row, into a reduced loss."""
    kernels = loops.elementwise(row)
    names = _arguments(row)

    def function(
        *arrays: np.ndarray,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: Any,
    ) -> np.ndarray:
        x = arrays[0]
        count = _count(arrays, axis, parameters)
        arrays = _ignoring(arrays, parameters)
        shape = _without_axis(x, axis)
        each = reduction == "none"
        losses = output(out, x, shape) if each else np.empty(shape)  # float64 until they are summed
        if x.size:
            operands = _row_operands(arrays, axis, parameters, names)
            kernels.run(_flat(losses), operands, elements=x.size, threads=threads)
        else:
            losses.fill(0)
        return losses if each else reduced(losses, count, x.dtype, reduction, out)

    return _named(function, row)


def row_loss_vjp(row: Callable[..., None]) -> Function:
    """Turn `row(out, g, *rows, *parameters)`, the vjp of one row, into that of a reduced loss."""
    kernels = loops.rowwise(row)
    names = _arguments(row)[2:]

    def function(
        g: np.ndarray,
        *arrays: np.ndarray,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: Any,
    ) -> np.ndarray:
        out = output(out, arrays[0])
        weight = _flat(g) if reduction == "none" else share(g, _count(arrays, axis, parameters), reduction)
        arrays = _ignoring(arrays, parameters)
        _run_rows(kernels, out, (weight, *_row_operands(arrays, axis, parameters, names)), axis, threads)
        return out

    return _named(function, row)


# --- operands -------------------------------------------------------------------------------------------------


def _arguments(formula: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(formula).parameters)


def _numbers(
    arrays: tuple[np.ndarray, ...], parameters: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[Any, ...]:
    """Return arrays as lines as long as the first, a number for those of one element, then the parameters."""
    first = arrays[0]
    if len(arrays) > 1:
        arrays = tuple([a if a is not None and a.shape == first.shape else _beside(a, first) for a in arrays])
    lines = tuple(map(_flat, arrays))
    return (*lines, *_scalars(parameters, names[len(lines) :])) if parameters else lines


def _beside(array: np.ndarray | None, first: np.ndarray) -> Any:
    """Return an array that broadcasts to the first in its shape, or as a number; 1 for None."""
    if array is None:
        return first.dtype.type(1)
    return array.reshape(())[()] if array.size == 1 else np.broadcast_to(array, first.shape)


def _scalars(parameters: Mapping[str, Any], names: tuple[str, ...]) -> tuple[float, ...]:
    values = [parameters[name] for name in names]
    return tuple([math.nan if value is None else float(value) for value in values])


def _row_operands(
    arrays: tuple[np.ndarray, ...], axis: int, parameters: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[Any, ...]:
    """Return x and what goes with each of its rows: a row of a target, or a label and all weights."""
    x, target, *rest = arrays
    rows = _rows(x, axis)
    weights = (np.broadcast_to(np.ones(rows.shape[1], x.dtype) if w is None else w, rows.shape) for w in rest)
    beside = _flat(target) if target.ndim < x.ndim else _rows(target, axis)
    return (rows, beside, *weights, *_scalars(parameters, names[len(arrays) :]))


def _ignoring(arrays: tuple[np.ndarray, ...], parameters: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Let the label of rows that take no part be -1, which no class has."""
    ignored = parameters.get("ignore_index")
    if ignored is None:
        return arrays
    x, labels, *rest = arrays
    return (x, np.where(labels == ignored, labels.dtype.type(-1), labels), *rest)


def _count(arrays: tuple[np.ndarray, ...], axis: int, parameters: Mapping[str, Any]) -> float:
    """Return what a mean divides by: the number of rows, or the sum of the weights of those that take part."""
    x, target, *rest = arrays
    if rest:
        return total_weight(target, rest[0], parameters["ignore_index"])
    return math.prod(_without_axis(x, axis))


def _named(function: Function, after: Callable[..., Any]) -> Function:
    function.__name__, function.__doc__ = after.__name__, after.__doc__
    return function


def _flat(array: Any) -> Any:
    """View an array as one line of numbers in C order, or copy it into one; a number stays one."""
    return array.reshape(-1) if isinstance(array, np.ndarray) else array


def _rows(array: np.ndarray, axis: int) -> np.ndarray:
    """View or copy an array as a matrix with classes along its rows."""
    moved = np.moveaxis(array, axis, -1)
    return np.ascontiguousarray(moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1]))


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
