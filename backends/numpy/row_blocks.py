"""How NumPy kernels are run over rows: groups of whole rows, a block each, along any axis.

As in `blocks`, a bound call keeps its scratch, which one thread at a time can use, and runs quietly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from backends.host import Function, Run, output, reduced, sharing, total_weight
from backends.numpy import ufuncs as np
from backends.numpy.blocks import Kernel, Result, block_size, given, op, silenced


def along_axis(wide: int = 0, narrow: int = 0) -> Callable[[Kernel], Function]:
    """Turn `kernel(*arrays, *wide, *narrow, out)`, for rows along the last axis, into an op with `axis`.

    `wide` and `narrow` are how many scratch arrays it needs, with whole rows and with one entry a row. `out` may
    be the first array, and the kernel returns it. Kernels run quietly.
    """

    def decorate(kernel: Kernel) -> Function:
        def bind(*arrays: np.ndarray, axis: int, out: np.ndarray | None = None) -> Run:
            moved = [np.moveaxis(a, axis, -1) for a in arrays]
            return silenced(_over_rows(kernel, moved, arrays[0].shape, axis, out, wide, narrow))

        return op(bind, kernel)

    return decorate


def row_loss(wide: int = 0) -> Callable[[Kernel], Function]:
    """Turn `kernel(rows, targets, *wide, **parameters)`, which returns a loss per row, into the reduced loss.

    `wide` is how many scratch arrays with whole rows it needs.
    """

    def decorate(kernel: Kernel) -> Function:
        def bind(
            rows: np.ndarray,
            target: np.ndarray,
            *,
            reduction: str,
            axis: int,
            out: np.ndarray | None = None,
            **parameters: Any,
        ) -> Run:
            rows, target = np.moveaxis(rows, axis, -1), np.moveaxis(target, axis, -1)
            each = out if reduction == "none" else np.empty(rows.shape[:-1], rows.dtype)
            losses = _row_losses(given(kernel, parameters), rows, target, each, wide)
            if reduction == "none":
                return silenced(losses)
            shape = rows.shape[:-1]
            return silenced(lambda: reduced(_total(losses()), math.prod(shape), rows.dtype, reduction, out))

        return op(bind, kernel)

    return decorate


def row_loss_pullback(kernel: Callable[..., None]) -> Function:
    """Turn `kernel(rows, targets, out, **parameters)`, the derivative of each row's loss, into the vjp."""

    def bind(
        g: np.ndarray,
        rows: np.ndarray,
        target: np.ndarray,
        *,
        reduction: str,
        axis: int,
        out: np.ndarray | None = None,
        **parameters: Any,
    ) -> Run:
        moved = [np.moveaxis(a, axis, -1) for a in (rows, target)]
        weight = _row_weight(g, rows.dtype, reduction)
        gradients = _row_gradients(given(kernel, parameters), weight, moved, rows.shape, axis, out)
        if reduction == "none":
            return silenced(gradients)
        shared = sharing(g, math.prod(moved[0].shape[:-1]), reduction)

        def run() -> np.ndarray:
            weight[()] = shared()
            return gradients()

        return silenced(run)

    return op(bind, kernel)


def label_loss(wide: int = 0, *, blocked: bool = True) -> Callable[[Kernel], Function]:
    """Turn `kernel(rows, labels, *wide, weight=..., **parameters)`, a loss per row, into the reduced loss.

    Labels come along an axis of length one. The loss of a row whose label is `ignore_index` is 0, whatever it
    holds; a mean divides by the weights of the other rows' labels, or by their number. A kernel that reads few
    entries of a row is not `blocked`: it gets all rows at once.
    """

    def decorate(kernel: Kernel) -> Function:
        def bind(
            rows: np.ndarray,
            labels: np.ndarray,
            weight: np.ndarray | None,
            *,
            reduction: str,
            axis: int,
            ignore_index: int | None,
            out: np.ndarray | None = None,
            **parameters: Any,
        ) -> Run:
            rows = np.moveaxis(rows, axis, -1)
            each = out if reduction == "none" else np.empty(rows.shape[:-1], rows.dtype)
            kept, ignored, sift = _sifted(labels, ignore_index)
            losses = _row_losses(
                partial(kernel, weight=weight, **parameters), rows, kept, each, wide, blocked=blocked
            )

            def run() -> np.ndarray:
                sift()
                found = losses()
                if ignored is not None:
                    np.copyto(found, 0, where=ignored)
                if reduction == "none":
                    return found
                count = total_weight(labels, weight, ignore_index)
                return reduced(_total(found), count, rows.dtype, reduction, out)

            return silenced(run)

        return op(bind, kernel)

    return decorate


def label_loss_pullback(kernel: Callable[..., None]) -> Function:
    """Turn `kernel(rows, labels, out, weight=..., **parameters)`, each row's derivative, into the vjp."""

    def bind(
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
    ) -> Run:
        kept, ignored, sift = _sifted(labels, ignore_index)
        factor = _row_weight(g, rows.dtype, reduction)
        arrays = [np.moveaxis(rows, axis, -1), kept]
        gradients = _row_gradients(
            partial(kernel, weight=weight, **parameters), factor, arrays, rows.shape, axis, out
        )

        def run() -> np.ndarray:
            sift()
            if reduction != "none":
                n_losses = total_weight(labels, weight, ignore_index) if reduction == "mean" else 0
                factor[()] = sharing(g, n_losses, reduction)()
            result = gradients()
            if ignored is not None:
                np.copyto(np.moveaxis(result, axis, -1), 0, where=ignored[..., None])
            return result

        return silenced(run)

    return op(bind, kernel)


