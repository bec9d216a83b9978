"""Launches: which kernels a call of an op starts on its arrays, and where they write.

Each function returns a call that writes into `out`, or into a new array each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numba import cuda

from backends.arguments import without_axis
from backends.interface import OpSpec
from backends.numba_cuda import kernels, rows
from backends.numba_cuda.formulas import BACKWARD, FORWARD, Formula, chosen, numbers
from backends.numba_cuda.kernels import Reads, compiled
from backends.numba_cuda.rows import Row

Run = Callable[[], Any]
Shape = tuple[int, ...]


def forward(spec: OpSpec, arrays: Sequence[Any], parameters: Mapping[str, Any], out: Any = None) -> Run:
    """Return a call of an op."""
    x = arrays[0]
    if spec.name in rows.FORWARD:
        return _rows(rows.FORWARD[spec.name], x, x, parameters["axis"], out)
    if spec.name == rows.CROSS_ENTROPY:
        return _cross_entropy(x, arrays[1], parameters, out)
    formula, sign, losses = _loss(spec, tuple(x.shape), parameters)
    given = numbers(formula, len(arrays), parameters)
    if parameters.get("reduction", "none") != "none":
        return summed(formula, arrays, given, sign * _divisor(losses, parameters), out)
    if spec.along_axis:
        return _summed_rows(formula, arrays, given, parameters["axis"], sign, out)
    return elementwise(formula, arrays, given, x, out)


def backward(spec: OpSpec, g: Any, arrays: Sequence[Any], parameters: Mapping[str, Any], out: Any = None) -> Run:
    """Return a call of its gradient."""
    x = arrays[0]
    if spec.name in rows.BACKWARD:
        return _rows(rows.BACKWARD[spec.name], g, x, parameters["axis"], out)
    if spec.name == rows.CROSS_ENTROPY:
        return _cross_entropy_slope(g, x, arrays[1], parameters, out)
    terms = rows.LOSSES.get(spec.name)
    formula = terms.slope if terms else chosen(BACKWARD[spec.name], parameters)
    given = numbers(formula, 1 + len(arrays), parameters)
    if parameters.get("reduction", "none") != "none":
        _, _, losses = _loss(spec, tuple(x.shape), parameters)
        return _shared(formula, g, arrays, given, _divisor(losses, parameters) or 1.0, out)
    if spec.along_axis:
        return elementwise(formula, (g, *arrays), given, x, out, parameters["axis"])
    return elementwise(formula, (g, *arrays), given, x, out)


def _loss(spec: OpSpec, shape: Shape, parameters: Mapping[str, Any]) -> tuple[Formula, float, Shape]:
    """Return the formula of an element, by what its sums are multiplied, and the shape of what they are."""
    if spec.name in rows.LOSSES:
        terms = rows.LOSSES[spec.name]
        return terms.term, terms.sign, without_axis(shape, parameters["axis"])
    return chosen(FORWARD[spec.name], parameters), 1.0, shape


# --- elements -------------------------------------------------------------------------------------------------


def elementwise(
    formula: Formula, arrays: Sequence[Any], given: Sequence[float], x: Any, out: Any, axis: int | None = None
) -> Run:
    """Let each element be the formula of those in the arrays; with an axis, the first has a number a row."""
    shape, n = tuple(x.shape), math.prod(x.shape)
    lines, reads = _operands(arrays[1:] if axis is not None else arrays, x)
    row: tuple[int, ...] = ()
    if axis is not None:
        lines, reads, row = (line_of(arrays[0]), *lines), ("row", *reads), _row(shape, axis)
    kernel = compiled(kernels.elementwise, formula, reads, len(given), x.dtype.name)
    launch = kernel[kernels.blocks(n), kernels.THREADS] if n else None
    return _filling(shape, x.dtype, out, launch and (lambda line: launch(line, *row, *lines, *given)))


def _shared(
    formula: Formula, g: Any, arrays: Sequence[Any], given: Sequence[float], divisor: float, out: Any
) -> Run:
    """Let each element be the formula of a share of `g` and those in the arrays."""
    x = arrays[0]
    n, (lines, reads) = math.prod(x.shape), _operands(arrays, x)
    kernel = compiled(kernels.shared, formula, reads, len(given), x.dtype.name)
    launch = kernel[kernels.blocks(n), kernels.THREADS] if n else None
    one = line_of(g)
    return _filling(
        tuple(x.shape), x.dtype, out, launch and (lambda line: launch(line, divisor, one, *lines, *given))
    )


# --- sums -----------------------------------------------------------------------------------------------------


def summed(formula: Formula, arrays: Sequence[Any], given: Sequence[float], divisor: float, out: Any) -> Run:
    """Let the one number be the sum of the formula over a divisor: in parts, a block for each, then of these.

    Several threads may call it at once: what they all write into the parts is the same.
    """
    x = arrays[0]
    n, (lines, reads) = math.prod(x.shape), _operands(arrays, x)
    parts = cuda.to_device(np.zeros(max(1, kernels.parts(n))))
    kernel = compiled(kernels.summed, formula, reads, len(given), x.dtype.name)
    first = kernel[parts.size, kernels.THREADS] if n else None
    last = compiled(_total)[1, kernels.THREADS]

    def launch(line: Any) -> None:
        if first is not None:
            first(parts, n, *lines, *given)
        last(line, parts, float(divisor))

    return _filling((), x.dtype, out, launch)


def _total() -> Callable[..., None]:
    return kernels.total


def _summed_rows(
    formula: Formula, arrays: Sequence[Any], given: Sequence[float], axis: int, divisor: float, out: Any
) -> Run:
    """Let each row's number be the sum of the formula over a divisor."""
    x = arrays[0]
    shape = without_axis(tuple(x.shape), axis)
    lines, reads = _operands(arrays, x)
    n, inner = _row(tuple(x.shape), axis)
    kernel = compiled(kernels.summed_rows, formula, reads, len(given), x.dtype.name)
    launch = kernel[_row_blocks(shape), kernels.threads(n)] if math.prod(shape) else None
    return _filling(shape, x.dtype, out, launch and (lambda line: launch(line, n, inner, divisor, *lines, *given)))


