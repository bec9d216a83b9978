"""Activations along an axis, each stated once."""

from __future__ import annotations

from typing import Any

from backends.catalogue.formulas import AXIS, d_logistic, depth, log_softmax, logistic, softmax, softmax_scale
from backends.interface import Budget, FromOutput, Input, Math, OpSpec


def _d_softmax(m: Math, g: Any, x: Any, *, axis: int) -> Any:
    y = softmax(m, x, axis=axis)
    return y * (g - m.sum(g * y, axis=axis, keepdims=True))


def _softmax_gradient_scale(m: Math, g: Any, x: Any, *, axis: int) -> Any:
    y = softmax(m, x, axis=axis)
    return y * (abs(g) + m.sum(abs(g) * y, axis=axis, keepdims=True)) * (1 + depth(m, x, axis=axis))


def _softmax_gradient_from_output(m: Math, g: Any, y: Any, *, axis: int) -> Any:
    return y * (g - m.sum(g * y, axis=axis, keepdims=True))


def _softmax_from_output_scale(m: Math, g: Any, y: Any, *, axis: int) -> Any:
    return y * (abs(g) + m.sum(abs(g) * y, axis=axis, keepdims=True))


def _d_log_softmax(m: Math, g: Any, x: Any, *, axis: int) -> Any:
    return g - softmax(m, x, axis=axis) * m.sum(g, axis=axis, keepdims=True)


def _log_softmax_gradient_from_output(m: Math, g: Any, y: Any, *, axis: int) -> Any:
    return g - m.exp(y) * m.sum(g, axis=axis, keepdims=True)


def _log_softmax_from_output_scale(m: Math, g: Any, y: Any, *, axis: int) -> Any:
    return abs(g) + m.exp(y) * m.sum(abs(g), axis=axis, keepdims=True)


def _log_softmax_scale(m: Math, x: Any, *, axis: int) -> Any:
    return 1 + depth(m, x, axis=axis)


def _log_softmax_gradient_scale(m: Math, g: Any, x: Any, *, axis: int) -> Any:
    return abs(g) + softmax_scale(m, x, axis=axis) * m.sum(abs(g), axis=axis, keepdims=True)


def _sparsemax(m: Math, x: Any, *, axis: int) -> Any:
    above = x - _sparsemax_threshold(m, x, axis)
    return m.where(above <= 0, 0, above)


def _sparsemax_threshold(m: Math, x: Any, axis: int) -> Any:
    """Return the largest, over all k, of (sum of the k largest entries - 1) / k."""
    sums = m.cumsum(-m.sort(-x, axis=axis), axis=axis)
    return m.max((sums - 1) / m.count(x, axis=axis), axis=axis, keepdims=True)


def _d_sparsemax(m: Math, g: Any, x: Any, *, axis: int) -> Any:
    support = m.where(_sparsemax(m, x, axis=axis) > 0, 1, 0)
    mean = m.sum(support * g, axis=axis, keepdims=True) / m.sum(support, axis=axis, keepdims=True)
    return support * (g - mean)


def _sparsemax_gradient_scale(m: Math, g: Any, x: Any, *, axis: int) -> Any:
    del x
    return abs(g) + m.sum(abs(g), axis=axis, keepdims=True)


def _sparsemax_gradient_from_output(m: Math, g: Any, y: Any, *, axis: int) -> Any:
    support = m.where(y > 0, 1, y * 0)  # NaN stays
    mean = m.quotient(m.sum(support * g, axis=axis, keepdims=True), m.sum(support, axis=axis, keepdims=True))
    return support * (g - mean)


def _glu(m: Math, x: Any, *, axis: int) -> Any:
    value, gate = m.halves(x, axis=axis)
    return value * logistic(m, gate)


def _d_glu(m: Math, g: Any, x: Any, *, axis: int) -> Any:
    value, gate = m.halves(x, axis=axis)
    return m.join(g * logistic(m, gate), g * value * d_logistic(m, gate), axis=axis)


def _half(shape: tuple[int, ...], *, axis: int) -> tuple[int, ...]:
    if shape[axis] % 2:
        raise ValueError(f"x must have an even length along axis {axis}; got {shape[axis]}")
    halved = list(shape)
    halved[axis] //= 2
    return tuple(halved)


_ALONG_AXIS: tuple[dict[str, int], ...] = ({"axis": 0}, {"axis": 1})

