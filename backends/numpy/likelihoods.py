"""NumPy: losses of each element that are likelihoods: of yes-or-no targets, counts and normal deviates.

Kernels run without warnings: some inputs make a loss infinite.
"""

from __future__ import annotations

from functools import partial

from backends.host import Pairs
from backends.numpy import parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import Array, Out, Result, loss, loss_pullback


@loss(scratch=4, numbers=(1,))
def binary_cross_entropy(
    prediction: Array, target: Array, y: Array, yes: Array, no: Array, z: Array, one: Array, out: Out
) -> Result:
    """-(t·log(p) + (1 - t)·log(1 - p)), where a term with a factor of 0 is 0."""
    return _entropy(prediction, target, y, yes, no, z, one, out)


@loss_pullback(scratch=2, numbers=(1, 256), scale=256)
def binary_cross_entropy_vjp(
    prediction: Array, target: Array, y: Array, z: Array, one: Array, factor: Array
) -> Result:
    """(p - t)/(256·p·(1 - p)), over 256 since 1/p may overflow: (1 - t)/(1 - p) - t/p, where 0/0 is 0."""
    np.subtract(one, prediction, y)
    np.multiply(y, prediction, z)
    np.multiply(z, factor, y)
    np.divide(np.subtract(prediction, target, z), y, z)
    if not parts.highest(z) < np.inf:
        certain = (prediction == target) & ((prediction == 0) | (prediction == 1))
        np.copyto(z, (1 - 2 * prediction) / 256, where=certain)
        np.copyto(z, -np.inf, where=(prediction == 0) & (target > 0))  # -0.0 too
    return z


@loss(scratch=4, numbers=(0,))
def binary_cross_entropy_with_logits(
    logits: Array,
    target: Array,
    pos_weight: Array | None,
    a: Array,
    e: Array,
    y: Array,
    w: Array,
    zero: Array,
    out: Out,
) -> Result:
    """log(1 + exp(-|x|)) + |x|·w, where w = 1 - t right of zero and t left of it.

    With a weight W: (1 - t + W·t)·log(1 + exp(-|x|)) + |x|·w, where w = W·t left of zero.
    """
    np.abs(logits, a)
    np.negative(a, y)
    np.exp(y, e)
    np.log1p(e, y)
    right = np.greater_equal(logits, zero)
    if pos_weight is None:
        np.subtract(right, target, e)
        np.abs(e, w)
    else:
        yes, no = pos_weight * target, 1 - target
        y *= yes + no
        no *= right
        yes *= np.logical_not(right)
        np.add(yes, no, w)
    if not parts.highest(a) < np.inf:
        np.copyto(a, 0, where=(a == np.inf) & (w == 0))  # a certain and correct prediction costs nothing
    return np.add(np.multiply(a, w, e), y, out)


@loss_pullback(scratch=3, numbers=(1,))
def binary_cross_entropy_with_logits_vjp(
    logits: Array, target: Array, pos_weight: Array | None, y: Array, e: Array, s: Array, one: Array
) -> Result:
    """σ(x) - t; with a weight W: (1 - t)·σ(x) - W·t·σ(-x)."""
    parts.sigmoid(logits, y, e, one, s)
    if pos_weight is None:
        return np.subtract(s, target, y)
    s *= 1 - target
    yes = parts.sigmoid(-logits, y, e, one, np.empty_like(s))
    yes *= target
    yes *= pos_weight
    return np.subtract(s, yes, y)


@loss(scratch=4, numbers=(1,))
def binary_focal_cross_entropy(
    prediction: Array,
    target: Array,
    y: Array,
    wrong: Array,
    factor: Array,
    z: Array,
    one: Array,
    out: Out,
    *,
    alpha: float | None,
    gamma: float,
) -> Result:
    """a·q**gamma·binary_cross_entropy, q = t·(1 - p) + (1 - t)·p, a = alpha·t + (1 - alpha)·(1 - t)."""
    entropy = _entropy(prediction, target, y, wrong, factor, z, one, z)
    _wrong(prediction, target, wrong, factor)
    _power(wrong, gamma, factor)
    if alpha is not None:
        entropy *= factor
        weight = _class_weight(target, alpha)
        parts.drop(entropy, lambda: weight == 0)
        return np.multiply(entropy, weight, out)
    return np.multiply(entropy, factor, out)


