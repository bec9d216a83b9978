"""The interval of what several processes measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


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
