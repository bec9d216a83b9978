"""How Numba's kernels become ops on arrays: shapes, axes, reductions, and outputs that are given or new.

Each op is made from its `bind`, which looks at the arrays once and returns a `Run`; calling the op does both. It
takes `threads`; see `loops.Kernels`. Formulas get the numbers or rows of the arrays, then the parameters that
their arguments name, as float64; a parameter that is None is passed as NaN.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from backends.host import Bind, Function, Run, bound_by, computed_in, sharing, total_weight
from backends.numba import loops, row_loops, sums
from backends.numba.narrow import bits
from backends.numba.outputs import filling, filling_rows, losses_of_nothing, matrix


def elementwise(scalar: Callable[..., Any], *, streams: bool = False) -> Function:
    """Turn `scalar(*numbers, *parameters)` into an op on arrays that broadcast to the first.

    One that `streams` is limited by memory; see `loops.elementwise`.
    """
    kernels = loops.elementwise(scalar, streams=streams)
    names = _arguments(scalar)

    def bind(*arrays: np.ndarray, out: np.ndarray | None = None, threads: int = 1, **parameters: Any) -> Run:
        operands = _numbers(arrays, parameters, names)
        return filling(kernels, out, arrays[0], operands, threads)

    return _op(bind, scalar)


moving = partial(elementwise, streams=True)
"""For formulas that compute faster than memory delivers."""


def one_of(parameter: str, forms: Mapping[Any, Function]) -> Function:
    """Return the op whose `parameter` chooses among `forms`; the form of None is for all other values."""

    def bind(*arrays: np.ndarray, **options: Any) -> Run:
        value = options.pop(parameter)
        if value in forms:
            return forms[value].bind(*arrays, **options)
        return forms[None].bind(*arrays, **{parameter: value}, **options)

    return _op(bind, next(iter(forms.values())))


def along_axis(
    row: Callable[..., None], shape: Callable[..., tuple[int, ...]] | None = None, *, once: bool = False
) -> Function:
    """Turn `row(out, *rows)` into an op with an axis; `shape` gives the output's if it is not the input's.

    See `row_loops.rowwise` for `once`.
    """
    return _along_axis(row_loops.rowwise(row, once=once), row, shape)


def along_axis_in_two_passes(
    reduce: Callable[..., Any], finish: Callable[..., None], short: Callable[..., None]
) -> Function:
    """Turn `reduce(*rows)` and `finish(out, sums, *rows)`, or `short(out, *rows)`, into an op with an axis."""
    return _along_axis(row_loops.in_two_passes(reduce, finish, short), short, None)


def along_axis_weighted(
    reduce: Callable[..., Any], weigh: Callable[..., Any], each: Callable[..., Any], *, streams: bool = False
) -> Function:
    """Turn sums over rows, and what the number that they make makes of each entry, into an op with an axis.

    See `row_loops.weighted`.
    """
    return _along_axis(row_loops.weighted(reduce, weigh, each, streams=streams), each, None)


def _along_axis(
    kernels: loops.Kernels, named_after: Callable[..., Any], shape: Callable[..., tuple[int, ...]] | None
) -> Function:
    def bind(*arrays: np.ndarray, axis: int, out: np.ndarray | None = None, threads: int = 1) -> Run:
        x = arrays[-1]
        operands = tuple(_rows(a, axis) for a in arrays)
        made = shape(x.shape, axis=axis) if shape else x.shape
        return filling_rows(kernels, out, x, made, operands, axis, threads)

    return _op(bind, named_after)


def loss(scalar: Callable[..., Any]) -> Function:
    """Turn `scalar(*numbers, *parameters)` into a reduced loss, summed in the same pass."""
    each, reduced = loops.elementwise(scalar), sums.summed(scalar)
    names = _arguments(scalar)

    def bind(
        *arrays: np.ndarray, reduction: str, out: np.ndarray | None = None, threads: int = 1, **parameters: Any
    ) -> Run:
        operands = _numbers(arrays, parameters, names)
        if reduction == "none":
            return filling(each, out, arrays[0], operands, threads)
        n = arrays[0].size
        fixed = (loops.CHUNK, float(n) if reduction == "mean" else 1.0)
        return filling(reduced, out, arrays[0], (*fixed, *operands), threads, shape=())

    return _op(bind, scalar)


def loss_vjp(scalar: Callable[..., Any], *, streams: bool = False) -> Function:
    """Turn `scalar(g, *numbers, *parameters)` into the vjp of a reduced loss; see `elementwise` for `streams`."""
    kernels = loops.elementwise(scalar, streams=streams)
    names = _arguments(scalar)[1:]

    def bind(
        g: np.ndarray,
        *arrays: np.ndarray,
        reduction: str,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: Any,
    ) -> Run:
        first = arrays[0]
        operands = _numbers(arrays, parameters, names)
        if reduction == "none":
            return filling(kernels, out, first, (_flat(g), *operands), threads)
        weight = sharing(g, first.size, reduction)
        return filling(kernels, out, first, operands, threads, weight=weight)

    return _op(bind, scalar)


def row_loss(row: Callable[..., Any]) -> Function:
    """Turn `row(*rows, *parameters)`, the loss of one row, into a reduced loss."""
    each, reduced = loops.elementwise(row), sums.summed(row)
    names = _arguments(row)

    def bind(
        *arrays: np.ndarray,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: Any,
    ) -> Run:
        x = arrays[0]
        shape = _without_axis(x, axis)
        if x.size == 0:
            return lambda: losses_of_nothing(x, shape, reduction, _count(arrays, axis, parameters), out)

        def prepare() -> Run:
            operands = _row_operands(_ignoring(arrays, parameters), axis, parameters, names)
            if reduction == "none":
                return filling(each, out, x, operands, threads, shape=shape)
            rows = math.prod(shape)
            count = float(_count(arrays, axis, parameters)) if reduction == "mean" else 1.0
            fixed = (max(1, loops.CHUNK * rows // x.size), count)
            return filling(reduced, out, x, (*fixed, *operands), threads, shape=())

        return _each_time(prepare) if _depends_on_labels(arrays, parameters) else prepare()

    return _op(bind, row)


def row_loss_vjp(row: Callable[..., None], *, streams: bool = True) -> Function:
    """Turn `row(out, g, *rows, *parameters)`, the vjp of one row, into the vjp of a reduced loss.

    See `row_loops.rowwise` for `streams`.
    """
    kernels = row_loops.rowwise(row, streams=streams)
    names = _arguments(row)[2:]

    def bind(
        g: np.ndarray,
        *arrays: np.ndarray,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        threads: int = 1,
        **parameters: Any,
    ) -> Run:
        x = arrays[0]

        def prepare() -> Run:
            operands = _row_operands(_ignoring(arrays, parameters), axis, parameters, names)
            if reduction == "none":
                return filling_rows(kernels, out, x, x.shape, (_flat(g), *operands), axis, threads)
            weight = sharing(g, _count(arrays, axis, parameters), reduction)
            return filling_rows(kernels, out, x, x.shape, operands, axis, threads, weight)

        return _each_time(prepare) if _depends_on_labels(arrays, parameters) else prepare()

    return _op(bind, row)


def _op(bind: Bind, after: Callable[..., Any]) -> Function:
    function = bound_by(bind)
    function.__name__, function.__doc__ = after.__name__, after.__doc__
    return function


def _depends_on_labels(arrays: tuple[np.ndarray, ...], parameters: Mapping[str, Any]) -> bool:
    """Tell whether the values of the labels decide which rows take part, or how much they count."""
    return any(a is not None for a in arrays[2:]) or parameters.get("ignore_index") is not None


def _each_time(prepare: Callable[[], Run]) -> Run:
    """Return a call that prepares anew each time, and computes."""

    def run() -> np.ndarray:
        return prepare()()

    return run


# --- operands -------------------------------------------------------------------------------------------------


def _arguments(formula: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(formula).parameters)


def _numbers(
    arrays: tuple[np.ndarray, ...], parameters: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[Any, ...]:
    """Return the arrays as lines as long as the first, or as a number if they have one; then the parameters."""
    first = arrays[0]
    if len(arrays) > 1:
        arrays = tuple([a if a is not None and a.shape == first.shape else _beside(a, first) for a in arrays])
    lines = tuple(map(_flat, arrays))
    return (*lines, *_scalars(parameters, names[len(lines) :])) if parameters else lines


def _beside(array: np.ndarray | None, first: np.ndarray) -> Any:
    """Return an array spread out to the shape of the first, or the number that it holds; 1 for None."""
    number = computed_in(first.dtype)
    if array is None:
        return number(1)
    return number(array.reshape(())[()]) if array.size == 1 else np.broadcast_to(array, first.shape)


def _scalars(parameters: Mapping[str, Any], names: tuple[str, ...]) -> tuple[float, ...]:
    values = [parameters[name] for name in names]
    return tuple([math.nan if value is None else float(value) for value in values])


def _row_operands(
    arrays: tuple[np.ndarray, ...], axis: int, parameters: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[Any, ...]:
    """Return x and its companions, row by row: a row of the target, or a label and all weights."""
    x, target, *rest = arrays
    rows = _rows(x, axis)
    weights = (np.ones(rows.shape[1], x.dtype) if w is None else w for w in rest)
    beside = _flat(target) if target.ndim < x.ndim else _rows(target, axis)
    spread = (bits(np.broadcast_to(w, rows.shape)) for w in weights)
    return (rows, beside, *spread, *_scalars(parameters, names[len(arrays) :]))


def _ignoring(arrays: tuple[np.ndarray, ...], parameters: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Replace the label of ignored rows by -1, which no class has."""
    ignored = parameters.get("ignore_index")
    if ignored is None:
        return arrays
    x, labels, *rest = arrays
    return (x, np.where(labels == ignored, labels.dtype.type(-1), labels), *rest)


