"""Intervals of a median: from order statistics of values, or from the medians of processes."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence


def median_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return a confidence interval for the median from order statistics, assuming no distribution.

    The number of values below the median is binomial(n, 1/2) (David and Nagaraja, Order Statistics, section 7.1).
    Too few values for the confidence asked give an infinite interval.
    """
    from scipy import special  # late: it takes a quarter of a second; and not scipy.stats, which takes more

    ordered, n = sorted(values), len(values)
    rank = next(k for k in range(n + 1) if special.bdtr(k, n, 0.5) >= (1 - confidence) / 2)
    if rank < 1:
        return float("-inf"), float("inf")
    return ordered[rank - 1], ordered[n - rank]


def least_bursts(confidence: float) -> int:
    """Return how many values the median's interval needs to be finite."""
    return next(n for n in itertools.count(2) if math.isfinite(median_interval(range(n), confidence)[0]))


def processes_interval(medians: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the interval of the mean of processes' medians, as Student's t of their logarithms.

    Order statistics would need six processes. One process gives an infinite interval.
    """
    if len(medians) < 2:
        return float("-inf"), float("inf")
    from scipy import special

    logarithms = [math.log(median) for median in medians]
    reach = special.stdtrit(len(medians) - 1, (1 + confidence) / 2)
    half_width = reach * statistics.stdev(logarithms) / math.sqrt(len(medians))
    centre = statistics.mean(logarithms)
    return math.exp(centre - half_width), math.exp(centre + half_width)