# --- private -------------------------------------------------------------------------------------------------


def _over_rows(
    kernel: Kernel,
    arrays: Sequence[np.ndarray],
    shape: tuple[int, ...],
    axis: int,
    out: np.ndarray | None,
    wide: int = 0,
    narrow: int = 0,
) -> Run:
    """Return a call of `kernel` on groups of rows along the last axis that fills `out`, with rows at `axis`."""
    is_last = axis in (-1, len(shape) - 1)
    is_flat = is_last and all(a.flags.c_contiguous for a in (*arrays, *(() if out is None else (out,))))
    # Kernels sum what they have written, which is pairwise only in C order: rows along other axes are computed
    # in C order and then copied.
    groups = _with_scratch(_row_groups(arrays, flat=is_flat), wide, narrow, n_outputs=not is_last)
    dtype = arrays[0].dtype
    if len(groups) == 1 and is_last and len(shape) == 2:
        arguments = groups[0][1]
        return (
            partial(kernel, *arguments, out)
            if out is not None
            else lambda: kernel(*arguments, np.empty(shape, dtype))
        )

    def run() -> np.ndarray:
        result = np.empty(shape, dtype) if out is None else out
        moved = result.reshape(-1, shape[-1]) if is_flat and groups else np.moveaxis(result, axis, -1)
        for group, arguments in groups:
            if is_last:
                kernel(*arguments, moved[group])
            else:
                moved[group] = kernel(*arguments)
        return result

    return run


def _row_groups(
    arrays: Sequence[np.ndarray], *, flat: bool, blocked: bool = True
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Yield groups of whole rows, about a block each; all arrays have the same shape but for the last axis.

    If all are contiguous, rows are numbered as if they lay along one axis.
    """
    if any(a.size == 0 for a in arrays):
        return
    if flat:
        arrays = [a.reshape(-1, a.shape[-1]) for a in arrays]
    largest = max(arrays, key=lambda a: a.size)
    if largest.ndim == 1 or not blocked:
        yield slice(None), list(arrays)
        return
    step = max(1, block_size(largest.dtype) * largest.shape[0] // largest.size)
    for start in range(0, largest.shape[0], step):
        group = slice(start, start + step)
        yield group, [a[group] for a in arrays]


def _with_scratch(
    groups: Iterator[tuple[slice, list[np.ndarray]]], wide: int, narrow: int = 0, n_outputs: int = 0
) -> list[tuple[slice, tuple[np.ndarray, ...]]]:
    """Return the groups with scratch after their arrays: the same for all, so that it stays in the cache."""
    spare: list[np.ndarray] = []
    result = []
    for group, parts in groups:
        rows = parts[0]
        if not spare:  # the first group is the largest
            shapes = [rows.shape] * wide + [(*rows.shape[:-1], 1)] * narrow + [rows.shape] * n_outputs
            spare = [np.empty(shape, rows.dtype) for shape in shapes]
        result.append((group, (*parts, *(a[: len(rows)] for a in spare))))
    return result


def _row_losses(
    kernel: Kernel,
    rows: np.ndarray,
    target: np.ndarray,
    out: np.ndarray | None,
    wide: int,
    *,
    blocked: bool = True,
) -> Run:
    """Return a call that computes the loss of each row, into `out` if it is given."""
    is_flat = all(a.flags.c_contiguous for a in (rows, target, *(() if out is None else (out,))))
    groups = _with_scratch(_row_groups((rows, target), flat=is_flat, blocked=blocked), wide)

    def run() -> np.ndarray:
        losses = output(out, rows, rows.shape[:-1])
        if not groups:
            losses.fill(0)  # the sum of a row without classes
        place = losses.reshape(-1) if is_flat else losses
        for group, arguments in groups:
            place[group if place.ndim else ...] = kernel(*arguments)
        return losses

    return run


def _row_weight(g: np.ndarray, dtype: np.dtype, reduction: str) -> np.ndarray:
    """Return the cotangent of each row's loss, or an array for that of all, which each call sets."""
    return g[..., None] if reduction == "none" else np.empty((), dtype)


def _row_gradients(
    kernel: Kernel,
    weight: np.ndarray,
    arrays: Sequence[np.ndarray],
    shape: tuple[int, ...],
    axis: int,
    out: np.ndarray | None,
) -> Run:
    """Return a call that fills `out` with the gradient of each row, times its weight, or one weight for all."""

    def times(x: np.ndarray, t: np.ndarray, w: np.ndarray, out: np.ndarray) -> Result:
        kernel(x, t, out)
        return np.multiply(out, w, out)

    if weight.ndim:
        return _over_rows(times, (*arrays, weight), shape, axis, out)
    return _over_rows(lambda x, t, out: times(x, t, weight, out), arrays, shape, axis, out)


def _sifted(
    labels: np.ndarray, ignore_index: int | None
) -> tuple[np.ndarray, np.ndarray | None, Callable[[], None]]:
    """Return labels with an axis for classes, 0 if ignored; which are ignored; and a call that updates both."""
    if ignore_index is None:
        return labels[..., None], None, lambda: None
    kept, ignored = np.empty_like(labels), np.empty(labels.shape, bool)

    def update() -> None:
        np.equal(labels, ignore_index, ignored)
        np.copyto(kept, labels)
        np.copyto(kept, 0, where=ignored)

    return kept[..., None], ignored, update


def _total(losses: np.ndarray) -> float:
    return float(np.add_up(losses, None, np.float64))
