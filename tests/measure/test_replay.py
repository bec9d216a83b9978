"""What a run that was cut short has measured is replayed, and only the rest is measured."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks.measure.budget import Budget
from benchmarks.measure.harness import Harness
from benchmarks.measure.sampling import Rule
from benchmarks.plan.costs import Cost
from benchmarks.record.schema import Case, Check
from benchmarks.record.unfinished import Unfinished

RULE = Rule(precision=0.02, confidence=0.95, max_s=0.1)
GOOD, BAD, LEFT = (
    Case("relu", "forward", "float32", (1000,), name, "cpu") for name in ("numpy", "numba", "torch")
)
TIMES = {"median_s": 2e-6, "iterations": 10, "bytes_moved": 8000}
CHECK = Check("relu", "forward", "float32", "numpy", "cpu")


class Benchmark(SimpleNamespace):
    """As much of pytest-benchmark's fixture as is used."""

    def __init__(self):
        super().__init__(enabled=True, extra_info={}, group=None, rounds=[])

    def _make_stats(self, iterations):
        self.iterations = iterations
        return SimpleNamespace(update=self.rounds.append)


@pytest.fixture
def harness(monkeypatch):
    cases = {
        GOOD: {"status": "ok", "reason": "", "bursts_s": [[1e-6, 2e-6], [3e-6]], **TIMES},
        BAD: {"status": "failed", "reason": "values exceed 8 ULP"},
    }
    accuracy = {**vars(CHECK), "sample": "designed", "status": "ok", "reason": ""}
    earlier = Unfinished(None, 0, 0, {}, None, cases, (accuracy,))
    budget = Budget(60, {LEFT.group: Cost(0.4, 0.03)})
    found = Harness(None, None, planned=[GOOD, BAD, LEFT], earlier=earlier, budget=budget)
    monkeypatch.setattr(found, "_measure", lambda part, rule: pytest.fail(f"measured {part}"))
    return found


def test_a_case_that_was_measured_is_saved_as_it_was(harness):
    benchmark = Benchmark()
    harness.time(GOOD, benchmark, RULE)
    assert benchmark.rounds == pytest.approx([1e-5, 2e-5, 3e-5])
    assert (benchmark.group, benchmark.iterations) == (GOOD.group, 10)
    assert benchmark.extra_info["bursts_s"] == [[1e-6, 2e-6], [3e-6]]
    assert benchmark.extra_info["median_s"] == 2e-6


def test_a_case_that_failed_fails_again(harness):
    with pytest.raises(pytest.fail.Exception, match="failed: values exceed 8 ULP"):
        harness.time(BAD, Benchmark(), RULE)


def test_only_the_rest_of_a_group_is_measured(harness, monkeypatch):
    asked = []

    def measure(part, rule):
        asked.extend(part)
        harness._outcomes[LEFT] = harness._outcomes[GOOD]
        return 0.0

    monkeypatch.setattr(harness, "_parts", lambda cases: [cases])
    monkeypatch.setattr(harness, "_measure", measure)
    harness.time(LEFT, Benchmark(), RULE)
    assert asked == [LEFT]


def test_later_cases_of_an_op_are_held_against_earlier_ones(harness):
    ((case, times),) = harness._timed["relu"]
    assert (case, times.median_s) == (GOOD, 2e-6)


def test_a_check_that_was_made_is_not_made_again(harness):
    assert harness.checked(CHECK, "designed").status == "ok"
    assert harness.checked(CHECK, "searched") is None
