"""Backends that are fast by cheating, each in one way that is publicly known; and honest ones that look like them.

The harness must refuse every one of `CHEATS`, and measure every one of `HONEST`.
"""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any

import numpy as np

from backends.base import BaseBackend
from backends.host import HostBackend

PACKAGE = "numpy"
EXTRA = "wrong"
DEVICES = ("cpu",)
VARIANTS = (
    # Cheats.
    "remembers-addresses",
    "remembers-some-values",
    "remembers-contents",
    "answers-at-bind",
    "recycles-memory",
    "cheap-in-turns",
    "cheap-before-the-last",
    "slow-clock",
    "slightly-slow-clock",
    "own-stopwatch",
    "forged-replies",
    "lazy-subclass",
    "lazy-arrays",
    "helper-process",
    "works-while-stopped",
    "more-threads",
    "other-priority",
    "overwrites-inputs",
    # Honest.
    "keeps-a-workspace",
    "remembers-a-constant",
    "uses-two-threads",
    "branches",
)


def create(variant: str, device: str, threads: int | None) -> BaseBackend:
    """Open the backend called `variant`."""
    del device
    if variant == "lazy-arrays":
        return LazyBackend(variant, "cpu", 1)
    sigmoid = MAKERS[variant]()
    kind = BoundBackend if variant == "answers-at-bind" else PlainBackend
    functions = {"sigmoid": sigmoid, "sigmoid_vjp": _gradient, "relu": _clobbering_relu, "relu_vjp": _gradient}
    return kind(variant, threads or 1, functions)


class PlainBackend(HostBackend):
    """Functions of NumPy arrays."""

    version = "0"


class BoundBackend(PlainBackend):
    """The answer is computed when it is bound."""

    def bind(self, op: str, *inputs: Any, **options: Any) -> Callable[[], Any]:
        """Compute."""
        answer = super().bind(op, *inputs, **options)()
        return answer.copy


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, x.dtype.type(1), e) / (1 + e)


def _slow_sigmoid(x: np.ndarray) -> np.ndarray:
    """Compute as whoever has no better idea does."""
    for _ in range(20):
        y = _sigmoid(x.astype(np.float64))
    return y.astype(x.dtype)


