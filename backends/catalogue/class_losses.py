"""Losses of a row of classes, stated once, before any reduction; a mean is over rows.

With class weights, a mean divides by the sum of the weights of the rows that took part, as PyTorch and ONNX do;
rows whose label is `ignore_index` take no part: their loss and gradient are 0.
"""

from __future__ import annotations

from typing import Any

from backends.catalogue.formulas import AXIS, depth, log_softmax, softmax, softmax_scale, times_log
from backends.catalogue.losses import EPS, loss
from backends.interface import Budget, Formula, Input, Math, OpSpec, Parameter

DISTRIBUTION = Input("target", "distribution")
LABELS = Input("labels", "labels", "rows")
WEIGHT = Input("weight", "positive", "classes", optional=True)
SMOOTHING = Parameter("label_smoothing", 0.0, minimum=0.0, maximum=1.0)
IGNORED = Parameter("ignore_index", None, whole=True)


def _loss(
    name: str, summary: str, definition: Formula, gradient: Formula, budget: Budget, *more: Parameter, **facts: Any
) -> OpSpec:
    facts["alternatives"] = ({"axis": 0}, *facts.get("alternatives", ()))
    return loss(name, summary, definition, gradient, budget, AXIS, *more, **facts)


def _cross_entropy(m: Math, prediction: Any, target: Any, *, axis: int, eps: float) -> Any:
    return -m.sum(times_log(m, target, prediction + eps), axis=axis)


def _cross_entropy_scale(m: Math, prediction: Any, target: Any, *, axis: int, eps: float) -> Any:
    return m.sum(target + abs(times_log(m, target, prediction + eps)), axis=axis)


def _smoothed(m: Math, target: Any, axis: int, label_smoothing: float) -> Any:
    """Move a share of each target to all classes alike."""
    return (1 - label_smoothing) * target + label_smoothing / m.sum(target * 0 + 1, axis=axis, keepdims=True)


def _against(m: Math, target: Any, values: Any, axis: int) -> Any:
    """Σ target·value, where a term with a target of 0 is 0 even if the value is infinite."""
    return m.sum(m.where(target == 0, 0, target * values), axis=axis)


def _softmax_cross_entropy(m: Math, x: Any, target: Any, *, axis: int, label_smoothing: float) -> Any:
    return -_against(m, _smoothed(m, target, axis, label_smoothing), log_softmax(m, x, axis=axis), axis)


def _softmax_cross_entropy_scale(m: Math, x: Any, target: Any, *, axis: int, label_smoothing: float) -> Any:
    return _against(m, _smoothed(m, target, axis, label_smoothing), 1 + depth(m, x, axis=axis), axis)


def _d_softmax_cross_entropy(m: Math, g: Any, x: Any, target: Any, *, axis: int, label_smoothing: float) -> Any:
    target = _smoothed(m, target, axis, label_smoothing)
    return g * (softmax(m, x, axis=axis) * m.sum(target, axis=axis, keepdims=True) - target)


def _d_softmax_cross_entropy_scale(
    m: Math, g: Any, x: Any, target: Any, *, axis: int, label_smoothing: float
) -> Any:
    target = _smoothed(m, target, axis, label_smoothing)
    return abs(g) * (softmax_scale(m, x, axis=axis) * m.sum(target, axis=axis, keepdims=True) + target)


def _one_hot(m: Math, labels: Any, like: Any, axis: int, ignore_index: int | None) -> Any:
    """Return 1 at each label and 0 elsewhere; only 0 in rows that are ignored."""
    return m.one_hot(m.where(labels == ignore_index, -1, labels), like.shape[axis], axis)


def _label_targets(
    m: Math, x: Any, labels: Any, weight: Any, axis: int, ignore_index: int | None, label_smoothing: float = 0.0
) -> Any:
    """Return the target distribution of each row, times the weights: 0 in rows that are ignored."""
    hot = _one_hot(m, labels, x, axis, ignore_index)
    present = m.sum(hot, axis=axis, keepdims=True)
    weights = 1 if weight is None else m.along(weight, x.ndim, axis)
    return weights * ((1 - label_smoothing) * hot + label_smoothing / x.shape[axis] * present)


