"""Numba: losses of a row of classes, as formulas of one row: a loss returns a number, its gradient fills `out`.

Sums are in float64 (see `sums.total`), and are rounded to the type of the row where an array is filled.
Ignored rows have a negative label.
"""

# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.host import Pairs
from backends.numba.compilation import formula, subroutine
from backends.numba.elementary import log
from backends.numba.intrinsics import add, from_bits, larger, smaller_unsigned, to_bits
from backends.numba.likelihoods import ratio
from backends.numba.loops import BLOCK
from backends.numba.ops import row_loss, row_loss_vjp
from backends.numba.rows import exp_sums, exps, product, rising
from backends.numba.sums import is_float32, sum_of, sums_in_fours, total

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
    return zero if target == zero and shifted == zero else target * log(shifted)


@formula
def softmax_cross_entropy(x: Any, target: Any, label_smoothing: Any) -> Any:
    """Σ s · log(Σ exp(x - max)) - Σ s·(x - max), s = (1 - label_smoothing)·t + label_smoothing/n."""
    largest, exps, _, _ = exp_sums(x)
    log_sum = log(exps)
    number = type(x[0])
    share, rest = number(label_smoothing / x.shape[0]), number(1 - label_smoothing)
    weight = (1 - label_smoothing) * sum_of(target) + label_smoothing
    return weight * log_sum - total(_shifted_term, (x, target, largest, rest, share))


@formula
def softmax_cross_entropy_vjp(out: Any, g: Any, x: Any, target: Any, label_smoothing: Any) -> None:
    """softmax(x)·Σ s - s."""
    number = type(x[0])
    share, rest = number(label_smoothing / x.shape[0]), number(1 - label_smoothing)
    weight = number(((1 - label_smoothing) * sum_of(target) + label_smoothing) / exps(out, x, rising))
    for j in range(x.shape[0]):
        out[j] = g * (out[j] * weight - (rest * target[j] + share))


@formula
def _shifted_term(x: Any, target: Any, largest: Any, rest: Any, share: Any) -> Any:
    """s·(x - max), and 0 where s = 0 even if x is -inf: the limit, and right for masked classes."""
    number = type(x)
    shifted = x - number(largest)
    smoothed = rest * target + share
    nothing = (smoothed == number(0)) & (shifted == number(-np.inf))
    return number(0) if nothing else smoothed * shifted


@formula
def softmax_cross_entropy_with_integer_labels(x: Any, label: Any, weight: Any, label_smoothing: Any) -> Any:
    """Σ s·(log(Σ exp(x - max)) - (x - max)), s = weight·((1 - label_smoothing)·[label] + label_smoothing/n)."""
    if label < 0:
        return 0.0
    largest, exps, _, _ = exp_sums(x)
    log_sum = log(exps)
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
    share, at_label = label_smoothing / x.shape[0], (1 - label_smoothing) * weight[label]
    all_ = at_label + (share * sum_of(weight) if label_smoothing > 0 else 0.0)
    scale = number(all_ / exps(out, x, rising))
    smoothed = number(share) * weight[label] if label_smoothing > 0 else number(0)
    slope_at_label = out[label] * scale - smoothed - number(at_label)
    if label_smoothing > 0:
        for j in range(x.shape[0]):
            out[j] = g * (out[j] * scale - number(share) * weight[j])
    else:
        for j in range(x.shape[0]):
            out[j] = g * (out[j] * scale)
    out[label] = g * slope_at_label


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
    return nothing if target == zero else target * (log(target) - prediction)


# --- margins and overlaps -------------------------------------------------------------------------------------


@formula
def categorical_hinge(prediction: Any, target: Any) -> Any:
    """max(1 + max((1 - t)·p) - Σ t·p, 0)."""
    margin, _ = _margin(prediction, target)
    return 0.0 if margin <= 0 else margin


@formula
def categorical_hinge_vjp(out: Any, g: Any, prediction: Any, target: Any) -> None:
    """(1 - t)·best/Σ best - t, best = 1 where (1 - t)·p is largest; 0 where the margin is kept."""
    number = type(g)
    margin, largest = _margin(prediction, target)
    equal = 0
    for j in range(prediction.shape[0]):
        equal += _unless_absent(number(1) - target[j], prediction[j]) == largest
    for j in range(prediction.shape[0]):
        other = number(1) - target[j]
        share = other / number(equal) if _unless_absent(other, prediction[j]) == largest else number(0)
        slope = number(0) if margin <= 0 else share - target[j]
        out[j] = g * (slope if margin == margin else number(margin))  # noqa: PLR0124


@formula
def _margin(prediction: Any, target: Any) -> Any:
    """Return 1 + max((1 - t)·p) - Σ t·p, and that maximum."""
    one = type(prediction[0])(1)
    above = below = to_bits(_unless_absent(one - target[0], prediction[0]))
    for j in range(1, prediction.shape[0]):
        bits = to_bits(_unless_absent(one - target[j], prediction[j]))
        above, below = larger(above, bits), smaller_unsigned(below, bits)
    largest = from_bits(above if above >= 0 else below, prediction[0])
    return 1.0 + largest - total(_unless_absent, (target, prediction)), largest


@formula
def _unless_absent(factor: Any, x: Any) -> Any:
    """factor·x, 0 where the factor is even if x is infinite."""
    zero = type(x)(0)
    return zero if factor == zero else factor * x


@formula
def cosine_similarity(prediction: Any, target: Any, eps: Any) -> Any:
    """Σ p·t / (|p|·|t|), where norms are at least eps."""
    first, second = _scale(prediction), _scale(target)
    cosine, _, _ = _cosine(prediction, target, first, second, eps)
    return cosine


