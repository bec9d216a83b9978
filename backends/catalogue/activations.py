"""Smooth activations, elementwise, each stated once: formula, derivative, limits, accuracy budget."""

from __future__ import annotations

from typing import Any

from backends.catalogue.formulas import ELEMENTARY, INF, d_logistic, logistic, normal_cdf, normal_pdf
from backends.interface import Budget, Formula, FromOutput, Input, Math, OpSpec, Parameter

RISING = ((-INF, 0.0, 0.0), (INF, INF, 1.0))
"""Limits of smooth rectifiers: 0 on the left, x on the right."""


def activation(name: str, summary: str, derivative: Formula, **facts: Any) -> OpSpec:
    """Declare an elementwise activation by its derivative: its vjp is g·f'(x)."""

    def gradient(m: Math, g: Any, x: Any, **parameters: Any) -> Any:
        return g * derivative(m, x, **parameters)

    return OpSpec(
        name=name,
        kind="elementwise",
        summary=summary,
        inputs=(Input("x"),),
        gradient=gradient,
        derivative=derivative,
        **{"parameters": (), **facts},
    )


def gelu(m: Math, x: Any, *, approximate: str) -> Any:
    """Return x times the normal distribution function, or its approximation by tanh."""
    if approximate == "tanh":
        return x * logistic(
            m, 2 * _gelu_argument(m, x)
        )  # (1 + tanh(u))/2, which is above 0 however far u is below
    return x * normal_cdf(m, x)


def _gelu_argument(m: Math, x: Any) -> Any:
    # Decimal constant of the paper, as a fraction: 0.044715 has no exact binary form.
    return m.sqrt(2 / m.pi) * (x + x**3 * 44715 / 1_000_000)


def _gelu_terms(m: Math, x: Any, approximate: str) -> tuple[Any, Any]:
    """Return the two terms whose sum is gelu'(x)."""
    if approximate == "tanh":
        u = _gelu_argument(m, x)
        slope = m.sqrt(2 / m.pi) * (1 + 3 * x**2 * 44715 / 1_000_000)
        return (1 + m.tanh(u)) / 2, x / 2 * slope / m.cosh(u) ** 2
    return normal_cdf(m, x), x * normal_pdf(m, x)


def _d_gelu(m: Math, x: Any, *, approximate: str) -> Any:
    first, second = _gelu_terms(m, x, approximate)
    return first + second


def _gelu_gradient_scale(m: Math, g: Any, x: Any, *, approximate: str) -> Any:
    first, second = _gelu_terms(m, x, approximate)
    return abs(g) * (first + abs(second))


def _d_silu(m: Math, x: Any) -> Any:
    return logistic(m, x) * (1 + x * logistic(m, -x))


def _silu_gradient_scale(m: Math, g: Any, x: Any) -> Any:
    return abs(g) * logistic(m, x) * (1 + abs(x) * logistic(m, -x))


def _softplus(m: Math, x: Any) -> Any:
    return m.log(1 + m.exp(x))


def _mish_terms(m: Math, x: Any) -> tuple[Any, Any]:
    """Return the two terms whose sum is mish'(x)."""
    return m.tanh(_softplus(m, x)), x * logistic(m, x) / m.cosh(_softplus(m, x)) ** 2


def _d_mish(m: Math, x: Any) -> Any:
    first, second = _mish_terms(m, x)
    return first + second


def _mish_gradient_scale(m: Math, g: Any, x: Any) -> Any:
    first, second = _mish_terms(m, x)
    return abs(g) * (first + abs(second))


def _elu(m: Math, x: Any, *, alpha: float) -> Any:
    return m.where(x > 0, x, alpha * (m.exp(x) - 1))


def _celu(m: Math, x: Any, *, alpha: float) -> Any:
    return m.where(x > 0, x, alpha * (m.exp(x / alpha) - 1))


def _d_celu(m: Math, x: Any, *, alpha: float) -> Any:
    return m.where(x > 0, 1, m.exp(x / alpha))


def _celu_gradient_scale(m: Math, g: Any, x: Any, *, alpha: float) -> Any:
    # x / 1 is exact; any other quotient is rounded, and exp amplifies that by the quotient's size.
    amplified = 0 if alpha == 1 else abs(x) / alpha
    return abs(g) * m.where(x > 0, 1, _d_celu(m, x, alpha=alpha) * (1 + amplified))


def _selu(m: Math, x: Any) -> Any:
    scale, alpha = _selu_constants(m)
    return scale * m.where(x > 0, x, alpha * (m.exp(x) - 1))


