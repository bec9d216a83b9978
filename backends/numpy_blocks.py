"""How NumPy kernels are run: over blocks that stay in the cache, into outputs given or new.

A ufunc reads and writes whole arrays, so a formula of ten ufuncs moves a large array through memory ten times,
and each temporary costs a page fault per 4 KiB. Kernels here see one block at a time and write into `out` and
into scratch of one block's size, allocated once per call. Large inputs that are not contiguous are copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np

from backends.host import output, reduced, share

BLOCK = 64 * 1024
"""Elements of a block: 256 KiB of float32. Smaller ones pay for more calls (sigmoid of 10**7: 1.4 ns with 32 Ki,
1.3 with 64 Ki or more), larger ones leave the second-level cache of smaller processors."""

Kernel = Callable[..., None]
Function = Callable[..., np.ndarray]


def silent() -> np.errstate:
    """Suppress warnings where the inputs, not the formula, overflow or make inf - inf, 0 * inf or log(0).

    The result says so by being infinite or NaN. Formulas that need none of this run outside of it, so that a
    warning of theirs fails the tests.
    """
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def elementwise(scratch: int = 0, dtype: type | None = None) -> Callable[[Kernel], Function]:
    """Turn `kernel(x, out, *scratch, **parameters)`, for one block, into the op.

    `scratch` is how many arrays of the block's size the kernel needs besides `out`, of the input's dtype
    unless `dtype` is given.
    """

    def decorate(kernel: Kernel) -> Function:
        @wraps(kernel)
        def function(x: np.ndarray, *, out: np.ndarray | None = None, **parameters: Any) -> np.ndarray:
            out = output(out, x)
            for (part, *spare), (block,) in _blocks(out, (x,), scratch, dtype):
                kernel(block, part, *spare, **parameters)
            return out

        return function

    return decorate


def pullback(scratch: int = 0, dtype: type | None = None) -> Callable[[Kernel], Function]:
    """Turn `kernel(x, out, *scratch, **parameters)`, which computes f'(x), into the vjp g·f'(x)."""

    def decorate(kernel: Kernel) -> Function:
        @wraps(kernel)
        def function(
            g: np.ndarray, x: np.ndarray, *, out: np.ndarray | None = None, **parameters: Any
        ) -> np.ndarray:
            out = output(out, x)
            for (part, *spare), (cotangent, block) in _blocks(out, (g, x), scratch, dtype):
                kernel(block, part, *spare, **parameters)
                with silent():  # an infinite cotangent may meet a derivative of zero
                    part *= cotangent
            return out

        return function

    return decorate


def loss(scratch: int = 0) -> Callable[[Kernel], Function]:
    """Turn `kernel(prediction, target, out, *scratch)`, which computes losses, into the reduced loss.

    Sums are pairwise within a block and in float64 across blocks.
    """

    def decorate(kernel: Kernel) -> Function:
        @wraps(kernel)
        def function(
            prediction: np.ndarray, target: np.ndarray, *, reduction: str, out: np.ndarray | None = None
        ) -> np.ndarray:
            pair = (prediction, target)
            with silent():
                if reduction == "none":
                    out = output(out, prediction)
                    for (part, *spare), blocks in _blocks(out, pair, scratch):
                        kernel(*blocks, part, *spare)
                    return out
                total = 0.0
                for (part, *spare), blocks in _blocks(None, pair, scratch + 1):
                    kernel(*blocks, part, *spare)
                    total += float(part.sum())
                return reduced(total, prediction.size, prediction.dtype, reduction, out)

        return function

    return decorate


def loss_pullback(scratch: int = 0) -> Callable[[Kernel], Function]:
    """Turn `kernel(prediction, target, out, *scratch)`, the derivative of each loss, into the vjp."""

    def decorate(kernel: Kernel) -> Function:
        @wraps(kernel)
        def function(
            g: np.ndarray,
            prediction: np.ndarray,
            target: np.ndarray,
            *,
            reduction: str,
            out: np.ndarray | None = None,
        ) -> np.ndarray:
            out = output(out, prediction)
            arrays = (prediction, target, g) if reduction == "none" else (prediction, target)
            with silent():
                weight = () if reduction == "none" else (share(g, prediction.size, reduction),)
                for (part, *spare), (p, t, *weights) in _blocks(out, arrays, scratch):
                    kernel(p, t, part, *spare)
                    part *= (*weights, *weight)[0]
            return out

        return function

    return decorate


def along_axis(kernel: Kernel) -> Function:
    """Turn `kernel(*arrays, out)`, for rows along the last axis, into a function with `axis`."""

    @wraps(kernel)
    def function(*arrays: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
        out = output(out, arrays[0])
        with silent():
            for blocks in _row_blocks([np.moveaxis(a, axis, -1) for a in (*arrays, out)]):
                kernel(*blocks)
        return out

    return function


def row_loss(kernel: Function) -> Function:
    """Turn `kernel(rows, targets, **parameters)`, which returns a loss per row, into the reduced loss."""

    @wraps(kernel)
    def function(
        rows: np.ndarray,
        target: np.ndarray,
        *,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        **parameters: Any,
    ) -> np.ndarray:
        rows, target = _moved(rows, target, axis)
        losses = output(out if reduction == "none" else None, rows, rows.shape[:-1])
        losses.fill(0)  # what rows without classes sum to
        with silent():
            for x, t, part in _row_blocks((rows, target, losses[..., None])):
                part[..., 0] = kernel(x, t, **parameters)
            if reduction == "none":
                return losses
            return reduced(losses, losses.size, rows.dtype, reduction, out)

    return function


def row_loss_pullback(kernel: Kernel) -> Function:
    """Turn `kernel(rows, targets, out, **parameters)`, the derivative of each row's loss, into the vjp."""

    @wraps(kernel)
    def function(
        g: np.ndarray,
        rows: np.ndarray,
        target: np.ndarray,
        *,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        **parameters: Any,
    ) -> np.ndarray:
        out = output(out, rows)
        rows, target = _moved(rows, target, axis)
        with silent():
            if reduction != "none":
                weight = share(g, math.prod(rows.shape[:-1]), reduction)
                g = np.broadcast_to(weight, rows.shape[:-1])
            for w, x, t, part in _row_blocks((g[..., None], rows, target, np.moveaxis(out, axis, -1))):
                kernel(x, t, part, **parameters)
                part *= w
        return out

    return function


