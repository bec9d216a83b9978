"""A group of cases on its way through the measurement, in workers that we make up."""

from __future__ import annotations

import random
from collections import defaultdict
from contextlib import contextmanager

import pytest

from benchmarks.measure import group as module
from benchmarks.measure.devices import Transfers
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.entry import Entry
from benchmarks.measure.group import LEAD, Group
from benchmarks.measure.pool import CaseError
from benchmarks.measure.sampling import Rule
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.record.schema import Case, Preparation, WorkerFacts
from benchmarks.stats.pairs import LOOKS

RULE = Rule(precision=0.02, confidence=0.95, max_s=0.1)
CALL_S = 1e-4


def case(backend):
    return Case("relu", "forward", "float32", (1000,), backend, "cpu")


class MadeUpPool:
    """Workers that take `CALL_S` a call; `trouble` maps (backend, method) to what happens at its n-th request."""

    def __init__(self, trouble=None, late=None, calls_s=None):
        self.calls_s = calls_s or {}
        self.trouble = trouble or {}
        self.late = defaultdict(tuple, late or {})
        self.requests = []
        self.side_by_side = []

    def facts(self, backend, device, process=0):
        return WorkerFacts(backend_version="1", threads=1, settings="")

    def call(self, backend, device, method, *arguments, process=0):
        self.requests.append((backend, method, process))
        n = sum(request == (backend, method, process) for request in self.requests)
        if found := self.trouble.get((backend, method)):
            found(n)
        return {
            "supports": lambda *_: None,
            "draw": lambda *_: None,
            "call_first": lambda *_: None,
            "prepare": lambda *_: Preparation(
                first_call_s=0.1, bytes_moved=8_000_000, bytes_written=4_000_000
            ),
            "rounds": lambda iterations, n_rounds: [iterations * self.calls_s.get(backend, CALL_S)] * n_rounds,
            "arrival_seconds": lambda iterations: (1e-4, 1e-3, 1e-4 + (1 if n in self.late[backend] else 0)),
            "device_seconds": lambda iterations: None,
            "transfers": lambda *_: Transfers(1e-3, 2e-3, None, None),
            "peak_bytes": lambda *_: 4_000_000,
            "call_twice": lambda *_: None,
            "result": lambda index: [],
            "last_result": lambda index: [],
            "subnormal_share": lambda *_: 0.0,
            "flushes_subnormals": lambda *_: False,
        }[method](*arguments)  # fmt: skip

    def at_once(self, requests):
        self.side_by_side.append([(request.method, request.backend) for request in requests])
        return [self.outcome(request) for request in requests]

    def outcome(self, request):
        try:
            return self.call(
                request.backend, request.device, request.method, *request.arguments, process=request.process
            )
        except CaseError as error:
            return error

    def rounds(self, backend, device, process=0):
        return lambda *counts: self.call(backend, device, "rounds", *counts, process=process)

    @contextmanager
    def alone(self):
        yield True

    def change_processor(self, order):
        pass

    def turn(self, backend, device, iterations, n_rounds, process=0, *, stays=False):
        rounds = self.call(backend, device, "rounds", iterations, n_rounds, process=process)
        return Reading(tuple(rounds), 0.0, 0.0)

    def release(self, *places):
        self.requests += [(backend, "release", process) for backend, _, process in places]


class SteadyPulse:
    def __init__(self, *deviations):
        self.left = list(deviations)
        self.beats = 0

    def beat(self):
        self.beats += 1

    def deviation(self):
        return self.left.pop(0) if self.left else 0.0


def group_of(pool, *backends, n_processes=1, pulse=None):
    group = Group([Entry(case(b)) for b in backends], pool, n_processes, Stopwatch())
    group.prepare()
    group.require_waiting()
    group.sample(RULE, random.Random(0), pulse or SteadyPulse())
    group.require_waiting()
    group.look_closer()
    group.release()
    return group


def measured(pool, *backends, **options):
    group = group_of(pool, *backends, **options)
    return {entry.case.backend: entry for entry in group.entries}


def dies_at(n_th, status):
    def trouble(n):
        if n >= n_th:
            raise CaseError(status, "out of luck")

    return trouble


def test_all_are_measured_in_turn():
    pool = MadeUpPool()
    entries = measured(pool, "a", "b", "c")
    assert all(entry.alive and entry.sampling.median_s == pytest.approx(CALL_S) for entry in entries.values())
    n = 3 * LOOKS[0]
    bursts = [backend for backend, method, _ in pool.requests if method == "rounds"][-n:]
    assert all(sorted(bursts[i : i + 3]) == ["a", "b", "c"] for i in range(0, n, 3))
    assert bursts != ["a", "b", "c"] * LOOKS[0]


@pytest.mark.parametrize("status", ["crashed", "timeout", "out_of_memory", "failed"])
@pytest.mark.parametrize("method", ["prepare", "rounds", "peak_bytes"])
@pytest.mark.parametrize("n_th", [1, 8])
def test_trouble_costs_one_case_whenever_it_comes(status, method, n_th):
    entries = measured(MadeUpPool({("b", method): dies_at(n_th, status)}), "a", "b", "c")
    happened = n_th == 1 or method == "rounds"
    ending = entries["b"].ending
    assert (ending and ending.status) == (status if happened else None)
    assert entries["a"].alive
    assert entries["c"].alive
    assert entries["a"].sampling.n_bursts >= LOOKS[0]


