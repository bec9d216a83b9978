"""Losses of each element, stated once, before any reduction: `reduction` is `mean`, `sum` or `none` for all.

The gradient is with respect to the first input.
"""

from __future__ import annotations

from typing import Any

from backends.catalogue.formulas import INF, REDUCTION, logistic, times_log
from backends.interface import Budget, Formula, Input, OpSpec, Parameter

EPS = Parameter("eps", 1e-7, above=0.0)
PREDICTION, LOGITS, TARGET = Input("prediction"), Input("logits"), Input("target")
PROBABILITY = Input("prediction", "unit")
DIFFERENCE_AT_0 = "the gradient is 0 where prediction equals target"


def _loss(
    name: str, summary: str, definition: Formula, gradient: Formula, budget: Budget, *more: Parameter, **facts: Any
) -> OpSpec:
    return OpSpec(
        name=name,
        kind="loss",
        summary=summary,
        definition=definition,
        gradient=gradient,
        budget=budget,
        parameters=(REDUCTION, *more),
        **{"inputs": (PREDICTION, TARGET), **facts},
    )


def _larger(m: Any, x: Any, bound: float) -> Any:
    return m.where(x > bound, x, bound)


def _huber(m: Any, p: Any, t: Any, *, delta: float) -> Any:
    a = abs(p - t)
    return m.where(a <= delta, a**2 / 2, delta * (a - delta / 2))


def _smooth_l1(m: Any, p: Any, t: Any, *, beta: float) -> Any:
    a = abs(p - t)
    return m.where(a < beta, a**2 / 2 / beta, a - beta / 2) if beta else a


def _d_smooth_l1(m: Any, g: Any, p: Any, t: Any, *, beta: float) -> Any:
    d = p - t
    return g * (m.where(abs(d) < beta, d / beta, m.sign(d)) if beta else m.sign(d))


def _quantile_slope(m: Any, p: Any, t: Any, q: float) -> Any:
    return m.where(t > p, -q, m.where(t < p, 1 - q, 0))


def _entropy(m: Any, p: Any, t: Any) -> Any:
    return -(times_log(m, t, p) + times_log(m, 1 - t, 1 - p))


def _entropy_slopes(m: Any, p: Any, t: Any) -> tuple[Any, Any]:
    return m.ratio(1 - t, 1 - p), m.ratio(t, p)


def _d_entropy(m: Any, g: Any, p: Any, t: Any) -> Any:
    rising, falling = _entropy_slopes(m, p, t)
    return g * (rising - falling)


def _log_loss_terms(m: Any, x: Any, t: Any, pos_weight: Any) -> tuple[Any, Any]:
    """Return the losses of a yes and of a no, each times its share."""
    yes = t if pos_weight is None else t * pos_weight
    return yes * m.log(1 + m.exp(-x)), (1 - t) * m.log(1 + m.exp(x))


def _log_loss(m: Any, x: Any, t: Any, pos_weight: Any) -> Any:
    yes, no = _log_loss_terms(m, x, t, pos_weight)
    return m.where(t == 0, 0, yes) + m.where(t == 1, 0, no)


def _d_log_loss_terms(m: Any, g: Any, x: Any, t: Any, pos_weight: Any) -> tuple[Any, Any]:
    yes = t if pos_weight is None else t * pos_weight
    return g * (1 - t) * logistic(m, x), g * yes * logistic(m, -x)


def _d_log_loss(m: Any, g: Any, x: Any, t: Any, pos_weight: Any) -> Any:
    no, yes = _d_log_loss_terms(m, g, x, t, pos_weight)
    return no - yes


def _focal_parts(m: Any, p: Any, t: Any, alpha: float | None) -> tuple[Any, Any, Any]:
    """Return the class's weight, the probability given to the wrong answer, and the cross entropy."""
    weight = 1 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    return weight, t * (1 - p) + (1 - t) * p, _entropy(m, p, t)


def _focal(m: Any, p: Any, t: Any, *, alpha: float | None, gamma: float) -> Any:
    weight, wrong, entropy = _focal_parts(m, p, t, alpha)
    return weight * m.where(entropy == 0, 0, wrong**gamma * entropy)


def _focal_slopes(m: Any, p: Any, t: Any, alpha: float | None, gamma: float) -> tuple[Any, Any, Any]:
    weight, wrong, entropy = _focal_parts(m, p, t, alpha)
    rising, falling = _entropy_slopes(m, p, t)
    factor = wrong**gamma
    return (
        # At 0 and 1 the logarithm is infinite, but its slope infinitely more so.
        m.where((p == 0) | (p == 1), 0, weight * gamma * (1 - 2 * t) * m.ratio(factor * entropy, wrong)),
        weight * m.where(rising == 0, 0, factor * rising),
        weight * m.where(falling == 0, 0, factor * falling),
    )


def _d_focal(m: Any, g: Any, p: Any, t: Any, *, alpha: float | None, gamma: float) -> Any:
    first, rising, falling = _focal_slopes(m, p, t, alpha, gamma)
    return g * (first + rising - falling)


