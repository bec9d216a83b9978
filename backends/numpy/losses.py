"""NumPy: losses of a difference or a margin.

Kernels run without warnings: some inputs make a loss infinite.
"""

from __future__ import annotations

from backends.host import Pairs
from backends.numpy import parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import Array, Out, Result, loss, loss_pullback


@loss(scratch=1)
def mean_squared_error(prediction: Array, target: Array, d: Array, out: Out) -> Result:
    """(prediction - target)²."""
    return np.square(np.subtract(prediction, target, d), out)


@loss_pullback(scale=2)
def mean_squared_error_vjp(prediction: Array, target: Array, d: Array) -> Result:
    """2·(prediction - target)."""
    return np.subtract(prediction, target, d)


@loss(scratch=1)
def mean_absolute_error(prediction: Array, target: Array, d: Array, out: Out) -> Result:
    """|prediction - target|."""
    return np.abs(np.subtract(prediction, target, d), out)


@loss_pullback(scratch=2)
def mean_absolute_error_vjp(prediction: Array, target: Array, d: Array, sign: Array) -> Result:
    """Return the sign of prediction - target, 0 where they are equal."""
    return np.sign(np.subtract(prediction, target, d), sign)  # in place it is not vectorised: 5.4 ns, not 0.4


@loss(scratch=3, numbers=lambda eps: (eps, 100))
def mean_absolute_percentage_error(
    prediction: Array, target: Array, bound: Array, d: Array, y: Array, eps: Array, hundred: Array, out: Out
) -> Result:
    """100·|prediction - target| / max(|target|, eps)."""
    np.abs(target, y)
    np.maximum(y, eps, out=bound)
    np.subtract(prediction, target, d)
    np.abs(d, y)
    return np.multiply(np.divide(y, bound, d), hundred, out)


@loss_pullback(scratch=3, numbers=lambda eps: (eps, 100))
def mean_absolute_percentage_error_vjp(
    prediction: Array, target: Array, d: Array, y: Array, bound: Array, eps: Array, hundred: Array
) -> Result:
    """100·sign(prediction - target) / max(|target|, eps)."""
    np.subtract(prediction, target, d)
    np.sign(d, y)
    np.multiply(y, hundred, d)
    np.abs(target, y)
    np.maximum(y, eps, out=bound)
    return np.divide(d, bound, y)


@loss(scratch=2, numbers=(1,))
def mean_squared_logarithmic_error(
    prediction: Array, target: Array, y: Array, lower: Array, one: Array, out: Out
) -> Result:
    """log(larger/lower)² of 1 + prediction and 1 + target."""
    return np.square(_log_ratio(prediction, target, y, lower, one), out)


@loss_pullback(scratch=3, numbers=(1, 2))
def mean_squared_logarithmic_error_vjp(
    prediction: Array, target: Array, y: Array, rise: Array, sign: Array, one: Array, two: Array
) -> Result:
    """2·log((1 + prediction)/(1 + target)) / (1 + prediction)."""
    _log_ratio(prediction, target, y, rise, one)
    if not parts.highest(y) < np.inf:
        np.minimum(y, np.finfo(y.dtype).max, out=y)  # 0 at infinity, not inf/inf
    np.subtract(prediction, target, rise)
    np.sign(rise, sign)
    np.multiply(y, sign, rise)
    np.add(prediction, one, y)
    np.divide(rise, y, sign)
    return np.multiply(sign, two, y)


@loss(scratch=3, numbers=lambda delta: (delta, 0.5))
def huber(
    prediction: Array, target: Array, d: Array, m: Array, y: Array, delta: Array, half: Array, out: Out
) -> Result:
    """m·(|d| - m/2), d = prediction - target, m = min(|d|, delta)."""
    return np.multiply(_bend(prediction, target, d, m, y, delta, half), m, out)


