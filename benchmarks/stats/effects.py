"""Effects: what measurements of one ratio say together, and how surprising that would be within a threshold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_ERROR = 1e-4
"""No standard error of an effect is taken for less: a few values that agree by chance are not that certain."""


@dataclass(frozen=True)
class Criteria:
    """What counts as a change.

    `threshold`: 0.05 lets a head take 5 % longer, or 5 % less, and still be the same. `confidence` is that of
    every interval; `false_discovery_rate` bounds the expected share of false alarms among all alarms.
    """

    threshold: float = 0.05
    confidence: float = 0.95
    false_discovery_rate: float = 0.05

    def __post_init__(self) -> None:
        for name in ("threshold", "confidence", "false_discovery_rate"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name}: must lie between 0 and 1; got {value!r}")

    @property
    def margin(self) -> float:
        """The threshold as an effect."""
        return math.log1p(self.threshold)


@dataclass(frozen=True)
class Estimate:
    """An effect with its interval, and how surprising it would be if it were within the threshold (`p`)."""

    effect: float
    low: float
    high: float
    p: float


def estimate(effect: float, error: float, criteria: Criteria, freedom: float = math.inf) -> Estimate:
    """Return what an effect with a standard error says, by Student's t with `freedom` degrees of freedom.

    `p` is two-sided: twice the smaller of the chances of an effect so large, or so small, where the truth lies at
    the nearer threshold.
    """
    error = max(error, LEAST_ERROR)
    level, beyond = (1 + criteria.confidence) / 2, (abs(effect) - criteria.margin) / error
    if math.isinf(freedom):
        normal = statistics.NormalDist()
        reach, tail = error * normal.inv_cdf(level), normal.cdf(-beyond)
    else:
        from scipy import special  # late: it takes a quarter of a second

        reach, tail = error * float(special.stdtrit(freedom, level)), float(special.stdtr(freedom, -beyond))
    p = min(1.0, 2 * tail)
    return Estimate(effect, effect - reach, effect + reach, p)


def estimate_mean(effects: Sequence[float], criteria: Criteria) -> Estimate:
    """Return what independent measurements of one effect say; one alone says nothing about its error."""
    n = len(effects)
    if n < 2:
        return Estimate(float(effects[0]) if n else math.nan, -math.inf, math.inf, 1.0)
    return estimate(statistics.fmean(effects), statistics.stdev(effects) / math.sqrt(n), criteria, n - 1)


def adjusted(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, by Benjamini and Hochberg (1995); NaN stays NaN.

    Rejecting those at most `q` keeps the expected share of false ones among them at most `q`.
    """
    # SciPy has this too, and takes a second to import.
    falling = sorted((i for i, value in enumerate(p) if not math.isnan(value)), key=lambda i: -p[i])
    found, least = [math.nan] * len(p), 1.0
    for rank, i in zip(range(len(falling), 0, -1), falling, strict=True):
        least = found[i] = min(least, max(p[i], 0.0) * len(falling) / rank)
    return found
