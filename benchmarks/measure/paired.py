"""Paired measurement: two sources of rounds that differ in one thing, compared burst by burst.

Bursts come in fours, base-head-head-base or head-base-base-head by chance: a speed of the machine that changes
steadily through a four meets both sides alike, and one that jumps spoils that four alone.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure.sampling import MOST_CALLS, ROUND_S, Burst, calibrate, warm_up

BURST_S = 0.03
"""A burst holds rounds for about this long, and at least one."""
LEAST_PAIRS = 4
MOST_PAIRS = 10
PRECISION = 0.003
"""A sitting ends before `MOST_PAIRS` when the standard error of its effect is at most this."""
MOST_S = 3.0
"""A sitting takes no further four bursts after three seconds of rounds."""


@dataclass(frozen=True)
class Effect:
    """What one sitting found: seconds per call of both sides, and the logarithm of head's over base's time."""

    base_s: float
    head_s: float
    effect: float
    pairs: int


def sitting(
    base: Burst, head: Burst, order: random.Random, at_most: int = MOST_CALLS, round_s: float = ROUND_S
) -> Effect | None:
    """Calibrate and warm up both sides, then compare them in fours of bursts; the effect is the fours' median.

    None if either side has failed.
    """
    sides = (base, head)
    iterations = _calls(sides, at_most, round_s)
    taken: tuple[list[float], list[float]] = ([], [])
    effects: list[float] = []
    n_rounds, spent = 1, 0.0
    while iterations and not _is_enough(effects, spent):
        outer, inner = order.sample([0, 1], 2)
        logs = [0.0, 0.0]
        for i in (outer, inner, inner, outer):
            if not (rounds := sides[i](iterations, n_rounds)):
                return None
            seconds = max(statistics.median(rounds), 1e-9)
            taken[i].append(seconds / iterations)
            logs[i] += math.log(seconds) / 2
            spent += sum(rounds)
            slower = iterations * max(side[-1] for side in taken if side)
            n_rounds = max(1, round(BURST_S / slower))  # of both sides alike
        effects.append(logs[1] - logs[0])
    if not effects:
        return None
    return Effect(
        base_s=statistics.median(taken[0]),
        head_s=statistics.median(taken[1]),
        effect=statistics.median(effects),
        pairs=len(effects),
    )


def _calls(sides: Sequence[Burst], at_most: int, round_s: float) -> int:
    """Return how many calls make a round on the faster side, both warmed up; 0 if either has failed."""
    iterations = [calibrate(side, at_most, round_s) for side in sides]
    if all(iterations):
        for side in sides:
            warm_up(side, max(iterations))
        iterations = [calibrate(side, at_most, round_s, max(iterations)) for side in sides]
    return max(iterations) if all(iterations) else 0


def _is_enough(effects: list[float], spent: float) -> bool:
    n = len(effects)
    if n < LEAST_PAIRS:
        return False
    # 1.2533: the error of a median of normal values, over that of their mean.
    return n >= MOST_PAIRS or spent >= MOST_S or 1.2533 * statistics.stdev(effects) / math.sqrt(n) <= PRECISION
