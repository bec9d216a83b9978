"""Kernels of rows: softmax and its kin, and losses of classes with a distribution or a label for each row.

A row has `n` numbers that lie `inner` apart. It gets a block, unless one of its numbers is all that counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda

from backends.numba.elementary import lifted_exp
from backends.numba.rows import rising
from backends.numba_cuda.formulas import Finishing, Formula
from backends.numba_cuda.kernels import MOST_THREADS, added, formulas, largest
from backends.numba_cuda.rows import cotangents, nothing

# --- what a block reads of a row ------------------------------------------------------------------------------


@cuda.jit(device=True)
def first_of(row: Any, n: Any, inner: Any) -> Any:
    """Return where a row begins."""
    return row // inner * n * inner + row % inner


@cuda.jit(device=True)
def share_of(g: Any, divisor: Any, row: Any) -> Any:
    """Return a row's cotangent, or the one that all rows share, over the number in `divisor`, if that is not 0."""
    whole = divisor[0]
    return np.float64(g[row % g.size]) / (whole if whole != 0 else 1.0)


def reading(turned: Formula, weigh: Formula, dtype: str) -> Formula:
    """Return a device function `(kept, g, x, first, n, inner)` of a row that a block reads, twice.

    It returns the largest of turned(x) and two sums, both in float64: that of e = exp(turned(x) - largest),
    lifted, and that of `weigh(e, g)`. What is NaN makes the first sum NaN.
    """
    number = getattr(np, dtype)
    exp = formulas(dtype).of(lifted_exp)
    turned, weigh = cuda.jit(device=True)(turned), cuda.jit(device=True)(weigh)

    def read(kept: Any, g: Any, x: Any, first: Any, n: Any, inner: Any) -> Any:
        start, end, step = first + cuda.threadIdx.x * inner, first + n * inner, cuda.blockDim.x * inner
        top = number(-math.inf)
        for i in range(start, end, step):
            value = turned(x[i])
            top = value if value > top else top  # noqa: FURB136 - NaN makes the sums NaN
        top = number(largest(kept, np.float64(top)))
        sum_, weighted = np.float64(0), np.float64(0)
        for i in range(start, end, step):
            e = exp(turned(x[i]) - top)
            sum_ += np.float64(e)
            weighted += weigh(e, g[i])
        return top, added(kept, sum_), added(kept, weighted)

    made: Formula = cuda.jit(device=True)(read)
    return made


# --- softmax and its kin --------------------------------------------------------------------------------------


