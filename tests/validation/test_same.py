"""What is made of verdicts on one backend against itself, and against itself made slower."""

from __future__ import annotations

import random

import pytest

from benchmarks.measure.sampling import Lane, take_turns
from benchmarks.record.schema import Case
from benchmarks.stats.pairs import Comparison
from benchmarks.validation import same

CASE = Case("relu", "forward", "float32", (1024,), "numpy", "cpu")


def test_a_share_more_is_what_the_slower_one_takes():
    noise = random.Random(0)
    lanes = [Lane(lambda i, n: [i * 1e-4 * noise.uniform(1, 1.02) for _ in range(n)], 100) for _ in range(2)]
    same.slow_down(lanes[0], 0.10)
    take_turns(lanes, same.RULE, noise)
    for fastest, other in (lanes[::-1], lanes):
        found = same.found(CASE, other, fastest, slowed=lanes[0])
        assert (found.longer, found.comparison.ratio) == (0.10, pytest.approx(1.10, abs=0.02))
        assert found.verdict == ("faster" if fastest is lanes[1] else "too close to call")


def test_rows_count_verdicts_and_mistakes():
    right, alarm = Comparison(1.10, 1.08, 1.12, 20), Comparison(0.80, 0.78, 0.82, 20)
    said = ((right, "faster"), (alarm, "faster"), (right, "equal"), (right, "too close to call"))
    every = [same.Found(CASE, 1e-6, 0.10, each, verdict) for each, verdict in said]
    (row,) = same.rows_of(every)
    assert (row["calls"], row["not found"]) == ("below 30.0 µs", "numpy 2")
    assert (row["pairs"], row["faster"], row["equal"]) == (4, "50.0%", "25.0%")
    assert row["the faster one called slower"] == 1
    assert row["interval holds the truth"] == "75.0%"
    assert row["largest"] == "37.5%"