def _gradient(g: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    raise NotImplementedError


def _clobbering_relu(x: np.ndarray, out: Any = None) -> np.ndarray:
    np.maximum(x, 0, out=x)
    return x.copy()


# --- results remembered ---------------------------------------------------------------------------------------


def _remembering(key: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    results: dict[Any, np.ndarray] = {}

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        known = key(x)
        if known not in results:
            results[known] = _slow_sigmoid(x)
        return results[known].copy()

    return sigmoid


def _recycling() -> Callable[..., Any]:
    calls, freed = count(), list[np.ndarray]()

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        n = next(calls)
        if n < 40:
            freed.append(_sigmoid(x))
        return freed[n % len(freed)].view()

    return sigmoid


# --- the clock, the stack and the harness ---------------------------------------------------------------------


def _cheap_in_turns() -> Callable[..., Any]:
    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        frame, names = sys._getframe(1), []
        while frame and len(names) < 4:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        return np.zeros_like(x) if "_turn" in names else _sigmoid(x)

    return sigmoid


def _cheap_before_the_last() -> Callable[..., Any]:
    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        caller = sys._getframe(1)
        line = linecache.getline(caller.f_code.co_filename, caller.f_lineno)
        return np.zeros_like(x) if caller.f_code.co_name == "_clock" and "result" not in line else _sigmoid(x)

    return sigmoid


def _with_a_clock(factor: float) -> Callable[..., Any]:
    from benchmarks.measure import prepared

    begun = time.perf_counter()
    prepared.perf_counter = lambda: begun + (time.perf_counter() - begun) / factor
    return lambda x, out=None: _slow_sigmoid(x)


def _with_a_stopwatch() -> Callable[..., Any]:
    from benchmarks.measure.prepared import Prepared

    honest = Prepared.time

    def time_(self: Any, iterations: int) -> float:
        self.last_round_s = honest(self, iterations) / 3
        return self.last_round_s

    Prepared.time = time_
    return lambda x, out=None: _slow_sigmoid(x)


def _forging() -> Callable[..., Any]:
    calls = count()

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        frame = sys._getframe(1) if next(calls) == 50 else None
        while frame:
            if connection := frame.f_locals.get("connection"):
                connection.send((0, "ok", None))
            frame = frame.f_back
        return _sigmoid(x)

    return sigmoid


# --- results that are not there -------------------------------------------------------------------------------


class LazyArray(np.ndarray):
    """An array that could compute when it is looked at."""


class Promise:
    """An array that is computed when it is fetched."""

    def __init__(self, compute: Callable[[], np.ndarray], like: Any) -> None:
        self.compute = compute
        self.shape, self.dtype, self.ndim = like.shape, like.dtype, like.ndim


class LazyBackend(BaseBackend):
    """A type of its own for arrays."""

    version = "0"

    def asarray(self, array: Any, dtype: str | None = None) -> Promise:
        """Copy."""
        host = np.array(array, dtype)
        return Promise(lambda: host, host)

    def to_numpy(self, array: Promise) -> np.ndarray:
        """Compute."""
        return array.compute()

    def is_native(self, array: Any) -> bool:
        """Only its own."""
        return isinstance(array, Promise)

    def implements(self, op: str) -> bool:
        """One."""
        return op == "sigmoid"

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return lambda x: Promise(lambda: _slow_sigmoid(x.compute()), x)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        raise NotImplementedError


# --- more than was given --------------------------------------------------------------------------------------


def _with_a_helper() -> Callable[..., Any]:
    worker = os.getpid()
    if os.fork() == 0:
        os.setsid()
        while os.getppid() == worker:
            ended = time.process_time() + 0.01
            while time.process_time() < ended:
                pass
            time.sleep(0.04)
        os._exit(0)
    return lambda x, out=None: _sigmoid(x)


def _with_an_alarm() -> Callable[..., Any]:
    """Have a process that nobody knows for its own let this one go on, again and again, and work then."""
    wake = "import os, signal, time, sys\npid = int(sys.argv[1])\nwhile os.getppid() == pid:\n"
    wake += "    time.sleep(0.01)\n    os.kill(pid, signal.SIGCONT)\n"
    subprocess.Popen([sys.executable, "-ISc", wake, str(os.getpid())], env={}, start_new_session=True)

    def work() -> None:
        while True:
            time.sleep(0.01)
            ended = time.process_time() + 0.002
            while time.process_time() < ended:
                pass

    threading.Thread(target=work, daemon=True).start()
    return lambda x, out=None: _sigmoid(x)


def _with_threads(n: int) -> Callable[..., Any]:
    pool = ThreadPoolExecutor(n)

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        parts = pool.map(_slow_sigmoid, np.array_split(x, n))
        return np.concatenate(list(parts))

    return sigmoid


def _with_a_spinner() -> Callable[..., Any]:
    def spin() -> None:
        large = np.ones(2_000_000)
        while True:
            np.exp(large)  # without the interpreter's lock

    threading.Thread(target=spin, daemon=True).start()
    return lambda x, out=None: _sigmoid(x)


def _with_a_priority() -> Callable[..., Any]:
    os.nice(1)
    return lambda x, out=None: _sigmoid(x)


# --- honest ones ----------------------------------------------------------------------------------------------


def _with_a_workspace() -> Callable[..., Any]:
    spaces: dict[Any, np.ndarray] = {}

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        e = spaces.setdefault((x.shape, x.dtype), np.empty_like(x))
        np.exp(np.negative(np.abs(x, out=e), out=e), out=e)
        return np.where(x >= 0, x.dtype.type(1), e) / (1 + e)

    return sigmoid


@cache
def _one(dtype: Any) -> Any:
    return np.ones((), dtype)


def _with_a_constant(x: np.ndarray, out: Any = None) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, _one(x.dtype), e) / (_one(x.dtype) + e)


def _with_branches(x: np.ndarray, out: Any = None) -> np.ndarray:
    positive = x >= 0
    result = np.empty_like(x)
    result[positive] = 1 / (1 + np.exp(-x[positive]))
    e = np.exp(x[~positive])
    result[~positive] = e / (1 + e)
    return result


MAKERS: dict[str, Callable[[], Callable[..., Any]]] = {
    "remembers-addresses": lambda: _remembering(lambda x: (x.ctypes.data, x.shape)),
    "remembers-some-values": lambda: _remembering(lambda x: (x[::100].tobytes(), x[-3:].tobytes(), x.shape)),
    "remembers-contents": lambda: _remembering(lambda x: x.tobytes()),
    "answers-at-bind": lambda: lambda x, out=None: _slow_sigmoid(x),
    "recycles-memory": _recycling,
    "cheap-in-turns": _cheap_in_turns,
    "cheap-before-the-last": _cheap_before_the_last,
    "slow-clock": lambda: _with_a_clock(1.6),
    "slightly-slow-clock": lambda: _with_a_clock(1.05),
    "own-stopwatch": _with_a_stopwatch,
    "forged-replies": _forging,
    "lazy-subclass": lambda: lambda x, out=None: _sigmoid(x).view(LazyArray),
    "helper-process": _with_a_helper,
    "works-while-stopped": _with_an_alarm,
    "more-threads": _with_a_spinner,
    "other-priority": _with_a_priority,
    "overwrites-inputs": lambda: lambda x, out=None: _sigmoid(x),
    "keeps-a-workspace": _with_a_workspace,
    "remembers-a-constant": lambda: _with_a_constant,
    "uses-two-threads": lambda: _with_threads(2),
    "branches": lambda: _with_branches,
}
