"""The clock around calls: what it counts, and what is alive meanwhile."""

from __future__ import annotations

import weakref
from itertools import product
from types import SimpleNamespace

import pytest

from benchmarks.measure.prepared import Prepared
from benchmarks.record.schema import Case


class Output:
    """Something that a call returns, which can be watched."""


class Watched:
    """Calls that say which of them were made, and how many earlier outputs were alive at each."""

    def __init__(self):
        self.made, self.alive, self._outputs = [], [], []

    def call(self, name):
        def run():
            self.made.append(name)
            self.alive.append(sum(output() is not None for output in self._outputs))
            output = Output()
            self._outputs.append(weakref.ref(output))
            return output

        return run


@pytest.mark.parametrize(("asynchronous", "timing"), [*product((False, True), ("latency", "throughput"))])
@pytest.mark.parametrize("n_runs", [1, 3])
def test_each_output_is_let_go_before_the_next_call(asynchronous, timing, n_runs):
    watched = Watched()
    backend = SimpleNamespace(asynchronous=asynchronous, synchronize=lambda result: None)
    case = Case(op="relu", mode="forward", dtype="float32", shape=(8,), backend="b", device="cpu", timing=timing)
    ready = Prepared(backend, [watched.call(i) for i in range(n_runs)], case)
    for iterations in (1, 4):
        assert ready.time(iterations) >= 0
        assert isinstance(ready.result, Output)
    assert set(watched.alive) == {0}
    assert len(watched.made) == 5
    assert set(watched.made) == set(range(n_runs))


def test_cold_outputs_rotate_as_the_inputs_do():
    watched = Watched()
    backend = SimpleNamespace(asynchronous=False, synchronize=lambda result: None)
    case = Case(op="relu", mode="forward", dtype="float32", shape=(8,), backend="b", device="cpu", cache="cold")
    ready = Prepared(backend, [watched.call(i) for i in range(3)], case)
    ready.time(10)
    assert watched.alive == [0, 1, 2, *[3] * 7]  # each is written where none of the last three lies
    assert watched.made == [1, 2, 0] * 3 + [0]
    alone = Prepared(backend, [watched.call("alone")], case)  # one that fills the cache by itself
    watched.alive.clear()
    ready = None
    alone.time(4)
    assert watched.alive[-1] == watched.alive[0]


def test_calls_that_follow_are_those_of_the_rounds():
    watched = Watched()
    ready = Prepared(SimpleNamespace(), [watched.call(i) for i in range(3)])
    for _ in range(4):
        ready.following()
    assert watched.made == [0, 1, 2, 0]


def test_after_a_move_the_inputs_at_the_next_place_are_used():
    watched = Watched()
    backend = SimpleNamespace(asynchronous=False, synchronize=lambda result: None)
    ready = Prepared(backend, [watched.call(i) for i in range(3)], by_turns=True)
    for _ in range(4):
        ready.time(2)
        ready.move()
    assert watched.made == [0, 0, 1, 1, 2, 2, 0, 0]
