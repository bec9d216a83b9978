"""NumPy: hand-written forwards and vjps, stable over the whole range, computed block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.host import HostBackend
from backends.numpy import activations, class_losses, gated, likelihoods, losses, piecewise, rows

PACKAGE = "numpy"
EXTRA = ""
DEVICES = ("cpu",)
VARIANTS = ("numpy",)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **vars(piecewise),
    **vars(activations),
    **vars(gated),
    **vars(rows),
    **vars(losses),
    **vars(likelihoods),
    **vars(class_losses),
}
"""All ops and vjps by name, module by module."""


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
