"""Arrays as kernels take them: as lines, rows by their length and distance, and outputs that a call fills."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import cuda

from backends.numba_cuda.kernels import Reads

Run = Callable[[], Any]
Shape = tuple[int, ...]


def line_of(array: Any) -> Any:
    """Return a device array as one line in C order; one with gaps is copied, by way of the host."""
    whole = array if array.is_c_contiguous() else cuda.to_device(np.ascontiguousarray(array.copy_to_host()))
    return whole.reshape(math.prod(array.shape))


def operands(arrays: Sequence[Any], x: Any) -> tuple[tuple[Any, ...], tuple[Reads, ...]]:
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


def row_of(shape: Shape, axis: int) -> tuple[int, int]:
    """Return how many numbers a row has, and how far they lie apart."""
    axis %= len(shape)
    return shape[axis], math.prod(shape[axis + 1 :])


def filling(shape: Shape, dtype: Any, out: Any, launch: Callable[[Any], None] | None) -> Run:
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
