"""The clock of a worker against that of who asks for its bursts, on made-up ones."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks.measure import means
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.entry import Entry
from benchmarks.measure.pool import CaseError
from benchmarks.measure.referee import CLOCK_TRIES, TRIES, Referee
from benchmarks.measure.remote import Seen
from benchmarks.measure.sampling import Lane
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.record.schema import Case

ROUND_S, WOKEN_S = 1e-3, 2e-3


def asked(*, around_s, slower=1.0, n_rounds=5, other=None):
    """Return how many bursts are taken until the clock is cleared: each takes `around_s` longer by ours.

    There may be a burst of another process before.
    """
    taken = []

    def turn(backend, device, iterations, n_rounds, process):
        taken.append(n_rounds)
        wall_s = slower * (n_rounds * ROUND_S + WOKEN_S) + around_s
        return Reading((ROUND_S,) * n_rounds, 0.0, 0.0, wall_s=wall_s, woken_s=WOKEN_S)

    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    entry.readings.append(turn("", "", 1, n_rounds, 0))
    entry.readings.extend([replace(other, process=1)] if other else ())
    referee = Referee([entry], SimpleNamespace(turn=turn, seen=lambda *_: None), 1, (), Stopwatch())
    referee.begin({id(entry): [Lane(turn, 10, values=[ROUND_S / 10])]})
    referee._require_a_true_clock(entry, 0)
    assert "clock" in entry.checks
    return len(taken) - 1


def test_a_burst_on_an_idle_machine_clears_the_clock_at_once():
    assert asked(around_s=2e-4) == 0


@pytest.mark.parametrize("around_s", [5e-3, 2e-2])
def test_waiting_for_a_processor_before_and_after_a_burst_is_not_held_against_its_clock(around_s):
    """Seen at a load of nine on two cores, where each message waits for milliseconds."""
    assert 0 < asked(around_s=around_s) < CLOCK_TRIES


def test_a_burst_that_is_too_short_to_tell_is_followed_by_one_that_tells():
    assert asked(around_s=2e-4, n_rounds=2) == 1


@pytest.mark.parametrize("around_s", [2e-4, 2e-2])
@pytest.mark.parametrize("slower", [1.5, 2.0])
def test_a_slow_clock_is_found_however_crowded_the_machine_is(around_s, slower):
    with pytest.raises(CaseError, match="times as long by the clock of another process"):
        asked(around_s=around_s, slower=slower)


def test_a_clock_is_not_cleared_by_what_a_short_burst_leaves_room_for():
    """Calls that wake threads, and messages, are allowed for; beside two rounds, that hid a slow clock."""
    with pytest.raises(CaseError, match=r"its rounds take 1\.[56]\d* times as long"):
        asked(around_s=0.0, slower=1.5, n_rounds=2)


def test_a_clock_that_stands_still_is_found():
    """Its bursts are too short to tell anything else."""
    stuck = SimpleNamespace(turn=lambda *_: Reading((0.0,) * 100, 0.0, 0.0, wall_s=0.1), seen=lambda *_: None)
    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    referee = Referee([entry], stuck, 1, (), Stopwatch())
    referee.begin({id(entry): [Lane(stuck.turn, 10, values=[1e-9])]})
    with pytest.raises(CaseError, match="times as long by the clock"):
        referee._require_a_true_clock(entry, 0)


def test_a_process_is_not_cleared_by_another_one_s_clock():
    honest = Reading((ROUND_S,) * 10, 0.0, 0.0, wall_s=1.1e-2)
    with pytest.raises(CaseError, match="times as long by the clock"):
        asked(around_s=2e-4, slower=2.0, other=honest)


def test_who_is_not_stopped_has_no_clock_compared():
    entry = Entry(Case("relu", "forward", "float32", (1000,), "torch", "cuda"))
    entry.readings.append(Reading((ROUND_S,) * 5, None, 0.0))
    referee = Referee([entry], SimpleNamespace(seen=lambda *_: None), 1, (), Stopwatch())
    referee.begin({})
    referee._require_a_true_clock(entry, 0)
    assert entry.checks == []


def alone(*stirred_s, before=()):
    """Have a referee look at a process that used so much processor time in each stop, and `before` it began."""
    seen = [Seen(pid=1, mark="", stirred_s=before, privileges=())]
    pool = SimpleNamespace(seen=lambda *_: seen[-1], call=lambda *_, **__: False, threads=1)
    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    referee = Referee([entry], pool, 1, (), Stopwatch())
    referee.begin({})
    seen.append(replace(seen[0], stirred_s=(*before, *stirred_s)))
    referee._require_own_means(entry, 0)


def test_a_processor_that_was_taken_away_before_a_process_stood_still_is_not_held_against_it():
    """Seen on a virtual machine: 17 ms in one stop, for which all later cases of that process were refused."""
    alone(0.0, 1.7e-2, 0.0, 4e-4)
    alone(0.0, 0.0, 0.0, before=(1.7e-2, 0.0, 1e-2, 1e-2))
    alone(*[0.0] * 72, *[1.7e-2] * 8)


def test_who_computes_while_it_is_stopped_is_found():
    with pytest.raises(CaseError, match=r"computed for 12\.0 ms while it was stopped"):
        alone(*[2e-3] * 8)
    with pytest.raises(CaseError, match="while it was stopped"):
        alone(*[0.0] * 60, *[2e-3] * 20)


def helped(*ticks_s, monkeypatch):
    """Have a referee look at a process whose child has computed for 20 ms, and for so long in further bursts."""
    computed, left = {("mark", 2): 1.0}, list(ticks_s)
    seen = Seen(pid=1, mark="mark", stirred_s=(), privileges=())

    def turn(*_):
        computed["mark", 2] += left.pop(0)
        return Reading((ROUND_S,), 0.0, 0.0)

    monkeypatch.setattr(means, "marked", lambda: dict(computed))
    pool = SimpleNamespace(
        seen=lambda *_: seen, call=lambda *_, **__: False, threads=1, turn=turn, alone=nullcontext
    )
    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    referee = Referee([entry], pool, 1, (), Stopwatch())
    referee.begin({id(entry): [Lane(turn, 10, values=[ROUND_S / 10])]})
    computed["mark", 2] += 0.02
    referee._after = means.marked()
    referee._require_own_means(entry, 0)


def test_a_child_that_was_only_woken_has_not_helped(monkeypatch):
    """Each stop wakes it, if only to sleep again: an idle process came to 7 to 12 ms in 400 of them."""
    helped(0.0, monkeypatch=monkeypatch)
    helped(2e-2, 3e-2, 0.0, monkeypatch=monkeypatch)


def test_a_child_that_computes_in_one_burst_after_another_has_helped(monkeypatch):
    with pytest.raises(CaseError, match=r"processes that it started computed for 20\.0 ms meanwhile"):
        helped(*[2e-2] * TRIES, monkeypatch=monkeypatch)


def test_whose_priority_was_changed_gets_a_new_process_for_its_next_case():
    """By itself or by another program: nobody can tell. Its process may not be able to take that back."""
    ended = []
    seen = Seen(pid=1, mark="", stirred_s=(), privileges=("a thread has priority 5",))
    pool = SimpleNamespace(seen=lambda *_: seen, end=lambda *worker: ended.append(worker))
    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    with pytest.raises(CaseError, match="priority 5; that came by itself or by another program") as raised:
        Referee([entry], pool, 1, (), Stopwatch())._require_own_means(entry, 0)
    assert raised.value.ending.status == "invalid"
    assert ended == [("numpy", "cpu", 0)]


@pytest.mark.parametrize(("n_slow", "found"), [(0, False), (4, False), (7, False), (8, True)])
def test_a_call_is_slow_on_new_values_by_chance_a_few_times_in_a_row(n_slow, found):
    """Each of these calls of 6 ms is asked for once at a time; ten programs on two processors interrupt many."""
    left = [[(4e-2, 6e-3)]] * n_slow
    pool = SimpleNamespace(call=lambda *_, **__: left.pop() if left else [(6e-3, 6e-3)])
    entry = Entry(Case("relu", "forward", "float32", (1000,), "numpy", "cpu"))
    referee = Referee([entry], pool, 1, (), Stopwatch())
    referee._lanes = {id(entry): [Lane(lambda *_: (), 1, values=[6e-3])]}
    referee._draw = lambda *_: []
    with pytest.raises(CaseError, match="results are remembered") if found else nullcontext():
        referee._require_no_memory(entry, 0)
