"""Pairs: which of two backends is faster, from the ratios of their times turn by turn.

A ratio within a turn is free of what slows the whole machine for longer than a turn. Its median over turns has
an interval that assumes no distribution; neighbouring turns may resemble each other. Verdicts are passed at looks
that are fixed in advance, and the chance of a false one is shared out among them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

MARGIN = 0.05
"""Unless another is asked for: a backend is `faster` where it surely leads by more than 5 %, and `equal` where it
surely does not."""
FASTER, EQUAL, CLOSE = "faster", "equal", "too close to call"
VERDICTS = (FASTER, EQUAL, CLOSE)
KNOWN = 0.10
"""A ratio is known once its interval reaches at most 10 % to either side: a loser needs no more turns then."""
PLACEMENT_S = 3e-7
"""Seconds a call by which two processes of the same code can differ for as long as they live.

Where an interpreter's memory lies is drawn once a process: of thirty workers one took 0.3 µs more a call, in each
of twelve cases of 2 to 6 µs, where the others agreed to 2 %. So one process cannot claim to be faster by less.
"""
LOOKS = (12, 20, 30, 45, 60, 90, 140, 220)
"""Numbers of turns after which verdicts are passed."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """How many times as long one backend takes as another: the median `ratio` over `turns`, with its interval.

    `placement` is the share by which two processes of the same code may differ: nobody is faster by less.
    """

    ratio: float
    low: float
    high: float
    turns: int
    margin: float = MARGIN
    placement: float = field(default=0.0, compare=False)

    @property
    def known(self) -> bool:
        """Whether the ratio is known to `KNOWN`."""
        return self.high <= self.ratio * (1 + KNOWN) and self.low >= self.ratio / (1 + KNOWN)

    @property
    def verdict(self) -> str:
        """What the interval says."""
        return verdict(self.low, self.high, self.margin, self.placement)


def verdict(low: float, high: float, margin: float = MARGIN, placement: float = 0.0) -> str:
    """Return what the interval of a ratio says of a slower backend's time over a faster one's.

    `faster` (the faster one is): it lies wholly beyond the margin, and beyond what their processes may differ by
    (`placement`) besides. `equal`: wholly within, on either side of 1. An interval that is not known (NaN) says
    nothing.
    """
    upper = 1 + margin
    if low > upper + placement:
        return FASTER
    return EQUAL if low >= 1 / upper and high <= upper else CLOSE


def compare(
    slower: Sequence[float], faster: Sequence[float], confidence: float = CONFIDENCE, margin: float = MARGIN
) -> Comparison:
    """Compare two backends' times over the turns that both took: the first ones, since who leaves stays away.

    The interval holds at `confidence` for all of `LOOKS` together (Bonferroni). Times are in seconds a call.
    """
    logs = [math.log(slow / fast) for slow, fast in zip(slower, faster, strict=False)]
    if not logs:
        return Comparison(math.nan, 0.0, math.inf, 0, margin)
    low, high = median_interval(logs, 1 - (1 - confidence) / len(LOOKS))
    ratio, placement = math.exp(statistics.median(logs)), PLACEMENT_S / statistics.median(faster)
    return Comparison(ratio, math.exp(low), math.exp(high), len(logs), margin, placement)


def inverse(found: Comparison) -> Comparison:
    """Return the same comparison the other way round."""
    high = 1 / found.low if found.low > 0 else math.inf
    return Comparison(1 / found.ratio, 1 / found.high, high, found.turns, found.margin, found.placement)


def median_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return a confidence interval of the median of values in the order in which they came.

    The number of values below the median has the variance `n / 4` if they are independent, and `dependence` times
    as much if neighbours resemble each other: so many ranks to either side of the middle are taken, as far as
    there are any. Too few values for the confidence, were they independent, have an infinite interval.
    """
    ordered, n = sorted(values), len(values)
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    if n - z * math.sqrt(n) < 2:
        return -math.inf, math.inf
    # All that was seen, at most: values that would have sufficed if independent are not worth nothing.
    rank = max(1, math.floor((n - z * math.sqrt(n * dependence(values))) / 2))
    return ordered[rank - 1], ordered[n - rank]


def dependence(values: Sequence[float]) -> float:
    """Return by how much the variance of a count of values below the median exceeds that of independent values.

    It is 1 + 2 times the sum of the autocorrelations of being below, over the first lags, up to a quarter of
    the values, at which pairs of them are positive (Geyer 1992, "Practical Markov chain Monte Carlo", section
    3.3). At least 1: values that avoid each other are not taken for more certain.
    """
    n, middle = len(values), statistics.median(values)
    sides = [(value > middle) - (value < middle) for value in values]
    power = sum(side * side for side in sides)
    if not power:
        return 1.0
    total = 0.0
    for lag in range(1, n // 4, 2):
        pair = sum(_correlation(sides, k) for k in (lag, lag + 1)) / power
        if pair <= 0:
            break
        total += pair
    return max(1.0, 1 + 2 * total)


def _correlation(sides: Sequence[int], lag: int) -> int:
    return sum(a * b for a, b in zip(sides, sides[lag:], strict=False))
