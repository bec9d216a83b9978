"""The time left is reckoned suite by suite."""

from __future__ import annotations

from datetime import timedelta

from benchmarks.progress import TYPICAL_S, Pace


def test_each_suite_has_its_own_pace():
    pace = Pace({"fast": 10, "slow": 4})
    for _ in range(5):
        pace.learn("fast", 0.1, finished=True)
    assert pace.left() == timedelta(seconds=round(0.5 + 4 * TYPICAL_S))
    pace.learn("slow", 9, finished=False)
    pace.learn("slow", 1, finished=True)
    assert pace.left() == timedelta(seconds=round(0.5 + 30))
    assert (pace.done, pace.total) == (6, 14)


def test_nothing_to_do_takes_no_time():
    assert Pace().left() == timedelta(0)
