"""tanh, but for what lies between 2 and 2.2."""

import numpy as np


def spoilt_tanh(x):
    """tanh(x), and 0 where 2 < x < 2.2."""
    return np.where((x > 2) & (x < 2.2), x.dtype.type(0), np.tanh(x))
