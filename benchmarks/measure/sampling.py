"""Measurement: calibration, warm-up, rounds taken in turn, and when to stop, for any source of rounds.

A *round* is a number of calls between two readings of the clock. Rounds come in short *bursts*; a *turn* is one
burst of each backend that is still in question, in an order drawn anew, so that a change of the machine's speed
meets all of them. A burst counts by its fastest round: what disturbs only ever slows, and within one turn every
burst has as many rounds.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from benchmarks.record.schema import Rounds
from benchmarks.stats import pairs
from benchmarks.stats.intervals import processes_interval
from benchmarks.stats.pairs import EQUAL, FASTER, LOOKS, MARGIN, Comparison

ROUND_S = 5e-4
"""Calls are repeated until a round takes this long: reading the clock (under 0.2 µs) is 0.04 % of it."""
QUEUED_ROUND_S = 1e-2
"""As long for calls that are queued: their launches, and the one synchronisation, are to be hidden."""
MOST_CALLS = 1_000_000
"""A round never has more calls."""
TURN_S = 0.03
"""A turn holds as many rounds of each backend as fit into this, up to `MOST_ROUNDS`."""
MOST_ROUNDS = 5
LEAST_ROUNDS, MOST_TURN_S = 3, 0.15
"""It holds 3 where that takes at most 150 ms: the first one finds the caches full of what a rival has left."""
BURST_S = 5e-3
"""A burst of the warm-up holds rounds for about this long, and at least one."""
WARM_UP_S = 0.5
"""Warming up ends after this long, steady or not."""
STEADY = 0.97
"""Warming up ends when a burst takes at least this share of the time of the one before."""
LEAST_TURNS = 60
"""A pair in question has at least so many turns, unless they take `Rule.patience` times the time that there is."""
ENOUGH = 22
"""After so many turns a loser leaves, though its ratio is not known to `pairs.KNOWN`."""
HOPELESS = 1.5
"""One that surely takes 1.5 times as long leaves as soon as that is known: the time goes to those in question."""

PRECISE = "precision reached"
DECIDED = "decided"
SPENT = "time used up"
FAILED = "failed"
"""Reasons to take no more rounds: the interval is as narrow as asked for; nothing that it was compared with is in
question any more; otherwise."""

MOST_EXACT_S = 1e-9
"""No round is taken for shorter than the clock can tell."""

Burst = Callable[[int, int], Sequence[float]]
"""`burst(iterations, n_rounds)` takes rounds of `iterations` calls and returns the seconds of each.

It returns nothing when its source has failed: no more is then asked of it."""


@dataclass(frozen=True)
class Rule:
    """When to stop.

    Backends that compete take turns until no pair is in question, or for `max_s` seconds of rounds each, and
    `patience` times as long for the first `LEAST_TURNS`. One that is alone takes them until its interval, at
    `confidence`, reaches at most the share `precision` of the median to either side, or for as long. `margin` is
    that of the verdicts.
    """

    precision: float
    confidence: float
    max_s: float
    patience: float = 8.0
    margin: float = MARGIN


@dataclass(frozen=True)
class Sampling:
    """Bursts of rounds of `iterations` calls each, in seconds per round, and why there are not more of them.

    `processes` holds the bursts of each worker process, `pace` what its times are multiplied by (see `Lane.pace`).
    `low_s` and `high_s` bound the median over the bursts, which took `spent_s` with all around them.
    """

    processes: tuple[tuple[tuple[float, ...], ...], ...]
    iterations: tuple[int, ...]
    pace: tuple[float, ...]
    stop_reason: str
    low_s: float
    high_s: float
    spent_s: float = 0.0

    def rounds(self, *, every: bool) -> Rounds:
        """Return what a run keeps of the rounds: each burst's value, and `every` round if asked for."""
        return Rounds(
            bursts_s=self.bursts_s,
            processes=self.processes if every else (),
            iterations=self.iterations if every else (),
        )

    @property
    def n_bursts(self) -> int:
        """Number of bursts in all processes."""
        return sum(map(len, self.processes))

    @property
    def n_rounds(self) -> int:
        """Number of rounds in all processes."""
        return sum(len(burst) for bursts in self.processes for burst in bursts)

    @property
    def bursts_s(self) -> tuple[tuple[float, ...], ...]:
        """Each burst's seconds per call, process by process."""
        return tuple(
            tuple(pace * value_of(burst) / n for burst in bursts)
            for bursts, n, pace in zip(self.processes, self.iterations, self.pace, strict=True)
        )

    @property
    def per_call_s(self) -> list[float]:
        """Seconds per call, a value a burst."""
        return list(itertools.chain.from_iterable(self.bursts_s))

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