def _d_selu(m: Math, x: Any) -> Any:
    scale, alpha = _selu_constants(m)
    return scale * m.where(x > 0, 1, alpha * m.exp(x))


def _selu_constants(m: Math) -> tuple[Any, Any]:
    """Return scale and alpha, which keep mean 0 and variance 1 fixed: Klambauer et al. 2017, equation 14."""
    root_e, tail = m.sqrt(m.exp(1)), m.erfc(1 / m.sqrt(2))
    mean = 1 - tail * root_e
    variance = 2 * m.erfc(m.sqrt(2)) * root_e**4 + m.pi * (tail * root_e) ** 2 - 2 * (2 + m.pi) * tail * root_e
    return mean * m.sqrt(2 * m.pi) / m.sqrt(variance + m.pi + 2), m.sqrt(2 / m.pi) / mean


def _squareplus(m: Math, x: Any, *, b: float) -> Any:
    # Left of 0, x + sqrt(x² + b) may cancel all digits, however many there are; this is the same number.
    root = _root(m, x, b)
    return m.where(x > 0, (x + root) / 2, m.ratio(b, root - x) / 2)


def _root(m: Math, x: Any, b: float) -> Any:
    return m.sqrt(x**2 + b)


OPS: tuple[OpSpec, ...] = (
    activation(
        "sigmoid",
        "Logistic function",
        d_logistic,
        formula="1 / (1 + exp(-x))",
        source="course notes; Cox 1958",
        definition=logistic,
        budget=ELEMENTARY,
        limits=((-INF, 0.0, 0.0), (INF, 1.0, 0.0)),
        transcendentals=1,
        course_notes=True,
        aliases=("logistic", "expit"),
        from_output=FromOutput(
            "unit",
            lambda m, g, y: g * y * (1 - y),
            "g * y * (1 - y)",
            Budget(0, 4, "a difference and two products"),
        ),
    ),
    activation(
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
        from_output=FromOutput(
            "signed_unit",
            lambda m, g, y: g * (1 - y) * (1 + y),
            "g * (1 - y**2)",
            Budget(0, 4, "a sum, a difference and two products, which do not cancel"),
        ),
    ),
    activation(
        "elu",
        "Exponential linear unit",
        lambda m, x, alpha: m.where(x > 0, 1, alpha * m.exp(x)),
        formula="x if x > 0 else alpha * (exp(x) - 1)",
        source="Clevert, Unterthiner and Hochreiter 2016",
        parameters=(Parameter("alpha", 1.0, minimum=0.0),),
        definition=_elu,
        budget=Budget(8, 8, "an exp and a product with a rounded parameter"),
        kink_convention="elu'(0) = alpha",
        transcendentals=1,
        alternatives=({"alpha": 0.3},),
    ),
    activation(
        "celu",
        "Continuously differentiable exponential linear unit",
        _d_celu,
        formula="x if x > 0 else alpha * (exp(x / alpha) - 1)",
        source="Barron 2017",
        parameters=(Parameter("alpha", 1.0, above=0.0),),
        definition=_celu,
        budget=Budget(
            8,
            8,
            "an exp, whose derivative amplifies the rounding of x / alpha by its size",
            backward_scale=_celu_gradient_scale,
        ),
        transcendentals=1,
        alternatives=({"alpha": 0.3},),
        choice="alpha > 0",
        elsewhere="PyTorch also takes a negative alpha",
    ),
    activation(
        "selu",
        "Scaled exponential linear unit",
        _d_selu,
        formula="1.0507 * (x if x > 0 else 1.67326 * (exp(x) - 1))",
        source="Klambauer et al. 2017, equation 14 for the constants",
        definition=_selu,
        budget=Budget(8, 8, "an exp and products with rounded constants"),
        kink_convention="selu'(0) = 1.7581, the slope of its left side",
        transcendentals=1,
    ),
    activation(
        "gelu",
        "Gaussian error linear unit",
        _d_gelu,
        formula="x * normal_cdf(x)",
        source="Hendrycks and Gimpel 2016; DLMF 7.2.2",
        parameters=(Parameter("approximate", "none", choices=("none", "tanh")),),
        definition=gelu,
        budget=Budget(
            8,
            16,
            "x times a normal distribution function; the derivative adds two terms, each with an exp of x²/2",
            backward_scale=_gelu_gradient_scale,
        ),
        limits=RISING,
        transcendentals=1,
        alternatives=({"approximate": "tanh"},),
        choice="exact unless approximate='tanh'",
        elsewhere="jax.nn.gelu and Flax default to the tanh form; Keras and PyTorch to the exact one",
    ),
    activation(
        "silu",
        "Sigmoid linear unit, also called swish",
        _d_silu,
        formula="x / (1 + exp(-x))",
        source="Elfwing, Uchibe and Doya 2018; Ramachandran, Zoph and Le 2017",
        definition=lambda m, x: x * logistic(m, x),
        budget=Budget(
            8,
            16,
            "one exp and a division; the derivative adds two terms of opposite sign left of zero",
            backward_scale=_silu_gradient_scale,
        ),
        limits=RISING,
        transcendentals=1,
        aliases=("swish",),
    ),
    activation(
        "mish",
        "x times the hyperbolic tangent of softplus",
        _d_mish,
        formula="x * tanh(log(1 + exp(x)))",
        source="Misra 2019",
        definition=lambda m, x: x * m.tanh(_softplus(m, x)),
        budget=Budget(
            8,
            16,
            "one exp and a quotient of polynomials in it; the derivative adds terms of opposite sign left of zero",
            backward_scale=_mish_gradient_scale,
        ),
        limits=RISING,
        transcendentals=3,
    ),
    activation(
        "softplus",
        "Smooth rectifier",
        logistic,
        formula="log(1 + exp(x))",
        source="Dugas et al. 2001",
        definition=_softplus,
        budget=Budget(8, 16, "an exp and a log1p; the derivative goes through exp(x - log(1 + exp(x))) in JAX"),
        limits=RISING,
        transcendentals=2,
        choice="exact everywhere",
        elsewhere="PyTorch returns x itself above a threshold of 20",
    ),
    activation(
        "softsign",
        "x over one plus its size",
        lambda m, x: 1 / (1 + abs(x)) ** 2,
        formula="x / (1 + abs(x))",
        source="Bergstra et al. 2009",
        definition=lambda m, x: x / (1 + abs(x)),
        budget=Budget(4, 4, "a sum, a quotient and a square, each rounded"),
        limits=((-INF, -1.0, 0.0), (INF, 1.0, 0.0)),
        from_output=FromOutput(
            "signed_unit",
            lambda m, g, y: g * (1 - abs(y)) ** 2,
            "g * (1 - abs(y))**2",
            Budget(0, 4, "a difference, a square and a product"),
        ),
        aliases=("soft_sign",),
    ),
    activation(
        "log_sigmoid",
        "Logarithm of the logistic function",
        lambda m, x: logistic(m, -x),
        formula="-log(1 + exp(-x))",
        source="DLMF 4.2; Maechler 2012 for its stable form",
        definition=lambda m, x: -_softplus(m, -x),
        budget=Budget(8, 16, "an exp and a log1p; the derivative goes through exp(-x - log(1 + exp(-x))) in JAX"),
        limits=((-INF, -INF, 1.0), (INF, 0.0, 0.0)),
        transcendentals=2,
        aliases=("logsigmoid",),
    ),
    activation(
        "tanh_shrink",
        "x less its hyperbolic tangent",
        lambda m, x: m.tanh(x) ** 2,
        formula="x - tanh(x)",
        source="Gregor and LeCun 2010 for shrinkage; DLMF 4.39 for its continued fraction",
        definition=lambda m, x: x - m.tanh(x),
        budget=Budget(8, 8, "a tanh and a difference, without cancellation near 0"),
        limits=((-INF, -INF, 1.0), (INF, INF, 1.0)),
        transcendentals=1,
        aliases=("tanhshrink",),
    ),
    activation(
        "squareplus",
        "Algebraic smooth rectifier",
        lambda m, x, b: (1 + x / _root(m, x, b)) / 2,
        formula="(x + sqrt(x**2 + b)) / 2",
        source="Barron 2021",
        parameters=(Parameter("b", 4.0, above=0.0),),
        definition=_squareplus,
        budget=Budget(8, 8, "a square root and two sums, without cancellation left of 0"),
        limits=RISING,
        alternatives=({"b": 0.1},),
        choice="b > 0",
        elsewhere="jax.nn.squareplus also takes b = 0, which is relu",
    ),
    activation(
        "exponential",
        "Exponential function",
        lambda m, x: m.exp(x),
        formula="exp(x)",
        source="DLMF 4.2.19",
        definition=lambda m, x: m.exp(x),
        budget=ELEMENTARY,
        limits=((-INF, 0.0, 0.0), (INF, INF, INF)),
        transcendentals=1,
        from_output=FromOutput("nonnegative", lambda m, g, y: g * y, "g * y", Budget(0, 1, "a product")),
        aliases=("exp",),
    ),
)
