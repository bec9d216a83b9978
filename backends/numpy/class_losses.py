"""NumPy: losses of a row of classes, which lie along the last axis in every kernel."""

from __future__ import annotations

from backends.host import Pairs
from backends.numpy import parts, row_parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import Result
from backends.numpy.row_blocks import label_loss, label_loss_pullback, row_loss, row_loss_pullback


@row_loss(wide=1)
def categorical_cross_entropy(prediction: np.ndarray, target: np.ndarray, y: np.ndarray, *, eps: float) -> Result:
    """-Σ t·log(p + eps)."""
    logs = np.log(np.add(prediction, eps, y) if eps else prediction, y)
    return np.negative(row_parts.dot(target, logs))


@row_loss_pullback
def categorical_cross_entropy_vjp(
    prediction: np.ndarray, target: np.ndarray, out: np.ndarray, *, eps: float
) -> None:
    """-t / (p + eps)."""
    if eps == 0:
        parts.ratio(-target, prediction + 0, out)  # -0.0 is 0 too
        return
    np.divide(target, np.add(prediction, eps, out), out)
    np.negative(out, out)


@row_loss(wide=2)
def softmax_cross_entropy(
    logits: np.ndarray, target: np.ndarray, z: np.ndarray, e: np.ndarray, *, label_smoothing: float
) -> Result:
    """Σ t · log(Σ exp(x - max)) - Σ t·(x - max)."""
    target = _smoothed(target, label_smoothing)
    row_parts.shift(logits, None, z)
    logs = np.log(np.add_up(np.exp(z, e), -1))
    return np.add_up(target, -1) * logs - row_parts.dot(target, z)


@row_loss_pullback
def softmax_cross_entropy_vjp(
    logits: np.ndarray, target: np.ndarray, out: np.ndarray, *, label_smoothing: float
) -> None:
    """softmax(x)·Σ t - t."""
    target = _smoothed(target, label_smoothing)
    np.exp(row_parts.shift(logits, None, out), out)
    np.multiply(out, row_parts.row_sum(target) / row_parts.row_sum(out), out)
    np.subtract(out, target, out)


@label_loss(wide=1)
def softmax_cross_entropy_with_integer_labels(
    logits: np.ndarray,
    labels: np.ndarray,
    shifted: np.ndarray,
    *,
    weight: np.ndarray | None,
    label_smoothing: float,
) -> Result:
    """w[label]·(log(Σ exp(x - max)) - (x - max)[label]); smoothed, a share of it over all classes."""
    row_parts.shift(logits, None, shifted)
    chosen = row_parts.chosen(shifted, labels)
    if label_smoothing == 0:
        losses = np.log(np.add_up(np.exp(shifted, shifted), -1)) - chosen
        return np.asarray(losses if weight is None else losses * weight[labels[..., 0]])
    logs = np.log(np.exp(shifted).sum(-1))
    weights = np.ones(logits.shape[-1], logits.dtype) if weight is None else weight
    losses = weights.sum() * logs - row_parts.dot(np.broadcast_to(weights, shifted.shape), shifted)
    losses *= label_smoothing / logits.shape[-1]
    if label_smoothing < 1:  # the label's own share may be infinite
        losses += (1 - label_smoothing) * (logs - chosen) * weights[labels[..., 0]]
    return np.asarray(losses)


@label_loss_pullback
def softmax_cross_entropy_with_integer_labels_vjp(
    logits: np.ndarray, labels: np.ndarray, out: np.ndarray, *, weight: np.ndarray | None, label_smoothing: float
) -> None:
    """softmax(x)·Σ t - t, t = w at the label; smoothed, a share of the weights at all classes."""
    e = row_parts.shifted_exp(logits)
    if label_smoothing == 0 and weight is None:
        np.divide(e, e.sum(-1, keepdims=True), out=out)
        np.put_along_axis(out, labels, np.take_along_axis(out, labels, -1) - 1, -1)
        return
    weights = np.ones(logits.shape[-1], logits.dtype) if weight is None else weight
    spread = weights * logits.dtype.type(label_smoothing / logits.shape[-1])
    own = (1 - label_smoothing) * weights[labels]
    e *= (own + spread.sum()) / e.sum(-1, keepdims=True)
    np.subtract(e, spread, out=out)
    np.put_along_axis(out, labels, np.take_along_axis(out, labels, -1) - own, -1)


