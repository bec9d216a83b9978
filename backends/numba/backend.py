"""Numba: formulas of one element or one row in compiled loops, most of them a single pass over memory.

`numba` computes in one thread, `numba-parallel` in several. Inputs that are not contiguous are copied first.
Nothing is compiled before an op is called, and then that op alone; the result is cached on disk.
"""

from __future__ import annotations

from typing import Any

import numba

from backends.host import HostBackend, by_name
from backends.numba import (
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

PACKAGE = "numba"
EXTRA = "numba"
DEVICES = ("cpu",)
VARIANTS = ("numba", "numba-parallel")

FUNCTIONS = by_name(
    *(piecewise.OPS, activations.OPS, gated.OPS, rows.OPS, losses.OPS, likelihoods.OPS, class_losses.OPS),
    from_output=from_output.OPS,
)
"""All ops and their vjps by name."""


def create(variant: str, device: str, threads: int | None) -> NumbaBackend:
    """Return a backend of `threads` threads, or of one for plain `numba`.

    Raises ValueError for more threads than Numba started with.
    """
    del device
    most = numba.config.NUMBA_NUM_THREADS
    if variant == "numba":
        return NumbaBackend(variant, 1, FUNCTIONS)
    if threads is not None and threads > most:
        raise ValueError(
            f"threads: Numba started with at most {most} threads; got {threads}; "
            f"set NUMBA_NUM_THREADS={threads} before it starts"
        )
    return NumbaBackend(variant, threads or most, FUNCTIONS)


class NumbaBackend(HostBackend):
    """Compiled loops over NumPy arrays on the host."""

    takes_narrow = narrow.taken()

    @property
    def version(self) -> str:
        """Version of Numba."""
        return str(numba.__version__)

    def _options(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {**parameters, "threads": self.threads}
