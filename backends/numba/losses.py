"""Scalar formulas for Numba: losses of one element, before any reduction; see `piecewise` for types."""

# ruff: noqa: D403 - formulas begin with their variables
# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here
# ruff: noqa: PLR0124 - only NaN differs from itself

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.numba.activations import sigmoid, softplus
from backends.numba.elementary import exp, exp_minus, expm1, log, log1p, log1p_of_fraction, tanh
from backends.numba.loops import formula
from backends.numba.piecewise import at_least, sign

# --- of a difference ------------------------------------------------------------------------------------------


@formula
def mean_squared_error(prediction: Any, target: Any) -> Any:
    """(prediction - target)²."""
    difference = prediction - target
    return difference * difference


@formula
def mean_squared_error_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """2·(prediction - target)."""
    difference = prediction - target
    return g * (difference + difference)


@formula
def mean_absolute_error(prediction: Any, target: Any) -> Any:
    """|prediction - target|."""
    return abs(prediction - target)


@formula
def mean_absolute_error_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """Return the sign of prediction - target, 0 where they are equal."""
    return g * sign(prediction - target)


@formula
def mean_absolute_percentage_error(prediction: Any, target: Any, eps: Any) -> Any:
    """100·|prediction - target| / max(|target|, eps), divided first so that it does not overflow."""
    return abs(prediction - target) / at_least(abs(target), eps) * type(target)(100)


@formula
def mean_absolute_percentage_error_vjp(g: Any, prediction: Any, target: Any, eps: Any) -> Any:
    """100·sign(prediction - target) / max(|target|, eps)."""
    return g * (type(target)(100) / at_least(abs(target), eps) * sign(prediction - target))


@formula
def mean_squared_logarithmic_error(prediction: Any, target: Any) -> Any:
    """(log(1 + prediction) - log(1 + target))²."""
    difference = _log_difference(prediction, target)
    return difference * difference


@formula
def mean_squared_logarithmic_error_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """2·(log(1 + prediction) - log(1 + target)) / (1 + prediction), and 0 at +inf: the limit."""
    number = type(prediction)
    difference = _log_difference(prediction, target)
    slope = (difference + difference) / (number(1) + prediction)
    return g * (number(0) if prediction == number(math.inf) else slope)


@formula
def _log_difference(p: Any, t: Any) -> Any:
    """log((1 + p)/(1 + t)) = ±log1p(|p - t| / (1 + min(p, t))): cancels neither near 1 nor near 0."""
    one = type(p)(1)
    size = log1p(abs(p - t) / (one + (p if p < t else t)))
    return -size if p < t else size


@formula
def huber(prediction: Any, target: Any, delta: Any) -> Any:
    """d²/2 up to delta, delta·(d - delta/2) beyond, d = |prediction - target|."""
    number = type(prediction)
    bend, half = number(delta), number(0.5)
    d = abs(prediction - target)
    return half * d * d if d <= bend else bend * (d - half * bend)


@formula
def huber_vjp(g: Any, prediction: Any, target: Any, delta: Any) -> Any:
    """d up to delta, ±delta beyond, d = prediction - target."""
    bend = type(prediction)(delta)
    d = prediction - target
    return g * (d if abs(d) <= bend else bend * sign(d))


@formula
def smooth_l1(prediction: Any, target: Any, beta: Any) -> Any:
    """d²/(2·beta) up to beta, d - beta/2 beyond, d = |prediction - target|; d/beta first, lest d² underflow."""
    number = type(prediction)
    bend, half = number(beta), number(0.5)
    d = abs(prediction - target)
    return half * d * (d / bend) if d < bend else d - half * bend


@formula
def smooth_l1_vjp(g: Any, prediction: Any, target: Any, beta: Any) -> Any:
    """d/beta up to beta, ±1 beyond, d = prediction - target."""
    bend = type(prediction)(beta)
    d = prediction - target
    return g * (d / bend if abs(d) < bend else sign(d))


@formula
def log_cosh(prediction: Any, target: Any) -> Any:
    """log(1 + m²/(2 + 2m)) up to 1, d + log(1 + m·(2 + m)/2) beyond; m = exp(-d) - 1, d = |prediction - target|.

    For cosh(d) - 1 = m²/(2 + 2m) and cosh(d)/exp(d) - 1 = m·(2 + m)/2.
    """
    number = type(prediction)
    one, half = number(1), number(0.5)
    d = abs(prediction - target)
    m = expm1(-d)
    near = d < one
    log = log1p(half * m * m / (one + m) if near else half * m * (number(2) + m))
    return log if near else d + log


