"""Ten kernels that take from 0.1 µs to 0.1 s a call, on which the measurement is validated."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import backends
from benchmarks.measure.prepared import Prepared
from benchmarks.measure.sampling import Lane, Rule, open_lane, take_turns
from benchmarks.plan import inputs

RULE = Rule(precision=0.02, confidence=0.95, max_s=0.5)
"""As in the timing suite, with twice the time, since the slowest kernel takes 0.1 s a call."""

_SIZES = {
    "relu-1": ("relu", 1),
    "tanh-1000": ("tanh", 1_000),
    "relu-30000": ("relu", 30_000),
    "relu-1000000": ("relu", 1_000_000),
    "tanh-300000": ("tanh", 300_000),
    "tanh-3000000": ("tanh", 3_000_000),
    "sigmoid-10000000": ("sigmoid", 10_000_000),
    "mish-50000000": ("mish", 50_000_000),
}
NAMES = ("fsum-6", "add-1", *_SIZES)


def kernel(name: str) -> Callable[[], Any]:
    """Return a kernel: a call without arguments that allocates nothing large.

    Two are functions of Python and NumPy; the others are activations of the NumPy backend that reuse their output.
    """
    if name == "fsum-6":
        return partial(math.fsum, (0.1,) * 6)
    if name == "add-1":
        x = np.ones(1, np.float32)
        return partial(np.add, x, x, x.copy())
    op, n = _SIZES[name]
    (x,) = inputs.draw(op, (n,), "float32")
    return backends.load("numpy").bind(op, x, allocation="reuse")


def waiting(run: Callable[[], Any], seconds: float) -> Callable[[], Any]:
    """Return `run` followed by a busy wait of `seconds`, measured by the clock that also times it."""
    clock = time.perf_counter

    def wait() -> Any:
        result = run()
        end = clock() + seconds
        while clock() < end:
            pass
        return result

    return wait


def lane(clock: Callable[[int], float]) -> Lane:
    """Return a calibrated and warmed-up lane; `clock(iterations)` returns the seconds that so many calls take."""

    def burst(iterations: int, n_rounds: int) -> list[float]:
        return [clock(iterations) for _ in range(n_rounds)]

    return open_lane(burst)


def ours(run: Callable[[], Any]) -> Callable[[int], float]:
    """Return the clock with which a worker times `run`."""
    return Prepared(backends.load("numpy"), [run]).time


def measure() -> Mapping[str, float]:
    """Measure all kernels one after the other, as the timing suite does; return the median seconds per call."""
    return {name: statistics.median(per_call(kernel(name))) for name in NAMES}


def per_call(run: Callable[[], Any]) -> list[float]:
    """Measure one call alone, as the timing suite does; return the seconds per call of each burst."""
    alone = lane(ours(run))
    take_turns([alone], RULE, random.Random(0))
    return alone.values
