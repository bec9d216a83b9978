"""A backend of your own in as few lines as possible: two ops over NumPy arrays. Copy it, and put your code in.

It is found in any folder `backends/` on PYTHONPATH, by its name, which ends in `_backend.py`.
"""

import numpy as np

from backends.host import HostBackend, reduced, share

PACKAGE = "numpy"  # what must be installed
EXTRA = ""  # the extra of activation-bench that installs it, if there is one
DEVICES = ("cpu",)
VARIANTS = ("example",)  # what `--backend` calls it


def create(variant, device, threads):
    """Return the backend called `variant`, which computes with the ops of this module in one thread."""
    return ExampleBackend(variant, 1, globals())


class ExampleBackend(HostBackend):
    """NumPy on the host. Each op is a function, with a second one called <op>_vjp for its gradient."""

    version = np.__version__


def relu(x, out=None):
    """max(x, 0); `out` is where the result goes, None for a new array."""
    return np.maximum(x, 0, out=out)


def relu_vjp(g, x, out=None):
    """Return g where x > 0 and 0 elsewhere; NaN where x is."""
    return np.multiply(g, np.heaviside(x, 0), out=out)


@np.errstate(all="ignore")  # losses may be infinite
def mean_squared_error(prediction, target, reduction, out=None):
    """(prediction - target)², their mean or their sum."""
    if reduction == "none":
        return np.square(prediction - target, out=out)
    return reduced(np.square(prediction - target), prediction.size, prediction.dtype, reduction, out)


@np.errstate(all="ignore")
def mean_squared_error_vjp(g, prediction, target, reduction, out=None):
    """2·g·(prediction - target), over their number for a mean."""
    weight = g if reduction == "none" else share(g, prediction.size, reduction)
    return np.multiply(2 * weight, prediction - target, out=out)
