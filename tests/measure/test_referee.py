"""The clock of a worker against that of who asks for its bursts, on made-up ones."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks.measure.disturbance import Reading
from benchmarks.measure.entry import Entry
from benchmarks.measure.pool import CaseError
from benchmarks.measure.referee import CLOCK_TRIES, Referee
from benchmarks.measure.remote import Seen
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.record.schema import Case

ROUND_S = 1e-3


def asked(*, around_s, slower=1.0):
    """Return how many bursts are taken until the clock is cleared: each takes `around_s` longer by ours."""
    taken = []

    def turn(backend, device, iterations, n_rounds, process):
        taken.append(n_rounds)
        return Reading((ROUND_S,) * n_rounds, 0.0, 0.0, wall_s=slower * n_rounds * ROUND_S + around_s)

    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    entry.readings.append(turn("", "", 1, 5, 0))
    referee = Referee([entry], SimpleNamespace(turn=turn, seen=lambda *_: None), 1, (), Stopwatch())
    referee.begin({id(entry): [SimpleNamespace(iterations=10)]})
    referee._require_a_true_clock(entry, 0)
    return len(taken) - 1


def test_a_burst_on_an_idle_machine_clears_the_clock_at_once():
    assert asked(around_s=2e-4) == 0


@pytest.mark.parametrize("around_s", [5e-3, 2e-2])
def test_waiting_for_a_processor_before_and_after_a_burst_is_not_held_against_its_clock(around_s):
    """Seen at a load of nine on two cores, where each message waits for milliseconds."""
    assert 0 < asked(around_s=around_s) < CLOCK_TRIES


@pytest.mark.parametrize("around_s", [2e-4, 2e-2])
def test_a_slow_clock_is_found_however_crowded_the_machine_is(around_s):
    with pytest.raises(CaseError, match="times as long by the clock of another process"):
        asked(around_s=around_s, slower=2.0)


def alone(*stirred_s, before=()):
    """Have a referee look at a process that used so much processor time in each stop, and `before` it began."""
    seen = [Seen(pid=1, mark="", stirred_s=before, privileges=())]
    pool = SimpleNamespace(seen=lambda *_: seen[-1], call=lambda *_, **__: True, threads=1)
    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    referee = Referee([entry], pool, 1, (), Stopwatch())
    referee.begin({})
    seen.append(replace(seen[0], stirred_s=(*before, *stirred_s)))
    referee._require_own_means(entry, 0)


def test_a_processor_that_was_taken_away_before_a_process_stood_still_is_not_held_against_it():
    """Seen on a virtual machine: 17 ms in one stop, for which all later cases of that process were refused."""
    alone(0.0, 1.7e-2, 0.0, 4e-4)
    alone(0.0, 0.0, 0.0, before=(1.7e-2, 0.0, 1e-2, 1e-2))


def test_who_computes_while_it_is_stopped_is_found():
    with pytest.raises(CaseError, match=r"computed for 12\.0 ms while it was stopped"):
        alone(*[2e-3] * 8)
