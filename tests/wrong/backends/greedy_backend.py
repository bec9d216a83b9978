"""More backends that cheat, in ways that were thought of without knowing the referee; and honest ones like them.

The harness must refuse every one of them but those named `HONEST` in `tests/measure/test_cheats.py`.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from backends.cheating_backend import PlainBackend, _gradient, _sigmoid, _slow_sigmoid

from backends.base import BaseBackend

PACKAGE = "numpy"
EXTRA = "wrong"
DEVICES = ("cpu",)
VARIANTS = (
    # Cheats.
    "works-in-instalments",
    "remembers-what-recurs",
    "makes-fewer-calls",
    "hides-a-builtin",
    "pickles-other-times",
    "lends-its-results",
    "slows-rivals",
    "edits-its-record",
    # Honest.
    "keeps-what-is-let-go",
    "slow-at-first",
)


def create(variant: str, device: str, threads: int | None) -> BaseBackend:
    """Open the backend called `variant`."""
    del device
    return PlainBackend(variant, threads or 1, {"sigmoid": MAKERS[variant](), "sigmoid_vjp": _gradient})


# --- work that is not done ------------------------------------------------------------------------------------


def _in_instalments() -> Callable[..., Any]:
    """Compute a quarter of the result in each call; the rest is there from the calls before."""
    calls, results = count(), dict[Any, np.ndarray]()

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        key, turn = (x.ctypes.data, x.shape, x.dtype), next(calls) % 4
        if key not in results:
            results[key] = _slow_sigmoid(x)
        quarter = slice(turn * len(x) // 4, (turn + 1) * len(x) // 4)
        results[key][quarter] = _slow_sigmoid(x[quarter])
        return results[key].copy()

    return sigmoid


def _with_an_admission(admission: int = 30) -> Callable[..., Any]:
    """Remember what has come 30 times in a row, with all of its values."""
    x_before, result, n = np.empty(0), np.empty(0), 0

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        nonlocal x_before, result, n
        if not np.array_equal(x, x_before):
            x_before, n = x.copy(), 0
        n += 1
        if n <= admission:
            result = _slow_sigmoid(x)
        return result.copy()

    return sigmoid


def _lending(n: int = 8) -> Callable[..., Any]:
    """Return eight buffers in turn: a result lasts until eight others were asked for."""
    calls, rings = count(), dict[Any, list[np.ndarray]]()

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        ring = rings.setdefault((x.shape, x.dtype), [np.empty_like(x) for _ in range(n)])
        buffer = ring[next(calls) % n]
        buffer[...] = _sigmoid(x)
        return buffer

    return sigmoid


# --- the harness and what it leaves behind --------------------------------------------------------------------


def _with_fewer_calls() -> Callable[..., Any]:
    """Have seven calls of eight made, by an attribute that the harness's object did not have."""

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        frame = sys._getframe(1)
        while frame:
            owner = frame.f_locals.get("self")
            if type(owner).__name__ == "Prepared" and "_clock" not in vars(owner):
                owner._clock = _fewer(owner._clock)
            frame = frame.f_back
        return _sigmoid(x)

    return sigmoid


def _fewer(clock: Callable[..., Any]) -> Callable[..., Any]:
    def fewer(before: Any, last: Any, **how: Any) -> Any:
        calls = list(before)
        return clock(calls[len(calls) // 8 :], last, **how)

    return fewer


def _hiding_a_builtin() -> Callable[..., Any]:
    """Give the harness a `tuple` of its own, in which times are shorter by an eighth."""
    sys.modules["__main__"].tuple = lambda parts=(): tuple(0.87 * s for s in parts)
    return lambda x, out=None: _sigmoid(x)


def _pickling() -> Callable[..., Any]:
    """Make times shorter by an eighth on their way to the process that asks."""
    from benchmarks.measure.disturbance import Reading

    def reduce(self: Reading) -> tuple[Any, ...]:
        rounds, *others = (getattr(self, field.name) for field in fields(self))
        return Reading, (tuple(0.87 * s for s in rounds), *others)

    Reading.__reduce__ = reduce
    return lambda x, out=None: _sigmoid(x)


def _editing() -> Callable[..., Any]:
    """Make one's own times in the journal a tenth, and mend the checksums."""

    def watch() -> None:
        while True:
            time.sleep(0.05)
            with suppress(Exception):
                for link in Path(f"/proc/{os.getppid()}/fd").iterdir():
                    if "/journals/" in str(path := link.readlink()):
                        _edit(path)

    threading.Thread(target=watch, daemon=True).start()
    return lambda x, out=None: _sigmoid(x)


def _edit(path: Path) -> None:
    start = 0
    for line in path.read_bytes().splitlines(keepends=True):
        text, _, _ = line.partition(b', "crc32"')
        better = re.sub(rb'("backend": "edits-its-record"[^{}]*?"median_s": [\d.]+)e-0[56]', rb"\1e-07", text)
        if better != text:
            better += b', "crc32": "%08x"}' % zlib.crc32(better + b"}", start)
            with path.open("r+b") as file:
                os.pwrite(file.fileno(), better, start)
        start += len(line)


def _slowing_rivals() -> Callable[..., Any]:
    """Give every other child of the harness the lowest priority."""
    calls = count()

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        if next(calls) % 100 == 99:
            for folder in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                    if parent == os.getppid() and int(folder.name) != os.getpid():
                        os.setpriority(os.PRIO_PROCESS, int(folder.name), 19)
        return _sigmoid(x)

    return sigmoid


# --- honest ones ----------------------------------------------------------------------------------------------


def _with_a_pool() -> Callable[..., Any]:
    """Use buffers again once nobody holds them."""
    buffers: list[np.ndarray] = []

    def sigmoid(x: np.ndarray, out: Any = None) -> np.ndarray:
        for i in range(len(buffers)):
            alike = (buffers[i].shape, buffers[i].dtype) == (x.shape, x.dtype)
            if alike and sys.getrefcount(buffers[i]) == 2:  # the list's, and the argument
                break
        else:
            buffers.append(np.empty_like(x))
            i = len(buffers) - 1
        buffers[i][...] = _sigmoid(x)
        return buffers[i]

    return sigmoid


def _slow_at_first() -> Callable[..., Any]:
    """Make faster what proves to be called often, as a compiler does that works in tiers."""
    calls = count()
    return lambda x, out=None: (_slow_sigmoid if next(calls) < 30 else _sigmoid)(x)


MAKERS: dict[str, Callable[[], Callable[..., Any]]] = {
    "works-in-instalments": _in_instalments,
    "remembers-what-recurs": _with_an_admission,
    "makes-fewer-calls": _with_fewer_calls,
    "hides-a-builtin": _hiding_a_builtin,
    "pickles-other-times": _pickling,
    "lends-its-results": _lending,
    "slows-rivals": _slowing_rivals,
    "edits-its-record": _editing,
    "keeps-what-is-let-go": _with_a_pool,
    "slow-at-first": _slow_at_first,
}
