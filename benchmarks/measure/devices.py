"""What is asked of a device other than the host: its clock, copies, reads, transfers to and from it, its memory.

A backend of an older revision may lack some of these questions: then the answer is not known.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from backends.interface import Backend

CLOCK_SAMPLES = 7
"""The interval of a median from its least and largest of 7 samples holds at 98 %."""
COPY_SAMPLES = 5
COPIES_S = 0.01
"""So many copies are queued as take 10 ms: the one synchronisation, of some 20 µs, is then 0.2 % of it."""
MOST_COPIES, LEAST_COPIES = 200, 3
TRANSFERS = 3
"""A transfer is measured three times, after one that does not count: it may compile, or take new memory."""


@dataclass(frozen=True)
class Clock:
    """Seconds per call by the device's own clock: the median, the least and the largest of some samples."""

    median_s: float
    low_s: float
    high_s: float


@dataclass(frozen=True)
class Transfers:
    """Seconds that a case's inputs take to the device and its outputs back; None where that cannot be told.

    Ordinary memory of the host is pageable; pinned memory the device reads and writes by itself.
    """

    to_s: float | None
    back_s: float | None
    pinned_to_s: float | None
    pinned_back_s: float | None


def clock(backend: Backend, run: Callable[[], Any], iterations: int) -> Clock | None:
    """Return what a call takes by the device's clock; None where it has none that tells."""
    first = backend.device_seconds(run, iterations)
    if first is None:
        return None
    rest = [backend.device_seconds(run, iterations) for _ in range(CLOCK_SAMPLES - 1)]
    known = [first, *(sample for sample in rest if sample is not None)]
    return Clock(statistics.median(known), min(known), max(known))


def copy_seconds(backend: Backend, ladder: Sequence[int]) -> list[float]:
    """Return what a copy within the device's memory takes, for each number of bytes moved.

    Infinity for what fails, such as a copy that the device has no memory for. Raises RuntimeError where the
    backend has no copy.
    """
    if backend.copier(4) is None:
        raise RuntimeError(f"{backend.name} has no copy of its own on {backend.device}")
    return [_moving_seconds(backend, backend.copier, n_bytes // 2) for n_bytes in ladder]


def read_seconds(backend: Backend, ladder: Sequence[int]) -> list[float]:
    """Return what reading the device's memory takes, for each number of bytes.

    Infinity for what fails. Raises RuntimeError where the backend has nothing that reads and writes no more than
    a number.
    """
    reader: Callable[[int], Callable[[], Any] | None] | None = getattr(backend, "reader", None)
    if reader is None or reader(4) is None:
        raise RuntimeError(f"{backend.name} has no read of its own on {backend.device}")
    return [_moving_seconds(backend, reader, n_bytes) for n_bytes in ladder]


def transfers(backend: Backend, n_to: int, n_back: int, known: dict[tuple[int, bool], Any]) -> Transfers:
    """Return what bytes take to the device and back; `known` keeps what was measured, which no op changes."""
    to, back, pinned_to, pinned_back = (
        _transfer(backend, n_bytes, pinned, known) for pinned in (False, True) for n_bytes in (n_to, n_back)
    )
    return Transfers(to and to[0], back and back[1], pinned_to and pinned_to[0], pinned_back and pinned_back[1])


def is_usable(backend: Backend) -> bool:
    """Tell whether the device still computes: after some errors, such as a failed assertion, nothing does."""
    if backend.device == "cpu":
        return True
    try:
        return float(backend.to_numpy(backend.asarray(np.ones(1, np.float32)))[0]) == 1
    except Exception:
        return False


def _moving_seconds(backend: Backend, make: Callable[[int], Callable[[], Any] | None], n_bytes: int) -> float:
    """Return the seconds of a call that `make` makes for `n_bytes`, a copy or a read."""
    try:
        move = make(n_bytes)
        assert move is not None
        _queued_seconds(backend, move, LEAST_COPIES)  # compiles
        once_s = max(_queued_seconds(backend, move, LEAST_COPIES), 1e-7)
        n = min(MOST_COPIES, max(LEAST_COPIES, round(COPIES_S / once_s)))
        return statistics.median(
            backend.device_seconds(move, n) or _queued_seconds(backend, move, n) for _ in range(COPY_SAMPLES)
        )
    except Exception:
        return math.inf


def _queued_seconds(backend: Backend, run: Callable[[], Any], n: int) -> float:
    """Return seconds per call of several with one synchronisation at their end."""
    result = None
    backend.synchronize(result)
    started = perf_counter()
    for _ in range(n):
        result = run()
    backend.synchronize(result)
    return (perf_counter() - started) / n


def _transfer(
    backend: Backend,
    n_bytes: int,
    pinned: bool,  # noqa: FBT001 - half of a key
    known: dict[tuple[int, bool], Any],
) -> tuple[float, float] | None:
    if (n_bytes, pinned) not in known:
        known[n_bytes, pinned] = _measured_transfer(backend, n_bytes, pinned=pinned)
    found: tuple[float, float] | None = known[n_bytes, pinned]
    return found


def _measured_transfer(backend: Backend, n_bytes: int, *, pinned: bool) -> tuple[float, float] | None:
    ask = getattr(backend, "transfer_seconds", None)
    if ask is None or ask(n_bytes, pinned=pinned) is None:
        return None
    to, back = zip(*(ask(n_bytes, pinned=pinned) for _ in range(TRANSFERS)), strict=True)
    return statistics.median(to), statistics.median(back)