@formula
def log_cosh_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """tanh(prediction - target)."""
    return g * tanh(prediction - target)


@formula
def quantile(prediction: Any, target: Any, q: Any) -> Any:
    """q·(t - p) where t > p, else (1 - q)·(p - t)."""
    number = type(prediction)
    d = prediction - target
    return number(q) * -d if d < number(0) else number(1 - q) * d


@formula
def quantile_vjp(g: Any, prediction: Any, target: Any, q: Any) -> Any:
    """-q where t > p, 1 - q where t < p, 0 where they are equal."""
    number = type(prediction)
    d = prediction - target
    return g * (number(-q) if d < number(0) else number(1 - q) * sign(d))


# --- of probabilities -----------------------------------------------------------------------------------------


@formula
def binary_cross_entropy(prediction: Any, target: Any) -> Any:
    """-(t·log(p) + (1 - t)·log(1 - p)); a term without weight counts nothing."""
    number = type(prediction)
    zero, rest = number(0), number(1) - target
    yes = zero if target == zero else target * log(prediction)
    no = zero if rest == zero else rest * log1p(-prediction)
    return -(yes + no)


@formula
def binary_cross_entropy_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """(1 - t)/(1 - p) - t/p, times g first: where p is subnormal, t/p may overflow by itself."""
    one = type(prediction)(1)
    return ratio(g * (one - target), one - prediction) - ratio(g * target, prediction)


@formula
def binary_cross_entropy_with_logits(x: Any, target: Any, pos_weight: Any) -> Any:
    """yes·softplus(-x) + no·softplus(x) = (yes + no)·log(1 + exp(-|x|)) + |x|·(yes if x < 0 else no).

    yes = pos_weight·t and no = 1 - t.
    """
    zero = type(x)(0)
    no, yes = type(x)(1) - target, pos_weight * target
    wrong = yes if x < zero else no
    # A certain and correct prediction costs nothing, where inf·0 would be NaN.
    return (yes + no) * log1p_of_fraction(exp_minus(abs(x))) + (zero if wrong == zero else abs(x) * wrong)


@formula
def binary_cross_entropy_with_logits_vjp(g: Any, x: Any, target: Any, pos_weight: Any) -> Any:
    """no·σ(x) - yes·σ(-x), where σ of |x| is 1/(1 + e) and of -|x| is e/(1 + e), e = exp(-|x|)."""
    one = type(x)(1)
    no, yes = one - target, pos_weight * target
    e = exp_minus(abs(x))
    return g * ((no * e - yes if x < type(x)(0) else no - yes * e) / (one + e))


@formula
def binary_focal_cross_entropy(prediction: Any, target: Any, alpha: Any, gamma: Any) -> Any:
    """a·q**gamma·binary_cross_entropy, q the probability of the wrong answer, a the weight of the class.

    In float64, since the power multiplies the rounding errors of q.
    """
    p, t = np.float64(prediction), np.float64(target)
    return _focal(p, t, alpha, _wrong(p, t) ** gamma)


@formula
def square_focal_cross_entropy(prediction: Any, target: Any, alpha: Any) -> Any:
    """Return that for a gamma of 2: LLVM vectorises a square, and no other power."""
    p, t = np.float64(prediction), np.float64(target)
    wrong = _wrong(p, t)
    return _focal(p, t, alpha, wrong * wrong)


@formula
def binary_focal_cross_entropy_vjp(g: Any, prediction: Any, target: Any, alpha: Any, gamma: Any) -> Any:
    """a·q**gamma·(gamma·(1 - 2t)·entropy/q + (1 - t)/(1 - p) - t/p).

    At p = 0 and 1 the first term is 0: the logarithm in it is infinite, but its slope infinitely more so.
    """
    p, t = np.float64(prediction), np.float64(target)
    return g * _focal_slope(p, t, alpha, gamma, _wrong(p, t) ** gamma)


@formula
def square_focal_cross_entropy_vjp(g: Any, prediction: Any, target: Any, alpha: Any) -> Any:
    """Return that for a gamma of 2."""
    p, t = np.float64(prediction), np.float64(target)
    wrong = _wrong(p, t)
    return g * _focal_slope(p, t, alpha, 2.0, wrong * wrong)