def _count(arrays: tuple[np.ndarray, ...], axis: int, parameters: Mapping[str, Any]) -> float:
    """Return the divisor of a mean: the number of rows, or the sum of the weights of those that take part."""
    x, target, *rest = arrays
    if rest:
        return total_weight(target, rest[0], parameters["ignore_index"])
    return math.prod(_without_axis(x, axis))


def _flat(array: Any) -> Any:
    """View an operand as one line of numbers in C order, or copy it into one; a number stays one."""
    return _operand(array.reshape(-1)) if isinstance(array, np.ndarray) else array


def _rows(array: np.ndarray, axis: int) -> np.ndarray:
    """View or copy an operand as a matrix with classes along its rows."""
    return _operand(matrix(array, axis))


def _operand(array: np.ndarray) -> np.ndarray:
    """View an array as what kernels read: contiguous and read-only, whatever it was, and `bits` of narrow types.

    Numba compiles a kernel for each layout and for arrays that may be written: five times where all come, of which
    this leaves two (a second operand may be a number). It costs 0.3 us a call, and nothing once bound.
    """
    view = bits(array.view() if array.flags.c_contiguous else array.copy())
    view.flags.writeable = False
    return view


def _without_axis(x: np.ndarray, axis: int) -> tuple[int, ...]:
    return np.moveaxis(x, axis, -1).shape[:-1]
