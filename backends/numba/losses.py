"""Numba: losses of a difference or a margin, as formulas of one element before any reduction.

See `piecewise` for their types.
"""

# ruff: noqa: D403 - formulas begin with their variables
# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here

from __future__ import annotations

import math
from typing import Any

from backends.host import Pairs
from backends.numba.activations import sigmoid, softplus
from backends.numba.compilation import formula
from backends.numba.elementary import expm1, log1p, tanh
from backends.numba.ops import loss, loss_vjp
from backends.numba.piecewise import at_least, sign


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
    """d²/(2·beta) up to beta, d - beta/2 beyond, d = |prediction - target|; d/beta first: d² may underflow."""
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
    zero, left, right = number(0), number(q), number(1 - q)
    d = prediction - target
    # A slope of 0 makes 0 of an infinite distance; NaN stays.
    below = zero if left == zero else left * -d
    above = zero if (right == zero) & (d >= zero) else right * d
    return below if d < zero else above


@formula
def quantile_vjp(g: Any, prediction: Any, target: Any, q: Any) -> Any:
    """-q where t > p, 1 - q where t < p, 0 where they are equal."""
    number = type(prediction)
    d = prediction - target
    return g * (number(-q) if d < number(0) else number(1 - q) * sign(d))


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


# --- shared parts ----------------------------------------------------------------------------------------------


@formula
def _log_difference(p: Any, t: Any) -> Any:
    """log((1 + p)/(1 + t)) = ±log1p(|p - t| / (1 + min(p, t))): cancels neither near 1 nor near 0."""
    one = type(p)(1)
    size = log1p(abs(p - t) / (one + (p if p < t else t)))
    return -size if p < t else size


OPS: Pairs = {
    "mean_squared_error": (loss(mean_squared_error), loss_vjp(mean_squared_error_vjp, streams=True)),
    "mean_absolute_error": (loss(mean_absolute_error), loss_vjp(mean_absolute_error_vjp, streams=True)),
    "mean_absolute_percentage_error": (
        loss(mean_absolute_percentage_error),
        loss_vjp(mean_absolute_percentage_error_vjp),
    ),
    "mean_squared_logarithmic_error": (
        loss(mean_squared_logarithmic_error),
        loss_vjp(mean_squared_logarithmic_error_vjp),
    ),
    "huber": (loss(huber), loss_vjp(huber_vjp, streams=True)),
    "smooth_l1": (loss(smooth_l1), loss_vjp(smooth_l1_vjp, streams=True)),
    "log_cosh": (loss(log_cosh), loss_vjp(log_cosh_vjp)),
    "quantile": (loss(quantile), loss_vjp(quantile_vjp, streams=True)),
    "hinge": (loss(hinge), loss_vjp(hinge_vjp, streams=True)),
    "squared_hinge": (loss(squared_hinge), loss_vjp(squared_hinge_vjp, streams=True)),
    "soft_margin": (loss(soft_margin), loss_vjp(soft_margin_vjp)),
}