def _rows(row: Row, g: Any, x: Any, axis: int, out: Any) -> Run:
    """Let each row be what becomes of its exponentials."""
    n, inner = _row(tuple(x.shape), axis)
    lines = line_of(g), line_of(x)
    kernel = compiled(_exponentials, row, x.dtype.name)
    launch = None
    if math.prod(x.shape):
        launch = kernel[_row_blocks(without_axis(tuple(x.shape), axis)), kernels.threads(n)]
    return _filling(tuple(x.shape), x.dtype, out, launch and (lambda line: launch(line, *lines, n, inner)))


def _exponentials(row: Row, dtype: str) -> Callable[..., None]:
    finish = row.finish(rows.finishing(dtype, kernels.formulas("float64")))
    return kernels.exponentials(row.turned, row.weigh, finish, dtype)


def _cross_entropy(x: Any, target: Any, parameters: Mapping[str, Any], out: Any) -> Run:
    """Let each row's number, or the one of all rows, be its cross entropy with a softmax."""
    shape, n, inner = _rows_of(x, parameters)
    lines, smoothing = (line_of(x), line_of(target)), float(parameters["label_smoothing"])
    kernel = compiled(_crossing, x.dtype.name)
    each = kernel[_row_blocks(shape), kernels.threads(n)] if math.prod(x.shape) else None

    def fill(losses: Any) -> None:
        if each is not None:
            each(losses, *lines, n, inner, smoothing)
        else:  # rows without a class lose nothing
            losses.copy_to_device(np.zeros(losses.shape, losses.dtype))

    if parameters["reduction"] == "none":
        return _filling(shape, x.dtype, out, fill if math.prod(shape) else None)
    losses = cuda.to_device(np.zeros(max(1, math.prod(shape))))
    last, divisor = compiled(_total)[1, kernels.THREADS], _divisor(shape, parameters)

    def launch(line: Any) -> None:
        fill(losses)
        last(line, losses, divisor)

    return _filling((), x.dtype, out, launch)


