"""Losses, each stated once, before any reduction: `reduction` is `mean`, `sum` or `none` for all of them.

`mean` divides by the number of losses: elements, or rows for losses along a class axis. The gradient is with
respect to the first input.
"""

from __future__ import annotations

from typing import Any

from backends.catalogue.activations import AXIS, _log_softmax, _logistic, _softmax, _softmax_scale, depth
from backends.interface import REDUCTIONS, Budget, Input, OpSpec, Parameter

REDUCTION = Parameter("reduction", "mean", choices=REDUCTIONS)
PREDICTION, LOGITS = Input("prediction"), Input("logits")


def _log_loss(m: Any, logits: Any, target: Any) -> Any:
    return target * m.log(1 + m.exp(-logits)) + (1 - target) * m.log(1 + m.exp(logits))


def _cross_entropy(m: Any, prediction: Any, target: Any, *, axis: int, eps: float) -> Any:
    return -m.sum(target * m.log(prediction + eps), axis=axis)


def _cross_entropy_scale(m: Any, prediction: Any, target: Any, *, axis: int, eps: float) -> Any:
    return m.sum(target * (1 + abs(m.log(prediction + eps))), axis=axis)


def _softmax_cross_entropy(m: Any, logits: Any, target: Any, *, axis: int) -> Any:
    return -m.sum(target * _log_softmax(m, logits, axis=axis), axis=axis)


def _softmax_cross_entropy_scale(m: Any, logits: Any, target: Any, *, axis: int) -> Any:
    return m.sum(target * (1 + depth(m, logits, axis=axis)), axis=axis)


def _d_softmax_cross_entropy(m: Any, g: Any, logits: Any, target: Any, *, axis: int) -> Any:
    return g * (_softmax(m, logits, axis=axis) * m.sum(target, axis=axis, keepdims=True) - target)


def _d_softmax_cross_entropy_scale(m: Any, g: Any, logits: Any, target: Any, *, axis: int) -> Any:
    return abs(g) * (_softmax_scale(m, logits, axis=axis) + target)


def _at_label(m: Any, values: Any, labels: Any, axis: int) -> Any:
    return m.take_along_axis(values, labels, axis)


def _one_hot(m: Any, labels: Any, like: Any, axis: int) -> Any:
    return m.one_hot(labels, like.shape[axis], axis)


OPS: tuple[OpSpec, ...] = (
    OpSpec(
        name="mean_squared_error",
        kind="loss",
        summary="Squared difference; with reduction='sum', the course notes' squared error",
        formula="(prediction - target)**2",
        source="course notes",
        inputs=(PREDICTION, Input("target")),
        parameters=(REDUCTION,),
        definition=lambda m, p, t: (p - t) ** 2,
        gradient=lambda m, g, p, t: 2 * g * (p - t),
        budget=Budget(4, 4, "a difference, a product and a division, each rounded; sums add their own"),
        course_notes=True,
    ),
    OpSpec(
        name="mean_absolute_error",
        kind="loss",
        summary="Absolute difference",
        formula="abs(prediction - target)",
        source="Laplace 1774",
        inputs=(PREDICTION, Input("target")),
        parameters=(REDUCTION,),
        definition=lambda m, p, t: abs(p - t),
        gradient=lambda m, g, p, t: g * m.sign(p - t),
        budget=Budget(2, 2, "a difference and a division, each rounded; the gradient is a signed cotangent"),
        kinks=(0.0,),
        kink_convention="the gradient is 0 where prediction equals target",
    ),
    OpSpec(
        name="binary_cross_entropy_with_logits",
        kind="loss",
        summary="Cross entropy of independent yes-or-no targets, from logits",
        formula="-(target * log(sigmoid(logits)) + (1 - target) * log(1 - sigmoid(logits)))",
        source="Good 1952",
        inputs=(LOGITS, Input("target", "unit")),
        parameters=(REDUCTION,),
        definition=_log_loss,
        gradient=lambda m, g, x, t: g * (_logistic(m, x) - t),
        budget=Budget(
            8,
            16,
            "stable formulas subtract logits * target from max(logits, 0)",
            forward_scale=lambda m, x, t: _log_loss(m, x, t) + abs(x),
            backward_scale=lambda m, g, x, t: abs(g) * (_logistic(m, x) + t),
        ),
        transcendentals=2,
    ),
    OpSpec(
        name="categorical_cross_entropy",
        kind="loss",
        summary="Cross entropy of a distribution given as probabilities; the course notes' cross entropy",
        formula="-sum(target * log(prediction + eps))",
        source="course notes; Good 1952",
        inputs=(Input("prediction", "distribution"), Input("target", "distribution")),
        parameters=(REDUCTION, AXIS, Parameter("eps", 1e-7, minimum=0.0)),
        definition=_cross_entropy,
        gradient=lambda m, g, p, t, axis, eps: -g * t / (p + eps),
        budget=Budget(
            8,
            4,
            "prediction + eps is rounded before its logarithm, which is lost near log(1) = 0",
            forward_scale=_cross_entropy_scale,
        ),
        transcendentals=1,
        course_notes=True,
    ),
    OpSpec(
        name="softmax_cross_entropy",
        kind="loss",
        summary="Cross entropy of softmax(logits) and a target distribution",
        formula="-sum(target * log_softmax(logits))",
        source="Bridle 1990",
        inputs=(LOGITS, Input("target", "distribution")),
        parameters=(REDUCTION, AXIS),
        definition=_softmax_cross_entropy,
        gradient=_d_softmax_cross_entropy,
        budget=Budget(
            8,
            16,
            "sum over classes of terms as large as the logits; the gradient is a difference of probabilities",
            forward_scale=_softmax_cross_entropy_scale,
            backward_scale=_d_softmax_cross_entropy_scale,
        ),
        transcendentals=1,
    ),
    OpSpec(
        name="softmax_cross_entropy_with_integer_labels",
        kind="loss",
        summary="Cross entropy of softmax(logits) and the index of the true class",
        formula="-log_softmax(logits)[label]",
        source="Bridle 1990",
        inputs=(LOGITS, Input("labels", "labels")),
        parameters=(REDUCTION, AXIS),
        definition=lambda m, x, labels, axis: -_at_label(m, _log_softmax(m, x, axis=axis), labels, axis),
        gradient=lambda m, g, x, labels, axis: g * (_softmax(m, x, axis=axis) - _one_hot(m, labels, x, axis)),
        budget=Budget(
            8,
            16,
            "a logarithm and the depth of one logit; the gradient is a difference of probabilities",
            forward_scale=lambda m, x, labels, axis: 1 + _at_label(m, depth(m, x, axis=axis), labels, axis),
            backward_scale=lambda m, g, x, labels, axis: (
                abs(g) * (_softmax_scale(m, x, axis=axis) + _one_hot(m, labels, x, axis))
            ),
        ),
        transcendentals=1,
    ),
)
