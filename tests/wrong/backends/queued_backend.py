"""A device with a queue: calls return at once, and each takes `DELAY_S` in a thread of the device's own.

`queued` waits for it as it should. The others forget to, each in its way, and must be found out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from backends.base import BaseBackend
from backends.interface import Gap

PACKAGE = "numpy"
EXTRA = "wrong"
DEVICES = ("cpu",)
VARIANTS = ("queued", "queued-unsynchronised", "queued-in-secret", "queued-one-behind")

DELAY_S = 3e-3


def create(variant: str, device: str, threads: int | None) -> QueuedBackend:
    """Open the device, with the mistake called `variant`."""
    del threads
    return QueuedBackend(variant, device, 1)


class Deferred:
    """An array that may not be there yet."""

    def __init__(self, future: Future[np.ndarray], like: np.ndarray | Deferred) -> None:
        self.future = future
        self.shape, self.dtype, self.ndim = like.shape, like.dtype, like.ndim

    def __getitem__(self, index: Any) -> np.ndarray:
        """Wait."""
        return self.future.result()[index]


class QueuedBackend(BaseBackend):
    """sigmoid and relu, in order, one call at a time."""

    gaps: tuple[Gap, ...] = (
        Gap("it is a test", "never", modes=("backward", "forward+backward")),
        Gap("it is a test", "never", allocations=("reuse", "inplace")),
    )

    def __init__(self, name: str, device: str, threads: int) -> None:
        super().__init__(name, device, threads)
        self.asynchronous = name != "queued-in-secret"
        self._queue = ThreadPoolExecutor(1)
        self._last: Deferred | None = None

    @property
    def version(self) -> str:
        """None."""
        return "0"

    def asarray(self, array: Any, dtype: str | None = None) -> Deferred:
        """Copy."""
        host = np.array(array, dtype)
        future: Future[np.ndarray] = Future()
        future.set_result(host)
        return Deferred(future, host)

    def to_numpy(self, array: Deferred) -> np.ndarray:
        """Wait, and copy."""
        return np.array(array.future.result() if isinstance(array, Deferred) else array)

    def is_native(self, array: Any) -> bool:
        """Only its own."""
        return isinstance(array, Deferred)

    def synchronize(self, result: Any = None) -> None:
        """Wait for the result, or not; or for the one before it."""
        if self.name == "queued-one-behind":
            result, self._last = self._last, result
        if self.name != "queued-unsynchronised" and isinstance(result, Deferred):
            result.future.result()

    def device_seconds(self, run: Callable[[], Any], iterations: int) -> float | None:
        """Return what the device knows."""
        del run, iterations
        return DELAY_S

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        del parameters
        return lambda x: Deferred(self._queue.submit(_SLOW[op], x), x)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        raise NotImplementedError(op)


def _slow_sigmoid(x: Deferred) -> np.ndarray:
    time.sleep(DELAY_S)
    return (1 / (1 + np.exp(-x.future.result().astype(np.float64)))).astype(x.dtype)


def _slow_relu(x: Deferred) -> np.ndarray:
    time.sleep(DELAY_S)
    return np.maximum(x.future.result(), 0)


_SLOW = {"sigmoid": _slow_sigmoid, "relu": _slow_relu}
