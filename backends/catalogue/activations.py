"""Activations, each stated once: formula, derivative, limits, conventions and accuracy budget.

Formulas are the textbook's, for evaluation at high precision: they may overflow or cancel in float64 and are
therefore never a model for an implementation. `m` is a math namespace over arrays (see `benchmarks.oracle`).
"""

from __future__ import annotations

from typing import Any

from backends.interface import Budget, Formula, Input, OpSpec, Parameter

INF = float("inf")
AXIS = Parameter("axis", -1)

EXACT = Budget(0, 0, "selects or copies its input: nothing is rounded")
ELEMENTARY = Budget(8, 8, "a few roundings around one or two elementary functions of up to 3 ULP each")


def _elementwise(derivative: Formula) -> Formula:
    """Turn f'(x) into the vector-Jacobian product g·f'(x)."""

    def gradient(m: Any, g: Any, x: Any, **parameters: Any) -> Any:
        return g * derivative(m, x, **parameters)

    return gradient


def _activation(name: str, summary: str, derivative: Formula, **facts: Any) -> OpSpec:
    return OpSpec(
        name=name,
        kind="elementwise",
        summary=summary,
        inputs=(Input("x"),),
        gradient=_elementwise(derivative),
        derivative=derivative,
        **{"parameters": (), **facts},
    )


def _logistic(m: Any, x: Any) -> Any:
    return 1 / (1 + m.exp(-x))


def _normal_cdf(m: Any, x: Any) -> Any:
    """Distribution function of the standard normal, DLMF 7.2.2 and 7.18."""
    return m.erfc(-x / m.sqrt(2)) / 2


def _normal_pdf(m: Any, x: Any) -> Any:
    return m.exp(-x * x / 2) / m.sqrt(2 * m.pi)


def _gelu(m: Any, x: Any, *, approximate: str) -> Any:
    if approximate == "tanh":
        return x / 2 * (1 + m.tanh(_gelu_argument(m, x)))
    return x * _normal_cdf(m, x)


def _gelu_argument(m: Any, x: Any) -> Any:
    # Decimal constant of the paper, as a fraction: 0.044715 has no exact binary form.
    return m.sqrt(2 / m.pi) * (x + x**3 * 44715 / 1_000_000)


def _gelu_terms(m: Any, x: Any, approximate: str) -> tuple[Any, Any]:
    """Return the two terms whose sum is gelu'(x)."""
    if approximate == "tanh":
        u = _gelu_argument(m, x)
        slope = m.sqrt(2 / m.pi) * (1 + 3 * x**2 * 44715 / 1_000_000)
        return (1 + m.tanh(u)) / 2, x / 2 * slope / m.cosh(u) ** 2
    return _normal_cdf(m, x), x * _normal_pdf(m, x)


def _d_gelu(m: Any, x: Any, *, approximate: str) -> Any:
    first, second = _gelu_terms(m, x, approximate)
    return first + second


def _gelu_gradient_scale(m: Any, g: Any, x: Any, *, approximate: str) -> Any:
    first, second = _gelu_terms(m, x, approximate)
    return abs(g) * (first + abs(second))


def _d_sigmoid(m: Any, x: Any) -> Any:
    # σ(x)·σ(-x): even in x, and a product of two numbers that do not cancel.
    return _logistic(m, x) * _logistic(m, -x)


def _d_silu(m: Any, x: Any) -> Any:
    return _logistic(m, x) * (1 + x * _logistic(m, -x))


def _silu_gradient_scale(m: Any, g: Any, x: Any) -> Any:
    return abs(g) * _logistic(m, x) * (1 + abs(x) * _logistic(m, -x))


def _softmax(m: Any, x: Any, *, axis: int) -> Any:
    e = m.exp(x)
    return e / m.sum(e, axis=axis, keepdims=True)


def _log_softmax(m: Any, x: Any, *, axis: int) -> Any:
    return x - m.log(m.sum(m.exp(x), axis=axis, keepdims=True))


def _d_softmax(m: Any, g: Any, x: Any, *, axis: int) -> Any:
    y = _softmax(m, x, axis=axis)
    return y * (g - m.sum(g * y, axis=axis, keepdims=True))


def _d_log_softmax(m: Any, g: Any, x: Any, *, axis: int) -> Any:
    return g - _softmax(m, x, axis=axis) * m.sum(g, axis=axis, keepdims=True)


def depth(m: Any, x: Any, *, axis: int) -> Any:
    """How far each entry lies below the largest of its row: what a stable formula must subtract and round."""
    below = m.max(x, axis=axis, keepdims=True) - x
    return m.where(below < INF, below, 0)


def _softmax_scale(m: Any, x: Any, *, axis: int) -> Any:
    return _softmax(m, x, axis=axis) * (1 + depth(m, x, axis=axis))


def _softmax_gradient_scale(m: Any, g: Any, x: Any, *, axis: int) -> Any:
    y = _softmax(m, x, axis=axis)
    return y * (abs(g) + m.sum(abs(g) * y, axis=axis, keepdims=True)) * (1 + depth(m, x, axis=axis))


def _log_softmax_scale(m: Any, x: Any, *, axis: int) -> Any:
    return 1 + depth(m, x, axis=axis)


def _log_softmax_gradient_scale(m: Any, g: Any, x: Any, *, axis: int) -> Any:
    return abs(g) + _softmax_scale(m, x, axis=axis) * m.sum(abs(g), axis=axis, keepdims=True)


