"""Numba's kernels on NVIDIA GPUs, by the package numba-cuda: the formulas of `backends.numba`, compiled for them.

Elementwise ops, losses of one element, softmax and its kin, and losses of classes that add up terms or have
labels, in float32 and float64. Each is compiled when it is first called.

It never ran on a GPU: Numba's simulator has run its kernels, thread by thread in Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

try:  # finds numba-cuda under Numba's name, also where its folder is no site-packages
    import _numba_cuda_redirector  # noqa: F401
    from numba import cuda
except AttributeError as error:  # what it looks for in NumPy when it is imported, and newer ones no longer have
    raise ImportError(f"numba-cuda does not know this NumPy: {error}") from error

import numba_cuda
import numpy as np
from numba.cuda.cudadrv import devicearray

from backends.base import NARROW, BaseBackend, host_array, output_shape
from backends.catalogue import OPS
from backends.interface import Allocation, BackendUnavailable, Gap, Mode, OpSpec, index_of
from backends.numba_cuda import formulas, kernels, launches, rows

PACKAGE = "numba_cuda"
EXTRA = "cuda"
DEVICES = ("cuda",)
VARIANTS = ()
ON_REQUEST = ("numba-cuda",)  # nobody has seen it on a GPU


def create(variant: str, device: str, threads: int | None) -> NumbaCudaBackend:
    """Open `device`; raise BackendUnavailable where there is no such device."""
    del threads  # of the host
    if not cuda.is_available():
        raise BackendUnavailable(f"{variant}: Numba finds no CUDA device")
    if (index := index_of(device)) >= (n := len(cuda.gpus)):
        raise BackendUnavailable(f"{variant}: Numba finds no cuda:{index}; the last of {n} is cuda:{n - 1}")
    cuda.select_device(index)
    backend = NumbaCudaBackend(variant, device, 1)
    try:  # the context and the first compilation take seconds, and belong to no case
        backend.synchronize(backend.negating(4)())
    except AttributeError as error:
        raise BackendUnavailable(f"{variant}: numba-cuda does not know this NumPy: {error}") from error
    return backend


class NumbaCudaBackend(BaseBackend):
    """Compiled kernels over numba-cuda's device arrays."""

    asynchronous = True
    gaps: tuple[Gap, ...] = (
        Gap("its kernels take float32 and float64", "todo", dtypes=NARROW),
        Gap("it does not overwrite inputs", "todo", allocations=("inplace",)),
    )
    _functions: Mapping[str, Callable[..., Any]] = MappingProxyType(
        {
            **{op: formulas.first(formula) for op, formula in formulas.FORWARD.items()},
            **{op: row.finish for op, row in rows.FORWARD.items()},
            **{op: terms.term for op, terms in rows.LOSSES.items()},
            rows.CROSS_ENTROPY: rows.crossed,
            rows.LABEL_CROSS_ENTROPY: rows.surprise,
            rows.LIKELIHOOD: rows.picked,
        }
    )

    @property
    def version(self) -> str:
        """Version of numba-cuda."""
        return str(numba_cuda.__version__)

    def settings(self) -> str:
        """Return whether a simulator computes."""
        return "simulated=True" if kernels.is_simulated() else ""

    def asarray(self, array: Any, dtype: str | None = None) -> Any:
        """Copy a host array to the device."""
        return cuda.to_device(host_array(array, dtype, order="C"))

    def to_numpy(self, array: Any) -> np.ndarray:
        """Copy an array to the host."""
        return np.array(array.copy_to_host() if self.is_native(array) else array)

    def _labels_of(self, array: Any) -> np.ndarray:
        """Return labels on the host: an array of Numba's on a device has no least and no largest."""
        return self.to_numpy(array)

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a device array of Numba's."""
        return bool(devicearray.is_cuda_ndarray(array))

    def synchronize(self, result: Any = None) -> None:
        """Wait for the device."""
        del result
        cuda.synchronize()

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory; None where it would take hours."""
        return None if kernels.is_simulated() else self.negating(n_bytes)

    def negating(self, n_bytes: int) -> Callable[[], Any]:
        """Return a callable that negates `n_bytes` of ones: a kernel's copy."""
        source = self._ones(n_bytes)
        return launches.elementwise(_negative, (source,), (), source, cuda.device_array_like(source))

    def reader(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that reads `n_bytes`, to sum them up; None where it would take hours."""
        return None if kernels.is_simulated() else self.summing(n_bytes)

    def summing(self, n_bytes: int) -> Callable[[], Any]:
        """Return a callable that sums up `n_bytes` of ones."""
        source = self._ones(n_bytes)
        return launches.summed(_itself, (source,), (), 1.0, cuda.device_array((), source.dtype))

    def _ones(self, n_bytes: int) -> Any:
        made = cuda.device_array(max(1, n_bytes // 4), np.float32)  # there: the host may have less memory
        return launches.elementwise(_one, (made,), (), made, made)()

    def device_name(self) -> str | None:
        """Return the device's model."""
        name = getattr(cuda.get_current_device(), "name", "simulator")
        return name.decode() if isinstance(name, bytes) else str(name)

    def free_bytes(self) -> int | None:
        """Return how much of the device's memory is free; None where that is not known."""
        free = cuda.current_context().get_memory_info().free
        return int(free) if math.isfinite(free) else None

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return lambda *arrays: launches.forward(OPS[op], arrays, parameters)()

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return lambda g, *arrays: launches.backward(OPS[op], g, arrays, parameters)()

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        def out(shape: tuple[int, ...]) -> Any:
            return cuda.device_array(shape, inputs[0].dtype) if allocation == "reuse" else None

        bound = {
            "forward": lambda: launches.forward(
                spec, inputs, parameters, out(output_shape(spec, inputs, parameters))
            ),
            "backward": lambda: launches.backward(
                spec, cotangent, inputs, parameters, out(tuple(inputs[0].shape))
            ),
        }
        runs = [bound[each]() for each in mode.split("+")]
        return runs[0] if len(runs) == 1 else lambda: tuple(run() for run in runs)


def _negative(x: Any) -> Any:
    """-x."""
    return -x


def _one(x: Any) -> Any:
    """Return 1."""
    return type(x)(1)


def _itself(x: Any) -> Any:
    """Return x."""
    return x