OPS: tuple[OpSpec, ...] = (
    OpSpec(
        name="softmax",
        kind="along_axis",
        summary="Exponentials, normalised to sum to one along an axis",
        formula="exp(x) / sum(exp(x))",
        source="Bridle 1990; Blanchard, Higham and Higham 2021 for its error",
        inputs=(Input("x"),),
        parameters=(AXIS,),
        definition=softmax,
        gradient=_d_softmax,
        budget=Budget(
            8,
            16,
            "rounding of x - max(x) is amplified by its size; the sum adds roundings of its own",
            forward_scale=softmax_scale,
            backward_scale=_softmax_gradient_scale,
        ),
        transcendentals=1,
        alternatives=_ALONG_AXIS,
        from_output=FromOutput(
            "distribution",
            _softmax_gradient_from_output,
            "y * (g - sum(g * y))",
            Budget(
                0, 8, "a sum of products, a difference and a product", backward_scale=_softmax_from_output_scale
            ),
        ),
    ),
    OpSpec(
        name="log_softmax",
        kind="along_axis",
        summary="Logarithm of softmax",
        formula="x - log(sum(exp(x)))",
        source="Blanchard, Higham and Higham 2021",
        inputs=(Input("x"),),
        parameters=(AXIS,),
        definition=log_softmax,
        gradient=_d_log_softmax,
        budget=Budget(
            8,
            16,
            "difference of x - max(x) and a logarithm, each rounded",
            forward_scale=_log_softmax_scale,
            backward_scale=_log_softmax_gradient_scale,
        ),
        transcendentals=1,
        alternatives=_ALONG_AXIS,
        from_output=FromOutput(
            "log_distribution",
            _log_softmax_gradient_from_output,
            "g - exp(y) * sum(g)",
            Budget(
                0, 8, "an exp, a sum, a product and a difference", backward_scale=_log_softmax_from_output_scale
            ),
        ),
        aliases=("logsoftmax",),
    ),
    OpSpec(
        name="softmin",
        kind="along_axis",
        summary="Softmax of -x",
        formula="exp(-x) / sum(exp(-x))",
        source="Bridle 1990, with the sign reversed",
        inputs=(Input("x"),),
        parameters=(AXIS,),
        definition=lambda m, x, axis: softmax(m, -x, axis=axis),
        gradient=lambda m, g, x, axis: -_d_softmax(m, g, -x, axis=axis),
        budget=Budget(
            8,
            16,
            "as softmax",
            forward_scale=lambda m, x, axis: softmax_scale(m, -x, axis=axis),
            backward_scale=lambda m, g, x, axis: _softmax_gradient_scale(m, g, -x, axis=axis),
        ),
        transcendentals=1,
        alternatives=_ALONG_AXIS,
        from_output=FromOutput(
            "distribution",
            lambda m, g, y, axis: -_softmax_gradient_from_output(m, g, y, axis=axis),
            "y * (sum(g * y) - g)",
            Budget(0, 8, "as softmax", backward_scale=_softmax_from_output_scale),
        ),
    ),
    OpSpec(
        name="sparsemax",
        kind="along_axis",
        summary="The nearest distribution: a softmax with zeros",
        formula="max(x - tau, 0), where tau makes the sum 1",
        source="Martins and Astudillo 2016",
        inputs=(Input("x"),),
        parameters=(AXIS,),
        definition=_sparsemax,
        gradient=_d_sparsemax,
        budget=Budget(
            8,
            16,
            "a difference of numbers near each other, absolutely as exact as 1",
            forward_scale=lambda m, x, axis: x * 0 + 1,
            backward_scale=_sparsemax_gradient_scale,
        ),
        kink_convention="an entry that just reaches 0 has no part in the gradient",
        alternatives=_ALONG_AXIS,
        from_output=FromOutput(
            "distribution",
            _sparsemax_gradient_from_output,
            "g - mean(g where y > 0) where y > 0, else 0",
            Budget(0, 8, "a sum, a quotient and a difference", backward_scale=_sparsemax_gradient_scale),
        ),
    ),
    OpSpec(
        name="glu",
        kind="along_axis",
        summary="Gated linear unit: the first half of x times the logistic function of the second",
        formula="x[:n/2] * sigmoid(x[n/2:])",
        source="Dauphin et al. 2017",
        inputs=(Input("x"),),
        parameters=(AXIS,),
        definition=_glu,
        gradient=_d_glu,
        budget=Budget(8, 12, "a logistic function and products"),
        transcendentals=1,
        shape=_half,
        alternatives=_ALONG_AXIS,
        choice="the second half is the gate",
        elsewhere="PyTorch, JAX and Keras as here",
    ),
)