OPS: tuple[OpSpec, ...] = (
    _activation(
        "step",
        "Heaviside step: 1 for positive input, else 0",
        lambda m, x: m.where(x > 0, 0, 0),
        formula="1 if x > 0 else 0",
        source="course notes; DLMF 1.16.13",
        definition=lambda m, x: m.where(x > 0, 1, 0),
        budget=EXACT,
        limits=((-INF, 0.0, 0.0), (INF, 1.0, 0.0)),
        kinks=(0.0,),
        kink_convention="step(0) = 0; the derivative is 0 everywhere",
        course_notes=True,
    ),
    _activation(
        "sigmoid",
        "Logistic function",
        _d_sigmoid,
        formula="1 / (1 + exp(-x))",
        source="course notes; Cox 1958",
        definition=_logistic,
        budget=ELEMENTARY,
        limits=((-INF, 0.0, 0.0), (INF, 1.0, 0.0)),
        transcendentals=1,
        course_notes=True,
    ),
    _activation(
        "tanh",
        "Hyperbolic tangent",
        lambda m, x: 1 / m.cosh(x) ** 2,
        formula="tanh(x)",
        source="course notes; DLMF 4.28.4, 4.34.9",
        definition=lambda m, x: m.tanh(x),
        budget=ELEMENTARY,
        limits=((-INF, -1.0, 0.0), (INF, 1.0, 0.0)),
        transcendentals=1,
        course_notes=True,
    ),
    _activation(
        "relu",
        "Rectified linear unit",
        lambda m, x: m.where(x > 0, 1, 0),
        formula="max(x, 0)",
        source="course notes; Nair and Hinton 2010",
        definition=lambda m, x: m.where(x > 0, x, 0),
        budget=EXACT,
        limits=((-INF, 0.0, 0.0), (INF, INF, 1.0)),
        kinks=(0.0,),
        kink_convention="relu'(0) = 0",
        course_notes=True,
    ),
    _activation(
        "leaky_relu",
        "Rectified linear unit with a small slope below zero",
        lambda m, x, negative_slope: m.where(x > 0, 1, negative_slope),
        formula="x if x > 0 else negative_slope * x",
        source="Maas, Hannun and Ng 2013",
        parameters=(Parameter("negative_slope", 0.01, minimum=0.0),),
        definition=lambda m, x, negative_slope: m.where(x > 0, x, negative_slope * x),
        budget=Budget(1.5, 1, "the slope is rounded to the dtype (up to 1 ULP of the product), then the product"),
        kinks=(0.0,),
        kink_convention="leaky_relu'(0) = negative_slope",
    ),
    _activation(
        "gelu",
        "Gaussian error linear unit",
        _d_gelu,
        formula="x * normal_cdf(x)",
        source="Hendrycks and Gimpel 2016; DLMF 7.2.2",
        parameters=(Parameter("approximate", "none", choices=("none", "tanh")),),
        definition=_gelu,
        budget=Budget(
            8,
            16,
            "x times a normal distribution function; the derivative adds two terms, each with an exp of x²/2",
            backward_scale=_gelu_gradient_scale,
        ),
        limits=((-INF, 0.0, 0.0), (INF, INF, 1.0)),
        transcendentals=1,
    ),
    _activation(
        "silu",
        "Sigmoid linear unit, also called swish",
        _d_silu,
        formula="x / (1 + exp(-x))",
        source="Elfwing, Uchibe and Doya 2018; Ramachandran, Zoph and Le 2017",
        definition=lambda m, x: x * _logistic(m, x),
        budget=Budget(
            8,
            16,
            "one exp and a division; the derivative adds two terms of opposite sign left of zero",
            backward_scale=_silu_gradient_scale,
        ),
        limits=((-INF, 0.0, 0.0), (INF, INF, 1.0)),
        transcendentals=1,
    ),
    _activation(
        "softplus",
        "Smooth rectifier",
        _logistic,
        formula="log(1 + exp(x))",
        source="Dugas et al. 2001",
        definition=lambda m, x: m.log(1 + m.exp(x)),
        budget=Budget(8, 16, "an exp and a log1p; the derivative goes through exp(x - log(1 + exp(x))) in JAX"),
        limits=((-INF, 0.0, 0.0), (INF, INF, 1.0)),
        transcendentals=2,
    ),
    OpSpec(
        name="softmax",
        kind="along_axis",
        summary="Exponentials, normalised to sum to one along an axis",
        formula="exp(x) / sum(exp(x))",
        source="Bridle 1990; Blanchard, Higham and Higham 2021 for its error",
        inputs=(Input("x"),),
        parameters=(AXIS,),
        definition=_softmax,
        gradient=_d_softmax,
        budget=Budget(
            8,
            16,
            "rounding of x - max(x) is amplified by its size; the sum adds roundings of its own",
            forward_scale=_softmax_scale,
            backward_scale=_softmax_gradient_scale,
        ),
        transcendentals=1,
    ),
    OpSpec(
        name="log_softmax",
        kind="along_axis",
        summary="Logarithm of softmax",
        formula="x - log(sum(exp(x)))",
        source="Blanchard, Higham and Higham 2021",
        inputs=(Input("x"),),
        parameters=(AXIS,),
        definition=_log_softmax,
        gradient=_d_log_softmax,
        budget=Budget(
            8,
            16,
            "difference of x - max(x) and a logarithm, each rounded",
            forward_scale=_log_softmax_scale,
            backward_scale=_log_softmax_gradient_scale,
        ),
        transcendentals=1,
    ),
)
