"""NumPy's functions once more, in a module that Python looks up quickly.

`numpy` has a function `__getattr__`, for which Python searches it anew each time: `np.add` costs 340 instructions,
a tenth of the call itself, and a kernel has two to ten of these. Kernels therefore import this module as `np`.
"""

from numpy import *  # noqa: F403
from numpy import add

add_up = add.reduce
"""To look up a ufunc's method takes 600 instructions more."""
