"""NumPy: gradients that start from the op's output y, in the order of the catalogue.

What is to be computed is exact in y, so 1 - y and 1 - y² must not cancel.
"""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

from backends.host import FromOutput
from backends.numpy import piecewise, row_parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import Array, Result, pullback
from backends.numpy.row_blocks import along_axis
from backends.numpy.rows import x_first


@pullback(scratch=2, numbers=(1,))
def sigmoid_from_output(y: Array, rest: Array, slope: Array, one: Array) -> Result:
    """y·(1 - y)."""
    return np.multiply(y, np.subtract(one, y, rest), slope)


@pullback(scratch=3, numbers=(1,))
def tanh_from_output(y: Array, below: Array, above: Array, slope: Array, one: Array) -> Result:
    """(1 - y)·(1 + y): from a rounded y², 1 - y² would cancel where |y| approaches 1."""
    return np.multiply(np.subtract(one, y, below), np.add(one, y, above), slope)


@pullback(scratch=2, numbers=(1,))
def softsign_from_output(y: Array, a: Array, rest: Array, one: Array) -> Result:
    """(1 - |y|)²."""
    return np.square(np.subtract(one, np.abs(y, a), rest), a)


@pullback(scratch=0)
def exponential_from_output(y: Array) -> Result:
    """y."""
    return y


@along_axis(narrow=1)
def softmax_from_output(y: Array, g: Array, n: Array, out: Array) -> Result:
    """y·(g - Σ g·y)."""
    np.add_up(np.multiply(g, y, out), -1, out=n, keepdims=True)
    return np.multiply(y, np.subtract(g, n, out), out)


@along_axis()
def log_softmax_from_output(y: Array, g: Array, out: Array) -> Result:
    """-exp(y)·Σ g + g."""
    return np.subtract(g, np.multiply(np.exp(y, out), row_parts.row_sum(g), out), out)


@along_axis(narrow=1)
def softmin_from_output(y: Array, g: Array, n: Array, out: Array) -> Result:
    """y·(Σ g·y - g)."""
    np.add_up(np.multiply(g, y, out), -1, out=n, keepdims=True)
    return np.multiply(y, np.subtract(n, g, out), out)


@along_axis()
def sparsemax_from_output(y: Array, g: Array, out: Array) -> Result:
    """g less its mean, over the classes above 0."""
    support = np.sign(y)  # NaN stays
    mean = row_parts.row_sum(support * g) / row_parts.row_sum(support)
    return np.multiply(support, np.subtract(g, mean, out), out)


OPS: FromOutput = {
    "relu": piecewise.OPS["relu"][1],  # y > 0 where x is
    "sigmoid": sigmoid_from_output,
    "tanh": tanh_from_output,
    "softsign": softsign_from_output,
    "exponential": exponential_from_output,
    "softmax": x_first(softmax_from_output, "softmax_from_output"),
    "log_softmax": x_first(log_softmax_from_output, "log_softmax_from_output"),
    "softmin": x_first(softmin_from_output, "softmin_from_output"),
    "sparsemax": x_first(sparsemax_from_output, "sparsemax_from_output"),
}
