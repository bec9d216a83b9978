"""The time of a trial: what would not end in time is not begun."""

from __future__ import annotations

import pytest

from benchmarks.measure import trial
from benchmarks.record.schema import Case

CASES = [
    Case("tanh", "forward", dtype, (1024,), backend, "cpu")
    for dtype in ("float32", "float64")
    for backend in ("tried", "numpy")
]


@pytest.mark.parametrize(
    ("call_s", "budget_s", "timed"), [(1e-3, 30, 4), (1.0, 30, 2), (1.0, 300, 4), (1.0, 1, 2)]
)
def test_a_group_whose_calls_would_not_end_in_time_is_not_begun(monkeypatch, call_s, budget_s, timed):
    measured = []

    class Harness:
        def __init__(self, *_, **__): ...

        def measure(self, case, rule):
            measured.append(case)

        def close(self, *, complete): ...

    monkeypatch.setattr(trial, "Harness", Harness)
    monkeypatch.setattr(trial, "call_s", lambda pool, case: call_s)
    trial.time(CASES, None, None, budget_s=budget_s, seed=0, margin=0.05)
    assert measured == CASES[:timed]
