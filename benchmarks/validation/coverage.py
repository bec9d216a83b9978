"""Coverage: how often the interval of the ratio contains 1 when the same code is measured against itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import nullcontext

import pandas as pd

from benchmarks.measure.pool import Pool
from benchmarks.measure.sampling import Rule, Sampling, combine, open_lane, take_turns
from benchmarks.record.schema import Case
from benchmarks.stats.ratios import ratio_interval
from benchmarks.validation.load import bursty_load

RULE = Rule(precision=0.02, confidence=0.95, min_bursts=7, max_s=0.25)
"""When the timing suite stops."""
PLACES = ("numpy", "numba-parallel", "jax", "torch")
CASES = (("relu", 1_024), ("sigmoid", 32_768), ("tanh", 262_144), ("relu", 1_048_576))


def table(n_trials: int, threads: int, seed: int) -> pd.DataFrame:
    """Return how often intervals contain 1, in `n_trials` of each case and backend, quiet and under load."""
    rows = []
    for load, context in (("quiet", nullcontext), ("bursty load on one core", bursty_load)):
        for processes in (1, 3):
            with context():
                hits = _trials(n_trials if processes == 1 else max(1, n_trials // 3), threads, processes, seed)
            share = sum(hits) / len(hits)
            of = "the same process" if processes == 1 else f"{processes} processes against {processes} others"
            rows.append(
                {"load": load, "A against A in": of, "pairs": len(hits), "interval holds 1": f"{share:.1%}"}
            )
    return pd.DataFrame(rows)


def _trials(n_trials: int, threads: int, processes: int, seed: int) -> list[bool]:
    order = random.Random(seed)
    hits = []
    for backend in PLACES:
        for op, n in CASES:
            case = Case(op, "forward", "float32", (n,), backend, "cpu")
            pool = Pool(threads)
            try:
                hits += [_pair_agrees(pool, case, processes, order) for _ in range(n_trials)]
            finally:
                pool.close()
    return hits


def _pair_agrees(pool: Pool, case: Case, processes: int, order: random.Random) -> bool:
    """Measure a case twice at once: in one process, or in `processes` for each side."""
    sides = [[0], [0]] if processes == 1 else [list(range(processes)), list(range(processes, 2 * processes))]
    for process in {p for side in sides for p in side}:
        pool.call(case.backend, case.device, "prepare", case, process=process)
    lanes = [
        [open_lane(pool.rounds(case.backend, case.device, process), RULE) for process in side] for side in sides
    ]
    take_turns([lane for side in lanes for lane in side], order)
    return _holds_one([combine(side) for side in lanes])


def _holds_one(sides: Sequence[Sampling]) -> bool:
    a, b = sides
    low, high = ratio_interval(a.median_s, a.low_s, a.high_s, b.median_s, b.low_s, b.high_s)
    return low <= 1 <= high
