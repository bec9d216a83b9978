"""Five more backends that cheat, thought of by somebody who had read the referee and wanted to get past it.

The harness must refuse every one of them: see `tests/measure/test_cheats.py`.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import connection
from time import perf_counter
from typing import Any

import numpy as np
from backends.cheating_backend import PlainBackend, _gradient, _sigmoid, _slow_sigmoid

from backends.base import BaseBackend

PACKAGE = "numpy"
EXTRA = "wrong"
DEVICES = ("cpu",)
VARIANTS = (
    "computes-after-a-pause",
    "computes-when-it-goes-on",
    "finishes-when-looked-at",
    "shortens-its-replies",
    "counts-processor-time",
)


def create(variant: str, device: str, threads: int | None) -> BaseBackend:
    """Open the backend called `variant`."""
    del device
    return PlainBackend(variant, threads or 1, {"sigmoid": MAKERS[variant](), "sigmoid_vjp": _gradient})


# --- computing when nobody has an eye on the clock ------------------------------------------------------------


def _after_a_pause(pause_s: float = 1e-4) -> Callable[..., Any]:
    """Compute only if nobody has called for 0.1 ms: whoever changes inputs takes longer."""
    before_s, known, result = 0.0, None, np.empty(0)

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        nonlocal before_s, known, result
        key = (x.ctypes.data, x.shape, x.dtype)
        if key != known or perf_counter() - before_s > pause_s:
            known, result = key, _slow_sigmoid(x)
        copy = result.copy()
        before_s = perf_counter()
        return copy

    return sigmoid


def _when_it_goes_on() -> Callable[..., Any]:
    """Compute when the harness lets this process go on, before it has read the request: nothing is timed then."""
    known: dict[Any, tuple[np.ndarray, np.ndarray]] = {}

    def work(*_: Any) -> None:
        for key, (x, _) in list(known.items()):
            known[key] = x, _slow_sigmoid(x)

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        key = (x.ctypes.data, x.shape, x.dtype)
        if key not in known:
            known[key] = x, _slow_sigmoid(x)
        return known[key][1].copy()

    signal.signal(signal.SIGCONT, work)
    return sigmoid


def _when_looked_at() -> Callable[..., Any]:
    """Return a plain array with nothing in it, which NumPy fills when a check looks at it."""
    due: dict[int, tuple[weakref.ref[Any], np.ndarray]] = {}

    def filling(honest: Callable[..., Any]) -> Callable[..., Any]:
        def look(array: Any, *arguments: Any, **options: Any) -> Any:
            result, x = due.get(id(array), (lambda: None, None))
            if result() is array and sys._getframe(2).f_code.co_name != "_fetch":
                array[...] = _slow_sigmoid(x)
                del due[id(array)]
            return honest(array, *arguments, **options)

        return look

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        result = np.empty_like(x)
        due[id(result)] = weakref.ref(result), x.copy()
        return result

    np.array, np.asarray = filling(np.array), filling(np.asarray)
    return sigmoid


# --- times ----------------------------------------------------------------------------------------------------


def _with_a_pickler() -> Callable[..., Any]:
    """Send times that are shorter by an eighth, with a pickler of one's own."""
    from benchmarks.measure.disturbance import Reading

    class Pickler(connection._ForkingPickler):
        @classmethod
        def dumps(cls, message: Any, protocol: Any = None) -> Any:
            *head, found = message
            if isinstance(found, Reading):
                found = replace(found, rounds=tuple(0.87 * s for s in found.rounds))
            return super().dumps((*head, found), protocol)

    connection._ForkingPickler = Pickler
    return lambda x, out=None: _sigmoid(x)


def _with_another_clock() -> Callable[..., Any]:
    """Have the clock count what the calling thread computes, in its own C code, and compute in another one."""
    code, other = (ctypes.c_void_p.from_address(id(clock) + 16) for clock in (time.perf_counter, time.thread_time))
    code.value = other.value
    thread = ThreadPoolExecutor(1)
    return lambda x, out=None: thread.submit(_sigmoid, x).result()


MAKERS: dict[str, Callable[[], Callable[..., Any]]] = {
    "computes-after-a-pause": _after_a_pause,
    "computes-when-it-goes-on": _when_it_goes_on,
    "finishes-when-looked-at": _when_looked_at,
    "shortens-its-replies": _with_a_pickler,
    "counts-processor-time": _with_another_clock,
}
