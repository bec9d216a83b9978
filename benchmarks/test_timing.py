"""The timing suite: every case cross-checked, timed, checked again and recorded."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import Case
from benchmarks.harness import Harness
from benchmarks.measure import Rule


def test_timing(case: Case, harness: Harness, benchmark: BenchmarkFixture, rule: Rule) -> None:
    """One case: `op-mode-dtype-shape-backend-device`."""
    harness.time(case, benchmark, rule)
