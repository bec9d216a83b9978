"""Shared by libraries of JAX functions, which are measured for comparison: their functions, jitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from backends.base import BaseBackend, host_array
from backends.interface import MODES, Gap

# Without it float64 would silently be float32.
jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX's own signature


class JaxPeer(BaseBackend):
    """A library's functions over JAX arrays on the host; without gradients, since those are JAX's own."""

    asynchronous = True
    _functions: Mapping[str, Callable[..., Any]]

    def __init__(
        self, name: str, threads: int, functions: Mapping[str, Callable[..., Any]], library: str, version: str
    ) -> None:
        self.gaps = (
            Gap("gradients are JAX's own", "never", modes=MODES[1:]),
            Gap("XLA allocates every output", "upstream", allocations=("reuse", "inplace")),
        )
        super().__init__(name, "cpu", threads)
        self._functions, self._library, self._version = functions, library, version
        self._device = jax.devices("cpu")[0]

    @property
    def version(self) -> str:
        """Version of the library."""
        return self._version

    def asarray(self, array: Any, dtype: str | None = None) -> jax.Array:
        """Copy a host array."""
        return jax.device_put(host_array(array, dtype), self._device)

    def to_numpy(self, array: jax.Array) -> np.ndarray:
        """Copy an array to the host."""
        return np.array(array)

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `jax.Array`."""
        return isinstance(array, jax.Array)

    def synchronize(self, result: Any = None) -> None:
        """Wait for `result`, or for every live array."""
        jax.block_until_ready(jax.live_arrays() if result is None else result)

    def _absent(self, op: str) -> Gap:
        return Gap(f"{self._library} has no {op}", "upstream", ops=(op,))

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        jitted: Callable[..., Any] = jax.jit(partial(self._functions[op], **parameters))
        return jitted

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        raise NotImplementedError(f"{self.name} has no gradients of its own, and `gaps` says so")