@formula
def _focal(p: Any, t: Any, alpha: Any, power: Any) -> Any:
    entropy = binary_cross_entropy(p, t)
    return _class_weight(t, alpha) * (0.0 if entropy == 0 else power * entropy)


@formula
def _focal_slope(p: Any, t: Any, alpha: Any, gamma: Any, power: Any) -> Any:
    wrong = _wrong(p, t)
    # entropy / wrong is between 1 and a few hundred, where other orders of this product underflow.
    through_factor = 0.0 if p in (0.0, 1.0) else gamma * (1 - 2 * t) * (binary_cross_entropy(p, t) / wrong)
    slope = ratio(1 - t, 1 - p) - ratio(t, p)
    return _class_weight(t, alpha) * (power * (through_factor + slope))


@formula
def _class_weight(target: Any, alpha: Any) -> Any:
    """alpha·t + (1 - alpha)·(1 - t), or 1 without an alpha."""
    number = type(target)
    return number(1) if alpha != alpha else _mixed(number(alpha), number(1 - alpha), target)


@formula
def _wrong(p: Any, t: Any) -> Any:
    """(1 - p)·t + p·(1 - t)."""
    return _mixed(type(p)(1) - p, p, t)


@formula
def _mixed(yes: Any, no: Any, t: Any) -> Any:
    """yes·t + no·(1 - t), from the nearer end: half the rounding errors, since no term is large but the first."""
    number = type(t)
    return no + t * (yes - no) if t <= number(0.5) else yes + (number(1) - t) * (no - yes)


@formula
def ratio(a: Any, b: Any) -> Any:
    """a/b, and 0 for 0/0."""
    zero = type(a)(0)
    return zero if (a == zero) & (b == zero) else a / (b + zero)  # -0 + 0 is 0: infinite with the sign of a


# --- likelihoods and margins ----------------------------------------------------------------------------------


@formula
def poisson(prediction: Any, target: Any) -> Any:
    """exp(prediction) - target·prediction; an infinite rate outweighs its count."""
    return _less_share(exp(prediction), target, prediction)


@formula
def poisson_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """exp(prediction) - target."""
    return g * (exp(prediction) - target)


@formula
def poisson_of_rates(prediction: Any, target: Any) -> Any:
    """prediction - target·log(prediction); an infinite rate outweighs its count."""
    return _less_share(prediction, target, log(prediction))


@formula
def poisson_of_rates_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """1 - target / prediction."""
    return g * (type(prediction)(1) - ratio(target, prediction))


@formula
def _less_share(rate: Any, target: Any, log_rate: Any) -> Any:
    """rate - target·log_rate, where a target of 0 counts nothing."""
    number = type(rate)
    without = (target == number(0)) | (log_rate == number(math.inf))
    return rate - (number(0) if without else target * log_rate)


@formula
def gaussian_negative_log_likelihood(prediction: Any, target: Any, variance: Any, eps: Any) -> Any:
    """(log(v) + d·(d/v)) / 2, d = prediction - target, v = max(variance, eps)."""
    v = at_least(variance, eps)
    d = prediction - target
    return type(d)(0.5) * (log(v) + d * (d / v))


@formula
def gaussian_negative_log_likelihood_vjp(g: Any, prediction: Any, target: Any, variance: Any, eps: Any) -> Any:
    """(prediction - target) / v."""
    return g * ((prediction - target) / at_least(variance, eps))


@formula
def hinge(prediction: Any, target: Any) -> Any:
    """max(1 - t·p, 0)."""
    number = type(prediction)
    margin = number(1) - target * prediction
    return number(0) if margin <= number(0) else margin


@formula
def hinge_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """-t where 1 - t·p > 0, else 0."""
    return g * (sign(hinge(prediction, target)) * -target)


@formula
def squared_hinge(prediction: Any, target: Any) -> Any:
    """max(1 - t·p, 0)²."""
    margin = hinge(prediction, target)
    return margin * margin


@formula
def squared_hinge_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """-2·t·max(1 - t·p, 0)."""
    return g * (hinge(prediction, target) * (-target - target))


@formula
def soft_margin(prediction: Any, target: Any) -> Any:
    """log(1 + exp(-t·p))."""
    return softplus(-target * prediction)


@formula
def soft_margin_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """-t·σ(-t·p)."""
    return g * (-target * sigmoid(-target * prediction))