@formula
def cosine_similarity_vjp(out: Any, g: Any, prediction: Any, target: Any, eps: Any) -> None:
    """(t/|t| - cosine·p/|p|) / |p|; without the second term where |p| is at most eps."""
    first, second = _scale(prediction), _scale(target)
    cosine, size, other = _cosine(prediction, target, first, second, eps)
    turned = 0.0 if size <= eps * first and cosine == cosine else cosine  # noqa: PLR0124
    norm = size / first  # exact; a slope over `size` may underflow before it is scaled back
    along, back = 1 / other, turned / size
    if is_float32(g) > 0 and _is_usual(norm) and _is_usual(other):
        toward, away = type(g)(along / norm), type(g)(back / norm)
        for j in range(prediction.shape[0]):
            out[j] = g * (target[j] * toward - prediction[j] * away)
    else:
        for j in range(prediction.shape[0]):
            slope = (target[j] * second) * along - (prediction[j] * first) * back
            out[j] = g * (slope / norm)


@formula
def _is_usual(norm: Any) -> Any:
    """Tell whether quotients of such norms, and their squares, are in the middle of the range of float32."""
    return 2.0**-30 < norm < 2.0**30


@formula
def _cosine(prediction: Any, target: Any, first: Any, second: Any, eps: Any) -> Any:
    """Return the cosine, and the two norms, or eps, times their scales."""
    squares, others, products = _products(prediction, target, first, second)
    size, other = _at_least(math.sqrt(squares), eps * first), _at_least(math.sqrt(others), eps * second)
    return products / size / other, size, other


@formula
def _products(x: Any, y: Any, first: Any, second: Any) -> Any:
    """Return Σ x·x, Σ y·y and Σ x·y of the scaled arrays; products are in float32 only where that holds them."""
    if is_float32(x[0]) > 0:
        squares, others, products = sums_in_fours(_square, _other_square, product, x, y)
        if _is_sure(squares) and _is_sure(others):
            return squares, others, products
    return _wide_products(x, y, first, second)


@subroutine
def _wide_products(x: Any, y: Any, first: Any, second: Any) -> Any:
    squares = others = products = 0.0
    for start in range(0, x.shape[0], BLOCK):
        one = other = both = 0.0
        for j in range(start, min(start + BLOCK, x.shape[0])):
            a, b = x[j] * first, y[j] * second
            one, other, both = add(one, a * a), add(other, b * b), add(both, a * b)
        squares, others, products = squares + one, others + other, products + both
    return squares, others, products


@formula
def _square(x: Any, y: Any) -> Any:  # noqa: ARG001 - see `sums_in_fours`
    return x * x


@formula
def _other_square(x: Any, y: Any) -> Any:  # noqa: ARG001
    return y * y


@formula
def _is_sure(squares: Any) -> Any:
    """Tell whether no square that counts in a sum was too large or too small for float32."""
    return 2.0**-60 < squares < np.inf


@formula
def _scale(x: Any) -> Any:
    """Return a power of two that keeps squares of entries from over- or underflowing in float64; mostly 1."""
    if is_float32(x[0]) > 0:
        return 1.0
    bits = to_bits(abs(x[0]))
    for j in range(1, x.shape[0]):
        bits = larger(bits, to_bits(abs(x[j])))
    largest = np.float64(from_bits(bits, x[0]))
    if largest > 2.0**500:
        return 2.0**-600
    return 2.0**600 if 0.0 < largest < 2.0**-400 else 1.0


@formula
def _at_least(norm: Any, eps: Any) -> Any:
    return eps if norm <= eps else norm


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
    both, predicted, true = sums_in_fours(product, _first, _second, prediction, target)
    return 2 * both + eps, true + predicted + eps


@formula
def _first(x: Any, y: Any) -> Any:  # noqa: ARG001
    return x


@formula
def _second(x: Any, y: Any) -> Any:  # noqa: ARG001
    return y


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
    both, missed, wrong = sums_in_fours(product, _without, _less, prediction, target)
    return both + eps, both + eps + (alpha * wrong + beta * missed)


@formula
def _without(x: Any, y: Any) -> Any:
    """(1 - x)·y."""
    return (type(x)(1) - x) * y


@formula
def _less(x: Any, y: Any) -> Any:
    """x·(1 - y)."""
    return x * (type(y)(1) - y)


OPS: Pairs = {
    "categorical_cross_entropy": (
        row_loss(categorical_cross_entropy),
        row_loss_vjp(categorical_cross_entropy_vjp),
    ),
    "softmax_cross_entropy": (row_loss(softmax_cross_entropy), row_loss_vjp(softmax_cross_entropy_vjp)),
    "softmax_cross_entropy_with_integer_labels": (
        row_loss(softmax_cross_entropy_with_integer_labels),
        row_loss_vjp(softmax_cross_entropy_with_integer_labels_vjp),
    ),
    "negative_log_likelihood": (
        row_loss(negative_log_likelihood),
        row_loss_vjp(negative_log_likelihood_vjp, streams=False),
    ),
    "kl_divergence": (row_loss(kl_divergence), row_loss_vjp(kl_divergence_vjp)),
    "categorical_hinge": (row_loss(categorical_hinge), row_loss_vjp(categorical_hinge_vjp)),
    "cosine_similarity": (row_loss(cosine_similarity), row_loss_vjp(cosine_similarity_vjp)),
    "dice": (row_loss(dice), row_loss_vjp(dice_vjp)),
    "tversky": (row_loss(tversky), row_loss_vjp(tversky_vjp)),
}
