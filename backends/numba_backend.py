"""Numba: the formulas of `numba_formulas` in compiled loops, each a single pass over memory.

`numba` computes in one thread, `numba-parallel` in several. Inputs that are not contiguous are copied first.
Nothing is compiled before an op is called, and then that op alone; the result is cached on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba

from backends import numba_formulas as formulas
from backends import numba_rows as rows
from backends.host import HostBackend
from backends.numba_ops import (
    along_axis,
    elementwise,
    loss,
    loss_vjp,
    one_of,
    row_loss,
    row_loss_vjp,
    with_slope,
)

PACKAGE = "numba"
EXTRA = "numba"
DEVICES = ("cpu",)
VARIANTS = ("numba", "numba-parallel")


def create(variant: str, device: str, threads: int | None) -> NumbaBackend:
    """Return a backend of `threads` threads, or of one for plain `numba`.

    Raises ValueError for more threads than Numba started with.
    """
    del device
    most = numba.config.NUMBA_NUM_THREADS
    if variant == "numba":
        return NumbaBackend(variant, 1, globals())
    if threads is not None and threads > most:
        raise ValueError(
            f"threads: Numba started with at most {most} threads; got {threads}; "
            f"set NUMBA_NUM_THREADS={threads} before it starts"
        )
    return NumbaBackend(variant, threads or most, globals())


class NumbaBackend(HostBackend):
    """Compiled loops over NumPy arrays on the host."""

    @property
    def version(self) -> str:
        """Version of Numba."""
        return str(numba.__version__)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(super()._forward(op, parameters), threads=self.threads)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(super()._vjp(op, parameters), threads=self.threads)


# --- activations ----------------------------------------------------------------------------------------------

step = elementwise(formulas.step)
step_vjp = elementwise(formulas.step_vjp)
sigmoid = elementwise(formulas.sigmoid)
sigmoid_vjp = elementwise(formulas.sigmoid_vjp)
tanh = elementwise(formulas.tanh)
tanh_vjp = elementwise(formulas.tanh_vjp)
relu = elementwise(formulas.relu)
relu_vjp = elementwise(formulas.relu_vjp)
leaky_relu = with_slope(formulas.leaky_relu, relu)
leaky_relu_vjp = with_slope(formulas.leaky_relu_vjp, relu_vjp)
gelu = one_of({"none": elementwise(formulas.gelu), "tanh": elementwise(formulas.gelu_tanh)})
gelu_vjp = one_of({"none": elementwise(formulas.gelu_vjp), "tanh": elementwise(formulas.gelu_tanh_vjp)})
silu = elementwise(formulas.silu)
silu_vjp = elementwise(formulas.silu_vjp)
softplus = elementwise(formulas.softplus)
softplus_vjp = elementwise(formulas.softplus_vjp)
softmax = along_axis(rows.softmax)
softmax_vjp = along_axis(rows.softmax_vjp)
log_softmax = along_axis(rows.log_softmax)
log_softmax_vjp = along_axis(rows.log_softmax_vjp)

# --- losses ---------------------------------------------------------------------------------------------------

mean_squared_error = loss(formulas.mean_squared_error)
mean_squared_error_vjp = loss_vjp(formulas.mean_squared_error_vjp)
mean_absolute_error = loss(formulas.mean_absolute_error)
mean_absolute_error_vjp = loss_vjp(formulas.mean_absolute_error_vjp)
binary_cross_entropy_with_logits = loss(formulas.binary_cross_entropy_with_logits)
binary_cross_entropy_with_logits_vjp = loss_vjp(formulas.binary_cross_entropy_with_logits_vjp)
categorical_cross_entropy = row_loss(rows.categorical_cross_entropy)
categorical_cross_entropy_vjp = row_loss_vjp(rows.categorical_cross_entropy_vjp)
softmax_cross_entropy = row_loss(rows.softmax_cross_entropy)
softmax_cross_entropy_vjp = row_loss_vjp(rows.softmax_cross_entropy_vjp)
softmax_cross_entropy_with_integer_labels = row_loss(rows.softmax_cross_entropy_with_integer_labels)
softmax_cross_entropy_with_integer_labels_vjp = row_loss_vjp(rows.softmax_cross_entropy_with_integer_labels_vjp)
