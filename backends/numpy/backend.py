"""NumPy: hand-written forwards and vjps, stable over the whole range, computed block by block."""

from __future__ import annotations

import numpy as np

from backends.host import HostBackend, by_name
from backends.numpy import activations, class_losses, gated, likelihoods, losses, piecewise, rows

PACKAGE = "numpy"
EXTRA = ""
DEVICES = ("cpu",)
VARIANTS = ("numpy",)

FUNCTIONS = by_name(
    piecewise.OPS, activations.OPS, gated.OPS, rows.OPS, losses.OPS, likelihoods.OPS, class_losses.OPS
)
"""All ops and their vjps by name."""


def create(variant: str, device: str, threads: int | None) -> NumpyBackend:
    """Return the backend; NumPy's ufuncs compute in one thread, whatever `threads` allows."""
    del device, threads
    return NumpyBackend(variant, 1, FUNCTIONS)


class NumpyBackend(HostBackend):
    """NumPy ufuncs on the host."""

    @property
    def version(self) -> str:
        """Version of NumPy."""
        return np.__version__
