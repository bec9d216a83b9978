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
from backends.numba_cuda import kernels, row_launches, rows
from backends.numba_cuda.arrays import Run, Shape, filling, line_of, operands, row_of
from backends.numba_cuda.formulas import BACKWARD, FORWARD, Formula, chosen, numbers
from backends.numba_cuda.kernels import compiled


def forward(spec: OpSpec, arrays: Sequence[Any], parameters: Mapping[str, Any], out: Any = None) -> Run:
    """Return a call of an op."""
    x = arrays[0]
    if spec.name in rows.FORWARD:
        return row_launches.of_exponentials(rows.FORWARD[spec.name], x, x, parameters["axis"], out)
    if spec.name in row_launches.LOSSES:
        return row_launches.losses(row_launches.LOSSES[spec.name], arrays, parameters, out)
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
        return row_launches.of_exponentials(rows.BACKWARD[spec.name], g, x, parameters["axis"], out)
    if spec.name in row_launches.LOSSES:
        return row_launches.slopes(row_launches.LOSSES[spec.name], g, arrays, parameters, out)
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
    lines, reads = operands(arrays[1:] if axis is not None else arrays, x)
    row: tuple[int, ...] = ()
    if axis is not None:
        lines, reads, row = (line_of(arrays[0]), *lines), ("row", *reads), row_of(shape, axis)
    kernel = compiled(kernels.elementwise, formula, reads, len(given), x.dtype.name)
    launch = kernel[kernels.blocks(n), kernels.THREADS] if n else None
    return filling(shape, x.dtype, out, launch and (lambda line: launch(line, *row, *lines, *given)))


def _shared(
    formula: Formula, g: Any, arrays: Sequence[Any], given: Sequence[float], divisor: float, out: Any
) -> Run:
    """Let each element be the formula of a share of `g` and those in the arrays."""
    x = arrays[0]
    n, (lines, reads) = math.prod(x.shape), operands(arrays, x)
    kernel = compiled(kernels.shared, formula, reads, len(given), x.dtype.name)
    launch = kernel[kernels.blocks(n), kernels.THREADS] if n else None
    one = line_of(g)
    return filling(
        tuple(x.shape), x.dtype, out, launch and (lambda line: launch(line, divisor, one, *lines, *given))
    )


# --- sums -----------------------------------------------------------------------------------------------------


def summed(formula: Formula, arrays: Sequence[Any], given: Sequence[float], divisor: float, out: Any) -> Run:
    """Let the one number be the sum of the formula over a divisor: in parts, a block for each, then of these.

    Several threads may call it at once: what they all write into the parts is the same.
    """
    x = arrays[0]
    n, (lines, reads) = math.prod(x.shape), operands(arrays, x)
    parts = cuda.to_device(np.zeros(max(1, kernels.parts(n))))
    kernel = compiled(kernels.summed, formula, reads, len(given), x.dtype.name)
    first = kernel[parts.size, kernels.THREADS] if n else None
    last = compiled(_total)[1, kernels.THREADS]

    def launch(line: Any) -> None:
        if first is not None:
            first(parts, n, *lines, *given)
        last(line, parts, float(divisor))

    return filling((), x.dtype, out, launch)


def _total() -> Callable[..., None]:
    return kernels.total


def _summed_rows(
    formula: Formula, arrays: Sequence[Any], given: Sequence[float], axis: int, divisor: float, out: Any
) -> Run:
    """Let each row's number be the sum of the formula over a divisor."""
    x = arrays[0]
    shape = without_axis(tuple(x.shape), axis)
    lines, reads = operands(arrays, x)
    n, inner = row_of(tuple(x.shape), axis)
    kernel = compiled(kernels.summed_rows, formula, reads, len(given), x.dtype.name)
    launch = kernel[row_launches.blocks_of(shape), kernels.threads(n)] if math.prod(shape) else None
    return filling(shape, x.dtype, out, launch and (lambda line: launch(line, n, inner, divisor, *lines, *given)))


def _divisor(losses: Shape, parameters: Mapping[str, Any]) -> float:
    """Return what a reduction divides the sum of losses by, or a cotangent that they share."""
    return float(math.prod(losses)) if parameters["reduction"] == "mean" else 1.0
