"""Formulas for one row of classes, for Numba: losses return a number, their gradients fill `out`.

Sums are in float64 (see `numba_loops.total`), and are rounded to the type of the row where an array is filled.
Rows that take no part have a negative label.
"""

# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.numba_loops import formula, total
from backends.numba_losses import ratio
from backends.numba_rows import itself, largest_of, product, shifted_exp, softmax

# --- cross entropies ------------------------------------------------------------------------------------------


@formula
def categorical_cross_entropy(prediction: Any, target: Any, eps: Any) -> Any:
    """-Σ t·log(p + eps)."""
    return -total(_log_term, (prediction, target, eps))


@formula
def categorical_cross_entropy_vjp(out: Any, g: Any, prediction: Any, target: Any, eps: Any) -> None:
    """-t / (p + eps)."""
    for j in range(prediction.shape[0]):
        out[j] = g * -ratio(target[j], prediction[j] + type(g)(eps))


@formula
def _log_term(prediction: Any, target: Any, eps: Any) -> Any:
    """t·log(p + eps), 0 where both are 0: the limit."""
    zero = type(prediction)(0)
    shifted = prediction + type(prediction)(eps)
    return zero if target == zero and shifted == zero else target * math.log(shifted)


@formula
def softmax_cross_entropy(x: Any, target: Any, label_smoothing: Any) -> Any:
    """Σ s · log(Σ exp(x - max)) - Σ s·(x - max), s = (1 - label_smoothing)·t + label_smoothing/n."""
    largest = largest_of(x)
    log_sum = math.log(total(shifted_exp, (x, largest)))
    share, rest = label_smoothing / x.shape[0], 1 - label_smoothing
    weight = rest * total(itself, (target,)) + label_smoothing
    return weight * log_sum - total(_shifted_term, (x, target, largest, rest, share))


@formula
def softmax_cross_entropy_vjp(out: Any, g: Any, x: Any, target: Any, label_smoothing: Any) -> None:
    """softmax(x)·Σ s - s."""
    softmax(out, x)
    number = type(x[0])
    share, rest = number(label_smoothing / x.shape[0]), number(1 - label_smoothing)
    weight = number((1 - label_smoothing) * total(itself, (target,)) + label_smoothing)
    for j in range(x.shape[0]):
        out[j] = g * (out[j] * weight - (rest * target[j] + share))


@formula
def _shifted_term(x: Any, target: Any, largest: Any, rest: Any, share: Any) -> Any:
    """s·(x - max), 0 where s = 0 even if x is -inf: the limit, and what masked classes need."""
    shifted = x - largest
    smoothed = rest * target + share
    return 0.0 if smoothed == 0 and shifted == -np.inf else smoothed * shifted


@formula
def softmax_cross_entropy_with_integer_labels(x: Any, label: Any, weight: Any, label_smoothing: Any) -> Any:
    """Σ s·(log(Σ exp(x - max)) - (x - max)), s = weight·((1 - label_smoothing)·[label] + label_smoothing/n)."""
    if label < 0:
        return 0.0
    largest = largest_of(x)
    log_sum = math.log(total(shifted_exp, (x, largest)))
    loss = _surprise(x[label], (1 - label_smoothing) * weight[label], largest, log_sum)
    if label_smoothing > 0:
        loss += label_smoothing / x.shape[0] * total(_surprise, (x, weight, largest, log_sum))
    return loss


@formula
def softmax_cross_entropy_with_integer_labels_vjp(
    out: Any, g: Any, x: Any, label: Any, weight: Any, label_smoothing: Any
) -> None:
    """softmax(x)·Σ s - s."""
    number = type(x[0])
    if label < 0:
        out[:] = number(0)
        return
    softmax(out, x)
    share, at_label = label_smoothing / x.shape[0], (1 - label_smoothing) * weight[label]
    all_ = at_label + (share * total(itself, (weight,)) if label_smoothing > 0 else 0.0)
    for j in range(x.shape[0]):
        out[j] *= number(all_)
    if label_smoothing > 0:
        for j in range(x.shape[0]):
            out[j] -= number(share) * weight[j]
    out[label] -= number(at_label)
    for j in range(x.shape[0]):
        out[j] *= g


@formula
def _surprise(x: Any, weight: Any, largest: Any, log_sum: Any) -> Any:
    """-weight·log_softmax(x), 0 without weight even if x is -inf."""
    surprise = log_sum - (x - largest)
    return 0.0 if weight == 0 and surprise == np.inf else weight * surprise


# --- likelihoods ----------------------------------------------------------------------------------------------


@formula
def negative_log_likelihood(prediction: Any, label: Any, weight: Any) -> Any:
    """-weight·prediction at the label."""
    zero = type(prediction[0])(0)
    return zero if label < 0 or weight[label] == zero else -weight[label] * prediction[label]


@formula
def negative_log_likelihood_vjp(out: Any, g: Any, prediction: Any, label: Any, weight: Any) -> None:
    """-weight at the label, 0 elsewhere."""
    out[:] = type(prediction[0])(0)
    if label >= 0:
        out[label] = g * -weight[label]


@formula
def kl_divergence(prediction: Any, target: Any) -> Any:
    """Σ t·(log(t) - prediction)."""
    return total(_divergence, (prediction, target))


@formula
def kl_divergence_vjp(out: Any, g: Any, prediction: Any, target: Any) -> None:
    """-t."""
    for j in range(prediction.shape[0]):
        out[j] = g * -target[j]


