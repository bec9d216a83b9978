"""Backends that harm their process, or whoever listens to it, each in one way: none may cost another's case.

Found when `tests/wrong` is on PYTHONPATH.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.base import BaseBackend
from backends.host import HostBackend

PACKAGE = "numpy"
EXTRA = "wrong"
DEVICES = ("cpu",)
VARIANTS = (
    "closes-its-descriptors",
    "half-a-message",
    "endless-message",
    "stray-bytes",
    "prints-gigabytes",
    "uses-up-descriptors",
    "forks-a-child",
    "child-holds-the-connection",
    "leaves-its-group",
    "says-why-and-exits",
)
PATIENCE_S = 120


def create(variant: str, device: str, threads: int | None) -> BaseBackend:
    """Open the backend called `variant`."""
    del device

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        _HARMS[variant]()
        e = np.exp(-np.abs(x))
        return np.where(x >= 0, x.dtype.type(1), e) / (1 + e)

    return HostileBackend(variant, threads or 1, {"sigmoid": sigmoid, "sigmoid_vjp": _gradient})


class HostileBackend(HostBackend):
    """A sigmoid that is right, and does harm beside."""

    version = "0"


def _gradient(g: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    raise NotImplementedError


def _connections() -> list[int]:
    """Return the descriptors that are sockets: the worker's connection is the only one."""
    found = []
    for descriptor in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                found.append(descriptor)
        except OSError:
            continue
    return found


def _close_all() -> None:
    os.closerange(0, 256)
    time.sleep(PATIENCE_S)


def _write(content: bytes) -> None:
    for descriptor in _connections():
        os.write(descriptor, content)


def _half() -> None:
    _write(struct.pack("!i", 1000) + b"half")
    time.sleep(PATIENCE_S)


def _endless() -> None:
    _write(struct.pack("!iQ", -1, 2**60))
    time.sleep(PATIENCE_S)


def _print() -> None:
    line = "x" * 2**16
    for _ in range(int(os.environ.get("HOSTILE_CHUNKS", "2000"))):
        print(line)
    sys.stdout.flush()


def _use_up() -> None:
    while True:
        try:
            _KEPT.append(socket.socket())
        except OSError:
            return


_KEPT: list[Any] = []


def _sleeper(**options: Any) -> None:
    if not _KEPT:
        command = [sys.executable, "-S", "-c", f"import time; time.sleep({PATIENCE_S})"]
        _KEPT.append(subprocess.Popen(command, **options))


def _fork() -> None:
    if not _KEPT:
        _KEPT.append(os.fork())
        if not _KEPT[0]:
            time.sleep(PATIENCE_S)
            os._exit(0)


def _fork_and_abort() -> None:
    _fork()
    os.abort()


def _say_and_exit() -> None:
    print("the licence has run out", file=sys.stderr, flush=True)
    os._exit(3)


_HARMS: dict[str, Callable[[], None]] = {
    "closes-its-descriptors": _close_all,
    "half-a-message": _half,
    "endless-message": _endless,
    "stray-bytes": lambda: _write(struct.pack("!i", 9) + b"not a pickle"),
    "prints-gigabytes": _print,
    "uses-up-descriptors": _use_up,
    "forks-a-child": _fork,
    "child-holds-the-connection": _fork_and_abort,
    "leaves-its-group": lambda: _sleeper(start_new_session=True),
    "says-why-and-exits": _say_and_exit,
}
