"""NumPy: losses of each element that are likelihoods, of yes-or-no targets, counts and normal deviates.

Kernels run without warnings: infinite losses are for inputs to make.
"""

from __future__ import annotations

import numpy as np

from backends import numpy_parts as parts
from backends.numpy_blocks import loss, loss_pullback


@loss(scratch=1)
def binary_cross_entropy(prediction: np.ndarray, target: np.ndarray, out: np.ndarray, no: np.ndarray) -> None:
    """-(t·log(p) + (1 - t)·log(1 - p)), where a factor of 0 counts nothing."""
    _entropy(prediction, target, out, no)


@loss_pullback(scratch=2, scale=256)
def binary_cross_entropy_vjp(
    prediction: np.ndarray, target: np.ndarray, out: np.ndarray, rest: np.ndarray, falling: np.ndarray
) -> None:
    """(1 - t)/(1 - p) - t/p, where 0/0 is 0, over 256: 1/p may overflow."""
    parts.ratio((1 - target) / 256, np.subtract(1, prediction, out=rest), out)
    parts.ratio(target / 256, prediction, falling)
    out -= falling


@loss(scratch=2)
def binary_cross_entropy_with_logits(
    logits: np.ndarray,
    target: np.ndarray,
    pos_weight: np.ndarray | None,
    out: np.ndarray,
    a: np.ndarray,
    w: np.ndarray,
) -> None:
    """log(1 + exp(-|x|)) + |x|·w, where w = 1 - t right of zero and t left of it.

    With a weight W: (1 - t + W·t)·log(1 + exp(-|x|)) + |x|·w, where w = W·t left of zero.
    """
    parts.exp_minus_abs(logits, out)
    np.log1p(out, out=out)
    np.greater_equal(logits, 0, out=w)
    if pos_weight is None:
        w -= target
        np.abs(w, out=w)
    else:
        yes, no = pos_weight * target, 1 - target
        out *= yes + no
        no *= w
        yes *= np.subtract(1, w, out=w)
        np.add(yes, no, out=w)
    np.abs(logits, out=a)
    if not a.max() < np.inf:
        np.copyto(a, 0, where=(a == np.inf) & (w == 0))  # a certain and correct prediction costs nothing
    a *= w
    out += a


@loss_pullback(scratch=2)
def binary_cross_entropy_with_logits_vjp(
    logits: np.ndarray,
    target: np.ndarray,
    pos_weight: np.ndarray | None,
    out: np.ndarray,
    e: np.ndarray,
    yes: np.ndarray,
) -> None:
    """σ(x) - t; with a weight W: (1 - t)·σ(x) - W·t·σ(-x)."""
    parts.sigmoid(logits, out, e)
    if pos_weight is None:
        out -= target
        return
    out *= 1 - target
    parts.sigmoid(-logits, yes, e)
    yes *= target
    yes *= pos_weight
    out -= yes


@loss(scratch=2)
def binary_focal_cross_entropy(
    prediction: np.ndarray,
    target: np.ndarray,
    out: np.ndarray,
    wrong: np.ndarray,
    factor: np.ndarray,
    *,
    alpha: float | None,
    gamma: float,
) -> None:
    """a·q**gamma·binary_cross_entropy, q = t·(1 - p) + (1 - t)·p, a = alpha·t + (1 - alpha)·(1 - t)."""
    _entropy(prediction, target, out, factor)
    _wrong(prediction, target, wrong, factor)
    _power(wrong, gamma, factor)
    out *= factor
    if alpha is not None:
        out *= _class_weight(target, alpha)