@formula
def _divergence(prediction: Any, target: Any) -> Any:
    """t·(log(t) - prediction), 0 where t = 0 unless the prediction is NaN."""
    zero = type(target)(0)
    nothing = prediction if prediction != prediction else zero  # noqa: PLR0124
    return nothing if target == zero else target * (math.log(target) - prediction)


# --- margins and overlaps -------------------------------------------------------------------------------------


@formula
def categorical_hinge(prediction: Any, target: Any) -> Any:
    """max(1 + max((1 - t)·p) - Σ t·p, 0)."""
    margin, _, _ = _margin(prediction, target)
    return 0.0 if margin <= 0 else margin


@formula
def categorical_hinge_vjp(out: Any, g: Any, prediction: Any, target: Any) -> None:
    """(1 - t)·best/Σ best - t, best = 1 where (1 - t)·p is largest; 0 where the margin is kept."""
    number = type(g)
    margin, largest, equal = _margin(prediction, target)
    for j in range(prediction.shape[0]):
        other = number(1) - target[j]
        share = other / number(equal) if other * prediction[j] == largest else number(0)
        slope = number(0) if margin <= 0 else share - target[j]
        out[j] = g * (slope if margin == margin else number(margin))  # noqa: PLR0124


@formula
def _margin(prediction: Any, target: Any) -> Any:
    """Return 1 + max((1 - t)·p) - Σ t·p, that maximum, and how many entries reach it."""
    one = type(prediction[0])(1)
    largest, equal = (one - target[0]) * prediction[0], 1
    for j in range(1, prediction.shape[0]):
        other = (one - target[j]) * prediction[j]
        equal = 1 if other > largest else (equal + 1 if other == largest else equal)
        largest = other if other > largest else largest
    return 1.0 + largest - total(product, (target, prediction)), largest, equal


@formula
def cosine_similarity(prediction: Any, target: Any, eps: Any) -> Any:
    """Σ (p/|p|)·(t/|t|), where norms are at least eps."""
    first, second = _at_least(_norm(prediction), eps), _at_least(_norm(target), eps)
    return total(_scaled_product, (prediction, target, first, second))


@formula
def cosine_similarity_vjp(out: Any, g: Any, prediction: Any, target: Any, eps: Any) -> None:
    """(t/|t| - cosine·p/|p|) / |p|; without the second term where |p| is at most eps."""
    norm = _norm(prediction)
    first, second = _at_least(norm, eps), _at_least(_norm(target), eps)
    turned = total(_scaled_product, (prediction, target, first, second))
    turned = 0.0 if norm <= eps and turned == turned else turned  # noqa: PLR0124
    for j in range(prediction.shape[0]):
        out[j] = g * ((target[j] / second - turned * (prediction[j] / first)) / first)


@formula
def _norm(x: Any) -> Any:
    """Return the square root of Σ x², of numbers scaled by the largest so that no square over- or underflows."""
    largest = 0.0
    for j in range(x.shape[0]):
        size = np.float64(abs(x[j]))
        largest = size if size > largest else largest
    if largest in (0.0, np.inf):
        largest = 1.0
    return largest * math.sqrt(total(_scaled_product, (x, x, largest, largest)))


@formula
def _at_least(norm: Any, eps: Any) -> Any:
    return eps if norm <= eps else norm


@formula
def _scaled_product(x: Any, y: Any, first: Any, second: Any) -> Any:
    return (x / first) * (y / second)


@formula
def dice(prediction: Any, target: Any, eps: Any) -> Any:
    """1 - (2·Σ t·p + eps) / (Σ t + Σ p + eps)."""
    both, all_ = _dice_sums(prediction, target, eps)
    return 1 - both / all_


@formula
def dice_vjp(out: Any, g: Any, prediction: Any, target: Any, eps: Any) -> None:
    """(both - 2·t·all) / all²."""
    number = type(g)
    both, all_ = _dice_sums(prediction, target, eps)
    constant, slope = number(both / all_ / all_), number(2 / all_)
    for j in range(prediction.shape[0]):
        out[j] = g * (constant - slope * target[j])


@formula
def _dice_sums(prediction: Any, target: Any, eps: Any) -> Any:
    both = 2 * total(product, (target, prediction)) + eps
    return both, total(itself, (target,)) + total(itself, (prediction,)) + eps


@formula
def tversky(prediction: Any, target: Any, alpha: Any, beta: Any, eps: Any) -> Any:
    """1 - both/all, both = Σ t·p + eps, all = both + alpha·Σ (1 - t)·p + beta·Σ t·(1 - p)."""
    both, all_ = _tversky_sums(prediction, target, alpha, beta, eps)
    return 1 - both / all_


@formula
def tversky_vjp(out: Any, g: Any, prediction: Any, target: Any, alpha: Any, beta: Any, eps: Any) -> None:
    """(both·(t + alpha·(1 - t) - beta·t) - t·all) / all²."""
    number = type(g)
    both, all_ = _tversky_sums(prediction, target, alpha, beta, eps)
    constant, slope = number(both / all_ / all_), number(1 / all_)
    for j in range(prediction.shape[0]):
        t = target[j]
        falling = t + number(alpha) * (number(1) - t) - number(beta) * t
        out[j] = g * (constant * falling - slope * t)


@formula
def _tversky_sums(prediction: Any, target: Any, alpha: Any, beta: Any, eps: Any) -> Any:
    both = total(product, (target, prediction)) + eps
    wrong = alpha * total(_without, (target, prediction)) + beta * total(_without, (prediction, target))
    return both, both + wrong


@formula
def _without(x: Any, y: Any) -> Any:
    """(1 - x)·y."""
    return (type(x)(1) - x) * y