def _taking_part(
    m: Math, x: Any, labels: Any, weight: Any, *, axis: int, ignore_index: int | None, **_: Any
) -> Any:
    return m.sum(_label_targets(m, x * 0, labels, weight, axis, ignore_index), axis=axis)


def _label_cross_entropy(m: Math, x: Any, labels: Any, weight: Any, *, axis: int, **parameters: Any) -> Any:
    target = _label_targets(m, x, labels, weight, axis, **parameters)
    return -_against(m, target, log_softmax(m, x, axis=axis), axis)


def _label_cross_entropy_scale(m: Math, x: Any, labels: Any, weight: Any, *, axis: int, **parameters: Any) -> Any:
    target = _label_targets(m, x, labels, weight, axis, **parameters)
    return _against(m, target, 1 + depth(m, x, axis=axis), axis)


def _d_label_cross_entropy(
    m: Math, g: Any, x: Any, labels: Any, weight: Any, *, axis: int, **parameters: Any
) -> Any:
    target = _label_targets(m, x, labels, weight, axis, **parameters)
    total = m.sum(target, axis=axis, keepdims=True)
    # A row without weight takes no part, whatever it holds.
    return m.where(total == 0, 0, g * (softmax(m, x, axis=axis) * total - target))


def _d_label_cross_entropy_scale(
    m: Math, g: Any, x: Any, labels: Any, weight: Any, *, axis: int, **parameters: Any
) -> Any:
    target = _label_targets(m, x, labels, weight, axis, **parameters)
    total = m.sum(target, axis=axis, keepdims=True)
    return m.where(total == 0, 0, abs(g) * (softmax_scale(m, x, axis=axis) * total + target))


def _likelihood(m: Math, x: Any, labels: Any, weight: Any, *, axis: int, ignore_index: int | None) -> Any:
    return -_against(m, _label_targets(m, x, labels, weight, axis, ignore_index), x, axis)


def _d_likelihood(
    m: Math, g: Any, x: Any, labels: Any, weight: Any, *, axis: int, ignore_index: int | None
) -> Any:
    return -g * _label_targets(m, x, labels, weight, axis, ignore_index)


def _divergence_terms(m: Math, x: Any, target: Any) -> tuple[Any, Any]:
    return times_log(m, target, target), m.where(target == 0, 0, target * x)


def _divergence(m: Math, x: Any, target: Any, *, axis: int) -> Any:
    entropy, cross = _divergence_terms(m, x, target)
    return m.sum(entropy - cross, axis=axis)


def _divergence_scale(m: Math, x: Any, target: Any, *, axis: int) -> Any:
    return m.sum(sum(map(abs, _divergence_terms(m, x, target))), axis=axis)


def _others(m: Math, p: Any, t: Any) -> Any:
    """(1 - t)·p, and 0 at the target even if the prediction is infinite."""
    return m.where(t == 1, 0, (1 - t) * p)


def _class_margins(m: Math, p: Any, t: Any, axis: int) -> tuple[Any, Any]:
    """Return the predictions for all classes but the target, and the margin by which the loss exceeds 0."""
    others = _others(m, p, t)
    largest = m.max(others, axis=axis, keepdims=True)
    return others, 1 + largest - m.sum(m.where(t == 0, 0, t * p), axis=axis, keepdims=True)


def _categorical_hinge(m: Math, p: Any, t: Any, *, axis: int) -> Any:
    margin = m.sum(_class_margins(m, p, t, axis)[1], axis=axis)
    return m.where(margin <= 0, 0, margin)


def _categorical_hinge_scale(m: Math, p: Any, t: Any, *, axis: int) -> Any:
    return 1 + abs(m.max(_others(m, p, t), axis=axis)) + m.sum(m.where(t == 0, 0, abs(t * p)), axis=axis)


