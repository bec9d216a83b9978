"""NumPy: activations along an axis, which is the last one in every kernel."""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

from backends.host import Function, Pairs, Run, bound_by
from backends.numpy import parts, row_parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import Array, Out, Result
from backends.numpy.row_blocks import along_axis


@along_axis(narrow=1)
def softmax(x: Array, n: Array, out: Array) -> Result:
    """exp(x - max(x)), normalised. A row with +inf, or of -inf alone, is NaN, as in PyTorch and JAX."""
    return np.divide(row_parts.exponentials(x, n, out), n, out)


@along_axis(wide=1, narrow=1)
def log_softmax(x: Array, e: Array, n: Array, out: Array) -> Result:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    row_parts.shift(x, n, out)
    np.add_up(np.exp(out, e), -1, out=n, keepdims=True)
    return np.subtract(out, np.log(n), out)


@along_axis(narrow=1)
def softmin(x: Array, n: Array, out: Array) -> Result:
    """softmax(-x)."""
    return np.divide(row_parts.exponentials(np.negative(x, out), n, out), n, out)


@along_axis()
def sparsemax(x: Array, out: Array) -> Result:
    """max(x - tau, 0)."""
    return np.maximum(_above_threshold(x), 0, out=out, casting="same_kind")


def _glu(x: Array, *, axis: int, out: Out = None) -> Run:
    """value·σ(gate), of the halves of x."""
    value, gate = np.split(x, 2, axis)
    return _gate.bind(value, gate, axis=axis, out=out)


def _glu_vjp(g: Array, x: Array, *, axis: int, out: Out = None) -> Run:
    """g·σ(gate), and g·value·σ'(gate)."""

    def into(result: Array) -> Run:
        (value, gate), (d_value, d_gate) = (np.split(a, 2, axis) for a in (x, result))
        first = _gate.bind(g, gate, axis=axis, out=d_value)
        second = _gate_vjp.bind(g, value, gate, axis=axis, out=d_gate)

        def run() -> Result:
            first()
            second()
            return result

        return run

    return into(out) if out is not None else lambda: into(np.empty(x.shape, x.dtype))()  # noqa: PLW0108 - a new one each time


glu, glu_vjp = bound_by(_glu), bound_by(_glu_vjp)


# --- kernels with x first, as `along_axis` wants it ------------------------------------------------------------


@along_axis(wide=1, narrow=1)
def _softmax_vjp(x: Array, g: Array, y: Array, n: Array, out: Array) -> Result:
    """y·(g - Σ g·y), y = softmax(x)."""
    np.divide(row_parts.exponentials(x, n, y), n, y)
    np.add_up(np.multiply(g, y, out), -1, out=n, keepdims=True)
    return np.multiply(y, np.subtract(g, n, out), out)


@along_axis(narrow=1)
def _log_softmax_vjp(x: Array, g: Array, n: Array, out: Array) -> Result:
    """-softmax(x)·Σ g + g."""
    row_parts.exponentials(x, n, out)
    return np.subtract(g, np.multiply(out, row_parts.row_sum(g) / n, out), out)


@along_axis(wide=1, narrow=1)
def _softmin_vjp(x: Array, g: Array, y: Array, n: Array, out: Array) -> Result:
    """y·(Σ g·y - g), y = softmin(x)."""
    np.divide(row_parts.exponentials(np.negative(x, y), n, y), n, y)
    np.add_up(np.multiply(g, y, out), -1, out=n, keepdims=True)
    return np.multiply(y, np.subtract(n, g, out), out)


@along_axis()
def _sparsemax_vjp(x: Array, g: Array, out: Array) -> Result:
    """g less its mean, over the classes that sparsemax leaves above 0."""
    support = (_above_threshold(x) > 0).astype(x.dtype)
    mean = (support * g).sum(-1, keepdims=True) / support.sum(-1, keepdims=True)  # 0/0 in a row with NaN
    return np.multiply(support, g - mean, out)


def x_first(kernel: Function, name: str) -> Function:
    """Return the vjp `name`, which takes the cotangent first."""

    def bind(g: Array, x: Array, *, axis: int, out: Out = None) -> Run:
        return kernel.bind(x, g, axis=axis, out=out)

    vjp = bound_by(bind)
    vjp.__name__, vjp.__doc__ = name, kernel.__doc__
    return vjp


softmax_vjp = x_first(_softmax_vjp, "softmax_vjp")
log_softmax_vjp = x_first(_log_softmax_vjp, "log_softmax_vjp")
softmin_vjp = x_first(_softmin_vjp, "softmin_vjp")
sparsemax_vjp = x_first(_sparsemax_vjp, "sparsemax_vjp")


def _above_threshold(x: Array) -> Result:
    """Return x - tau in float64, where float32 is exact: tau is the largest, over k, of (Σ k largest - 1)/k."""
    z = row_parts.shifted(x.astype(np.float64))
    sums = np.cumsum(np.sort(z, -1)[..., ::-1], -1)
    sums -= 1
    sums /= np.arange(1, x.shape[-1] + 1)
    z -= sums.max(-1, keepdims=True)
    return z


@along_axis(wide=2)
def _gate(value: Array, gate: Array, a: Array, e: Array, out: Array) -> Result:
    return parts.times_sigmoid(value, gate, a, e, np.ones((), gate.dtype), out)


@along_axis(wide=2)
def _gate_vjp(g: Array, value: Array, gate: Array, e: Array, y: Array, out: Array) -> Result:
    """g·value·e/(1 + e)², e = exp(-|gate|)."""
    tail = parts.exp_minus(np.abs(gate), e)
    np.add(e, 1, y)
    np.square(y, y)
    np.divide(e, y, y)
    y *= value
    if tail is None:
        return np.multiply(y, g, out)
    y *= g
    return np.multiply(y, tail, out)


OPS: Pairs = {
    "softmax": (softmax, softmax_vjp),
    "log_softmax": (log_softmax, log_softmax_vjp),
    "softmin": (softmin, softmin_vjp),
    "sparsemax": (sparsemax, sparsemax_vjp),
    "glu": (glu, glu_vjp),
}
