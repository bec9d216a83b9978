"""Measurement: calibration, warm-up, rounds taken in turn, and when to stop, for any source of rounds.

A *round* is a number of calls between two readings of the clock. Rounds come in short *bursts*: backends that are
to be compared take turns, a burst each, so that a change of the machine's speed meets all of them. Rounds within a
burst resemble each other more than they should; the interval is therefore over the bursts' medians.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.record.schema import Rounds
from benchmarks.stats.intervals import median_interval, processes_interval

ROUND_S = 1e-3
"""Calls are repeated until a round takes this long: reading the clock (under 0.2 µs) is 0.02 % of it."""
QUEUED_ROUND_S = 1e-2
"""As long for calls that are queued: their launches, and the one synchronisation, are to be hidden."""
MOST_CALLS = 1_000_000
"""A round never has more calls."""
BURST_S = 0.03
"""A burst holds rounds for about this long, and at least one."""
WARM_UP_S = 0.5
"""Warming up ends after this long, steady or not."""
STEADY = 0.97
"""Warming up ends when a burst takes at least this share of the time of the one before."""
PLATEAU = 0.1
"""The noise has reached a plateau when its estimates over the last half of the bursts lie within this share."""

PRECISE = "precision reached"
"""The best reason to stop: the interval is as narrow as asked for."""
SPENT = "time used up"
FAILED = "failed"
FINAL = (SPENT, FAILED)
"""Reasons that another burst cannot change."""

Burst = Callable[[int, int], Sequence[float]]
"""`burst(iterations, n_rounds)` takes rounds of `iterations` calls and returns the seconds of each.

It returns nothing when its source has failed: no more is then asked of it."""


@dataclass(frozen=True)
class Rule:
    """When to stop: `precision` is half the interval's width over the median, at `confidence`.

    At least `min_bursts` bursts are taken, then none after `max_s` seconds of rounds. They end sooner if the noise
    has reached a plateau from which `max_s` is too short to get to `precision`.
    """

    precision: float
    confidence: float
    min_bursts: int
    max_s: float


@dataclass(frozen=True)
class Sampling:
    """Bursts of rounds of `iterations` calls each, in seconds per round, and why there are not more of them.

    `processes` holds the bursts of each worker process. `low_s` and `high_s` bound the median seconds per call.
    """

    processes: tuple[tuple[tuple[float, ...], ...], ...]
    iterations: tuple[int, ...]
    stop_reason: str
    low_s: float
    high_s: float

    def rounds(self, *, every: bool) -> Rounds:
        """Return what a run keeps of the rounds: each burst's median, and `every` round if asked for."""
        return Rounds(
            medians_s=self.burst_medians_s,
            processes=self.processes if every else (),
            iterations=self.iterations if every else (),
        )

    @property
    def n_bursts(self) -> int:
        """Number of bursts in all processes."""
        return sum(map(len, self.processes))

    @property
    def per_call_s(self) -> list[float]:
        """Seconds per call, a value a round."""
        pairs = zip(self.processes, self.iterations, strict=True)
        return [seconds / n for bursts, n in pairs for burst in bursts for seconds in burst]

    @property
    def burst_medians_s(self) -> tuple[tuple[float, ...], ...]:
        """Each burst's median seconds per call, process by process."""
        return tuple(
            tuple(statistics.median(burst) / n for burst in bursts)
            for bursts, n in zip(self.processes, self.iterations, strict=True)
        )

    @property
    def median_s(self) -> float:
        """Median seconds per call."""
        return statistics.median(self.per_call_s)

    @property
    def iqr_s(self) -> float:
        """Interquartile range of seconds per call."""
        values = self.per_call_s
        if len(values) < 2:
            return 0.0
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
        return quartiles[2] - quartiles[0]


