"""NumPy: hand-written forwards and vjps, stable over the whole range, computed block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from backends.catalogue import OPS, find
from backends.host import ENDING, Function, HostBackend, Run, by_name, working_type
from backends.interface import OpSpec
from backends.numpy import (
    activations,
    class_losses,
    from_output,
    gated,
    likelihoods,
    losses,
    narrow,
    piecewise,
    rows,
)

PACKAGE = "numpy"
EXTRA = ""
DEVICES = ("cpu",)
VARIANTS = ("numpy",)

FUNCTIONS = by_name(
    *(piecewise.OPS, activations.OPS, gated.OPS, rows.OPS, losses.OPS, likelihoods.OPS, class_losses.OPS),
    from_output=from_output.OPS,
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

    def _widened(
        self, name: str, arrays: Sequence[Any], out: np.ndarray | None, parameters: dict[str, Any]
    ) -> Run:
        """Convert block by block where float32 holds the parameters, and rows lie along the last axis."""
        is_vjp = name not in OPS
        spec = _spec_of(name)
        if working_type(parameters) != np.float32 or not narrow.suits(spec, arrays[int(is_vjp)], parameters):
            return super()._widened(name, arrays, out, parameters)
        bind = narrow.blockwise(spec, cast("Function", FUNCTIONS[name]).bind, is_vjp=is_vjp)
        return bind(*arrays, out=out, **parameters)


def _spec_of(name: str) -> OpSpec:
    """Return what a function computes, or the gradient of."""
    if name.endswith(ENDING):
        return find(name.removesuffix(ENDING)).of_output
    return find(name.removesuffix("_vjp"))
