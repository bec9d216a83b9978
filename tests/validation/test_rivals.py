"""What is made of times among rivals and in a loop; and the loop itself, of one backend."""

from __future__ import annotations

import random

import pytest

from benchmarks.measure.pool import Pool
from benchmarks.measure.sampling import Lane
from benchmarks.record.schema import Case
from benchmarks.validation import rivals

CASE = Case("relu", "forward", "float32", (1024,), "numpy", "cpu")


def test_a_time_among_rivals_is_set_beside_two_loops():
    lane = Lane(lambda *_: (), 1, values=[2e-3] * 9)
    assert rivals.row(CASE, lane, [1e-3, 4e-3]) == {
        "case": "relu-1024",
        "backend": "numpy",
        "alone": "2.00 ms",
        "among rivals": "2.00 ms",
        "among rivals / alone": "1.00 (0.50 to 2.00)",
    }


def test_both_are_taken_of_each_backend(monkeypatch):
    monkeypatch.setattr(rivals, "LOOP_S", 0.01)
    pool = Pool(1)
    try:
        (row,) = rivals.compared(pool, [CASE], random.Random(0))
    finally:
        pool.close()
    ratio = float(str(row["among rivals / alone"]).partition(" ")[0])
    assert ratio == pytest.approx(1, abs=0.9)
