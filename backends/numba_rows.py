# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here
"""Formulas for one row of classes, for Numba: those of ops along an axis fill `out`, losses return a number.

Sums are in float64 (see `numba_loops.total`), and are rounded to the type of the row where an array is filled.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.numba_loops import formula, total


@formula
def softmax(out: Any, x: Any) -> None:
    """exp(x - max(x)), normalised. A row with +inf, or of -inf alone, is NaN, as in PyTorch and JAX."""
    largest = _largest(x)
    for j in range(x.shape[0]):
        out[j] = math.exp(x[j] - largest)
    scale = type(x[0])(total(_itself, (out,)))
    for j in range(x.shape[0]):
        out[j] /= scale


@formula
def softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """y·(g - Σ g·y), y = softmax(x)."""
    softmax(out, x)
    mean = type(x[0])(total(_product, (g, out)))
    for j in range(x.shape[0]):
        out[j] *= g[j] - mean


@formula
def log_softmax(out: Any, x: Any) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    largest = _largest(x)
    log_sum = math.log(total(_shifted_exp, (x, largest)))
    for j in range(x.shape[0]):
        out[j] = (x[j] - largest) - log_sum


@formula
def log_softmax_vjp(out: Any, g: Any, x: Any) -> None:
    """-softmax(x)·Σ g + g."""
    softmax(out, x)
    weight = type(x[0])(total(_itself, (g,)))
    for j in range(x.shape[0]):
        out[j] = g[j] - out[j] * weight


@formula
def categorical_cross_entropy(prediction: Any, target: Any, eps: Any) -> Any:
    """-Σ t·log(p + eps)."""
    return -total(_log_term, (prediction, target, eps))


@formula
def categorical_cross_entropy_vjp(out: Any, g: Any, prediction: Any, target: Any, eps: Any) -> None:
    """-t / (p + eps)."""
    for j in range(prediction.shape[0]):
        out[j] = g * (-target[j] / (prediction[j] + eps))


@formula
def softmax_cross_entropy(x: Any, target: Any) -> Any:
    """Σ t · log(Σ exp(x - max)) - Σ t·(x - max)."""
    largest = _largest(x)
    log_sum = math.log(total(_shifted_exp, (x, largest)))
    return total(_itself, (target,)) * log_sum - total(_shifted_term, (x, target, largest))


@formula
def softmax_cross_entropy_vjp(out: Any, g: Any, x: Any, target: Any) -> None:
    """softmax(x)·Σ t - t."""
    softmax(out, x)
    weight = type(x[0])(total(_itself, (target,)))
    for j in range(x.shape[0]):
        out[j] = g * (out[j] * weight - target[j])


@formula
def softmax_cross_entropy_with_integer_labels(x: Any, label: Any) -> Any:
    """log(Σ exp(x - max)) - (x - max)[label]."""
    largest = _largest(x)
    return math.log(total(_shifted_exp, (x, largest))) - (x[label] - largest)


@formula
def softmax_cross_entropy_with_integer_labels_vjp(out: Any, g: Any, x: Any, label: Any) -> None:
    """softmax(x), less 1 at the label."""
    softmax(out, x)
    out[label] -= type(x[0])(1)
    for j in range(x.shape[0]):
        out[j] *= g


@formula
def _largest(x: Any) -> Any:
    """Return the largest entry; NaN or not, since a NaN makes its row NaN all the same."""
    result = x[0]
    for j in range(1, x.shape[0]):
        result = x[j] if x[j] > result else result
    return result


@formula
def _itself(x: Any) -> Any:
    return x


@formula
def _product(x: Any, y: Any) -> Any:
    return x * y


@formula
def _shifted_exp(x: Any, largest: Any) -> Any:
    return math.exp(x - largest)


@formula
def _shifted_term(x: Any, target: Any, largest: Any) -> Any:
    """t·(x - max), 0 where t = 0 even if x is -inf: the limit, and what masked classes need."""
    shifted = x - largest
    zero = type(x)(0)
    return zero if target == zero and shifted == -np.inf else target * shifted


@formula
def _log_term(prediction: Any, target: Any, eps: Any) -> Any:
    """t·log(p + eps), 0 where both are 0: the limit."""
    zero = type(prediction)(0)
    shifted = prediction + eps
    return zero if target == zero and shifted == zero else target * math.log(shifted)
