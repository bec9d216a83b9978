"""Measurement: calibration, rounds, and when to stop, for any source of rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import scipy.stats

ROUND_S = 1e-3
"""Calls are repeated until a round takes this long: a clock read (about 50 ns) is then lost in it."""
BURST_S = 0.05
"""Rounds are asked for in bursts of about this length; the stopping rule looks after each."""
MAX_ITERATIONS = 1_000_000


@dataclass(frozen=True)
class Rule:
    """When to stop: `precision` is half the interval's width over the median, at `confidence`.

    At least `min_rounds` rounds are taken, then none after `max_s` seconds.
    """

    precision: float
    confidence: float
    min_rounds: int
    max_s: float


@dataclass(frozen=True)
class Sampling:
    """Rounds of `iterations` calls each, in seconds per round, and why there are not more of them."""

    rounds_s: tuple[float, ...]
    iterations: int
    stop_reason: str
    low_s: float
    high_s: float

    @property
    def per_call_s(self) -> list[float]:
        """Seconds per call, a value a round."""
        return [total / self.iterations for total in self.rounds_s]

    @property
    def median_s(self) -> float:
        """Median seconds per call."""
        return statistics.median(self.per_call_s)

    @property
    def iqr_s(self) -> float:
        """Interquartile range of seconds per call."""
        if len(self.rounds_s) < 2:
            return 0.0
        quartiles = statistics.quantiles(self.per_call_s, n=4, method="inclusive")
        return quartiles[2] - quartiles[0]


def median_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return a confidence interval for the median from order statistics, assuming no distribution.

    The number of values below the median is binomial(n, 1/2) (David and Nagaraja, Order Statistics, section 7.1).
    Too few values for the confidence asked give an infinite interval.
    """
    ordered, n = sorted(values), len(values)
    rank = int(scipy.stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    if rank < 1:
        return float("-inf"), float("inf")
    return ordered[rank - 1], ordered[n - rank]


def calibrate(burst: Callable[[int, int], Sequence[float]]) -> int:
    """Return how many calls make a round of `ROUND_S`; `burst(iterations, n_rounds)` returns seconds per round."""
    iterations = 1
    while iterations < MAX_ITERATIONS:
        # The best of three: one interruption must not make rounds too short.
        seconds = min(burst(iterations, 3))
        if seconds >= ROUND_S:
            break
        growth = ROUND_S / max(seconds, 1e-9)
        # Growing tenfold at most: the first calls are slower than those to come.
        iterations = min(MAX_ITERATIONS, max(iterations + 1, round(iterations * min(growth * 1.05, 10))))
    return iterations


def sample(burst: Callable[[int, int], Sequence[float]], iterations: int, rule: Rule) -> Sampling:
    """Take bursts of rounds until the median is known well enough or the time is up.

    `burst(iterations, n_rounds)` returns seconds per round.
    """
    rounds: list[float] = []
    n_next = rule.min_rounds
    while True:
        rounds += burst(iterations, n_next)
        low, high = (limit / iterations for limit in median_interval(rounds, rule.confidence))
        middle = statistics.median(rounds) / iterations
        if len(rounds) >= rule.min_rounds:
            if high - low <= 2 * rule.precision * middle:
                return Sampling(tuple(rounds), iterations, "precision reached", low, high)
            if sum(rounds) >= rule.max_s:
                return Sampling(tuple(rounds), iterations, "time used up", low, high)
        n_next = max(1, min(round(BURST_S / (middle * iterations)), rule.min_rounds * 10))