def _d_categorical_hinge(m: Math, g: Any, p: Any, t: Any, *, axis: int) -> Any:
    others, margin = _class_margins(m, p, t, axis)
    best = m.where(others == m.max(others, axis=axis, keepdims=True), 1, 0)
    share = best / (m.sum(best, axis=axis, keepdims=True) + t * 0)
    return m.where(margin > 0, g * ((1 - t) * share - t), 0)


def _norms(m: Math, p: Any, t: Any, axis: int, eps: float) -> tuple[Any, Any]:
    norms = [m.sqrt(m.sum(a**2, axis=axis, keepdims=True)) for a in (p, t)]
    return norms[0], m.where(norms[1] > eps, norms[1], eps)


def _cosine(m: Math, p: Any, t: Any, *, axis: int, eps: float) -> Any:
    first, second = _norms(m, p, t, axis, eps)
    return m.sum(p * t / (m.where(first > eps, first, eps) * second), axis=axis)


def _cosine_scale(m: Math, p: Any, t: Any, *, axis: int, eps: float) -> Any:
    first, second = _norms(m, p, t, axis, eps)
    return m.sum(abs(p * t) / (m.where(first > eps, first, eps) * second), axis=axis)


def _d_cosine(m: Math, g: Any, p: Any, t: Any, *, axis: int, eps: float) -> Any:
    first, second = _norms(m, p, t, axis, eps)
    cosine = m.sum(p * t / (m.where(first > eps, first, eps) * second), axis=axis, keepdims=True)
    turned = m.where(first > eps, m.ratio(cosine * p, first**2), 0)
    return g * (t / (m.where(first > eps, first, eps) * second) - turned)


def _d_cosine_scale(m: Math, g: Any, p: Any, t: Any, *, axis: int, eps: float) -> Any:
    first, second = _norms(m, p, t, axis, eps)
    lower = m.where(first > eps, first, eps)
    cosine = m.sum(abs(p * t) / (lower * second), axis=axis, keepdims=True)
    return abs(g) * (abs(t) / (lower * second) + cosine * abs(p) / lower**2)


def _overlap(m: Math, p: Any, t: Any, axis: int, alpha: float, beta: float, eps: float) -> tuple[Any, Any]:
    """Return the numerator and denominator of Tversky's index."""
    both = m.sum(t * p, axis=axis, keepdims=True) + eps
    return both, both + m.sum(alpha * (1 - t) * p + beta * t * (1 - p), axis=axis, keepdims=True)


def _tversky(m: Math, p: Any, t: Any, *, axis: int, alpha: float, beta: float, eps: float) -> Any:
    both, all_ = _overlap(m, p, t, axis, alpha, beta, eps)
    return m.sum(1 - both / all_, axis=axis)


def _d_tversky(m: Math, g: Any, p: Any, t: Any, *, axis: int, alpha: float, beta: float, eps: float) -> Any:
    both, all_ = _overlap(m, p, t, axis, alpha, beta, eps)
    return g * (both * (t + alpha * (1 - t) - beta * t) - t * all_) / all_**2


def _d_tversky_scale(m: Math, g: Any, p: Any, t: Any, *, axis: int, alpha: float, beta: float, eps: float) -> Any:
    both, all_ = _overlap(m, p, t, axis, alpha, beta, eps)
    return abs(g) * (both * (t + alpha * (1 - t) + beta * t) + t * all_) / all_**2


def _dice(m: Math, p: Any, t: Any, *, axis: int, eps: float) -> Any:
    both = 2 * m.sum(t * p, axis=axis) + eps
    return 1 - both / (m.sum(t + p, axis=axis) + eps)


def _d_dice(m: Math, g: Any, p: Any, t: Any, *, axis: int, eps: float) -> Any:
    both = 2 * m.sum(t * p, axis=axis, keepdims=True) + eps
    all_ = m.sum(t + p, axis=axis, keepdims=True) + eps
    return g * (both - 2 * t * all_) / all_**2


