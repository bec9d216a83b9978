"""Copy bandwidth: how fast this machine moves bytes, the limit that a memory-bound op can reach.

`python -m benchmarks.bandwidth THREADS` measures the host in a process of its own, whose cores no other library's
thread pool occupies, and prints JSON. Bytes count as in a record: each read once and each written once.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from time import perf_counter

import numpy as np

LADDER = tuple(4**k for k in range(6, 15))
"""Bytes moved a call, 4 KiB to 256 MiB: from the first-level cache to memory."""
N_ROUNDS = 9


@dataclass(frozen=True)
class Bandwidth:
    """Measured copy bandwidth in GB/s at each size of `n_bytes` moved."""

    n_bytes: tuple[int, ...]
    gigabytes_per_s: tuple[float, ...]

    def at(self, n_bytes: float) -> float:
        """Return the bandwidth for `n_bytes` moved, interpolated between the sizes measured (logarithmically)."""
        return float(
            np.exp(np.interp(np.log(max(n_bytes, 1)), np.log(self.n_bytes), np.log(self.gigabytes_per_s)))
        )


def measure_host(threads: int) -> Bandwidth:
    """Measure copies on the host with one thread and with `threads`; the better of the two is the limit."""
    command = [sys.executable, "-m", "benchmarks.bandwidth", str(threads)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return from_seconds(json.loads(output))


def from_seconds(seconds: Sequence[float]) -> Bandwidth:
    """Return the bandwidth from the seconds that a copy takes at each size of `LADDER`."""
    rates = tuple(n / s / 1e9 for n, s in zip(LADDER, seconds, strict=True))
    return Bandwidth(LADDER, rates)


def copy_seconds(n_bytes: int, threads: int) -> float:
    """Return the median time of a copy that moves `n_bytes` in all, spread over `threads` threads.

    Each thread copies its own slice again and again, so that starting threads is not part of the time.
    """
    slices = [np.ones(max(n_bytes // 2 // threads, 1), np.uint8) for _ in range(2 * threads)]
    iterations = max(1, round(2e7 / n_bytes))
    barrier = Barrier(threads)

    def copy(source: np.ndarray, target: np.ndarray) -> float:
        barrier.wait()
        started = perf_counter()
        for _ in range(iterations):
            np.copyto(target, source)
        return perf_counter() - started

    with ThreadPoolExecutor(threads) as pool:
        rounds = [
            max(pool.map(copy, slices[:threads], slices[threads:])) / iterations for _ in range(N_ROUNDS + 1)
        ]
    return statistics.median(rounds[1:])


if __name__ == "__main__":
    counts = {1, int(sys.argv[1])}
    print(json.dumps([min(copy_seconds(n, count) for count in counts) for n in LADDER]))
