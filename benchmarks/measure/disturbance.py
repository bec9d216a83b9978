"""Disturbance: rounds during which something else had the processor are taken again.

That it had is known from the system and not from the time: this process's threads were ready to run, and waited.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

BEYOND_USUAL = 0.05
"""A burst is disturbed if its threads waited by this share of its time more than they usually do."""
MOST_AGAIN = 2
"""A burst is taken again at most twice."""
LEAST_SEEN = 4
"""What is usual is known from four bursts on."""
LONG_S = 1e-3
"""Of a burst that claims less, one switch of threads is too large a share."""


@dataclass(frozen=True)
class Reading:
    """One burst: the seconds of its rounds, how long its threads waited for a processor, its page faults per call.

    `waited_s` is the sum over all threads; None where the system does not tell. `throttled` says that a GPU was
    slowed down. Calls before the rounds, which are not counted, took `woken_s`. By the clocks of the process that
    asked for it, the burst took `wall_s` with all around it, its process `cpu_s` of processors' time, and its
    threads waited for `queued_s` until they had a processor. It came from the worker with the number `process`, in
    rounds of `iterations` calls.
    """

    rounds: tuple[float, ...]
    waited_s: float | None
    faults: float
    throttled: bool = False
    wall_s: float = math.nan
    cpu_s: float = math.nan
    queued_s: float = 0.0
    woken_s: float = 0.0
    process: int = 0
    iterations: int = 1


Turn = Callable[[int, int], Reading | None]
"""`turn(iterations, n_rounds)` takes a burst; None when its source has failed."""


@dataclass
class Undisturbed:
    """A source of rounds (`sampling.Burst`) that takes disturbed bursts again; `warm` gives those of a warm-up.

    A framework's own threads may have to wait for each other: that is its cost and stays. So only what exceeds the
    usual counts: what lies above the median of this source's bursts by more than three times their median distance
    from it, so that up to half of them may be disturbed. Those of its warm-up count too. A GPU that is slowed down
    in most bursts is as it is; else those in which it was are disturbed.
    """

    take: Turn
    warm: Turn | None = None
    n_again: int = 0
    n_disturbed: int = 0
    faults: list[float] = field(default_factory=list)
    _shares: list[float] = field(default_factory=list)
    _throttled: list[bool] = field(default_factory=list)

    def __call__(self, iterations: int, n_rounds: int) -> Sequence[float]:
        """Return the rounds of a burst, undisturbed or the last one tried; none where the source has failed."""
        for left in range(MOST_AGAIN, -1, -1):
            if (reading := self.take(iterations, n_rounds)) is None:
                break
            share = _share(reading)
            disturbed = self._is_unusual(share) or self._is_slowed_down(now=reading.throttled)
            if disturbed and left:
                self.n_again += 1
                continue
            self._shares.append(share)
            self.n_disturbed += disturbed
            self.faults.append(reading.faults)
            return reading.rounds
        return ()

    def as_it_comes(self, iterations: int, n_rounds: int) -> Sequence[float]:
        """Return the rounds of a burst that does not count, disturbed or not; it tells what is usual."""
        if (reading := (self.warm or self.take)(iterations, n_rounds)) is None:
            return ()
        if sum(reading.rounds) >= LONG_S:
            self._shares.append(_share(reading))
        return reading.rounds

    def _is_unusual(self, share: float) -> bool:
        if len(self._shares) < LEAST_SEEN:
            return False
        usual = statistics.median(self._shares)
        spread = statistics.median(abs(each - usual) for each in self._shares)
        return share > usual + 3 * spread + BEYOND_USUAL

    def _is_slowed_down(self, *, now: bool) -> bool:
        self._throttled.append(now)
        return now and 2 * sum(self._throttled) <= len(self._throttled)


def _share(reading: Reading) -> float:
    return (reading.waited_s or 0.0) / max(sum(reading.rounds), 1e-9)
