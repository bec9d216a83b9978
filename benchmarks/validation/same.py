"""Verdicts on what is known: one backend against itself in two processes, and against itself made slower.

The slower one's rounds are the real ones, multiplied: so the truth is known, and the noise is real.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pandas as pd

from benchmarks.measure.group import Entry, Group
from benchmarks.measure.pool import Pool
from benchmarks.measure.sampling import Lane, Rule, take_turns
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.record.schema import Case
from benchmarks.stats import pairs
from benchmarks.stats.pairs import VERDICTS, Comparison
from benchmarks.validation.load import bursty_load

RULE = Rule(precision=0.02, confidence=0.95, max_s=0.1)
"""As in the timing suite."""
PLACES = ("numpy", "numba-parallel", "jax", "torch")
CASES = (("relu", 1_024), ("sigmoid", 32_768), ("tanh", 262_144), ("relu", 1_048_576), ("sigmoid", 8_388_608))
SLOWER = 0.10


@dataclass(frozen=True)
class Found:
    """What was said of one case against itself: the first process's time over the second's, and the verdict."""

    case: Case
    comparison: Comparison
    verdict: str


def table(n_trials: int, threads: int, seed: int) -> pd.DataFrame:
    """Return how often each verdict was passed, in `n_trials` of each case and backend, quiet and under load."""
    rows = []
    for name, load in (("quiet", nullcontext), ("bursty load on one core", bursty_load)):
        for slower in (0.0, SLOWER):
            found = list(trials(n_trials, threads, seed, slower, load()))
            rows.append(row(name, slower, found))
            print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def trials(
    n_trials: int, threads: int, seed: int, slower: float, load: AbstractContextManager[None]
) -> Iterator[Found]:
    """Yield what was found, each trial in two new processes; the first takes longer by the share `slower`."""
    order = random.Random(seed)
    with load:
        for _, backend in itertools.product(range(n_trials), PLACES):
            pool = Pool(threads)
            try:
                for op, n in CASES:
                    yield _trial(pool, Case(op, "forward", "float32", (n,), backend, "cpu"), order, slower)
            finally:
                pool.close()


def _trial(pool: Pool, case: Case, order: random.Random, slower: float) -> Found:
    group = Group([Entry(case)], pool, 2, Stopwatch())
    with group.prepared(), pool.alone():
        first, second = group.lanes(group.entries[0])
        second.heat = first.heat  # so that they compete
        slow_down(first, slower)
        take_turns([first, second], RULE, order)
    return conclude(case, first, second)


def conclude(case: Case, first: Lane, second: Lane) -> Found:
    """Return what the turns of two processes say of the first one's time over the second's."""
    a, b = sorted((first, second), key=lambda lane: statistics.median(lane.values))
    found = pairs.compare(b.values, a.values)
    return Found(case, found if b is first else pairs.inverse(found), found.verdict)


def slow_down(lane: Lane, share: float) -> None:
    """Have the rounds of a lane take longer by a share."""
    take = lane.burst
    lane.burst = lambda iterations, n_rounds: [s * (1 + share) for s in take(iterations, n_rounds)]


def row(load: str, slower: float, found: Sequence[Found]) -> dict[str, object]:
    """Return how often each verdict was passed, and how far the ratios were from the truth."""
    right = [each for each in found if each.comparison.low <= 1 + slower <= each.comparison.high]
    wrong = [each for each in found if each.verdict == pairs.FASTER and each.comparison.ratio < 1]
    off = [abs(math.log(each.comparison.ratio / (1 + slower))) for each in found]
    said = {verdict: f"{sum(each.verdict == verdict for each in found) / len(found):.1%}" for verdict in VERDICTS}
    return {
        "load": load,
        "one side takes longer by": f"{slower:.0%}",
        "pairs": len(found),
        **said,
        "the faster one called slower": len(wrong),
        "interval holds the truth": f"{len(right) / len(found):.1%}",
        "median distance": f"{math.expm1(statistics.median(off)):.1%}",
        "largest": f"{math.expm1(max(off)):.1%}",
    }
