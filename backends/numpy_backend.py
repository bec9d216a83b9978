"""NumPy: hand-written forwards and vjps, stable over the whole range, computed block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends import (
    numpy_activations,
    numpy_class_losses,
    numpy_gated,
    numpy_likelihoods,
    numpy_losses,
    numpy_piecewise,
    numpy_rows,
)
from backends.host import HostBackend

PACKAGE = "numpy"
EXTRA = ""
DEVICES = ("cpu",)
VARIANTS = ("numpy",)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **vars(numpy_piecewise),
    **vars(numpy_activations),
    **vars(numpy_gated),
    **vars(numpy_rows),
    **vars(numpy_losses),
    **vars(numpy_likelihoods),
    **vars(numpy_class_losses),
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
