"""Pairs: which of two backends is faster, from the ratios of their times turn by turn.

A ratio within a turn is free of what slows the whole machine for longer than a turn. Its midmean over turns, the
mean of the middle half, has an interval that allows for neighbouring turns which resemble each other. Verdicts are
passed at looks that are fixed in advance, and the chance of a false one is shared out among them.
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
LOOKS = (8, 12, 16, 22, 32, 45, 80, 140)
"""Numbers of turns after which verdicts are passed."""
TRIMMED = 0.25
"""The part of the turns that is left out at each end: one in four may be disturbed either way."""
GROUPED = 0.9
"""Where the ratios of half of the turns lie apart from the others, 8 turns tell so in 98 of 100 cases."""
CONFIDENCE = 0.95
LEAST = 8
"""Fewer turns say nothing: four values would be left of seven."""
MOST_LOG = 700.0
"""A ratio beyond exp(700) is infinite."""


@dataclass(frozen=True)
class Comparison:
    """How many times as long one backend takes as another: the midmean `ratio` over `turns`, with its interval.

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
    def undecidable(self) -> bool:
        """Whether it is surely beyond the margin, and surely not beyond what the placement adds to it.

        More turns say no more then; more processes may.
        """
        upper = 1 + self.margin
        return self.low > upper and self.high <= upper + self.placement

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
    middle, low, high = midmean(logs, 1 - (1 - confidence) / len(LOOKS))
    high = math.exp(high) if high < MOST_LOG else math.inf
    return Comparison(
        math.exp(middle), math.exp(low), high, len(logs), margin, PLACEMENT_S / statistics.median(faster)
    )


def inverse(found: Comparison) -> Comparison:
    """Return the same comparison the other way round."""
    high = 1 / found.low if found.low > 0 else math.inf
    return Comparison(1 / found.ratio, 1 / found.high, high, found.turns, found.margin, found.placement)


def midmean(values: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """Return the mean of the middle half of values, in the order in which they came, and its interval.

    The interval is that of Tukey and McLaughlin (1963, "Less vulnerable confidence and significance procedures for
    location based on a single sample"), Student's t of the winsorized deviation, widened by `dependence`. Where
    values fall into two groups, few of them may all lie in one: so it also holds the median's interval at
    `GROUPED`, which costs nothing where they do not. Fewer than `LEAST` values have an infinite interval.
    """
    ordered, n = sorted(values), len(values)
    left_out = int(TRIMMED * n)
    kept = ordered[left_out : n - left_out]
    middle = statistics.fmean(kept)
    if n < LEAST:
        return middle, -math.inf, math.inf
    from scipy import special  # late: it takes a quarter of a second

    winsorized = [*[kept[0]] * left_out, *kept, *[kept[-1]] * left_out]
    error = statistics.stdev(winsorized) / (len(kept) / n * math.sqrt(n)) * math.sqrt(dependence(values))
    reach = float(special.stdtrit(len(kept) - 1, (1 + confidence) / 2)) * error
    low, high = median_interval(values, GROUPED)
    return middle, min(low, middle - reach), max(high, middle + reach)


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
