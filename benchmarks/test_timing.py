"""The timing suite: every case cross-checked, timed, checked again and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.measure.harness import Harness
    from benchmarks.measure.sampling import Rule
    from benchmarks.record.schema import Case


@pytest.fixture(scope="module", autouse=True)
def _fresh_workers(harness: Harness) -> None:
    """Time in new processes: what the correctness suite compiled or left in memory must not show in the times."""
    harness.pool.close()


@pytest.mark.call_cost
def test_call_cost(backend: str, device: str, harness: Harness, benchmark: BenchmarkFixture, rule: Rule) -> None:
    """What a backend costs before it computes: its start, a call that does nothing, a call on one element."""
    harness.time_call(backend, device, benchmark, rule)


@pytest.mark.timing
def test_timing(case: Case, harness: Harness, benchmark: BenchmarkFixture, rule: Rule) -> None:
    """One case: `op-mode-dtype-shape-backend-device`, and its policies where they are not the default."""
    harness.time(case, benchmark, rule)