def test_a_mistake_of_ours_is_kept_for_the_case_s_own_test():
    def trouble(n):
        raise ZeroDivisionError

    entries = measured(MadeUpPool({("b", "device_seconds"): trouble}), "a", "b")
    assert isinstance(entries["b"].error, ZeroDivisionError)
    assert entries["b"].ending.status == "failed"
    assert entries["a"].alive


def test_what_is_not_timed_is_done_side_by_side_and_what_is_timed_is_not():
    pool = MadeUpPool()
    group = group_of(pool, "a", "b")
    group.check([], "result")
    batches = ["draw", "prepare", "peak_bytes", "call_twice", "result", "flushes_subnormals", "subnormal_share"]
    assert pool.side_by_side == [[(method, "a"), (method, "b")] for method in batches]
    asked = [method for _, method, _ in pool.requests]
    assert asked.index("draw") < asked.index("call_first") < asked.index("prepare")
    assert {"call_first", "arrival_seconds", "rounds", "peak_bytes"} <= set(asked)


@pytest.mark.parametrize("method", ["draw", "call_first", "call_twice", "result", "subnormal_share"])
def test_trouble_side_by_side_costs_one_case_in_whichever_process_it_comes(method):
    def second(n):
        if pool.requests[-1][2] == 1:
            raise CaseError("crashed", "out of luck")

    pool = MadeUpPool({("b", method): second})
    group = Group([Entry(case(name)) for name in "abc"], pool, 2, Stopwatch())
    group.prepare()
    group.check([], "result")
    assert [entry.ending and entry.ending.status for entry in group.entries] == [None, "crashed", None]
    assert [entry.checks for entry in group.entries] == [["result"], [], ["result"]]


def test_rounds_that_end_before_their_work_are_invalid():
    pool = MadeUpPool(late={"hasty": range(1, LEAD + 1)})
    entries = measured(pool, "hasty", "a")
    assert entries["hasty"].ending.status == "invalid"
    assert "were not waited for" in entries["hasty"].ending.reason
    assert entries["a"].alive
    assert pool.requests.count(("hasty", "arrival_seconds", 0)) == LEAD
    assert pool.requests.count(("a", "arrival_seconds", 0)) == 2


def test_a_result_that_is_once_there_by_chance_does_not_excuse_the_others():
    pool = MadeUpPool(late={"hasty": {*range(1, LEAD + 3)} - {3}})
    assert measured(pool, "hasty")["hasty"].ending.status == "invalid"


def test_results_that_are_late_every_other_time_are_not_waited_for():
    pool = MadeUpPool(late={"hasty": set(range(1, 1000, 2))})
    assert measured(pool, "hasty")["hasty"].ending.status == "invalid"


def test_a_result_that_is_late_by_chance_is_not_held_against_the_others():
    pool = MadeUpPool(late={"a": {1, 2, 4, 8}})
    assert measured(pool, "a")["a"].alive


def test_each_process_is_prepared_checked_measured_and_released():
    pool = MadeUpPool()
    entries = measured(pool, "a", n_processes=3)
    assert [process for _, method, process in pool.requests if method == "prepare"] == [0, 1, 2]
    assert [process for _, method, process in pool.requests if method == "release"] == [0, 1, 2]
    assert len(entries["a"].sampling.processes) == 3


class Blind:
    """A referee who sees nothing."""

    def __init__(self, *_): ...

    def begin(self, _): ...

    def before_turn(self): ...

    def finish(self): ...

    def conclude(self): ...


def test_results_are_checked_before_the_rounds_and_after_the_last(monkeypatch):
    checked, pool = [], MadeUpPool()

    def check(_, __, method):
        checked.append((method, sum(asked == "rounds" for _, asked, _ in pool.requests)))

    monkeypatch.setattr(module, "Referee", Blind)
    monkeypatch.setattr(module, "expected", lambda *_: [])
    monkeypatch.setattr(Group, "check", check)
    group = Group([Entry(case("a"))], pool, 1, Stopwatch())
    group.prepare()
    group.take_through(RULE, random.Random(0), SteadyPulse())
    (first, before), (last, after) = checked
    assert (first, last) == ("result", "last_result")
    assert after >= before + LOOKS[0]


def test_each_pair_of_a_group_is_compared():
    found = group_of(MadeUpPool(calls_s={"b": 2 * CALL_S, "c": 1.01 * CALL_S}), "a", "b", "c").pairs
    told = {(pair.case.backend, pair.other): (round(pair.ratio, 2), pair.verdict) for pair in found}
    assert told == {("a", "b"): (2.0, "faster"), ("a", "c"): (1.01, "equal"), ("c", "b"): (1.98, "faster")}
    assert all(pair.turns == LOOKS[0] for pair in found)


def test_the_drift_of_the_machine_is_kept():
    assert measured(MadeUpPool(), "a", pulse=SteadyPulse(0.2))["a"].drift == 0.2


def test_the_reference_kernel_is_timed_once_a_turn():
    pulse = SteadyPulse()
    entries = measured(MadeUpPool(), "a", "b", pulse=pulse)
    assert pulse.beats == entries["a"].sampling.n_bursts