@label_loss(blocked=False)
def negative_log_likelihood(prediction: np.ndarray, labels: np.ndarray, *, weight: np.ndarray | None) -> Result:
    """-w[label]·prediction[label]."""
    chosen = row_parts.chosen(prediction, labels)
    return np.asarray(-chosen if weight is None else -chosen * weight[labels[..., 0]])


@label_loss_pullback
def negative_log_likelihood_vjp(
    prediction: np.ndarray, labels: np.ndarray, out: np.ndarray, *, weight: np.ndarray | None
) -> None:
    """-w at the label."""
    del prediction
    out.fill(0)
    np.put_along_axis(out, labels, -1 if weight is None else -weight[labels], -1)


@row_loss(wide=1)
def kl_divergence(prediction: np.ndarray, target: np.ndarray, logs: np.ndarray) -> Result:
    """Σ t·(log(t) - x), where a term with t = 0 is 0."""
    np.log(target, logs)
    np.subtract(logs, prediction, logs)
    if not parts.lowest(logs) > -np.inf:
        np.copyto(logs, 0, where=(target == 0) & ~np.isnan(prediction))
    return row_parts.row_dot(target, logs)


@row_loss_pullback
def kl_divergence_vjp(prediction: np.ndarray, target: np.ndarray, out: np.ndarray) -> None:
    """-t."""
    del prediction
    np.negative(target, out=out)


@row_loss()
def categorical_hinge(prediction: np.ndarray, target: np.ndarray) -> Result:
    """max(1 + max((1 - t)·p) - Σ t·p, 0)."""
    return np.asarray(np.maximum(_class_margin(_others(prediction, target), prediction, target)[..., 0], 0))


@row_loss_pullback
def categorical_hinge_vjp(prediction: np.ndarray, target: np.ndarray, out: np.ndarray) -> None:
    """(1 - t), shared among the largest (1 - t)·p, less t, where the margin is above 0."""
    others = _others(prediction, target)
    best = (others == others.max(-1, keepdims=True)).astype(out.dtype)
    best /= best.sum(-1, keepdims=True)  # 0/0 in a row with NaN
    best *= 1 - target
    best -= target
    margin = _class_margin(others, prediction, target)
    np.multiply(best, np.where(np.isnan(margin), margin, margin > 0), out=out)


@row_loss()
def cosine_similarity(prediction: np.ndarray, target: np.ndarray, *, eps: float) -> Result:
    """Σ u·v, u and v prediction and target over max(norm, eps)."""
    squares = [np.add_up(np.square(a, order="C"), -1) for a in (prediction, target)]
    if all(parts.lowest(square) > 1e-20 and parts.highest(square) < 1e20 for square in squares):
        norm, other = (np.maximum(np.sqrt(square), eps) for square in squares)
        product = np.add_up(np.multiply(prediction, target, order="C"), -1)
        return product / norm / other
    return np.asarray((_unit(prediction, eps)[0] * _unit(target, eps)[0]).sum(-1))


@row_loss_pullback
def cosine_similarity_vjp(prediction: np.ndarray, target: np.ndarray, out: np.ndarray, *, eps: float) -> None:
    """(v - u·Σ u·v) / norm(prediction), or v / eps where the norm is no larger than eps."""
    u, largest, root, is_long = _unit(prediction, eps)
    v = _unit(target, eps)[0]
    u *= (u * v).sum(-1, keepdims=True) * is_long
    v -= u
    v /= root
    np.divide(v, largest, out=out)


@row_loss(wide=1)
def dice(prediction: np.ndarray, target: np.ndarray, y: np.ndarray, *, eps: float) -> Result:
    """1 - (2·Σ t·p + eps) / (Σ (t + p) + eps)."""
    both, all_ = _dice_sums(prediction, target, y, eps)
    return np.asarray(1 - (both / all_)[..., 0])