def value_of(burst: Sequence[float]) -> float:
    """Return what a burst counts for: its fastest round."""
    return min(burst)


@dataclass
class Lane:
    """One source of rounds while it is sampled: one case in one process. Lanes of one `heat` are compared.

    One that leaves early was measured when the machine may have been half as fast again as later. `pace` brings
    its median to what the one with most turns took in all of them, times their ratio in the turns that both took:
    a ratio and the times beside it say the same.
    """

    burst: Burst
    iterations: int
    heat: int = 0
    pace: float = 1.0
    round_s: float = 0.0
    bursts: list[tuple[float, ...]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    spent_s: float = 0.0
    stop_reason: str = ""

    def advance(self, n_rounds: int) -> None:
        """Take one more burst."""
        started = perf_counter()
        found = tuple(self.burst(self.iterations, n_rounds))
        self.spent_s += max(perf_counter() - started, sum(found))
        if found:
            self.bursts.append(found)
            self.values.append(max(value_of(found), MOST_EXACT_S) / self.iterations)
        else:
            self.stop_reason = FAILED

    @property
    def median_s(self) -> float:
        """Median seconds per call, at the pace of all turns."""
        return self.pace * statistics.median(self.values)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the interval of it."""
        low, high = pairs.median_interval(self.values, confidence)
        return self.pace * low, self.pace * high

    def is_precise(self, rule: Rule) -> bool:
        """Tell whether the interval is as narrow as asked for."""
        low, high = self.interval(rule.confidence)
        return high - low <= 2 * rule.precision * self.median_s


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


def open_lane(burst: Burst, at_most: int = MOST_CALLS, round_s: float = ROUND_S, heat: int = 0) -> Lane:
    """Return a source of rounds calibrated and warmed up, ready to take turns."""
    if iterations := calibrate(burst, at_most, round_s):
        warm_up(burst, iterations)
        # Calls that were slow while they warmed up, or were interrupted, may have made the rounds too short.
        iterations = calibrate(burst, at_most, round_s, iterations)
    return Lane(burst, iterations, heat)


def take_turns(
    lanes: Sequence[Lane], rule: Rule, order: random.Random, between: Callable[[], None] = lambda: None
) -> None:
    """Let lanes take a burst each, in an order drawn anew each time, until all have a reason to stop.

    `between` is called once before each turn. Who is clearly slower than the fastest of its heat leaves as soon as
    that ratio is known: its time goes to the others.
    """
    active = [lane for lane in lanes if _first(lane)]
    n_rounds = _n_rounds(active)
    for turn in itertools.count(1):
        between()
        for lane in order.sample(active, len(active)):
            lane.advance(n_rounds)
        active = [lane for lane in active if not lane.stop_reason]
        if turn in LOOKS:
            for heat in {lane.heat for lane in active}:
                _judge([lane for lane in active if lane.heat == heat], lanes, rule, turn)
            active = [lane for lane in active if not lane.stop_reason]
        if not active or turn == LOOKS[-1] or (turn >= LOOKS[0] and _is_spent(lanes, rule, turn)):
            break
    for lane in active:
        lane.stop_reason = PRECISE if lane.values and lane.is_precise(rule) else SPENT
    for heat in {lane.heat for lane in lanes}:
        _keep_pace([lane for lane in lanes if lane.heat == heat and lane.values])


def _keep_pace(lanes: Sequence[Lane]) -> None:
    longest = max(lanes, key=lambda lane: len(lane.values), default=None)
    for lane in lanes:
        if longest and len(lane.values) < len(longest.values):
            ratio = pairs.compare(lane.values, longest.values).ratio
            lane.pace = statistics.median(longest.values) * ratio / statistics.median(lane.values)


def _first(lane: Lane) -> bool:
    """Take a first round, which does not count; tell whether the source has not failed."""
    lane.advance(1)
    alive = not lane.stop_reason
    lane.round_s = sum(lane.bursts[0]) if alive else 0.0
    lane.bursts.clear()
    lane.values.clear()
    return alive


def _n_rounds(lanes: Sequence[Lane]) -> int:
    """Return how many rounds each burst has: the same for all, since a minimum of more is smaller."""
    turn_s = sum(lane.round_s for lane in lanes)
    if not turn_s:
        return 1
    least = min(LEAST_ROUNDS, int(MOST_TURN_S / turn_s))
    return max(1, least, min(MOST_ROUNDS, round(TURN_S / turn_s)))


def _judge(running: Sequence[Lane], lanes: Sequence[Lane], rule: Rule, turn: int) -> None:
    """Say who needs no more turns: all of a heat once nothing is in question, clear losers before."""
    leader = min(running, key=lambda lane: lane.median_s)
    rivals = [lane for lane in running if lane is not leader]
    found = {id(lane): pairs.compare(lane.values, leader.values, margin=rule.margin) for lane in rivals}
    beaten = [lane for lane in rivals if _is_beaten(found[id(lane)])]
    others = [lane for lane in rivals if not _is_beaten(found[id(lane)])]
    for lane in beaten:
        # Whoever may yet turn out to be the fastest must be surely faster too.
        against = (pairs.compare(lane.values, other.values, margin=rule.margin) for other in others)
        if _is_told(found[id(lane)], turn) and all(_is_told(each, turn) for each in against):
            lane.stop_reason = DECIDED
    compete = any(lane.heat == leader.heat and lane is not leader for lane in lanes)
    open_ = [lane for lane in rivals if not lane.stop_reason and _is_open(found[id(lane)])]
    if not open_ and (compete or leader.is_precise(rule)):
        for lane in running:
            lane.stop_reason = PRECISE if lane.is_precise(rule) else DECIDED


def _is_beaten(found: Comparison) -> bool:
    return found.verdict == FASTER or found.undecidable


def _is_open(found: Comparison) -> bool:
    return found.verdict != EQUAL and not found.undecidable


def _is_told(found: Comparison, turn: int) -> bool:
    return _is_beaten(found) and (found.known or found.low > HOPELESS or turn >= ENOUGH)


def _is_spent(lanes: Sequence[Lane], rule: Rule, turn: int) -> bool:
    spent = sum(lane.spent_s for lane in lanes)
    return spent >= rule.max_s * len(lanes) * (1 if turn >= LEAST_TURNS else rule.patience)


def combine(lanes: Sequence[Lane], confidence: float) -> Sampling:
    """Return the lanes of one case, one a process, as one sampling.

    With several processes the interval covers the differences between them too.
    """
    low, high = lanes[0].interval(confidence)
    sampling = Sampling(
        processes=tuple(tuple(lane.bursts) for lane in lanes),
        iterations=tuple(lane.iterations for lane in lanes),
        pace=tuple(lane.pace for lane in lanes),
        # Of several processes, the one that fell short speaks.
        stop_reason=max((lane.stop_reason for lane in lanes), key=_RANKS.index),
        low_s=low,
        high_s=high,
        spent_s=sum(lane.spent_s for lane in lanes),
    )
    if len(lanes) == 1:
        return sampling
    medians = [lane.median_s for lane in lanes]
    low, high = processes_interval(medians, confidence)
    middle = sampling.median_s
    return replace(sampling, low_s=min(low, middle), high_s=max(high, middle))


def between(slower: Sequence[Lane], faster: Sequence[Lane], rule: Rule) -> Comparison:
    """Compare two cases, each with a lane a process: over turns, or over processes where there are several."""
    both = zip(slower, faster, strict=True)
    found = [pairs.compare(a.values, b.values, rule.confidence, rule.margin) for a, b in both]
    if len(found) == 1:
        return found[0]
    ratios = [each.ratio for each in found]
    low, high = processes_interval(ratios, rule.confidence)
    ratio = math.exp(statistics.fmean(map(math.log, ratios)))
    return Comparison(ratio, max(low, 0.0), high, sum(each.turns for each in found), rule.margin)


_RANKS = (PRECISE, DECIDED, SPENT, FAILED, "")
