"""Verdicts on what is known: one backend against itself in five processes, of which one is made slower.

The slower one's rounds are the real ones, multiplied: so the truth is known, and the noise is real. The five take
turns as five backends of a group do, and leave as those do; judged is what a run decides: the fastest of them
against each other one.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from benchmarks.measure.entry import Entry
from benchmarks.measure.group import Group
from benchmarks.measure.pool import Pool
from benchmarks.measure.sampling import Lane, Rule, take_turns
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.quantities import seconds
from benchmarks.record.schema import Case
from benchmarks.stats import pairs
from benchmarks.stats.pairs import VERDICTS, Comparison
from benchmarks.validation.load import bursty_load

RULE = Rule(precision=0.02, confidence=0.95, max_s=0.2)
"""As in the timing suite."""
PLACES = ("numpy", "numba-parallel", "jax", "torch")
CASES = (("relu", 1_024), ("sigmoid", 32_768), ("tanh", 262_144), ("relu", 1_048_576), ("sigmoid", 8_388_608))
LOADS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "quiet": nullcontext,
    "bursty load on one core": bursty_load,
}
N_PROCESSES = 5
SLOWER = 0.10
"""The first process takes longer by this share."""
SHORT_S = 30e-6
"""Below this, what two processes of the same code may differ by is more than 1 % of a call."""


@dataclass(frozen=True)
class Found:
    """What was said of the fastest process and another one.

    `comparison` is the time of the one that takes `longer` over the other's; where neither does, of the other one.
    `seconds` is what a call of the fastest takes.
    """

    case: Case
    seconds: float
    longer: float
    comparison: Comparison
    verdict: str


def table(n_trials: int, threads: int, seed: int) -> pd.DataFrame:
    """Return how often each verdict was passed, in `n_trials` of each case and backend, quiet and under load."""
    rows = []
    for name, load in LOADS.items():
        for each in rows_of(list(trials(n_trials, threads, seed, load()))):
            rows.append({"load": name} | each)
            print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def rows_of(every: Sequence[Found]) -> Iterator[dict[str, object]]:
    """Yield a row for each difference, and for short calls and longer ones."""
    for longer, short in itertools.product((0.0, SLOWER), (True, False)):
        alike = [each for each in every if (each.longer, each.seconds < SHORT_S) == (longer, short)]
        if alike:
            yield {"calls": f"{'below' if short else 'from'} {seconds(SHORT_S)}"} | row(longer, alike)


def trials(n_trials: int, threads: int, seed: int, load: AbstractContextManager[None]) -> Iterator[Found]:
    """Yield what was found of each two processes; each trial of a backend has new ones."""
    order = random.Random(seed)
    with load:
        for _, backend in itertools.product(range(n_trials), PLACES):
            pool = Pool(threads)
            try:
                for op, n in CASES:
                    yield from _trial(pool, Case(op, "forward", "float32", (n,), backend, "cpu"), order)
            finally:
                pool.close()


def _trial(pool: Pool, case: Case, order: random.Random) -> Iterator[Found]:
    group = Group([Entry(case)], pool, N_PROCESSES, Stopwatch())
    with group.prepared(), pool.alone():
        lanes = [replace(lane, heat=0) for lane in group.lanes(group.entries[0])]  # so that they compete
        slow_down(lanes[0], SLOWER)
        take_turns(lanes, RULE, order, partial(pool.change_processor, order))
    fastest = min(lanes, key=lambda lane: lane.median_s)
    for lane in lanes:
        if lane is not fastest:
            yield found(case, lane, fastest, lanes[0])


def found(case: Case, lane: Lane, fastest: Lane, slowed: Lane) -> Found:
    """Return what a run says of the fastest and another one, where `slowed` may be one of them."""
    compared = pairs.compare(lane.values, fastest.values)
    truth = SLOWER if slowed in (lane, fastest) else 0.0
    comparison = pairs.inverse(compared) if fastest is slowed else compared
    return Found(case, fastest.median_s, truth, comparison, compared.verdict)


def slow_down(lane: Lane, share: float) -> None:
    """Have the rounds of a lane take longer by a share."""
    take = lane.burst
    lane.burst = lambda iterations, n_rounds: [s * (1 + share) for s in take(iterations, n_rounds)]


def row(longer: float, every: Sequence[Found]) -> dict[str, object]:
    """Return how often each verdict was passed, where a difference was not found, how far off ratios were."""
    right = [each for each in every if each.comparison.low <= 1 + longer <= each.comparison.high]
    wrong = [each for each in every if each.verdict == pairs.FASTER and each.comparison.ratio < 1]
    off = [abs(math.log(each.comparison.ratio / (1 + longer))) for each in every]
    said = {verdict: f"{sum(each.verdict == verdict for each in every) / len(every):.1%}" for verdict in VERDICTS}
    missed = Counter(each.case.backend for each in every if each.verdict != pairs.FASTER)
    return {
        "one takes longer by": f"{longer:.0%}",
        "pairs": len(every),
        **said,
        "the faster one called slower": len(wrong) if longer else "",
        "not found": ", ".join(f"{name} {n}" for name, n in missed.most_common()) if longer else "",
        "interval holds the truth": f"{len(right) / len(every):.1%}",
        "median distance": f"{math.expm1(statistics.median(off)):.1%}",
        "largest": f"{math.expm1(max(off)):.1%}",
    }
