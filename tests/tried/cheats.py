"""A slow tanh that remembers its results by all of their inputs, and returns copies of them."""

import numpy as np

_known = {}


def cached_tanh(x):
    """tanh(x)."""
    key = (x.dtype.str, x.shape, x.tobytes())
    if key not in _known:
        for _ in range(30):
            _known[key] = np.tanh(x)
    return _known[key].copy()
