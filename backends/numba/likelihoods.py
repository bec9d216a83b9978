"""Numba: losses of each element that are likelihoods, as formulas of one element before any reduction.

See `piecewise` for their types.
"""

# ruff: noqa: D403 - formulas begin with their variables
# ruff: noqa: PLR0124 - only NaN differs from itself

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.host import Pairs
from backends.numba.compilation import formula
from backends.numba.elementary import exp, exp_minus, lift, log, log1p, log1p_of_fraction, lowered
from backends.numba.intrinsics import is_negative
from backends.numba.ops import loss, loss_vjp, one_of
from backends.numba.piecewise import at_least


@formula
def binary_cross_entropy(prediction: Any, target: Any) -> Any:
    """-(t·log(p) + (1 - t)·log(1 - p)), where a term with a factor of 0 is 0."""
    number = type(prediction)
    zero, rest = number(0), number(1) - target
    yes = zero if target == zero else target * log(prediction)
    no = zero if rest == zero else rest * log1p(-prediction)
    return -(yes + no)


@formula
def binary_cross_entropy_vjp(g: Any, prediction: Any, target: Any) -> Any:
    """(1 - t)/(1 - p) - t/p, where 0/0 is 0, as (p - t)/(p·(1 - p)): one division, and nothing cancels.

    The divisor is lifted, since 1/p may overflow where g/p does not; g takes it back if that is small enough.
    """
    number = type(prediction)
    one, zero, high, low = number(1), number(0), lift(prediction), lowered(prediction)
    difference = prediction - target
    divisor = (high * prediction + zero) * (one - prediction)  # -0 + 0 is 0: infinite with the sign of 0 - t
    certain = (difference == zero) & (divisor == zero)
    slope = low * (one - (prediction + prediction)) if certain else difference / divisor
    is_small = abs(g) < one
    return slope * (g * high if is_small else g) * (one if is_small else high)


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
    return g * ((no * e - yes if is_negative(x) else no - yes * e) / (one + e))


@formula
def binary_focal_cross_entropy(prediction: Any, target: Any, alpha: Any, gamma: Any) -> Any:
    """a·q**gamma·binary_cross_entropy, q the probability of the wrong answer, a the weight of the class.

    In float64, since the power multiplies the rounding errors of q.
    """
    p, t = np.float64(prediction), np.float64(target)
    return _focal(p, t, alpha, _wrong(p, t) ** gamma)


@formula
def binary_focal_cross_entropy_vjp(g: Any, prediction: Any, target: Any, alpha: Any, gamma: Any) -> Any:
    """a·q**gamma·(gamma·(1 - 2t)·entropy/q + (1 - t)/(1 - p) - t/p).

    At p = 0 and 1 the first term is 0: the logarithm in it is infinite, but its slope infinitely more so.
    """
    p, t = np.float64(prediction), np.float64(target)
    return g * _focal_slope(p, t, alpha, gamma, _wrong(p, t) ** gamma)


@formula
def square_focal_cross_entropy(prediction: Any, target: Any, alpha: Any) -> Any:
    """Return the same for a gamma of 2, in the type of the numbers: a square only doubles the errors of q.

    LLVM vectorises it, and no other power.
    """
    wrong = _wrong(prediction, target)
    return _focal(prediction, target, alpha, wrong * wrong)


@formula
def square_focal_cross_entropy_vjp(g: Any, prediction: Any, target: Any, alpha: Any) -> Any:
    """Return the same for a gamma of 2, in float64: 1/p may exceed float32 where the gradient does not."""
    p, t = np.float64(prediction), np.float64(target)
    wrong = _wrong(p, t)
    return g * _focal_slope(p, t, alpha, 2.0, wrong * wrong)


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
def gaussian_negative_log_likelihood(prediction: Any, target: Any, variance: Any, eps: Any) -> Any:
    """(log(v) + d·(d/v)) / 2, d = prediction - target, v = max(variance, eps)."""
    v = at_least(variance, eps)
    d = prediction - target
    return type(d)(0.5) * (log(v) + d * (d / v))


@formula
def gaussian_negative_log_likelihood_vjp(g: Any, prediction: Any, target: Any, variance: Any, eps: Any) -> Any:
    """(prediction - target) / v."""
    return g * ((prediction - target) / at_least(variance, eps))


# --- shared parts ----------------------------------------------------------------------------------------------


@formula
def ratio(a: Any, b: Any) -> Any:
    """a/b, and 0 for 0/0."""
    zero = type(a)(0)
    return zero if (a == zero) & (b == zero) else a / (b + zero)  # -0 + 0 is 0: infinite with the sign of a


@formula
def _focal(p: Any, t: Any, alpha: Any, power: Any) -> Any:
    zero = type(p)(0)
    entropy, weight = binary_cross_entropy(p, t), _class_weight(t, alpha)
    return zero if (entropy == zero) | (weight == zero) else weight * (power * entropy)


@formula
def _focal_slope(p: Any, t: Any, alpha: Any, gamma: Any, power: Any) -> Any:
    wrong = _wrong(p, t)
    # entropy / wrong is between 1 and a few hundred, where other orders of this product underflow.
    through_factor = 0.0 if p in (0.0, 1.0) else gamma * (1 - 2 * t) * (binary_cross_entropy(p, t) / wrong)
    slope = ratio(1 - t, 1 - p) - ratio(t, p)
    weight = _class_weight(t, alpha)
    return 0.0 if weight == 0 else weight * (power * (through_factor + slope))


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
    """yes·t + no·(1 - t), from the nearer end: only the first term is large, which halves the rounding errors."""
    number = type(t)
    return no + t * (yes - no) if t <= number(0.5) else yes + (number(1) - t) * (no - yes)


@formula
def _less_share(rate: Any, target: Any, log_rate: Any) -> Any:
    """rate - target·log_rate, without the second term where the target is 0."""
    number = type(rate)
    without = (target == number(0)) | (rate == number(math.inf))
    return rate - (target - target if without else target * log_rate)  # 0, but NaN for NaN


OPS: Pairs = {
    "binary_cross_entropy": (loss(binary_cross_entropy), loss_vjp(binary_cross_entropy_vjp)),
    "binary_cross_entropy_with_logits": (
        loss(binary_cross_entropy_with_logits),
        loss_vjp(binary_cross_entropy_with_logits_vjp),
    ),
    "binary_focal_cross_entropy": (
        one_of("gamma", {None: loss(binary_focal_cross_entropy), 2: loss(square_focal_cross_entropy)}),
        one_of(
            "gamma", {None: loss_vjp(binary_focal_cross_entropy_vjp), 2: loss_vjp(square_focal_cross_entropy_vjp)}
        ),
    ),
    "poisson": (
        one_of("log_input", {True: loss(poisson), False: loss(poisson_of_rates)}),
        one_of("log_input", {True: loss_vjp(poisson_vjp), False: loss_vjp(poisson_of_rates_vjp)}),
    ),
    "gaussian_negative_log_likelihood": (
        loss(gaussian_negative_log_likelihood),
        loss_vjp(gaussian_negative_log_likelihood_vjp),
    ),
}
