"""tanh, quick in float32 and slow in every other type."""

import numpy as np


def uneven_tanh(x):
    """tanh(x), computed 20 times unless x is float32."""
    for _ in range(1 if x.dtype == np.float32 else 20):
        y = np.tanh(x)
    return y
