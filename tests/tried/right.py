"""A right function: tanh of NumPy, and its gradient where nothing cancels."""

import numpy as np


def my_tanh(x):
    """tanh(x)."""
    return np.tanh(x)


def my_tanh_vjp(g, x):
    """g·4e/(1 + e)² for e = exp(-2|x|)."""
    e = np.exp(-2 * np.abs(x))
    return g * (4 * e / np.square(1 + e))
