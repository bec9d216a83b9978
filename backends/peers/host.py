"""Shared by other libraries that compute on NumPy arrays: they are measured for comparison, not to be improved.

Such a backend has functions `<op>(*inputs, **parameters)`, each a call of the library as its users write it. A
function that takes `out` writes into it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from backends.base import NARROW, BaseBackend, host_array, is_plain, output_shape
from backends.interface import MODES, Allocation, Gap, Mode, NotSupported, OpSpec, Saved

FORWARD_ALONE = Gap("the library has no gradients", "upstream", modes=MODES[1:])
WIDE_ALONE = Gap("the library is compared in float32 and float64", "never", dtypes=NARROW)
NOT_IN_PLACE = Gap("the library is not compared in place", "never", allocations=("inplace",))


class HostPeer(BaseBackend):
    """A library's functions over NumPy arrays, without gradients.

    Those of `needy` ops take no array without elements; of ops along an axis, no row without.
    """

    _functions: Mapping[str, Any]

    def __init__(
        self,
        name: str,
        threads: int,
        functions: Mapping[str, Any],
        library: str,
        version: str,
        *,
        needy: Collection[str] = (),
    ) -> None:
        self._needy = needy
        self.gaps = (FORWARD_ALONE, WIDE_ALONE, NOT_IN_PLACE)
        super().__init__(name, "cpu", threads)
        self._functions, self._library, self._version = functions, library, version

    @property
    def version(self) -> str:
        """Version of the library."""
        return self._version

    def asarray(self, array: Any, dtype: str | None = None) -> np.ndarray:
        """Copy a host array."""
        return host_array(array, dtype, order="C")

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        """Copy an array."""
        return np.array(array)

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `numpy.ndarray`, and of no subclass."""
        return is_plain(array)

    def supports(
        self,
        op: str,
        *,
        dtype: str | None = None,
        mode: Mode = "forward",
        allocation: Allocation = "fresh",
        saved: Saved = "input",
    ) -> Any:
        """Return True, or the Gap that stands in the way; a function without `out` is one, for `reuse`."""
        answer = super().supports(op, dtype=dtype, mode=mode, allocation=allocation, saved=saved)
        if answer and allocation == "reuse" and not self._writes_into(op):
            return Gap(f"{self._library}'s function takes no out=", "upstream", ops=(op,), allocations=("reuse",))
        return answer

    def _writes_into(self, op: str) -> bool:
        return "out" in inspect.signature(self._functions[op]).parameters

    def _absent(self, op: str) -> Gap:
        return Gap(f"{self._library} has no {op}", "upstream", ops=(op,))

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        function = self._function(op, parameters)

        def forward(*arrays: Any) -> np.ndarray:
            require_elements(self._library, op, arrays[0].shape, self._needy, parameters)
            return np.asarray(function(*arrays))  # NumPy's ufuncs make scalars of arrays without dimensions

        return forward

    def _function(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        """Return the library's own function of an op."""
        return partial(self._functions[op], **parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        raise NotImplementedError(f"{self.name} has no gradients, and `gaps` says so")

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        del mode, cotangent  # a forward: see `gaps`
        # What is timed is the library's function alone, where it makes arrays.
        require_elements(self._library, spec.name, inputs[0].shape, self._needy, parameters)
        make = self._function if inputs[0].ndim else self._forward
        if allocation == "fresh":
            return partial(make(spec.name, parameters), *inputs)
        forward = partial(self._function(spec.name, parameters), *inputs)
        return partial(forward, out=np.empty(output_shape(spec, inputs, parameters), inputs[0].dtype))


def require_elements(
    library: str, op: str, shape: tuple[int, ...], needy: Collection[str], parameters: Mapping[str, Any]
) -> None:
    """Raise NotSupported if a `needy` op would get an array without elements; along an axis, a row without."""
    what, n = ("row", shape[parameters["axis"]]) if "axis" in parameters else ("array", math.prod(shape))
    if op in needy and not n:
        gap = Gap(f"{library} takes no {what} without elements", "upstream", ops=(op,))
        raise NotSupported(gap, f"{op} of shape {shape}")


def reduced(losses: np.ndarray, reduction: str) -> np.ndarray:
    """Return losses, their mean or their sum, as an array of their dtype."""
    if reduction == "none":
        return np.asarray(losses)
    if not losses.size and reduction == "mean":
        return np.full((), np.nan, losses.dtype)
    return np.asarray(losses.mean() if reduction == "mean" else losses.sum())