def _focal_gradient_scale(m: Any, g: Any, p: Any, t: Any, *, alpha: float | None, gamma: float) -> Any:
    first, rising, falling = _focal_slopes(m, p, t, alpha, gamma)
    return abs(g) * (abs(first) + rising + falling)


def _poisson_terms(m: Any, p: Any, t: Any, log_input: bool) -> tuple[Any, Any]:  # noqa: FBT001
    """Return the rate and the share of the count, whose difference is the loss; an infinite rate outweighs it."""
    share = m.where(t == 0, 0, t * p) if log_input else times_log(m, t, p)
    return m.exp(p) if log_input else p, m.where(p < INF, share, 0)


def _d_poisson(m: Any, g: Any, p: Any, t: Any, *, log_input: bool) -> Any:
    return g * (m.exp(p) - t if log_input else 1 - m.ratio(t, p))


def _d_poisson_scale(m: Any, g: Any, p: Any, t: Any, *, log_input: bool) -> Any:
    return abs(g) * (m.exp(p) + t if log_input else 1 + abs(m.ratio(t, p)))


def _poisson_scale(m: Any, p: Any, t: Any, *, log_input: bool) -> Any:
    rate, rest = _poisson_terms(m, p, t, log_input)
    return abs(rate) + abs(rest)


def _gaussian_terms(m: Any, p: Any, t: Any, variance: Any, eps: float) -> tuple[Any, Any]:
    v = _larger(m, variance, eps)
    return m.log(v) / 2, (p - t) ** 2 / v / 2


def _margin(m: Any, p: Any, t: Any) -> Any:
    return m.where(1 - t * p > 0, 1 - t * p, 0)