@dataclass
class Lane:
    """One source of rounds while it is sampled: one case in one process."""

    burst: Burst
    iterations: int
    rule: Rule
    bursts: list[tuple[float, ...]] = field(default_factory=list)
    stop_reason: str = ""
    _noise: list[float] = field(default_factory=list)

    def advance(self) -> None:
        """Take one more burst, and say whether there is a reason to stop."""
        found = tuple(self.burst(self.iterations, self._n_rounds()))
        if not found:
            self.stop_reason = FAILED
            return
        self.bursts.append(found)
        if len(self.bursts) >= self.rule.min_bursts:
            self.stop_reason = self._stop_reason()

    def interval(self) -> tuple[float, float]:
        """Return the interval of the median seconds per call."""
        medians = [statistics.median(burst) / self.iterations for burst in self.bursts]
        low, high = median_interval(medians, self.rule.confidence)
        # The median of all rounds is not that of the bursts' medians: the interval holds both.
        middle = statistics.median(itertools.chain.from_iterable(self.bursts)) / self.iterations
        return min(low, middle), max(high, middle)

    def _n_rounds(self) -> int:
        if not self.bursts:
            return 1
        return max(1, round(BURST_S / statistics.median(self.bursts[-1])))

    def _stop_reason(self) -> str:
        low, high = self.interval()
        medians = [statistics.median(burst) for burst in self.bursts]
        middle = statistics.median(medians) / self.iterations
        half_width = (high - low) / 2 / middle
        if half_width <= self.rule.precision:
            return PRECISE
        spent = sum(map(sum, self.bursts))
        if spent >= self.rule.max_s:
            return SPENT
        quartiles = statistics.quantiles(medians, n=4, method="inclusive")
        self._noise.append((quartiles[2] - quartiles[0]) / self.iterations / middle)
        # The width falls with the square root of the number of bursts.
        needed_s = spent * (half_width / self.rule.precision) ** 2
        if needed_s > self.rule.max_s and has_plateaued(self._noise, self.rule.min_bursts):
            return "noise plateaued"
        return ""


def has_plateaued(noise: Sequence[float], n_least: int) -> bool:
    """Tell whether the last half of the estimates, and at least `n_least` of them, lie close together."""
    last = noise[-max(n_least, len(noise) // 2) :]
    return len(last) >= n_least and max(last) - min(last) <= PLATEAU * statistics.mean(last)


def calibrate(burst: Burst, at_most: int = MOST_CALLS, round_s: float = ROUND_S, iterations: int = 1) -> int:
    """Return how many calls make a round of `round_s`, from `iterations` to `at_most`; 0 if the source failed."""
    while iterations < at_most:
        # The best of three: one interruption must not make rounds too short.
        seconds = min(burst(iterations, 3), default=math.nan)
        if math.isnan(seconds):
            return 0
        if seconds >= round_s:
            break
        growth = round_s / max(seconds, 1e-9)
        # Growing tenfold at most: the first calls are slower than those to come.
        iterations = min(at_most, max(iterations + 1, round(iterations * min(growth * 1.05, 10))))
    return iterations


def warm_up(burst: Burst, iterations: int) -> None:
    """Take bursts, not counted, until they no longer become faster, or for `WARM_UP_S`.

    What first calls pay for lasts: memory that the system must find first, caches, a processor that has slept.
    """
    before, spent = math.inf, 0.0
    while spent < WARM_UP_S:
        n_rounds = 1 if math.isinf(before) else max(1, round(BURST_S / before))
        rounds = burst(iterations, n_rounds)
        if not rounds or (now := statistics.median(rounds)) >= STEADY * before:
            return
        before = now
        spent += sum(rounds)


def open_lane(burst: Burst, rule: Rule, at_most: int = MOST_CALLS, round_s: float = ROUND_S) -> Lane:
    """Return a source of rounds calibrated and warmed up, ready to take turns."""
    if iterations := calibrate(burst, at_most, round_s):
        warm_up(burst, iterations)
        # Calls that were slow while they warmed up, or were interrupted, may have made the rounds too short.
        iterations = calibrate(burst, at_most, round_s, iterations)
    return Lane(burst, iterations, rule)


def take_turns(lanes: Sequence[Lane], order: random.Random, between: Callable[[], None] = lambda: None) -> None:
    """Let lanes take a burst each, in an order drawn anew each time, until all have a reason to stop.

    `between` is called once before each turn.

    A lane that is precise enough goes on while others are not: lanes that will be compared must have seen the same
    stretch of time. One whose time is used up, or which failed, leaves.
    """
    active = list(lanes)
    while any(not lane.stop_reason for lane in active):
        between()
        for lane in order.sample(active, len(active)):
            lane.advance()
        active = [lane for lane in active if lane.stop_reason not in FINAL]


def combine(lanes: Sequence[Lane]) -> Sampling:
    """Return the lanes of one case, one a process, as one sampling.

    With several processes the interval covers the differences between them too.
    """
    low, high = lanes[0].interval()
    sampling = Sampling(
        processes=tuple(tuple(lane.bursts) for lane in lanes),
        iterations=tuple(lane.iterations for lane in lanes),
        # Of several processes, the one that fell short speaks.
        stop_reason=max((lane.stop_reason for lane in lanes), key=lambda reason: reason != PRECISE),
        low_s=low,
        high_s=high,
    )
    if len(lanes) == 1:
        return sampling
    medians = [statistics.median(itertools.chain.from_iterable(la.bursts)) / la.iterations for la in lanes]
    low, high = processes_interval(medians, lanes[0].rule.confidence)
    middle = sampling.median_s
    return replace(sampling, low_s=min(low, middle), high_s=max(high, middle))
