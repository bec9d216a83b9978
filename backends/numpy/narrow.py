"""NumPy: float16 and bfloat16, widened into buffers of one block, computed in float32, and rounded once.

Where whole arrays are converted instead, a large one moves through memory three times more, as float32 too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.base import output_shape
from backends.host import Bind, Run, output, reduced, share, total_weight
from backends.interface import Input, OpSpec
from backends.numpy.blocks import shareable, silenced

BLOCK = 32 * 1024
"""Elements of a block: 128 KiB of float32 for each array, so that scratch stays in the second-level cache, too."""

Arrays = Sequence[Any]
"""Arrays, and None for what is not given; the first is."""
Blocks = Callable[[], Iterator[tuple[slice, np.ndarray]]]
"""Computes block by block, and yields where each lies, and its result in float32, which the next overwrites."""


def suits(spec: OpSpec, first: np.ndarray, parameters: dict[str, Any]) -> bool:
    """Tell whether an op of this first input can go block by block: rows must lie along the last axis."""
    return first.size > 0 and (not spec.along_axis or parameters["axis"] in (-1, first.ndim - 1))


def blockwise(spec: OpSpec, bind: Bind, *, is_vjp: bool) -> Bind:
    """Return the `bind` of an op, or of its vjp, for narrow arrays that it `suits`, from that for float32."""
    make = _pullback if is_vjp else _forward

    def bind_narrow(*arrays: Any, out: np.ndarray | None = None, **parameters: Any) -> Run:
        last = {"axis": -1} if spec.along_axis else {}
        return silenced(make(spec, bind, arrays, out, parameters | last))

    return shareable(bind_narrow, quiet=True)


def _forward(spec: OpSpec, bind: Bind, inputs: Arrays, out: np.ndarray | None, parameters: dict[str, Any]) -> Run:
    first, reduction = inputs[0], parameters.get("reduction", "none")
    if reduction == "none":
        shape = output_shape(spec, inputs, parameters)
        return _filling(_blocks(spec, bind, inputs, shape, parameters), out, first, shape)
    # As in float32: the losses of rows are added in float64, others in float32 within a block.
    shape, each = (first.shape[:-1], "none") if spec.along_axis else ((), "sum")
    blocks = _blocks(spec, bind, inputs, shape, parameters | {"reduction": each})

    def run() -> np.ndarray:
        total = 0.0
        for _, part in blocks():
            total += float(np.add.reduce(part, None, np.float64))
        return reduced(total, _count(spec, inputs, parameters), first.dtype, reduction, out)

    return run


def _pullback(spec: OpSpec, bind: Bind, arrays: Arrays, out: np.ndarray | None, parameters: dict[str, Any]) -> Run:
    g, *inputs = arrays
    first, reduction = inputs[0], parameters.get("reduction", "none")
    if reduction == "none":
        return _filling(_blocks(spec, bind, inputs, first.shape, parameters, g), out, first, first.shape)
    weight = np.empty((), np.float32)  # of each loss, the same in every block
    blocks = _blocks(spec, bind, inputs, first.shape, parameters | {"reduction": "sum"}, weight)
    fill = _filling(blocks, out, first, first.shape)

    def run() -> np.ndarray:
        weight[()] = share(g, _count(spec, inputs, parameters), reduction)
        return fill()

    return run


def _filling(blocks: Blocks, out: np.ndarray | None, like: np.ndarray, shape: tuple[int, ...]) -> Run:
    """Return a call that rounds all blocks into `out`, or into a new array of a shape."""

    def run() -> np.ndarray:
        made = output(out, like, shape)
        units: np.ndarray | None = None
        for place, part in blocks():
            if units is None:
                units = made.reshape(-1, *part.shape[1:], copy=False)
            np.copyto(units[place], part, casting="same_kind")
        return made

    return run


@dataclass(frozen=True)
class _Line:
    """An array, by rows or elements, and the buffer that a kernel gets in its place; or `whole`."""

    array: np.ndarray
    buffer: np.ndarray
    whole: bool

    def load(self, start: int, stop: int) -> None:
        """Fill the buffer with the rows or elements from `start` to `stop`."""
        if self.whole:
            np.copyto(self.buffer, self.array)
        else:
            np.copyto(self.buffer[: stop - start], self.array[start:stop])

    def part(self, size: int) -> np.ndarray:
        """Return what holds the first rows or elements."""
        return self.buffer if self.whole else self.buffer[:size]


def _blocks(
    spec: OpSpec,
    bind: Bind,
    inputs: Arrays,
    shape: tuple[int, ...],
    parameters: dict[str, Any],
    g: np.ndarray | None = None,
) -> Blocks:
    """Return what computes an output of this shape, or a sum of each block; with a cotangent, the vjp."""
    first, sums = inputs[0], parameters.get("reduction") == "sum"
    row = first.shape[-1:] if spec.along_axis else ()
    n = first.size // math.prod(row)
    size = min(n, max(1, BLOCK // math.prod(row)))

    def tail(shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[-1:] if spec.along_axis and len(shape) == first.ndim else ()

    def line(array: np.ndarray, *, whole: bool) -> _Line:
        units = array if whole else array.reshape(n, *tail(array.shape))
        dtype = np.dtype(np.float32) if array.dtype == first.dtype else array.dtype
        return _Line(units, np.empty(units.shape if whole else (size, *units.shape[1:]), dtype), whole)

    given = zip(spec.inputs, inputs, strict=True)
    lines = [
        None if a is None else line(_spread(declared, a, first), whole=_is_whole(declared, a))
        for declared, a in given
    ]
    if g is not None:
        lines = [line(g, whole=sums), *lines]
    result = np.empty(() if sums and g is None else (size, *tail(shape)), np.float32)

    def bound(size: int) -> Run:
        return bind(
            *(each and each.part(size) for each in lines),
            out=result[:size] if result.ndim else result,
            **parameters,
        )

    whole, rest = bound(size), bound(n % size) if n % size else None

    def blocks() -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, n, size):
            stop = min(start + size, n)
            for each in lines:
                if each:
                    each.load(start, stop)
            (whole if stop - start == size or rest is None else rest)()
            yield slice(start, stop), result[: stop - start] if result.ndim else result

    return blocks


def _is_whole(declared: Input, array: np.ndarray) -> bool:
    """Tell whether an input is the same for all rows or elements."""
    return declared.extent == "classes" or (declared.extent == "broadcast" and array.size == 1)


def _spread(declared: Input, array: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return an input that broadcasts in the shape of the first, or as a line of one number."""
    if declared.extent != "broadcast":
        return array
    return array.reshape(-1) if array.size == 1 else np.broadcast_to(array, first.shape)


def _count(spec: OpSpec, inputs: Arrays, parameters: dict[str, Any]) -> float:
    """Return the divisor of a mean: the number of losses, or the sum of the weights of those that take part."""
    first = inputs[0]
    if "ignore_index" in parameters:
        return total_weight(inputs[1], inputs[2], parameters["ignore_index"])
    return float(first.size // first.shape[-1] if spec.along_axis else first.size)
