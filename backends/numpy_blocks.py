"""How NumPy kernels are run: over blocks that stay in the cache, into outputs given or new.

A ufunc reads and writes whole arrays, so a formula of ten ufuncs moves a large array through memory ten times,
and each temporary costs a page fault per 4 KiB. Kernels here see one block at a time and write into `out` and
into scratch of one block's size, allocated once per call. Large inputs that are not contiguous are copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from typing import Any, cast

import numpy as np

from backends.host import Function, Run, bound_by, output, reduced, share, total_weight

BLOCK = 64 * 1024
"""Elements of a block: 256 KiB of float32. Smaller ones pay for more calls (sigmoid of 10**7: 1.4 ns with 32 Ki,
1.3 with 64 Ki or more), larger ones leave the second-level cache of smaller processors."""

Kernel = Callable[..., None]
Computation = Callable[..., np.ndarray]


def silent() -> np.errstate:
    """Suppress warnings where the inputs, not the formula, overflow or make inf - inf, 0 * inf or log(0).

    The result says so by being infinite or NaN. Formulas that need none of this run outside of it, so that a
    warning of theirs fails the tests.
    """
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def elementwise(
    scratch: int = 0, dtype: type | None = None, *, aside: bool = False
) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, out, *scratch, **parameters)`, for one block, into the op.

    `scratch` is how many arrays of the block's size the kernel needs besides `out`, of the input's dtype
    unless `dtype` is given. Since `out` may be x, the first input, a kernel reads x no more once it has written
    to `out`. If it would use `out` for what comes before, it asks for an array `aside`, its last: that is `out`,
    at no cost, unless `out` is x.
    """

    def decorate(kernel: Kernel) -> Function:
        def fill(*inputs: np.ndarray, out: np.ndarray, **parameters: Any) -> Run:
            shared = aside and out is not inputs[0]
            steps = []
            for (part, *spare), blocks in _blocks(out, inputs, scratch + (aside and not shared), dtype):
                if shared:
                    spare.append(part)
                steps.append(partial(kernel, *blocks, part, *spare, **parameters))
            return _all_of(steps, out)

        return _op(fill, kernel)

    return decorate


def pullback(scratch: int = 0, dtype: type | None = None) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, out, *scratch, **parameters)`, which computes f'(x), into the vjp g·f'(x)."""

    def decorate(kernel: Kernel) -> Function:
        def times(g: np.ndarray, *arrays: np.ndarray, part: np.ndarray, **parameters: Any) -> None:
            kernel(*arrays, **parameters)
            with silent():  # an infinite cotangent may meet a derivative of zero
                np.multiply(part, g, out=part)

        def fill(g: np.ndarray, *inputs: np.ndarray, out: np.ndarray, **parameters: Any) -> Run:
            steps = [
                partial(times, cotangent, *blocks, part, *spare, part=part, **parameters)
                for (part, *spare), (cotangent, *blocks) in _blocks(out, (g, *inputs), scratch, dtype)
            ]
            return _all_of(steps, out)

        return _op(fill, kernel)

    return decorate


def loss(scratch: int = 0) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, out, *scratch, **parameters)`, which computes losses, into the reduced loss.

    Sums are pairwise within a block and in float64 across blocks.
    """

    def decorate(kernel: Kernel) -> Function:
        def fill(*inputs: np.ndarray | None, reduction: str, out: np.ndarray | None, **parameters: Any) -> Run:
            first = _first(inputs)
            each = reduction == "none"
            steps = [
                (part, partial(kernel, *blocks, part, *spare, **parameters))
                for (part, *spare), blocks in _blocks(out if each else None, inputs, scratch + (not each))
            ]

            def run() -> np.ndarray:
                with silent():
                    if each:
                        for _, step in steps:
                            step()
                        return cast("np.ndarray", out)
                    total = 0.0
                    for part, step in steps:
                        step()
                        total += float(np.add.reduce(part, axis=None))
                return reduced(total, first.size, first.dtype, reduction, out)

            return run

        return _op(fill, kernel)

    return decorate


def loss_pullback(scratch: int = 0, scale: float = 1) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, out, *scratch, **parameters)`, the derivative of each loss, into the vjp.

    Where a derivative may overflow though its product with a cotangent does not, the kernel computes it over
    `scale`.
    """

    def decorate(kernel: Kernel) -> Function:
        def fill(
            g: np.ndarray, *inputs: np.ndarray | None, reduction: str, out: np.ndarray, **parameters: Any
        ) -> Run:
            first = _first(inputs)
            each = reduction == "none"
            steps = [
                (part, cotangent, partial(kernel, *blocks, part, *spare, **parameters))
                for (part, *spare), (*blocks, cotangent) in _blocks(out, (*inputs, g if each else None), scratch)
            ]

            def run() -> np.ndarray:
                weight = None if each else share(g, first.size, reduction)
                with silent():
                    for part, cotangent, step in steps:
                        step()
                        part *= cotangent if each else weight
                        if scale != 1:
                            part *= scale
                return out

            return run

        return _op(fill, kernel, like=1)

    return decorate


