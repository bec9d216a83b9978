"""Losses of the difference or margin of each element, stated once, before any reduction.

`reduction` is `mean`, `sum` or `none` for all. The gradient is with respect to the first input.
"""

from __future__ import annotations

from typing import Any

from backends.catalogue.formulas import INF, REDUCTION, logistic
from backends.interface import Budget, Formula, Input, Math, OpSpec, Parameter

EPS = Parameter("eps", 1e-7, above=0.0)
PREDICTION, TARGET = Input("prediction"), Input("target")
DIFFERENCE_AT_0 = "the gradient is 0 where prediction equals target"


def loss(
    name: str, summary: str, definition: Formula, gradient: Formula, budget: Budget, *more: Parameter, **facts: Any
) -> OpSpec:
    """Declare a loss with a reduction, of a prediction and a target unless `inputs` says otherwise."""
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


def at_least(m: Math, x: Any, bound: float) -> Any:
    """x, or a bound that is larger."""
    return m.where(x > bound, x, bound)


def _huber(m: Math, p: Any, t: Any, *, delta: float) -> Any:
    a = abs(p - t)
    return m.where(a <= delta, a**2 / 2, delta * (a - delta / 2))


def _smooth_l1(m: Math, p: Any, t: Any, *, beta: float) -> Any:
    a = abs(p - t)
    return m.where(a < beta, a**2 / 2 / beta, a - beta / 2) if beta else a


def _d_smooth_l1(m: Math, g: Any, p: Any, t: Any, *, beta: float) -> Any:
    d = p - t
    return g * (m.where(abs(d) < beta, d / beta, m.sign(d)) if beta else m.sign(d))


def _quantile(m: Math, p: Any, t: Any, *, q: float) -> Any:
    d = p - t
    # A slope of 0 costs nothing, however far away the target is.
    below, above = -q * d if q else 0, (1 - q) * d if q != 1 else 0
    return m.where(d < 0, below, m.where(d > 0, above, d))


def _d_quantile(m: Math, g: Any, p: Any, t: Any, *, q: float) -> Any:
    d = p - t
    return g * m.where(d < 0, -q, (1 - q) * m.sign(d))


def _margin(m: Math, p: Any, t: Any) -> Any:
    return m.where(1 - t * p > 0, 1 - t * p, 0)


OPS: tuple[OpSpec, ...] = (
    loss(
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
    loss(
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
    loss(
        "mean_absolute_percentage_error",
        "Absolute difference as a percentage of the target",
        lambda m, p, t, eps: 100 * abs(p - t) / at_least(m, abs(t), eps),
        lambda m, g, p, t, eps: 100 * g * m.sign(p - t) / at_least(m, abs(t), eps),
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
    loss(
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
    loss(
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
    loss(
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
    loss(
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
    loss(
        "quantile",
        "Pinball loss: its expectation is least at the q-quantile",
        _quantile,
        _d_quantile,
        Budget(4, 4, "a difference and a product with a rounded parameter"),
        Parameter("q", 0.5, minimum=0.0, maximum=1.0),
        formula="max(q * (target - prediction), (1 - q) * (prediction - target))",
        source="Koenker and Bassett 1978",
        kink_convention=DIFFERENCE_AT_0,
        aliases=("quantile_loss", "pinball"),
        alternatives=({"q": 0.9}, {"q": 0.0}, {"q": 1.0}),
    ),
    loss(
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
    loss(
        "squared_hinge",
        "The square of hinge",
        lambda m, p, t: _margin(m, p, t) ** 2,
        lambda m, g, p, t: -2 * g * t * _margin(m, p, t),
        Budget(4, 4, "a product, a difference and a square, each rounded"),
        formula="max(1 - target * prediction, 0)**2",
        source="Rosasco et al. 2004",
        inputs=(PREDICTION, Input("target", "sign")),
    ),
    loss(
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
