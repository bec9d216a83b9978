"""Keras, for comparison: `keras.ops` on each of its backends, called op by op.

Keras chooses its backend when it is imported, from the environment variable KERAS_BACKEND.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from backends.base import NARROW, BaseBackend, host_array, is_plain
from backends.interface import MODES, BackendUnavailable, Gap
from backends.peers.host import require_elements
from backends.threads import xla_threads

PACKAGE = "keras"
EXTRA = "peers"
DEVICES = ("cpu",)
VARIANTS = ()
PEERS = ("keras-jax", "keras-torch", "keras-numpy")

NEEDY_ON_NUMPY = ("softmax", "log_softmax")
"""Of a row without elements, NumPy knows no maximum."""


def create(variant: str, device: str, threads: int | None) -> KerasPeer:
    """Return the backend; raise BackendUnavailable if Keras has started with another one, or lacks this one."""
    del device
    wanted = variant.removeprefix("keras-")
    if importlib.util.find_spec(wanted) is None:
        raise BackendUnavailable(f"{variant}: the package {wanted!r} is not installed")
    os.environ.setdefault("KERAS_BACKEND", wanted)
    import keras

    if keras.backend.backend() != wanted:
        raise BackendUnavailable(f"{variant}: Keras has started with {keras.backend.backend()} in this process")
    return KerasPeer(variant, _threads(wanted, threads), keras)


def _threads(wanted: str, threads: int | None) -> int:
    """Return how many threads Keras's backend computes with, which only PyTorch lets us choose here."""
    if wanted == "jax":
        return xla_threads(threads)
    if wanted != "torch":
        return 1
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    return int(torch.get_num_threads())


class KerasPeer(BaseBackend):
    """`keras.ops`; without gradients, since those are its backends' own."""

    _functions: Mapping[str, Callable[..., Any]]
    gaps: tuple[Gap, ...] = (
        Gap("gradients are those of Keras's backend", "never", modes=MODES[1:]),
        Gap("Keras allocates every output", "upstream", allocations=("reuse", "inplace")),
        Gap("Keras computes in its floatx, float32 unless it is configured", "never", dtypes=(*NARROW, "float64")),
    )

    def __init__(self, name: str, threads: int, keras: Any) -> None:
        super().__init__(name, "cpu", threads)
        if name == "keras-numpy":
            reason = "Keras's function on NumPy makes float64 of float32"
            self.gaps = (*self.gaps, Gap(reason, "upstream", ops=("sparsemax",)))
        self.asynchronous = keras.backend.backend() == "jax"
        self._keras = keras
        self._functions = _functions(keras.ops)

    @property
    def version(self) -> str:
        """Version of Keras."""
        return str(self._keras.__version__)

    def asarray(self, array: Any, dtype: str | None = None) -> Any:
        """Copy a host array to a tensor of Keras's backend."""
        host = host_array(array, dtype, order="C")
        return self._keras.ops.convert_to_tensor(host, dtype=host.dtype.name)

    def to_numpy(self, array: Any) -> np.ndarray:
        """Copy a tensor to the host."""
        return np.array(self._keras.ops.convert_to_numpy(array))

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a tensor of Keras's backend, and of no subclass of `numpy.ndarray`."""
        return bool(self._keras.ops.is_tensor(array)) and (is_plain(array) or not isinstance(array, np.ndarray))

    def synchronize(self, result: Any = None) -> None:
        """Wait for `result`, or for every live array, where Keras's backend returns before it is there."""
        if not self.asynchronous:
            return
        import jax

        jax.block_until_ready(jax.live_arrays() if result is None else result)

    def _absent(self, op: str) -> Gap:
        return Gap(f"keras.ops has no {op}", "upstream", ops=(op,))

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        function = partial(self._functions[op], **parameters)
        if self.name != "keras-numpy" or op not in NEEDY_ON_NUMPY:
            return function

        def forward(x: Any) -> Any:
            require_elements("Keras on NumPy", op, x.shape, NEEDY_ON_NUMPY, parameters)
            return function(x)

        return forward

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        raise NotImplementedError(f"{self.name} has no gradients of its own, and `gaps` says so")


def _functions(ops: Any) -> dict[str, Callable[..., Any]]:
    """Return functions by the names of our ops, with our parameters by their names in `keras.ops`."""

    def gelu(x: Any, *, approximate: str) -> Any:
        return ops.gelu(x, approximate=approximate == "tanh")

    return {
        "relu": ops.relu,
        "relu6": ops.relu6,
        "leaky_relu": ops.leaky_relu,
        "hard_sigmoid": ops.hard_sigmoid,
        "hard_silu": ops.hard_silu,
        "hard_tanh": ops.hard_tanh,
        "soft_shrink": ops.soft_shrink,
        "hard_shrink": ops.hard_shrink,
        "sparse_plus": ops.sparse_plus,
        "sparse_sigmoid": ops.sparse_sigmoid,
        "sigmoid": ops.sigmoid,
        "tanh": ops.tanh,
        "elu": ops.elu,
        "celu": ops.celu,
        "selu": ops.selu,
        "gelu": gelu,
        "silu": ops.silu,
        "mish": lambda x: x * ops.tanh(ops.softplus(x)),
        "softplus": ops.softplus,
        "softsign": ops.soft_sign if hasattr(ops, "soft_sign") else ops.softsign,
        "log_sigmoid": ops.log_sigmoid,
        "tanh_shrink": ops.tanh_shrink,
        "squareplus": ops.squareplus,
        "exponential": ops.exp,
        "softmax": ops.softmax,
        "log_softmax": ops.log_softmax,
        "sparsemax": ops.sparsemax,
    }