def exponentials(turned: Formula, weigh: Formula, finish: Formula, dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, g, x, n, inner)` that fills rows with `finish(e, g, x, largest, sum, weighted)`.

    See `reading`. The row is read three times: from a cache, unless it is very long.
    """
    exp, read = formulas(dtype).of(lifted_exp), reading(turned, weigh, dtype)
    turned, finish = cuda.jit(device=True)(turned), cuda.jit(device=True)(finish)

    def kernel(out: Any, g: Any, x: Any, n: Any, inner: Any) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first = first_of(row, n, inner)
            top, sum_, weighted = read(kept, g, x, first, n, inner)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                out[i] = finish(exp(turned(x[i]) - top), g[i], x[i], top, sum_, weighted)

    return kernel


# --- cross entropy with a distribution ------------------------------------------------------------------------


def cross_entropy(term: Formula, of: Finishing, dtype: str) -> Callable[..., None]:
    """Return a kernel `(losses, x, target, n, inner, label_smoothing)` of softmax cross entropy.

    A loss is weight·log(Σ exp(x - largest)) - Σ `term`; see `backends.numba.class_losses`.
    """
    number, log, lowered = of
    term, read = formulas(dtype).of(term), reading(rising, cotangents, dtype)

    def kernel(losses: Any, x: Any, target: Any, n: Any, inner: Any, smoothing: Any) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        share, rest = number(smoothing / n), number(1 - smoothing)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first = first_of(row, n, inner)
            top, sum_, targets = read(kept, target, x, first, n, inner)
            shifted = np.float64(0)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                shifted += np.float64(term(x[i], target[i], top, rest, share))
            shifted = added(kept, shifted)
            if cuda.threadIdx.x == 0:
                losses[row] = ((1 - smoothing) * targets + smoothing) * log(sum_ * lowered) - shifted

    return kernel


def cross_entropy_slope(dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, g, divisor, x, target, n, inner, label_smoothing)` of its gradient.

    `g` has a number a row, or the one that all rows share; it is divided first, by the number in `divisor`.
    """
    number = getattr(np, dtype)
    exp, read = formulas(dtype).of(lifted_exp), reading(rising, cotangents, dtype)

    def kernel(out: Any, g: Any, divisor: Any, x: Any, target: Any, n: Any, inner: Any, smoothing: Any) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        share, rest = number(smoothing / n), number(1 - smoothing)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first = first_of(row, n, inner)
            top, sum_, targets = read(kept, target, x, first, n, inner)
            slope = number(share_of(g, divisor, row))
            weight = number(((1 - smoothing) * targets + smoothing) / sum_)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                out[i] = slope * (exp(x[i] - top) * weight - (rest * target[i] + share))

    return kernel


# --- losses of labels: `weight` has a number a class, and a row whose label is `ignored` takes no part --------


def label_cross_entropy(surprise: Formula, of: Finishing, dtype: str) -> Callable[..., None]:
    """Return a kernel `(losses, x, labels, weight, ignored, n, inner, label_smoothing)` of softmax cross entropy.

    A loss is the `surprise` at the label and a share of that at all classes; `surprise` is one of float64.
    """
    _, log, lowered = of
    read = reading(rising, nothing, dtype)

    def kernel(
        losses: Any, x: Any, labels: Any, weight: Any, ignored: Any, n: Any, inner: Any, smoothing: Any
    ) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first, label = first_of(row, n, inner), labels[row]
            loss = np.float64(0)
            if label != ignored:  # as for all threads of the block
                top, sum_, _ = read(kept, x, x, first, n, inner)
                top, log_sum = np.float64(top), log(sum_ * lowered)
                if smoothing > 0:
                    for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                        at = np.float64(x[first + j * inner])
                        loss += surprise(at, np.float64(weight[j]), top, log_sum)
                    loss = smoothing / n * added(kept, loss)
                at = np.float64(x[first + label * inner])
                loss += surprise(at, (1 - smoothing) * np.float64(weight[label]), top, log_sum)
            if cuda.threadIdx.x == 0:
                losses[row] = loss

    return kernel


def label_cross_entropy_slope(dtype: str) -> Callable[..., None]:
    """Return a kernel of its gradient.

    It is `(out, g, divisor, x, labels, weight, ignored, n, inner, label_smoothing)`.
    """
    number = getattr(np, dtype)
    exp, read = formulas(dtype).of(lifted_exp), reading(rising, nothing, dtype)

    def kernel(
        out: Any,
        g: Any,
        divisor: Any,
        x: Any,
        labels: Any,
        weight: Any,
        ignored: Any,
        n: Any,
        inner: Any,
        smoothing: Any,
    ) -> None:
        kept = cuda.shared.array(MOST_THREADS, np.float64)
        share = number(smoothing / n)
        for row in range(cuda.blockIdx.x, x.size // n, cuda.gridDim.x):
            first, label = first_of(row, n, inner), labels[row]
            if label == ignored:
                for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                    out[first + j * inner] = number(0)
                continue
            top, sum_, _ = read(kept, x, x, first, n, inner)
            at_label, weights = (1 - smoothing) * np.float64(weight[label]), np.float64(0)
            if smoothing > 0:
                for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                    weights += np.float64(weight[j])
                weights = smoothing / n * added(kept, weights)
            slope = number(share_of(g, divisor, row))
            scale = number((at_label + weights) / sum_)
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                i = first + j * inner
                smoothed = share * weight[j] if smoothing > 0 else number(0)
                found = exp(x[i] - top) * scale - smoothed
                out[i] = slope * (found - number(at_label) if j == label else found)

    return kernel


def likelihood(loss: Formula, dtype: str) -> Callable[..., None]:
    """Return a kernel `(losses, x, labels, weight, ignored, n, inner)` of a `loss` that picks one of its row.

    A row gets a thread.
    """
    loss = formulas(dtype).of(loss)

    def kernel(losses: Any, x: Any, labels: Any, weight: Any, ignored: Any, n: Any, inner: Any) -> None:
        for row in range(cuda.grid(1), labels.size, cuda.gridsize(1)):
            first = first_of(row, n, inner)
            label = -1 if labels[row] == ignored else labels[row]
            losses[row] = loss(x[first : first + n * inner : inner], label, weight)

    return kernel


def likelihood_slope(dtype: str) -> Callable[..., None]:
    """Return a kernel `(out, g, divisor, x, labels, weight, ignored, n, inner)` of its gradient.

    An element gets a thread.
    """
    number = getattr(np, dtype)

    def kernel(
        out: Any, g: Any, divisor: Any, x: Any, labels: Any, weight: Any, ignored: Any, n: Any, inner: Any
    ) -> None:
        for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
            row = i // (n * inner) * inner + i % inner
            label = labels[row]
            if label != ignored and label == i // inner % n:
                out[i] = number(share_of(g, divisor, row)) * -weight[label]
            else:
                out[i] = number(0)

    return kernel


def taking_part(parts: Any, labels: Any, weight: Any, ignored: Any) -> None:
    """Put into each part the weights of those labels that its block adds up; a kernel."""
    kept, found = cuda.shared.array(MOST_THREADS, np.float64), np.float64(0)
    for row in range(cuda.grid(1), labels.size, cuda.gridsize(1)):
        if labels[row] != ignored:
            found += np.float64(weight[labels[row]])
    found = added(kept, found)
    if cuda.threadIdx.x == 0:
        parts[cuda.blockIdx.x] = found