@loss_pullback(scratch=5, numbers=(1,))
def binary_focal_cross_entropy_vjp(
    prediction: Array,
    target: Array,
    y: Array,
    wrong: Array,
    slope: Array,
    factor: Array,
    z: Array,
    one: Array,
    *,
    alpha: float | None,
    gamma: float,
) -> Result:
    """a·q**gamma·(gamma·(1 - 2t)·h/q + (1 - t)/(1 - p) - t/p), h the cross entropy; h/q is 0 at p = 0 and 1.

    There the logarithm is infinite, but its slope infinitely more so. A slope of 0 makes its term 0.
    """
    out = _entropy(prediction, target, y, slope, factor, z, one, z)
    _wrong(prediction, target, wrong, factor)
    _power(wrong, gamma, factor)
    out /= wrong
    parts.drop(out, lambda: (prediction == 0) | (prediction == 1))
    out *= gamma * (1 - 2 * target)
    out *= factor
    weight = out.dtype.type(1) if alpha is None else _class_weight(target, alpha)
    out *= weight
    for share, of, sign in ((1 - target, 1 - prediction, 1), (target, np.abs(prediction), -1)):
        parts.ratio(share * weight, of, slope)  # weighted before it may overflow
        slope *= factor
        slope *= sign
        parts.drop(slope, partial(np.equal, share, 0))
        out += slope
    return out


@loss(scratch=2)
def poisson(prediction: Array, target: Array, e: Array, share: Array, out: Out, *, log_input: bool) -> Result:
    """exp(x) - t·x, or x - t·log(x), without the second term where t = 0 or the rate is infinite."""
    if log_input:
        rate = np.exp(prediction, e)
        np.multiply(prediction, target, share)
    else:
        rate = prediction
        np.multiply(np.log(prediction, e), target, share)
    parts.drop(share, lambda: (target == 0) | ((rate == np.inf) & (target == target)))  # noqa: PLR0124 - not NaN
    return np.subtract(rate, share, out)


@loss_pullback(scratch=2, numbers=(1,))
def poisson_vjp(prediction: Array, target: Array, y: Array, d: Array, one: Array, *, log_input: bool) -> Result:
    """exp(x) - t, or 1 - t/x."""
    if log_input:
        return np.subtract(np.exp(prediction, y), target, d)
    return np.subtract(one, parts.ratio(target, np.add(prediction, 0, d), y), d)  # -0.0 is 0 too


@loss(scratch=4, numbers=lambda eps: (eps, 0.5))
def gaussian_negative_log_likelihood(
    prediction: Array,
    target: Array,
    variance: Array,
    v: Array,
    d: Array,
    y: Array,
    z: Array,
    eps: Array,
    half: Array,
    out: Out,
) -> Result:
    """(log(v) + d·(d/v)) / 2, d = prediction - target, v = max(variance, eps): d² may overflow."""
    np.maximum(variance, eps, out=v)
    np.subtract(prediction, target, d)
    np.divide(d, v, y)
    np.multiply(y, d, z)
    np.log(v, d)
    return np.multiply(np.add(z, d, y), half, out)


@loss_pullback(scratch=2, numbers=lambda eps: (eps,))
def gaussian_negative_log_likelihood_vjp(
    prediction: Array, target: Array, variance: Array, v: Array, d: Array, eps: Array
) -> Result:
    """(prediction - target) / max(variance, eps)."""
    np.subtract(prediction, target, d)
    return np.divide(d, np.maximum(variance, eps, out=v), d)


# --- shared parts -------------------------------------------------------------------------------------------


def _entropy(p: Array, t: Array, y: Array, yes: Array, no: Array, z: Array, one: Array, out: Out) -> Result:
    """Return -(t·log(p) + (1 - t)·log(1 - p)); `out` may be any of these but p and t."""
    np.multiply(np.log(p, y), t, yes)
    parts.drop(yes, lambda: t == 0)
    np.log1p(np.negative(p, y), z)
    np.multiply(z, np.subtract(one, t, y), no)
    parts.drop(no, lambda: t == 1)
    return np.negative(np.add(yes, no, y), out)


def _wrong(p: Array, t: Array, out: Array, no: Array) -> None:
    """Fill `out` with the probability given to the wrong answer, t·(1 - p) + (1 - t)·p."""
    np.subtract(1, p, out)
    out *= t
    np.subtract(1, t, no)
    no *= p
    out += no


def _power(x: Array, exponent: float, out: Array) -> None:
    """Fill `out` with x**exponent; `np.power` takes ten times as long as a square."""
    if exponent == 2:
        np.square(x, out)
    else:
        np.power(x, exponent, out)


def _class_weight(t: Array, alpha: float) -> Result:
    return np.asarray(alpha * t + (1 - alpha) * (1 - t))


OPS: Pairs = {
    "binary_cross_entropy": (binary_cross_entropy, binary_cross_entropy_vjp),
    "binary_cross_entropy_with_logits": (binary_cross_entropy_with_logits, binary_cross_entropy_with_logits_vjp),
    "binary_focal_cross_entropy": (binary_focal_cross_entropy, binary_focal_cross_entropy_vjp),
    "poisson": (poisson, poisson_vjp),
    "gaussian_negative_log_likelihood": (gaussian_negative_log_likelihood, gaussian_negative_log_likelihood_vjp),
}