def along_axis(kernel: Kernel) -> Computation:
    """Turn `kernel(*arrays, out)`, for rows along the last axis, into a function with `axis`."""

    @wraps(kernel)
    def function(*arrays: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
        out = output(out, arrays[0])
        with silent():
            for blocks in _row_blocks([np.moveaxis(a, axis, -1) for a in (*arrays, out)]):
                kernel(*blocks)
        return out

    return function


def row_loss(kernel: Computation) -> Computation:
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
        rows, target = np.moveaxis(rows, axis, -1), np.moveaxis(target, axis, -1)
        with silent():
            losses = _row_losses(kernel, rows, target, out if reduction == "none" else None, parameters)
            if reduction == "none":
                return losses
            return reduced(losses, losses.size, rows.dtype, reduction, out)

    return function


def row_loss_pullback(kernel: Kernel) -> Computation:
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
        rows, target = np.moveaxis(rows, axis, -1), np.moveaxis(target, axis, -1)
        with silent():
            if reduction != "none":
                g = share(g, math.prod(rows.shape[:-1]), reduction)
            _row_gradients(kernel, g, rows, target, np.moveaxis(out, axis, -1), parameters)
        return out

    return function


def label_loss(kernel: Computation) -> Computation:
    """Turn `kernel(rows, labels, weight=..., **parameters)`, a loss per row, into the reduced loss.

    Labels come along an axis of length one. Rows whose label is `ignore_index` cost nothing, whatever they
    hold; a mean divides by the weights of the others' labels, or by how many they are.
    """

    @wraps(kernel)
    def function(
        rows: np.ndarray,
        labels: np.ndarray,
        weight: np.ndarray | None,
        *,
        reduction: str,
        axis: int,
        ignore_index: int | None,
        out: np.ndarray | None = None,
        **parameters: Any,
    ) -> np.ndarray:
        rows = np.moveaxis(rows, axis, -1)
        count = total_weight(labels, weight, ignore_index)
        labels, ignored = _sift(labels, ignore_index)
        parameters["weight"] = weight
        with silent():
            losses = _row_losses(kernel, rows, labels, out if reduction == "none" else None, parameters)
            if ignore_index is not None:
                np.copyto(losses, 0, where=ignored)
            if reduction == "none":
                return losses
            return reduced(losses, count, rows.dtype, reduction, out)

    return function


def label_loss_pullback(kernel: Kernel) -> Computation:
    """Turn `kernel(rows, labels, out, weight=..., **parameters)`, each row's derivative, into the vjp."""

    @wraps(kernel)
    def function(
        g: np.ndarray,
        rows: np.ndarray,
        labels: np.ndarray,
        weight: np.ndarray | None,
        *,
        reduction: str,
        axis: int,
        ignore_index: int | None,
        out: np.ndarray | None = None,
        **parameters: Any,
    ) -> np.ndarray:
        out = output(out, rows)
        moved = np.moveaxis(out, axis, -1)
        count = total_weight(labels, weight, ignore_index)
        labels, ignored = _sift(labels, ignore_index)
        parameters["weight"] = weight
        with silent():
            if reduction != "none":
                g = share(g, count, reduction)
            _row_gradients(kernel, g, np.moveaxis(rows, axis, -1), labels, moved, parameters)
            if ignore_index is not None:
                np.copyto(moved, 0, where=ignored[..., None])
        return out

    return function


# --- private ------------------------------------------------------------------------------------------------


def _op(fill: Callable[..., Run], kernel: Kernel, like: int = 0) -> Function:
    """Make an op of what fills `out`; unless that is given or the result reduced, it is new, like an input."""

    def bind(*arrays: Any, out: np.ndarray | None = None, **parameters: Any) -> Run:
        if out is not None or (parameters.get("reduction", "none") != "none" and not like):
            return fill(*arrays, out=out, **parameters)
        shape, dtype = arrays[like].shape, arrays[like].dtype

        def fresh() -> np.ndarray:
            return fill(*arrays, out=np.empty(shape, dtype), **parameters)()

        return fresh

    function = bound_by(bind)
    function.__name__, function.__doc__ = kernel.__name__, kernel.__doc__
    return function


def _all_of(steps: Sequence[Callable[[], None]], out: np.ndarray) -> Run:
    """Return what takes all steps and returns `out`."""
    if len(steps) == 1:
        (only,) = steps

        def run() -> np.ndarray:
            only()
            return out

    else:

        def run() -> np.ndarray:
            for step in steps:
                step()
            return out

    return run


def _first(inputs: Sequence[np.ndarray | None]) -> np.ndarray:
    """Return the first input, which is never optional."""
    return cast("np.ndarray", inputs[0])


def _blocks(
    out: np.ndarray | None, arrays: Sequence[np.ndarray | None], scratch: int, dtype: type | None = None
) -> Iterator[tuple[list[np.ndarray], list[Any]]]:
    """Yield the blocks of `out` (if any) and scratch of the same size, and the blocks of `arrays`.

    What is None stays None; what broadcasts to the first array either does so in the kernel or is spread.
    """
    first = _first(arrays)
    spare_dtype = np.dtype(dtype or first.dtype)
    if first.size <= BLOCK:
        if first.size:
            whole = [] if out is None else [out]
            yield [*whole, *(np.empty(first.shape, spare_dtype) for _ in range(scratch))], list(arrays)
        return
    flat = [_flat(a, first) for a in arrays]
    target = [] if out is None else [out.reshape(-1, copy=False)]
    spare = [np.empty(BLOCK, spare_dtype) for _ in range(scratch)]
    for start in range(0, first.size, BLOCK):
        block = slice(start, min(start + BLOCK, first.size))
        short = slice(0, block.stop - start)
        yield (
            [*(a[block] for a in target), *(a[short] for a in spare)],
            [a if a is None or a.size == 1 else a[block] for a in flat],
        )


def _flat(array: np.ndarray | None, first: np.ndarray) -> np.ndarray | None:
    """Return a vector as long as `first`, or of one element; copies what is not contiguous."""
    if array is None or array.size in (1, first.size):
        return array if array is None else array.reshape(-1)
    return np.broadcast_to(array, first.shape).reshape(-1)


def _row_losses(
    kernel: Computation, rows: np.ndarray, target: np.ndarray, out: np.ndarray | None, parameters: dict[str, Any]
) -> np.ndarray:
    """Return the loss of each row, in `out` if given."""
    losses = output(out, rows, rows.shape[:-1])
    losses.fill(0)  # what rows without classes sum to
    for x, t, part in _row_blocks((rows, target, losses[..., None])):
        part[..., 0] = kernel(x, t, **parameters)
    return losses


def _row_gradients(
    kernel: Kernel, g: Any, rows: np.ndarray, target: np.ndarray, out: np.ndarray, parameters: dict[str, Any]
) -> None:
    """Fill `out` with the gradient of each row; `g` is one cotangent for all or one for each."""
    g = np.broadcast_to(g, rows.shape[:-1])
    for w, x, t, part in _row_blocks((g[..., None], rows, target, out)):
        kernel(x, t, part, **parameters)
        part *= w


def _sift(labels: np.ndarray, ignore_index: int | None) -> tuple[np.ndarray, Any]:
    """Return labels with an axis for classes, 0 where they are ignored, and where that is."""
    if ignore_index is None:
        return labels[..., None], np.False_
    ignored = np.asarray(labels == ignore_index)
    return np.where(ignored, 0, labels)[..., None], ignored


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
