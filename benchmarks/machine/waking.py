"""Waking: calls before a burst that are not counted, so that it finds threads and caches as they usually are."""

from __future__ import annotations

import math

WAKE_S = 2e-3
"""They take so long at least: a thread pool that slept for 20 ms is four times slower at first."""
WAKE_CALLS = 8
"""There are so many of them: what rivals have pushed out of a shared cache comes back over several calls.

At 8 million elements, where calls took 1.2 to 2.5 ms, the first one after a pause of 30 ms took 1.5 to 2 times as
long; after eight of them all were within 2 % of where they stayed, but for one within 5 %.
"""
WAKE_MOST_S = 2e-2
"""None follows after this long, and a round as long as this needs none before it."""
AWAKE_S = 1e-3
"""Who has ended a round within the last millisecond is awake: rivals take longer than that for their turns."""


def is_due(woken_s: float, n_calls: int, last_round_s: float) -> bool:
    """Tell whether another call is due after `n_calls` that took `woken_s`; the last round took `last_round_s`."""
    if max(woken_s, last_round_s) >= WAKE_MOST_S:
        return False
    return woken_s < WAKE_S or n_calls < WAKE_CALLS


def most_s(round_s: float, iterations: int) -> float:
    """Return how long it takes at most, where each of its rounds takes twice as long as a slow one later.

    A round has so many calls; one more may be under way when it ends.
    """
    n_rounds = math.ceil(WAKE_CALLS / iterations)
    return min(WAKE_MOST_S, max(WAKE_S, 2 * n_rounds * round_s)) + round_s
