"""A device's time without launches: calls that are handed over while the device works on something else.

JAX has no events. But where that other work is not done when the last call has been handed over, the calls follow
each other without a gap: from its result to the last call's is their own time. The host sees each of the two
results as late as the other, some 10 µs.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

LEAST_CALLS, MOST_CALLS = 4, 24
"""Calls on their way at once: of short ones as many as JAX lets be beside the other work, which are 32."""
WORKS = (1, 2, 4)
"""How much other work there is, at the first try and the next ones."""


def seconds_per_call(
    run: Callable[[], Any],
    iterations: int,
    work: Callable[[], Any],
    wait: Callable[[Any], Any],
    is_ready: Callable[[Any], bool],
    clock: Callable[[], float] = perf_counter,
) -> float | None:
    """Return seconds per call, or None where the calls cannot be handed over in time, or are over too soon.

    `work` starts work of a few milliseconds and returns its result, `wait` waits for a result, `is_ready` tells
    whether it is there.
    """
    n = min(MOST_CALLS, max(LEAST_CALLS, 2 * iterations))
    wait(run())
    wait(work())
    for n_works in WORKS:
        other = [work() for _ in range(n_works)][-1]
        for _ in range(n):
            last = run()  # each result is let go, or all of them would take memory
        in_time = not is_ready(other)
        wait(other)
        started, too_soon = clock(), is_ready(last)
        wait(last)
        taken = clock() - started
        if in_time:
            return None if too_soon else taken / n
    return None
