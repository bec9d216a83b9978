"""Whether a backend takes as long among rivals, in turns as in a run, as in a loop of its own."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Iterator, Sequence
from functools import partial

import pandas as pd

import backends
from benchmarks.measure.entry import Entry
from benchmarks.measure.group import Group
from benchmarks.measure.pool import Pool
from benchmarks.measure.sampling import Lane, Rule, take_turns, value_of
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.quantities import seconds
from benchmarks.record.schema import Case

RULE = Rule(precision=0.02, confidence=0.95, max_s=0.2)
"""As in the timing suite."""
CASES = (("relu", 1_024), ("relu", 1_048_576), ("relu", 8_388_608), ("sigmoid", 8_388_608))
LOOP_S = 0.3
"""A loop takes about so long, once before the turns and once after them: the machine's speed may change."""


def table(threads: int, seed: int) -> pd.DataFrame:
    """Return for each case and backend what a call takes among rivals and alone."""
    order, pool = random.Random(seed), Pool(threads)
    rows: list[dict[str, object]] = []
    names = [name for name in backends.names() if backends.missing(name) is None]
    try:
        for op, n in CASES:
            rows += compared(pool, [Case(op, "forward", "float32", (n,), name, "cpu") for name in names], order)
    finally:
        pool.close()
    return pd.DataFrame(rows)


def compared(pool: Pool, cases: Sequence[Case], order: random.Random) -> Iterator[dict[str, object]]:
    """Yield a row for each of some comparable cases."""
    group = Group([Entry(case) for case in cases], pool, 1, Stopwatch())
    with group.prepared(), pool.alone():
        lanes = [group.lanes(entry)[0] for entry in group.alive]
        before = [_alone_s(pool, entry.case, lane) for entry, lane in zip(group.alive, lanes, strict=True)]
        take_turns(lanes, RULE, order, partial(pool.change_processor, order))
        after = [_alone_s(pool, entry.case, lane) for entry, lane in zip(group.alive, lanes, strict=True)]
    for entry, lane, loops in zip(group.alive, lanes, zip(before, after, strict=True), strict=True):
        yield row(entry.case, lane, loops)


def row(case: Case, lane: Lane, loops: Sequence[float]) -> dict[str, object]:
    """Return what a case takes among rivals, and over what it takes in each of some loops."""
    among_s, alone_s = lane.median_s, math.exp(statistics.fmean(map(math.log, loops)))
    low, high = (among_s / loop_s for loop_s in (max(loops), min(loops)))
    return {
        "case": f"{case.op}-{case.n_elements}",
        "backend": case.backend,
        "alone": seconds(alone_s),
        "among rivals": seconds(among_s),
        "among rivals / alone": f"{among_s / alone_s:.2f} ({low:.2f} to {high:.2f})",
    }


def _alone_s(pool: Pool, case: Case, lane: Lane) -> float:
    """Return the median time of a call in a loop; so many rounds count by their fastest as in a burst."""
    n_burst = len(lane.bursts[0]) if lane.bursts else 3
    burst = pool.rounds(case.backend, case.device)
    n = max(3, math.ceil(LOOP_S / max(burst(lane.iterations, 1)[0], 1e-9) / n_burst))
    rounds = iter(burst(lane.iterations, n * n_burst))
    bursts = (tuple(itertools.islice(rounds, n_burst)) for _ in range(n))
    return statistics.median(value_of(each) for each in bursts) / lane.iterations
