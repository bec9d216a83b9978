"""Losses of each element that are negative log-likelihoods, stated once, before any reduction."""

from __future__ import annotations

from typing import Any

from backends.catalogue.formulas import INF, logistic, times_log
from backends.catalogue.losses import PREDICTION, TARGET, at_least, loss
from backends.interface import Budget, Input, Math, OpSpec, Parameter

LOGITS, PROBABILITY = Input("logits"), Input("prediction", "unit")
YES_OR_NO = Input("target", "unit")


def _entropy(m: Math, p: Any, t: Any) -> Any:
    return -(times_log(m, t, p) + times_log(m, 1 - t, 1 - p))


def _entropy_slopes(m: Math, p: Any, t: Any) -> tuple[Any, Any]:
    return m.ratio(1 - t, 1 - p), m.ratio(t, p)


def _d_entropy(m: Math, g: Any, p: Any, t: Any) -> Any:
    rising, falling = _entropy_slopes(m, p, t)
    return g * (rising - falling)


def _log_loss_terms(m: Math, x: Any, t: Any, pos_weight: Any) -> tuple[Any, Any]:
    """Return the losses of a yes and of a no, each times its share."""
    yes = t if pos_weight is None else t * pos_weight
    return yes * m.log(1 + m.exp(-x)), (1 - t) * m.log(1 + m.exp(x))


def _log_loss(m: Math, x: Any, t: Any, pos_weight: Any) -> Any:
    yes, no = _log_loss_terms(m, x, t, pos_weight)
    return m.where(t == 0, 0, yes) + m.where(t == 1, 0, no)


def _d_log_loss_terms(m: Math, g: Any, x: Any, t: Any, pos_weight: Any) -> tuple[Any, Any]:
    yes = t if pos_weight is None else t * pos_weight
    return g * (1 - t) * logistic(m, x), g * yes * logistic(m, -x)


def _d_log_loss(m: Math, g: Any, x: Any, t: Any, pos_weight: Any) -> Any:
    no, yes = _d_log_loss_terms(m, g, x, t, pos_weight)
    return no - yes


def _focal_parts(m: Math, p: Any, t: Any, alpha: float | None) -> tuple[Any, Any, Any]:
    """Return the class's weight, the probability given to the wrong answer, and the cross entropy."""
    weight = 1 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    return weight, t * (1 - p) + (1 - t) * p, _entropy(m, p, t)


def _focal(m: Math, p: Any, t: Any, *, alpha: float | None, gamma: float) -> Any:
    weight, wrong, entropy = _focal_parts(m, p, t, alpha)
    return m.where((entropy == 0) | (weight == 0), 0, weight * wrong**gamma * entropy)


def _focal_slopes(m: Math, p: Any, t: Any, alpha: float | None, gamma: float) -> tuple[Any, Any, Any]:
    weight, wrong, entropy = _focal_parts(m, p, t, alpha)
    rising, falling = _entropy_slopes(m, p, t)
    factor = weight * wrong**gamma
    return (
        # At 0 and 1 the logarithm is infinite, but its slope infinitely more so.
        m.where((p == 0) | (p == 1), 0, gamma * (1 - 2 * t) * m.ratio(factor * entropy, wrong)),
        m.where((rising == 0) | (weight == 0), 0, factor * rising),
        m.where((falling == 0) | (weight == 0), 0, factor * falling),
    )


def _d_focal(m: Math, g: Any, p: Any, t: Any, *, alpha: float | None, gamma: float) -> Any:
    first, rising, falling = _focal_slopes(m, p, t, alpha, gamma)
    return g * (first + rising - falling)


def _focal_gradient_scale(m: Math, g: Any, p: Any, t: Any, *, alpha: float | None, gamma: float) -> Any:
    first, rising, falling = _focal_slopes(m, p, t, alpha, gamma)
    return abs(g) * (abs(first) + rising + falling)


def _poisson_terms(m: Math, p: Any, t: Any, log_input: bool) -> tuple[Any, Any]:  # noqa: FBT001
    """Return the rate and the share of the count, whose difference is the loss; an infinite rate outweighs it."""
    share = m.where(t == 0, 0, t * p) if log_input else times_log(m, t, p)
    return m.exp(p) if log_input else p, m.where(p < INF, share, 0)


def _d_poisson(m: Math, g: Any, p: Any, t: Any, *, log_input: bool) -> Any:
    return g * (m.exp(p) - t if log_input else 1 - m.ratio(t, p))


def _d_poisson_scale(m: Math, g: Any, p: Any, t: Any, *, log_input: bool) -> Any:
    return abs(g) * (m.exp(p) + t if log_input else 1 + abs(m.ratio(t, p)))


def _poisson_scale(m: Math, p: Any, t: Any, *, log_input: bool) -> Any:
    rate, rest = _poisson_terms(m, p, t, log_input)
    return abs(rate) + abs(rest)


def _gaussian_terms(m: Math, p: Any, t: Any, variance: Any, eps: float) -> tuple[Any, Any]:
    v = at_least(m, variance, eps)
    return m.log(v) / 2, (p - t) ** 2 / v / 2