@row_loss_pullback
def dice_vjp(prediction: np.ndarray, target: np.ndarray, out: np.ndarray, *, eps: float) -> None:
    """(both/all - 2t) / all, both and all the sums of the quotient."""
    both, all_ = _dice_sums(prediction, target, out, eps)
    np.subtract(both / all_, 2 * target, out=out)
    out /= all_


@row_loss()
def tversky(prediction: np.ndarray, target: np.ndarray, *, alpha: float, beta: float, eps: float) -> Result:
    """1 - both/all, both = Σ t·p + eps, all = both + Σ (alpha·(1 - t)·p + beta·t·(1 - p))."""
    both, all_ = _tversky_sums(prediction, target, alpha, beta, eps)
    return np.asarray(1 - (both / all_)[..., 0])


@row_loss_pullback
def tversky_vjp(
    prediction: np.ndarray, target: np.ndarray, out: np.ndarray, *, alpha: float, beta: float, eps: float
) -> None:
    """(both/all·(t + alpha·(1 - t) - beta·t) - t) / all."""
    both, all_ = _tversky_sums(prediction, target, alpha, beta, eps)
    slope = target + alpha * (1 - target) - beta * target
    slope *= both / all_
    np.subtract(slope, target, out=out)
    out /= all_


# --- shared parts -------------------------------------------------------------------------------------------


def _smoothed(target: np.ndarray, label_smoothing: float) -> Result:
    """Move a share of each target to all classes alike."""
    if label_smoothing == 0:
        return target
    return np.asarray((1 - label_smoothing) * target + label_smoothing / target.shape[-1])


def _others(p: np.ndarray, t: np.ndarray) -> Result:
    """(1 - t)·p, and 0 at the target even if the prediction is infinite."""
    others = np.asarray((1 - t) * p)
    parts.drop(others, lambda: t == 1)
    return others


def _class_margin(others: np.ndarray, p: np.ndarray, t: np.ndarray) -> Result:
    own = t * p
    parts.drop(own, lambda: t == 0)
    return np.asarray(1 + others.max(-1, keepdims=True) - own.sum(-1, keepdims=True))


def _unit(x: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x over max(norm, eps), that maximum as a product of two, and whether the norm is it.

    Rows are scaled by their largest entry first, so that no square overflows or underflows.
    """
    largest = np.maximum(np.abs(x).max(-1, keepdims=True), eps)
    u = x / largest
    root = np.sqrt(np.square(u).sum(-1, keepdims=True))
    bound = eps / largest
    is_long = root > bound
    root = np.maximum(root, bound)
    u /= root
    return u, largest, root, is_long


def _dice_sums(p: np.ndarray, t: np.ndarray, y: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    both = row_parts.row_dot(t, p)[..., None]
    return 2 * both + eps, row_parts.row_sum(np.add(t, p, y)) + eps


def _tversky_sums(
    p: np.ndarray, t: np.ndarray, alpha: float, beta: float, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    both = (t * p).sum(-1, keepdims=True) + eps
    return both, both + (alpha * (1 - t) * p + beta * t * (1 - p)).sum(-1, keepdims=True)


OPS: Pairs = {
    "categorical_cross_entropy": (categorical_cross_entropy, categorical_cross_entropy_vjp),
    "softmax_cross_entropy": (softmax_cross_entropy, softmax_cross_entropy_vjp),
    "softmax_cross_entropy_with_integer_labels": (
        softmax_cross_entropy_with_integer_labels,
        softmax_cross_entropy_with_integer_labels_vjp,
    ),
    "negative_log_likelihood": (negative_log_likelihood, negative_log_likelihood_vjp),
    "kl_divergence": (kl_divergence, kl_divergence_vjp),
    "categorical_hinge": (categorical_hinge, categorical_hinge_vjp),
    "cosine_similarity": (cosine_similarity, cosine_similarity_vjp),
    "dice": (dice, dice_vjp),
    "tversky": (tversky, tversky_vjp),
}