OPS: tuple[OpSpec, ...] = (
    _loss(
        "mean_squared_error",
        "Squared difference; with reduction='sum', the course notes' squared error",
        lambda m, p, t: (p - t) ** 2,
        lambda m, g, p, t: 2 * g * (p - t),
        Budget(4, 4, "a difference, a product and a division, each rounded; sums add their own"),
        formula="(prediction - target)**2",
        source="course notes",
        course_notes=True,
        aliases=("mse", "mse_loss", "squared_error"),
        choice="(prediction - target)**2",
        elsewhere="optax.l2_loss halves it",
    ),
    _loss(
        "mean_absolute_error",
        "Absolute difference",
        lambda m, p, t: abs(p - t),
        lambda m, g, p, t: g * m.sign(p - t),
        Budget(2, 2, "a difference and a division, each rounded; the gradient is a signed cotangent"),
        formula="abs(prediction - target)",
        source="Laplace 1774",
        kink_convention=DIFFERENCE_AT_0,
        aliases=("mae", "l1_loss"),
    ),
    _loss(
        "mean_absolute_percentage_error",
        "Absolute difference as a percentage of the target",
        lambda m, p, t, eps: 100 * abs(p - t) / _larger(m, abs(t), eps),
        lambda m, g, p, t, eps: 100 * g * m.sign(p - t) / _larger(m, abs(t), eps),
        Budget(4, 4, "a difference, a quotient and a product, each rounded"),
        EPS,
        formula="100 * abs(prediction - target) / max(abs(target), eps)",
        source="Makridakis 1993",
        inputs=(PREDICTION, Input("target", "positive")),
        kink_convention=DIFFERENCE_AT_0,
        aliases=("mape",),
        alternatives=({"eps": 0.5},),
        choice="per cent, eps=1e-7",
        elsewhere="Keras as here; scikit-learn a fraction, eps=2.2e-16",
    ),
    _loss(
        "mean_squared_logarithmic_error",
        "Squared difference of log(1 + x)",
        lambda m, p, t: (m.log(1 + p) - m.log(1 + t)) ** 2,
        lambda m, g, p, t: 2 * g * (m.log(1 + p) - m.log(1 + t)) / (1 + p),
        Budget(
            8,
            8,
            "two logarithms that cancel where prediction and target are near each other",
            forward_scale=lambda m, p, t: (
                abs(m.log(1 + p) ** 2 - m.log(1 + t) ** 2) + (m.log(1 + p) - m.log(1 + t)) ** 2
            ),
            backward_scale=lambda m, g, p, t: 2 * abs(g) * (m.log(1 + p) + m.log(1 + t)) / (1 + p),
        ),
        formula="(log(1 + prediction) - log(1 + target))**2",
        source="Keras' loss of this name",
        limits=((INF, INF, 0.0),),
        inputs=(Input("prediction", "nonnegative"), Input("target", "nonnegative")),
        transcendentals=2,
        aliases=("msle",),
        choice="prediction and target above -1",
        elsewhere="Keras clips both at 1e-7",
    ),
    _loss(
        "huber",
        "Half the squared difference up to delta, linear beyond",
        _huber,
        lambda m, g, p, t, delta: g * m.where(abs(p - t) <= delta, p - t, delta * m.sign(p - t)),
        Budget(4, 4, "a difference and a product, each rounded"),
        Parameter("delta", 1.0, above=0.0),
        formula="d**2 / 2 if d <= delta else delta * (d - delta / 2), d = abs(prediction - target)",
        source="Huber 1964",
        aliases=("huber_loss",),
        alternatives=({"delta": 0.25}, {"delta": 3.0}),
    ),
    _loss(
        "smooth_l1",
        "Huber's loss over its bend",
        _smooth_l1,
        _d_smooth_l1,
        Budget(4, 4, "a difference, a product and a quotient, each rounded"),
        Parameter("beta", 1.0, minimum=0.0),
        formula="d**2 / 2 / beta if d < beta else d - beta / 2, d = abs(prediction - target)",
        source="Girshick 2015",
        kink_convention="with beta = 0, " + DIFFERENCE_AT_0,
        aliases=("smooth_l1_loss",),
        alternatives=({"beta": 0.25}, {"beta": 0.0}),
    ),
    _loss(
        "log_cosh",
        "Logarithm of the hyperbolic cosine of the difference",
        lambda m, p, t: m.log(m.cosh(p - t)),
        lambda m, g, p, t: g * m.tanh(p - t),
        Budget(
            8,
            8,
            "Keras' form adds |d|, log(1 + exp(-2|d|)) and -log(2), which cancel near 0",
            forward_scale=lambda m, p, t: m.log(m.cosh(p - t)) + m.where(abs(p - t) < 2, 1, 0),
        ),
        formula="log(cosh(prediction - target))",
        source="Green 1990; Keras' loss of this name",
        transcendentals=2,
        aliases=("logcosh",),
    ),
    _loss(
        "quantile",
        "Pinball loss: its expectation is least at the q-quantile",
        lambda m, p, t, q: m.where(t > p, q * (t - p), (1 - q) * (p - t)),
        lambda m, g, p, t, q: g * _quantile_slope(m, p, t, q),
        Budget(4, 4, "a difference and a product with a rounded parameter"),
        Parameter("q", 0.5, minimum=0.0, maximum=1.0),
        formula="max(q * (target - prediction), (1 - q) * (prediction - target))",
        source="Koenker and Bassett 1978",
        kink_convention=DIFFERENCE_AT_0,
        aliases=("quantile_loss", "pinball"),
        alternatives=({"q": 0.9}, {"q": 0.0}, {"q": 1.0}),
    ),
    _loss(
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
        inputs=(PROBABILITY, Input("target", "unit")),
        transcendentals=2,
        aliases=("bce", "binary_crossentropy"),
        choice="infinite for a certain and wrong prediction",
        elsewhere="PyTorch bounds the logarithms at -100; Keras clips the prediction to 1e-7 from 0 and 1",
    ),
    _loss(
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
        inputs=(LOGITS, Input("target", "unit"), Input("pos_weight", "positive", "broadcast", optional=True)),
        transcendentals=2,
        aliases=("bce_with_logits", "sigmoid_binary_cross_entropy"),
    ),
    _loss(
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
        inputs=(PROBABILITY, Input("target", "unit")),
        transcendentals=3,
        aliases=("binary_focal_crossentropy",),
        alternatives=({"gamma": 0.0}, {"gamma": 1.0, "alpha": None}, {"gamma": 3.5, "alpha": 0.6}),
        choice="probabilities; alpha=0.25, None for no class weights",
        elsewhere="Keras applies alpha only if asked; torchvision and Optax take logits, Optax without alpha",
    ),
    _loss(
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
    _loss(
        "gaussian_negative_log_likelihood",
        "Negative log-likelihood of a normal distribution, without its constant",
        lambda m, p, t, v, eps: sum(_gaussian_terms(m, p, t, v, eps)),
        lambda m, g, p, t, v, eps: g * (p - t) / _larger(m, v, eps),
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
    _loss(
        "hinge",
        "How far a prediction falls short of the margin",
        _margin,
        lambda m, g, p, t: m.where(1 - t * p > 0, -g * t, 0),
        Budget(2, 1, "a product and a difference, each rounded"),
        formula="max(1 - target * prediction, 0)",
        source="Rosasco et al. 2004",
        inputs=(PREDICTION, Input("target", "sign")),
        kink_convention="the gradient is 0 at the margin",
        aliases=("hinge_loss",),
        choice="targets -1 and 1",
        elsewhere="Keras turns targets 0 into -1; torch's hinge_embedding_loss is another function",
    ),
    _loss(
        "squared_hinge",
        "The square of hinge",
        lambda m, p, t: _margin(m, p, t) ** 2,
        lambda m, g, p, t: -2 * g * t * _margin(m, p, t),
        Budget(4, 4, "a product, a difference and a square, each rounded"),
        formula="max(1 - target * prediction, 0)**2",
        source="Rosasco et al. 2004",
        inputs=(PREDICTION, Input("target", "sign")),
    ),
    _loss(
        "soft_margin",
        "Logistic loss of a signed target",
        lambda m, p, t: m.log(1 + m.exp(-t * p)),
        lambda m, g, p, t: -g * t * logistic(m, -t * p),
        Budget(8, 16, "an exp and a log1p"),
        formula="log(1 + exp(-target * prediction))",
        source="Rosasco et al. 2004",
        inputs=(PREDICTION, Input("target", "sign")),
        transcendentals=2,
        aliases=("soft_margin_loss",),
    ),
)