OPS: tuple[OpSpec, ...] = (
    loss(
        "binary_cross_entropy",
        "Cross entropy of independent yes-or-no targets, from probabilities",
        _entropy,
        _d_entropy,
        Budget(
            8,
            8,
            "two logarithms; the gradient is a difference of two quotients",
            backward_scale=lambda m, g, p, t: abs(g) * sum(_entropy_slopes(m, p, t)),
        ),
        formula="-(target * log(prediction) + (1 - target) * log(1 - prediction))",
        source="Good 1952",
        inputs=(PROBABILITY, YES_OR_NO),
        transcendentals=2,
        aliases=("bce", "binary_crossentropy"),
        choice="infinite for a certain and wrong prediction",
        elsewhere="PyTorch bounds the logarithms at -100; Keras clips the prediction to 1e-7 from 0 and 1",
    ),
    loss(
        "binary_cross_entropy_with_logits",
        "Cross entropy of independent yes-or-no targets, from logits",
        _log_loss,
        _d_log_loss,
        Budget(
            8,
            16,
            "stable formulas subtract logits * target from max(logits, 0)",
            forward_scale=lambda m, x, t, pos_weight: (
                _log_loss(m, x, t, pos_weight) + abs(x) * (1 if pos_weight is None else 1 + t * pos_weight)
            ),
            backward_scale=lambda m, g, x, t, pos_weight: (
                abs(g) * (logistic(m, x) + t) * (1 if pos_weight is None else 1 + t * pos_weight)
            ),
        ),
        formula="-(pos_weight * target * log(sigmoid(logits)) + (1 - target) * log(1 - sigmoid(logits)))",
        source="Good 1952",
        inputs=(LOGITS, YES_OR_NO, Input("pos_weight", "positive", "broadcast", optional=True)),
        transcendentals=2,
        aliases=("bce_with_logits", "sigmoid_binary_cross_entropy"),
        fuses=("sigmoid", "binary_cross_entropy"),
    ),
    loss(
        "binary_focal_cross_entropy",
        "Binary cross entropy with less weight on what is easy",
        _focal,
        _d_focal,
        Budget(
            12,
            16,
            "a power, two logarithms and products; the gradient adds terms",
            backward_scale=_focal_gradient_scale,
        ),
        Parameter("alpha", 0.25, minimum=0.0, maximum=1.0, optional=True),
        Parameter("gamma", 2.0, minimum=0.0),
        formula="a * q**gamma * binary_cross_entropy, q = t * (1 - p) + (1 - t) * p, "
        "a = alpha * t + (1 - alpha) * (1 - t)",
        source="Lin et al. 2017",
        inputs=(PROBABILITY, YES_OR_NO),
        transcendentals=3,
        aliases=("binary_focal_crossentropy",),
        alternatives=({"gamma": 0.0}, {"gamma": 1.0, "alpha": None}, {"gamma": 3.5, "alpha": 0.6}),
        choice="probabilities; alpha=0.25, None for no class weights",
        elsewhere="Keras applies alpha only if asked; torchvision and Optax take logits, Optax without alpha",
    ),
    loss(
        "poisson",
        "Negative log-likelihood of Poisson counts, without their factorials",
        lambda m, p, t, log_input: _poisson_terms(m, p, t, log_input)[0] - _poisson_terms(m, p, t, log_input)[1],
        _d_poisson,
        Budget(
            8,
            8,
            "an exp or a log, and a difference of two terms",
            forward_scale=_poisson_scale,
            backward_scale=_d_poisson_scale,
        ),
        Parameter("log_input", default=True, choices=(True, False)),
        formula="exp(prediction) - target * prediction, or prediction - target * log(prediction)",
        source="McCullagh and Nelder 1989",
        inputs=(PREDICTION, Input("target", "nonnegative")),
        transcendentals=1,
        aliases=("poisson_nll_loss",),
        alternatives=({"log_input": False},),
        choice="log_input=True, no eps",
        elsewhere="PyTorch as here, adding 1e-8 to a rate before its logarithm; Keras takes rates, adding 1e-7",
    ),
    loss(
        "gaussian_negative_log_likelihood",
        "Negative log-likelihood of a normal distribution, without its constant",
        lambda m, p, t, v, eps: sum(_gaussian_terms(m, p, t, v, eps)),
        lambda m, g, p, t, v, eps: g * (p - t) / at_least(m, v, eps),
        Budget(
            8,
            4,
            "a logarithm and a quotient, which may cancel",
            forward_scale=lambda m, p, t, v, eps: sum(map(abs, _gaussian_terms(m, p, t, v, eps))),
        ),
        Parameter("eps", 1e-6, above=0.0),
        formula="(log(v) + (prediction - target)**2 / v) / 2, v = max(variance, eps)",
        source="Nix and Weigend 1994",
        inputs=(PREDICTION, TARGET, Input("variance", "positive")),
        transcendentals=1,
        aliases=("gaussian_nll_loss",),
        alternatives=({"eps": 0.5},),
    ),
)