def _crossing(dtype: str) -> Callable[..., None]:
    return kernels.cross_entropy(rows.crossed, rows.finishing(dtype, kernels.formulas("float64")), dtype)


def _cross_entropy_slope(g: Any, x: Any, target: Any, parameters: Mapping[str, Any], out: Any) -> Run:
    """Let each element be its part of the gradient."""
    shape, n, inner = _rows_of(x, parameters)
    lines = line_of(x), line_of(target)
    more = n, inner, float(parameters["label_smoothing"])
    one, divisor = line_of(g), _divisor(shape, parameters) or 1.0
    kernel = compiled(kernels.cross_entropy_slope, x.dtype.name)
    launch = kernel[_row_blocks(shape), kernels.threads(n)] if math.prod(x.shape) else None
    return _filling(
        tuple(x.shape), x.dtype, out, launch and (lambda line: launch(line, one, divisor, *lines, *more))
    )


def _rows_of(x: Any, parameters: Mapping[str, Any]) -> tuple[Shape, int, int]:
    """Return the shape without the axis, how many numbers a row has, and how far they lie apart."""
    shape, axis = tuple(x.shape), parameters["axis"]
    return without_axis(shape, axis), *_row(shape, axis)


def _divisor(losses: Shape, parameters: Mapping[str, Any]) -> float:
    """Return what a reduction divides the sum of losses by, or a cotangent that they share."""
    return float(math.prod(losses)) if parameters["reduction"] == "mean" else 1.0


# --- arrays ---------------------------------------------------------------------------------------------------


def line_of(array: Any) -> Any:
    """Return a device array as one line in C order; one with gaps is copied, by way of the host."""
    whole = array if array.is_c_contiguous() else cuda.to_device(np.ascontiguousarray(array.copy_to_host()))
    return whole.reshape(math.prod(array.shape))


def _operands(arrays: Sequence[Any], x: Any) -> tuple[tuple[Any, ...], tuple[Reads, ...]]:
    """Return arrays beside `x` as lines, and how they are read: what must be spread out is, by way of the host."""
    shape = tuple(x.shape)
    lines: list[tuple[Any, Reads]] = []
    for array in arrays:
        if array is None:
            lines.append((cuda.to_device(np.ones(1, x.dtype)), "one"))
        elif tuple(array.shape) == shape:
            lines.append((line_of(array), "each"))
        elif math.prod(array.shape) == 1:
            lines.append((line_of(array), "one"))
        else:
            spread = np.broadcast_to(array.copy_to_host(), shape)
            lines.append((line_of(cuda.to_device(np.ascontiguousarray(spread))), "each"))
    found, reads = zip(*lines, strict=True)
    return found, reads


def _row(shape: Shape, axis: int) -> tuple[int, int]:
    """Return how many numbers a row has, and how far they lie apart."""
    axis %= len(shape)
    return shape[axis], math.prod(shape[axis + 1 :])


def _row_blocks(shape: Shape) -> int:
    return min(kernels.MOST_BLOCKS, math.prod(shape))


def _filling(shape: Shape, dtype: Any, out: Any, launch: Callable[[Any], None] | None) -> Run:
    """Return a call that has a line filled: `out`, or a new array each time. No elements take no launch."""
    n = math.prod(shape)
    if out is not None:
        line = out.reshape(n)

        def again() -> Any:
            if launch is not None:
                launch(line)
            return out

        return again

    def anew() -> Any:
        made = cuda.device_array(shape, dtype)
        if launch is not None:
            launch(made.reshape(n))
        return made

    return anew
