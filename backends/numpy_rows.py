"""NumPy: activations along an axis, which is the last one in every kernel."""

from __future__ import annotations

import numpy as np

from backends import numpy_parts as parts
from backends.host import output
from backends.numpy_blocks import along_axis


@along_axis
def softmax(x: np.ndarray, out: np.ndarray) -> None:
    """exp(x - max(x)), normalised. A row with +inf, or of -inf alone, is NaN, as in PyTorch and JAX."""
    e = parts.shifted_exp(x)
    np.divide(e, e.sum(-1, keepdims=True), out=out)


def softmax_vjp(g: np.ndarray, x: np.ndarray, *, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    """y·(g - Σ g·y), y = softmax(x)."""
    return _softmax_vjp(x, g, axis=axis, out=out)


@along_axis
def log_softmax(x: np.ndarray, out: np.ndarray) -> None:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    shifted = parts.shifted(x)
    np.subtract(shifted, np.log(np.exp(shifted).sum(-1, keepdims=True)), out=out)


def log_softmax_vjp(g: np.ndarray, x: np.ndarray, *, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    """-softmax(x)·Σ g + g."""
    return _log_softmax_vjp(x, g, axis=axis, out=out)


@along_axis
def softmin(x: np.ndarray, out: np.ndarray) -> None:
    """softmax(-x)."""
    e = parts.shifted_exp(-x)
    np.divide(e, e.sum(-1, keepdims=True), out=out)


def softmin_vjp(g: np.ndarray, x: np.ndarray, *, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    """y·(Σ g·y - g), y = softmin(x)."""
    return _softmin_vjp(x, g, axis=axis, out=out)


@along_axis
def sparsemax(x: np.ndarray, out: np.ndarray) -> None:
    """max(x - tau, 0)."""
    np.maximum(_above_threshold(x), 0, out=out)


def sparsemax_vjp(g: np.ndarray, x: np.ndarray, *, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    """G less its mean, over the classes that sparsemax leaves above 0."""
    return _sparsemax_vjp(x, g, axis=axis, out=out)


def glu(x: np.ndarray, *, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    """value·σ(gate), of the halves of x."""
    value, gate = np.split(x, 2, axis)
    return _gate(value, gate, axis=axis, out=out)


def glu_vjp(g: np.ndarray, x: np.ndarray, *, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    """g·σ(gate), and g·value·σ'(gate)."""
    out = output(out, x)
    value, gate = np.split(x, 2, axis)
    d_value, d_gate = np.split(out, 2, axis)
    _gate(g, gate, axis=axis, out=d_value)
    _gate_vjp(g, value, gate, axis=axis, out=d_gate)
    return out


# --- kernels with x first, as `along_axis` wants it ------------------------------------------------------------


@along_axis
def _softmax_vjp(x: np.ndarray, g: np.ndarray, out: np.ndarray) -> None:
    e = parts.shifted_exp(x)
    e /= e.sum(-1, keepdims=True)
    np.multiply(e, g - (g * e).sum(-1, keepdims=True), out=out)


@along_axis
def _log_softmax_vjp(x: np.ndarray, g: np.ndarray, out: np.ndarray) -> None:
    e = parts.shifted_exp(x)
    e *= g.sum(-1, keepdims=True) / e.sum(-1, keepdims=True)
    np.subtract(g, e, out=out)


@along_axis
def _softmin_vjp(x: np.ndarray, g: np.ndarray, out: np.ndarray) -> None:
    e = parts.shifted_exp(-x)
    e /= e.sum(-1, keepdims=True)
    np.multiply(e, (g * e).sum(-1, keepdims=True) - g, out=out)


@along_axis
def _sparsemax_vjp(x: np.ndarray, g: np.ndarray, out: np.ndarray) -> None:
    support = (_above_threshold(x) > 0).astype(x.dtype)
    mean = (support * g).sum(-1, keepdims=True) / support.sum(-1, keepdims=True)  # 0/0 in a row with NaN
    np.multiply(support, g - mean, out=out)


def _above_threshold(x: np.ndarray) -> np.ndarray:
    """Return x - tau in float64, where float32 is exact: tau is the largest, over k, of (Σ k largest - 1)/k."""
    z = parts.shifted(x.astype(np.float64))
    sums = np.cumsum(np.sort(z, -1)[..., ::-1], -1)
    sums -= 1
    sums /= np.arange(1, x.shape[-1] + 1)
    z -= sums.max(-1, keepdims=True)
    return z


@along_axis
def _gate(value: np.ndarray, gate: np.ndarray, out: np.ndarray) -> None:
    parts.times_sigmoid(value, gate, out, np.empty_like(gate), np.empty_like(gate))


@along_axis
def _gate_vjp(g: np.ndarray, value: np.ndarray, gate: np.ndarray, out: np.ndarray) -> None:
    """g·value·e/(1 + e)², e = exp(-|gate|)."""
    e = np.empty_like(gate)
    tail = parts.exp_minus(np.abs(gate), e)
    np.add(e, 1, out=out)
    np.square(out, out=out)
    np.divide(e, out, out=out)
    out *= value
    out *= g
    if tail is not None:
        out *= tail