@loss_pullback(scratch=2, numbers=lambda delta: (-delta, delta))
def huber_vjp(prediction: Array, target: Array, d: Array, y: Array, low: Array, high: Array) -> Result:
    """min(max(d, -delta), delta), d = prediction - target."""
    return parts.clip(np.subtract(prediction, target, d), low, high, y)


@loss(scratch=3, numbers=lambda beta: (beta, 0.5))
def smooth_l1(
    prediction: Array, target: Array, d: Array, m: Array, y: Array, beta: Array, half: Array, out: Out
) -> Result:
    """m/beta·(|d| - m/2), d = prediction - target, m = min(|d|, beta); |d| where beta is 0."""
    if beta.item() == 0:
        return np.abs(np.subtract(prediction, target, d), out)
    _bend(prediction, target, d, m, y, beta, half)
    return np.multiply(y, np.divide(m, beta, d), out)  # the quotient is exactly 1 beyond the bend


@loss_pullback(scratch=2, numbers=lambda beta: (beta, -1, 1))
def smooth_l1_vjp(
    prediction: Array, target: Array, d: Array, y: Array, beta: Array, low: Array, high: Array
) -> Result:
    """min(max(d/beta, -1), 1), d = prediction - target; its sign where beta is 0."""
    np.subtract(prediction, target, d)
    return np.sign(d, y) if beta.item() == 0 else parts.clip(np.divide(d, beta, y), low, high, d)


@loss(scratch=4, numbers=(0.5, 1))
def log_cosh(
    prediction: Array, target: Array, d: Array, near: Array, e: Array, y: Array, half: Array, one: Array, out: Out
) -> Result:
    """log(1 + e²/(2(1 + e))) + r, e = exp(c) - 1, c = min(|d|, 20), r what |d| has beyond c.

    The argument is cosh(c) - 1, without cancellation.
    """
    np.subtract(prediction, target, y)
    np.abs(y, d)
    limit = 20 if d.itemsize == 4 else 40  # where log(cosh) is |d| - log(2)
    all_near = parts.highest(d) <= limit
    np.expm1(d if all_near else np.minimum(d, limit, out=near), e)
    np.add(e, one, y)
    if not all_near:
        d -= near
    np.divide(e, y, near)
    np.multiply(near, e, y)
    np.multiply(y, half, near)
    return np.log1p(near, out) if all_near else np.add(np.log1p(near, y), d, out)


@loss_pullback(scratch=2)
def log_cosh_vjp(prediction: Array, target: Array, d: Array, y: Array) -> Result:
    """tanh(prediction - target)."""
    return np.tanh(np.subtract(prediction, target, d), y)


@loss(scratch=3, numbers=lambda q: (-q, 1 - q))
def quantile(
    prediction: Array, target: Array, d: Array, y: Array, z: Array, left: Array, right: Array, out: Out
) -> Result:
    """(1 - q)·d where d = prediction - target is positive, -q·d where it is not: the larger of the two."""
    np.subtract(prediction, target, d)
    if not left.item():  # which would meet infinity
        return np.maximum(d, 0, out=out)
    if not right.item():
        return np.negative(np.minimum(d, 0, out=y), out)
    return np.maximum(np.multiply(d, left, y), np.multiply(d, right, z), out=out)


@loss_pullback(scratch=3, numbers=lambda q: (q, 1 - q))
def quantile_vjp(
    prediction: Array, target: Array, d: Array, y: Array, z: Array, left: Array, right: Array
) -> Result:
    """1 - q where prediction > target, -q where it is less."""
    np.subtract(prediction, target, d)
    np.sign(d, y)
    np.maximum(y, 0, out=d)
    np.minimum(y, 0, out=z)
    np.multiply(d, right, y)
    np.multiply(z, left, d)
    return np.add(y, d, z)


@loss(scratch=2, numbers=(0, 1))
def hinge(prediction: Array, target: Array, y: Array, z: Array, zero: Array, one: Array, out: Out) -> Result:
    """max(1 - target·prediction, 0)."""
    return _margin(prediction, target, y, z, zero, one, out)


