"""Functions that cannot be tried, each for a reason of its own."""

import os
import time

import numpy as np


def two_arrays(x, y):
    """Take more than there is."""
    return x + y


def other_type(x):
    """Return float64, always."""
    return np.tanh(x.astype(np.float64))


def other_shape(x):
    """One number too few, or one for none."""
    return np.tanh(x).ravel()[:-1]


def raises(x):
    """Whatever it is given."""
    raise ZeroDivisionError("it never works")


def crashes(x):
    """End the process."""
    os.abort()


def hangs(x):
    """Give no answer."""
    time.sleep(1000)


not_a_function = 3