def _d_dice_scale(m: Math, g: Any, p: Any, t: Any, *, axis: int, eps: float) -> Any:
    both = 2 * m.sum(t * p, axis=axis, keepdims=True) + eps
    all_ = m.sum(t + p, axis=axis, keepdims=True) + eps
    return abs(g) * (both + 2 * t * all_) / all_**2


_MASKS = (Input("prediction", "unit"), Input("target", "unit"))

OPS: tuple[OpSpec, ...] = (
    _loss(
        "categorical_cross_entropy",
        "Cross entropy of a distribution given as probabilities; the course notes' cross entropy",
        _cross_entropy,
        lambda m, g, p, t, axis, eps: -g * m.ratio(t, p + eps),
        Budget(
            8,
            4,
            "prediction + eps is rounded before its logarithm, which is lost near log(1) = 0",
            forward_scale=_cross_entropy_scale,
        ),
        Parameter("eps", 1e-7, minimum=0.0),
        formula="-sum(target * log(prediction + eps))",
        source="course notes; Good 1952",
        inputs=(Input("prediction", "distribution"), DISTRIBUTION),
        transcendentals=1,
        course_notes=True,
        aliases=("cross_entropy_of_probabilities", "categorical_crossentropy"),
        alternatives=({"eps": 1e-3}, {"eps": 0.0}),
        choice="log(prediction + eps), eps=1e-7, as the course notes",
        elsewhere="Keras divides the prediction by its sum and clips it to 1e-7 from 0 and 1",
    ),
    _loss(
        "softmax_cross_entropy",
        "Cross entropy of softmax(logits) and a target distribution",
        _softmax_cross_entropy,
        _d_softmax_cross_entropy,
        Budget(
            8,
            16,
            "sum over classes of terms as large as the logits; the gradient is a difference of probabilities",
            forward_scale=_softmax_cross_entropy_scale,
            backward_scale=_d_softmax_cross_entropy_scale,
        ),
        SMOOTHING,
        formula="-sum(target * log_softmax(logits))",
        source="Bridle 1990; Szegedy et al. 2016 for label smoothing",
        inputs=(Input("logits"), DISTRIBUTION),
        transcendentals=1,
        alternatives=({"label_smoothing": 0.1}, {"label_smoothing": 1.0}),
    ),
    _loss(
        "softmax_cross_entropy_with_integer_labels",
        "Cross entropy of softmax(logits) and the index of the true class",
        _label_cross_entropy,
        _d_label_cross_entropy,
        Budget(
            8,
            16,
            "a logarithm and the depth of one logit; the gradient is a difference of probabilities",
            forward_scale=_label_cross_entropy_scale,
            backward_scale=_d_label_cross_entropy_scale,
        ),
        IGNORED,
        SMOOTHING,
        formula="-weight[label] * log_softmax(logits)[label]",
        source="Bridle 1990; Szegedy et al. 2016 for label smoothing",
        inputs=(Input("logits"), LABELS, WEIGHT),
        transcendentals=1,
        mean_weight=_taking_part,
        aliases=("cross_entropy", "sparse_categorical_crossentropy"),
        fuses=("log_softmax", "negative_log_likelihood"),
        alternatives=({"ignore_index": 2}, {"label_smoothing": 0.1}, {"label_smoothing": 0.3, "ignore_index": 0}),
        choice="a mean divides by the weights that took part; ignore_index=None",
        elsewhere="PyTorch as here, with ignore_index=-100; Keras divides by the number of rows",
    ),
    _loss(
        "negative_log_likelihood",
        "Negative log-probability of the true class",
        _likelihood,
        _d_likelihood,
        Budget(2, 2, "a product with a weight, rounded"),
        IGNORED,
        formula="-weight[label] * prediction[label]",
        source="Fisher 1922",
        inputs=(Input("prediction", "log_distribution"), LABELS, WEIGHT),
        mean_weight=_taking_part,
        linear=True,
        gathers=True,
        aliases=("nll", "nll_loss"),
        alternatives=({"ignore_index": 2},),
        choice="a mean divides by the weights that took part; ignore_index=None",
        elsewhere="PyTorch as here, with ignore_index=-100",
    ),
    _loss(
        "kl_divergence",
        "Kullback-Leibler divergence of a distribution given by its logarithm",
        _divergence,
        lambda m, g, x, t, axis: -g * t,
        Budget(8, 4, "sums of terms of both signs", forward_scale=_divergence_scale),
        formula="sum(target * (log(target) - prediction))",
        source="Kullback and Leibler 1951",
        inputs=(Input("prediction", "log_distribution"), DISTRIBUTION),
        transcendentals=1,
        linear=True,
        aliases=("kl_div", "kullback_leibler_divergence"),
        choice="log-probabilities; a mean is over rows",
        elsewhere="PyTorch's 'mean' is over elements, its 'batchmean' as here; Keras takes probabilities",
    ),
    _loss(
        "categorical_hinge",
        "How far the true class falls short of the best other one, plus a margin",
        _categorical_hinge,
        _d_categorical_hinge,
        Budget(4, 8, "a difference of a sum and a maximum", forward_scale=_categorical_hinge_scale),
        formula="max(1 + max((1 - target) * prediction) - sum(target * prediction), 0)",
        source="Weston and Watkins 1999; Keras' loss of this name",
        inputs=(Input("prediction"), Input("target", "one_hot")),
        kink_convention="the gradient is 0 at the margin; equal maxima share it",
    ),
    _loss(
        "cosine_similarity",
        "Cosine of the angle between prediction and target",
        _cosine,
        _d_cosine,
        Budget(
            8, 16, "a sum of products and two norms", forward_scale=_cosine_scale, backward_scale=_d_cosine_scale
        ),
        Parameter("eps", 1e-8, above=0.0),
        formula="sum(prediction * target) / (max(norm(prediction), eps) * max(norm(target), eps))",
        source="Salton and McGill 1983",
        inputs=(Input("prediction"), Input("target")),
        choice="1 for the same direction",
        elsewhere="PyTorch and Optax as here; Keras' loss is its negative",
    ),
    _loss(
        "dice",
        "1 less Dice's coefficient of two soft sets",
        _dice,
        _d_dice,
        Budget(
            8,
            8,
            "1 less a quotient of sums",
            forward_scale=lambda m, p, t, axis, eps: m.sum(p * 0, axis=axis) + 1,
            backward_scale=_d_dice_scale,
        ),
        EPS,
        formula="1 - (2 * sum(target * prediction) + eps) / (sum(target) + sum(prediction) + eps)",
        source="Dice 1945; Milletari, Navab and Ahmadi 2016",
        inputs=_MASKS,
        alternatives=({"eps": 1.0},),
        choice="one coefficient a row",
        elsewhere="Keras: one for the whole batch unless its axis says otherwise",
    ),
    _loss(
        "tversky",
        "1 less Tversky's index of two soft sets",
        _tversky,
        _d_tversky,
        Budget(
            8,
            8,
            "1 less a quotient of sums",
            forward_scale=lambda m, p, t, axis, **_: m.sum(p * 0, axis=axis) + 1,
            backward_scale=_d_tversky_scale,
        ),
        Parameter("alpha", 0.5, minimum=0.0),
        Parameter("beta", 0.5, minimum=0.0),
        EPS,
        formula="1 - (i + eps) / (i + alpha * sum((1 - t) * p) + beta * sum(t * (1 - p)) + eps), i = sum(t * p)",
        source="Tversky 1977; Salehi, Erdogmus and Gholipour 2017",
        inputs=_MASKS,
        alternatives=({"alpha": 0.3, "beta": 0.7}, {"eps": 1.0}),
        choice="alpha weighs false positives, beta false negatives",
        elsewhere="Keras as here, one index for the whole batch",
    ),
)
