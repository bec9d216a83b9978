"""Numba's kernels on NVIDIA GPUs, by the package numba-cuda: the formulas of `backends.numba`, compiled for them.

Elementwise ops in float32 and float64. Each is compiled when it is first called.

It never ran on a GPU: Numba's simulator has run its kernels, thread by thread in Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

try:  # finds numba-cuda under Numba's name, also where its folder is no site-packages
    import _numba_cuda_redirector  # noqa: F401
    from numba import cuda
except AttributeError as error:  # what it looks for in NumPy when it is imported, and newer ones no longer have
    raise ImportError(f"numba-cuda does not know this NumPy: {error}") from error

import numba_cuda
import numpy as np
from numba.cuda.cudadrv import devicearray

from backends.base import NARROW, BaseBackend, host_array
from backends.interface import Allocation, BackendUnavailable, Gap, Mode, OpSpec, index_of
from backends.numba_cuda import kernels
from backends.numba_cuda.formulas import BACKWARD, FORWARD, Formula, numbers

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
    _functions = FORWARD

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
        source = cuda.to_device(np.ones(max(1, n_bytes // 4), np.float32))
        return self._writing(_negative, (source,), (), cuda.device_array_like(source))

    def device_name(self) -> str | None:
        """Return the device's model."""
        name = getattr(cuda.get_current_device(), "name", "simulator")
        return name.decode() if isinstance(name, bytes) else str(name)

    def free_bytes(self) -> int | None:
        """Return how much of the device's memory is free; None where that is not known."""
        free = cuda.current_context().get_memory_info().free
        return int(free) if math.isfinite(free) else None

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return self._calling(FORWARD[op], 1, parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return self._calling(BACKWARD[op], 2, parameters)

    def _calling(self, formula: Formula, n_arrays: int, parameters: dict[str, Any]) -> Callable[..., Any]:
        given = numbers(formula, n_arrays, parameters)

        def call(*arrays: Any) -> Any:
            return self._writing(formula, arrays, given)()

        return call

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        formulas = {
            "forward": (FORWARD[spec.name], tuple(inputs)),
            "backward": (BACKWARD[spec.name], (cotangent, *inputs)),
        }
        runs = []
        for each in mode.split("+"):
            formula, arrays = formulas[each]
            out = cuda.device_array(inputs[0].shape, inputs[0].dtype) if allocation == "reuse" else None
            runs.append(self._writing(formula, arrays, numbers(formula, len(arrays), parameters), out))
        return runs[0] if len(runs) == 1 else lambda: tuple(run() for run in runs)

    def _writing(
        self, formula: Formula, arrays: Sequence[Any], given: Sequence[float], out: Any = None
    ) -> Callable[[], Any]:
        """Return a call that writes a formula of the arrays into `out`, or into a new array each time."""
        shape, dtype = tuple(arrays[0].shape), arrays[0].dtype
        n = math.prod(shape)
        if n == 0:
            return partial(cuda.device_array, shape, dtype)
        lines = [self._line(array) for array in arrays]
        kernel = kernels.elementwise(formula, len(lines), len(given), dtype.name)[
            kernels.blocks(n), kernels.THREADS
        ]

        line = None if out is None else out.reshape(n)

        def call() -> Any:
            result = cuda.device_array(shape, dtype) if out is None else out
            kernel(result.reshape(n) if line is None else line, *lines, *given)
            return result

        return call

    def _line(self, array: Any) -> Any:
        """Return an array as one line in C order; one with gaps is copied, by way of the host."""
        whole = array if array.is_c_contiguous() else self.asarray(self.to_numpy(array))
        return whole.reshape(math.prod(array.shape))


def _negative(x: Any) -> Any:
    """-x."""
    return -x