# --- private ------------------------------------------------------------------------------------------------


def _blocks(
    out: np.ndarray | None, arrays: tuple[np.ndarray, ...], scratch: int, dtype: type | None = None
) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Yield the blocks of `out` (if any) and scratch of the same size, and the blocks of `arrays`."""
    first = arrays[0]
    spare_dtype = np.dtype(dtype or first.dtype)
    if first.size <= BLOCK:
        if first.size:
            whole = [] if out is None else [out]
            yield [*whole, *(np.empty(first.shape, spare_dtype) for _ in range(scratch))], list(arrays)
        return
    flat = [a.reshape(-1) for a in arrays]  # copies what is not contiguous
    target = [] if out is None else [out.reshape(-1, copy=False)]
    spare = [np.empty(BLOCK, spare_dtype) for _ in range(scratch)]
    for start in range(0, first.size, BLOCK):
        block = slice(start, min(start + BLOCK, first.size))
        short = slice(0, block.stop - start)
        yield [*(a[block] for a in target), *(a[short] for a in spare)], [a[block] for a in flat]


def _moved(rows: np.ndarray, target: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Put classes last; labels, which have no such axis, get one of length one."""
    labels = target.ndim < rows.ndim
    return np.moveaxis(rows, axis, -1), target[..., None] if labels else np.moveaxis(target, axis, -1)


def _row_blocks(arrays: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield groups of whole rows, about a block each; all arrays have the same shape but for the last axis."""
    if all(a.flags.c_contiguous for a in arrays):
        arrays = [a.reshape(math.prod(a.shape[:-1]), a.shape[-1]) for a in arrays]
    largest = max(arrays, key=lambda a: a.size)
    if any(a.size == 0 for a in arrays):
        return
    if largest.ndim == 1:
        yield list(arrays)
        return
    step = max(1, BLOCK * largest.shape[0] // largest.size)
    for start in range(0, largest.shape[0], step):
        yield [a[start : start + step] for a in arrays]
