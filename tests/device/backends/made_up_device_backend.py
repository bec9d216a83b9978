"""A made-up device, which is NumPy on the host: it shows how a device is asked, and nothing of how a GPU answers.

`made-up-device` answers every question. `broken-device` computes nothing any more once a kernel has failed, as
after an assertion of CUDA's. `hanging-device` computes, and never ends a copy; `hanging-transfer` never ends a
transfer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from backends.base import BaseBackend
from backends.interface import Gap

PACKAGE = "numpy"
EXTRA = "device"
DEVICES = ("cuda",)
VARIANTS = ("made-up-device", "broken-device", "hanging-device", "hanging-transfer")

CLOCK_S = 5e-6
"""What a call takes by the device's clock."""
GB_S = 1.0
"""How fast transfers are; twice as fast in pinned memory."""


def create(variant: str, device: str, threads: int | None) -> MadeUpDevice:
    """Open the device."""
    del threads
    return MadeUpDevice(variant, device, 1)


class MadeUpDevice(BaseBackend):
    """relu."""

    gaps: tuple[Gap, ...] = (
        Gap("it is a test", "never", modes=("backward", "forward+backward")),
        Gap("it is a test", "never", allocations=("reuse", "inplace")),
    )

    def __init__(self, name: str, device: str, threads: int) -> None:
        super().__init__(name, device, threads)
        self.asynchronous = True
        self.broken = False
        self.n_released = 0

    @property
    def version(self) -> str:
        """None."""
        return "0"

    def asarray(self, array: Any, dtype: str | None = None) -> np.ndarray:
        """Copy, where the device still works."""
        if self.broken:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return np.array(array, dtype)

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        """Copy."""
        return np.array(array)

    def is_native(self, array: Any) -> bool:
        """Any array."""
        return isinstance(array, np.ndarray)

    def device_name(self) -> str:
        """Return a name that no GPU has."""
        return "Made-up device"

    def settings(self) -> str:
        """Return how often memory was given back."""
        return f"released={self.n_released}"

    def copier(self, n_bytes: int) -> Callable[[], Any]:
        """Return a callable that copies, up to 1 MiB: more memory there is not."""
        if self.name == "hanging-device":
            time.sleep(600)
        if n_bytes > 2**20:
            raise RuntimeError("CUDA error: out of memory")
        return np.ones(max(1, n_bytes // 4), np.float32).copy

    def reader(self, n_bytes: int) -> Callable[[], Any]:
        """Return a callable that reads, up to 1 MiB."""
        if n_bytes > 2**20:
            raise RuntimeError("CUDA error: out of memory")
        return np.ones(max(1, n_bytes // 4), np.float32).max

    def cache_bytes(self) -> int:
        """Return a small cache."""
        return 2**16

    def free_bytes(self) -> int:
        """Return little."""
        return 2**26

    def release_memory(self) -> None:
        """Count."""
        self.n_released += 1

    def transfer_seconds(self, n_bytes: int, *, pinned: bool) -> tuple[float, float]:
        """Return what follows from `GB_S`; twice that on the way back."""
        if self.name == "hanging-transfer":
            time.sleep(600)
        seconds = n_bytes / GB_S / 1e9 / (2 if pinned else 1)
        return seconds, 2 * seconds

    def device_seconds(self, run: Callable[[], Any], iterations: int) -> float:
        """Return `CLOCK_S`."""
        del run, iterations
        return CLOCK_S

    def captured(self, bind: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
        """Return a call that computes again, into the array of its first result; one of the device that breaks."""
        if self.name == "broken-device":
            return super().captured(bind)
        run = bind()
        output = run()

        def replay() -> Any:
            if os.environ.get("MADE_UP_GRAPHS") != "empty":
                output[...] = run()
            return output

        return replay

    def peak_bytes(self, run: Callable[[], Any]) -> int:
        """Return what the output takes."""
        return int(run().nbytes)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        del parameters
        return partial(self._relu) if op == "relu" else self._fail

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        raise NotImplementedError(op)

    def _relu(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    def _fail(self, *inputs: np.ndarray) -> np.ndarray:
        self.broken = self.name == "broken-device"
        raise RuntimeError("CUDA error: device-side assert triggered")