@loss_pullback(scratch=3)
def binary_focal_cross_entropy_vjp(
    prediction: np.ndarray,
    target: np.ndarray,
    out: np.ndarray,
    wrong: np.ndarray,
    slope: np.ndarray,
    factor: np.ndarray,
    *,
    alpha: float | None,
    gamma: float,
) -> None:
    """a·q**gamma·(gamma·(1 - 2t)·h/q + (1 - t)/(1 - p) - t/p), h the cross entropy; h/q is 0 at p = 0 and 1.

    There the logarithm is infinite, but its slope infinitely more so. A slope of 0 counts nothing.
    """
    _wrong(prediction, target, wrong, factor)
    _power(wrong, gamma, factor)
    _entropy(prediction, target, out, slope)
    out /= wrong
    parts.drop(out, (prediction == 0) | (prediction == 1))
    out *= gamma * (1 - 2 * target)
    out *= factor
    weight = out.dtype.type(1) if alpha is None else _class_weight(target, alpha)
    out *= weight
    for share, of, sign in ((1 - target, 1 - prediction, 1), (target, prediction, -1)):
        parts.ratio(share * weight, of, slope)  # weighted before it may overflow
        slope *= factor
        slope *= sign
        parts.drop(slope, share == 0)
        out += slope


@loss(scratch=1)
def poisson(
    prediction: np.ndarray, target: np.ndarray, out: np.ndarray, share: np.ndarray, *, log_input: bool
) -> None:
    """exp(x) - t·x, or x - t·log(x), where t = 0 counts nothing; an infinite rate outweighs the rest."""
    if log_input:
        np.exp(prediction, out=out)
        np.multiply(prediction, target, out=share)
    else:
        np.copyto(out, prediction)
        np.log(prediction, out=share)
        share *= target
    parts.drop(share, (target == 0) | (prediction == np.inf))
    out -= share


@loss_pullback()
def poisson_vjp(prediction: np.ndarray, target: np.ndarray, out: np.ndarray, *, log_input: bool) -> None:
    """exp(x) - t, or 1 - t/x."""
    if log_input:
        np.exp(prediction, out=out)
        out -= target
    else:
        parts.ratio(target, prediction, out)
        np.subtract(1, out, out=out)


@loss(scratch=1)
def gaussian_negative_log_likelihood(
    prediction: np.ndarray,
    target: np.ndarray,
    variance: np.ndarray,
    out: np.ndarray,
    v: np.ndarray,
    *,
    eps: float,
) -> None:
    """(log(v) + d·(d/v)) / 2, d = prediction - target, v = max(variance, eps): d² may overflow."""
    np.maximum(variance, eps, out=v)
    difference = prediction - target
    np.divide(difference, v, out=out)
    out *= difference
    np.log(v, out=v)
    out += v
    out *= 0.5


@loss_pullback(scratch=1)
def gaussian_negative_log_likelihood_vjp(
    prediction: np.ndarray,
    target: np.ndarray,
    variance: np.ndarray,
    out: np.ndarray,
    v: np.ndarray,
    *,
    eps: float,
) -> None:
    """(prediction - target) / max(variance, eps)."""
    np.maximum(variance, eps, out=v)
    np.subtract(prediction, target, out=out)
    out /= v


# --- shared parts -------------------------------------------------------------------------------------------


def _entropy(p: np.ndarray, t: np.ndarray, out: np.ndarray, no: np.ndarray) -> None:
    np.log(p, out=out)
    out *= t
    parts.drop(out, t == 0)
    np.negative(p, out=no)
    np.log1p(no, out=no)
    no *= 1 - t
    parts.drop(no, t == 1)
    out += no
    np.negative(out, out=out)


def _wrong(p: np.ndarray, t: np.ndarray, out: np.ndarray, no: np.ndarray) -> None:
    """Fill `out` with the probability given to the wrong answer, t·(1 - p) + (1 - t)·p."""
    np.subtract(1, p, out=out)
    out *= t
    np.subtract(1, t, out=no)
    no *= p
    out += no


def _power(x: np.ndarray, exponent: float, out: np.ndarray) -> None:
    """Fill `out` with x**exponent; `np.power` takes ten times as long as a square."""
    if exponent == 2:
        np.square(x, out=out)
    else:
        np.power(x, exponent, out=out)


def _class_weight(t: np.ndarray, alpha: float) -> np.ndarray:
    return np.asarray(alpha * t + (1 - alpha) * (1 - t))
