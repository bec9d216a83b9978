"""The device's own clock: events around calls that are queued while the device spins, so without launches.

What is asked of CUDA is passed as `cuda`: `torch.cuda`, or a test's made-up device.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

SPIN_HZ = 2e9
"""Cycles of a second of spinning: no GPU's clock is much faster, and on a slower one it spins longer."""
LEAST_SPIN_S = 2e-4
LONGER = 3
"""The device spins three times as long as the calls took to queue before."""
TRIES = 4
MOST_CALLS = 200
"""Calls queued at once: the queue takes some 1,000 launches, of which a call may need several."""


def seconds_per_call(cuda: Any, run: Callable[[], Any], iterations: int) -> float | None:
    """Return seconds per call between two events, or None where the calls cannot be queued ahead of the device.

    That they were is seen, not assumed: when the last one is queued, the device must not have passed the first
    event yet. If it has, it spins longer at the next try, with fewer calls; a call that waits for the device
    itself never can. Before, one call is made that does not count: it allocates what the others use again.
    """
    if not hasattr(cuda, "_sleep"):  # PyTorch's own tests use it; it is not documented
        return None
    n = max(1, min(iterations, MOST_CALLS))
    run()
    cuda.synchronize()
    spin_s = max(LEAST_SPIN_S, LONGER * _queueing_s(cuda, run, n))
    for _ in range(TRIES):
        start, stop = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        cuda._sleep(round(SPIN_HZ * spin_s))  # noqa: SLF001
        start.record()
        for _ in range(n):
            run()
        stop.record()
        queued_ahead = not start.query()
        stop.synchronize()
        if queued_ahead:
            return float(start.elapsed_time(stop)) / 1e3 / n
        spin_s, n = 2 * spin_s, max(1, n // 2)
    return None


def _queueing_s(cuda: Any, run: Callable[[], Any], n: int) -> float:
    """Return the seconds that the host takes to queue `n` calls."""
    started = perf_counter()
    for _ in range(n):
        run()
    taken = perf_counter() - started
    cuda.synchronize()
    return taken
