"""gelu as everybody writes it first: 1 + erf cancels in the negative tail."""

import numpy as np
from scipy.special import erf


def erf_gelu(x):
    """x/2·(1 + erf(x/√2))."""
    x = np.maximum(x, x.dtype.type(-30))  # or it were NaN at -inf
    return x / 2 * (1 + erf(x / x.dtype.type(2**0.5)))
