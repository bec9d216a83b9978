"""Backends whose arrays are NumPy arrays: how arrays come in and go out, and outputs that are reused.

Such a backend is a module of functions `<op>(*inputs, out=None, **parameters)` and
`<op>_vjp(g, *inputs, out=None, **parameters)`, which write into `out` where one is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from backends.base import NARROW_DTYPES, BaseBackend, known_dtype, output_shape
from backends.interface import Allocation, Gap, Mode, OpSpec


class HostBackend(BaseBackend):
    """Ops that are looked up by name in `functions` and compute on NumPy arrays."""

    gaps: ClassVar[tuple[Gap, ...]] = (
        NARROW_DTYPES,
        Gap("overwriting the input is not implemented yet", "todo", allocations=("inplace",)),
    )

    def __init__(self, name: str, threads: int, functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(name, "cpu", threads)
        self._functions = functions

    def asarray(self, array: Any, dtype: str | None = None) -> np.ndarray:
        """Copy a host array."""
        return np.array(array, known_dtype(dtype))

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        """Copy an array."""
        return np.array(array)

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `numpy.ndarray`."""
        return isinstance(array, np.ndarray)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(self._functions[op], **parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(self._functions[f"{op}_vjp"], **parameters)

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        reuse = allocation == "reuse"
        dtype = inputs[0].dtype
        forward = partial(self._forward(spec.name, parameters), *inputs)
        if reuse and mode != "backward":
            forward = partial(forward, out=np.empty(output_shape(spec, inputs, parameters), dtype))
        if mode == "forward":
            return forward
        backward = partial(self._vjp(spec.name, parameters), cotangent, *inputs)
        if reuse:
            backward = partial(backward, out=np.empty(inputs[0].shape, dtype))
        if mode == "backward":
            return backward
        return lambda: (forward(), backward())


def output(out: np.ndarray | None, like: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return `out`, or a new array in C order for an output like `like`."""
    return np.empty(like.shape if shape is None else shape, like.dtype) if out is None else out


def share(g: np.ndarray, losses: int, reduction: str) -> Any:
    """Return the cotangent of each loss for `g`, that of their mean or sum: divided in float64, rounded once."""
    with np.errstate(over="ignore"):
        return g.dtype.type(float(g) / losses if reduction == "mean" and losses else float(g))


def reduced(
    parts: np.ndarray | float, losses: int, dtype: np.dtype, reduction: str, out: np.ndarray | None
) -> np.ndarray:
    """Return the sum of `parts`, or the mean of as many `losses`, as an array without dimensions.

    Added in float64; the mean of nothing is NaN.
    """
    out = np.empty((), dtype) if out is None else out
    with np.errstate(over="ignore", invalid="ignore"):  # as the losses themselves may: infinite, or inf - inf
        total = float(np.sum(parts, dtype=np.float64))
        if reduction == "mean":
            total = total / losses if losses else math.nan
        out[...] = total
    return out