@loss_pullback(scratch=2, numbers=(1,), scale=-1)
def hinge_vjp(prediction: Array, target: Array, y: Array, inside: Array, one: Array) -> Result:
    """-target where the margin, 1 - target·prediction, is above 0."""
    np.multiply(prediction, target, y)
    return np.multiply(parts.indicator(np.less(y, one), y, inside), target, y)


@loss(scratch=3, numbers=(0, 1))
def squared_hinge(
    prediction: Array, target: Array, y: Array, z: Array, margin: Array, zero: Array, one: Array, out: Out
) -> Result:
    """max(1 - target·prediction, 0)²."""
    return np.square(_margin(prediction, target, y, z, zero, one, margin), out)


@loss_pullback(scratch=3, numbers=(0, 1), scale=-2)
def squared_hinge_vjp(
    prediction: Array, target: Array, y: Array, z: Array, margin: Array, zero: Array, one: Array
) -> Result:
    """-2·target·max(1 - target·prediction, 0)."""
    return np.multiply(_margin(prediction, target, y, z, zero, one, margin), target, y)


@loss(scratch=3, numbers=(0,))
def soft_margin(prediction: Array, target: Array, z: Array, e: Array, y: Array, zero: Array, out: Out) -> Result:
    """softplus(z), z = -target·prediction."""
    np.negative(np.multiply(prediction, target, y), z)
    return parts.softplus(z, e, y, zero, out)


@loss_pullback(scratch=4, numbers=(1,), scale=-1)
def soft_margin_vjp(
    prediction: Array, target: Array, z: Array, y: Array, e: Array, s: Array, one: Array
) -> Result:
    """-target·σ(z), z = -target·prediction."""
    np.negative(np.multiply(prediction, target, y), z)
    return np.multiply(parts.sigmoid(z, y, e, one, s), target, e)


# --- shared parts -------------------------------------------------------------------------------------------


def _log_ratio(p: Array, t: Array, y: Array, lower: Array, one: Array) -> Result:
    """|log(1 + p) - log(1 + t)| = log(1 + |p - t|/(1 + min(p, t))): no difference of logarithms, which cancels."""
    np.minimum(p, t, out=y)
    np.add(y, one, lower)
    np.subtract(p, t, y)
    np.abs(y, y)
    np.divide(y, lower, y)
    return np.log1p(y, y)


def _bend(p: Array, t: Array, d: Array, m: Array, y: Array, bound: Array, half: Array) -> Result:
    """Return |d| - m/2 in y, and fill m with min(|d|, bound)."""
    np.subtract(p, t, y)
    np.abs(y, d)
    np.minimum(d, bound, out=m)
    # Halving m may underflow, but then |d| - m/2 is rounded all the same.
    return np.subtract(d, np.multiply(m, half), y)


def _margin(p: Array, t: Array, y: Array, z: Array, zero: Array, one: Array, out: Out) -> Result:
    np.multiply(p, t, y)
    np.subtract(one, y, z)
    return np.maximum(z, zero, out=out)


OPS: Pairs = {
    "mean_squared_error": (mean_squared_error, mean_squared_error_vjp),
    "mean_absolute_error": (mean_absolute_error, mean_absolute_error_vjp),
    "mean_absolute_percentage_error": (mean_absolute_percentage_error, mean_absolute_percentage_error_vjp),
    "mean_squared_logarithmic_error": (mean_squared_logarithmic_error, mean_squared_logarithmic_error_vjp),
    "huber": (huber, huber_vjp),
    "smooth_l1": (smooth_l1, smooth_l1_vjp),
    "log_cosh": (log_cosh, log_cosh_vjp),
    "quantile": (quantile, quantile_vjp),
    "hinge": (hinge, hinge_vjp),
    "squared_hinge": (squared_hinge, squared_hinge_vjp),
    "soft_margin": (soft_margin, soft_margin_vjp),
}
