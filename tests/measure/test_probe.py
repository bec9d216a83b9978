"""New values come to the same addresses where arrays can be written, and the old ones return."""

from __future__ import annotations

from dataclasses import replace
from time import sleep

import numpy as np
import pytest

import backends
from benchmarks.measure import plausibility, prepared, probe
from benchmarks.measure.probe import Change
from benchmarks.record.schema import Case

INDEX = (np.array([3, 70]),)
VALUES = np.array([1.5, -2.5], np.float32)


def ready_for(name, **policies):
    backend = backends.load(name)
    case = Case("relu", "forward", "float32", (100,), name, "cpu", **policies)
    return backend, case, prepared.prepare(backend, case)[0]


@pytest.mark.parametrize("allocation", ["fresh", "inplace"])
@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_calls_compute_from_new_values_until_the_old_ones_are_back(name, allocation):
    if reason := backends.missing(name):
        pytest.skip(reason)
    backend, case, ready = ready_for(name, allocation=allocation)
    addresses = [place.inputs[0] for place in ready.places]
    before = [backend.to_numpy(array) for array in addresses]
    undo = probe.renew(backend, case, ready, [Change(0, INDEX, VALUES)])
    ready.move()
    ready.time(3)
    expected = np.maximum(before[0], 0)
    expected[INDEX] = [1.5, 0]
    if allocation == "fresh":
        np.testing.assert_array_equal(backend.to_numpy(ready.result), expected)
    undo()
    for array, old in zip(addresses, before, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(array), old)
    ready.move()
    ready.time(1)
    np.testing.assert_array_equal(backend.to_numpy(ready.result), np.maximum(before[0], 0))


def test_numpy_s_arrays_are_written_where_they_lie():
    backend, case, ready = ready_for("numpy")
    undo = probe.renew(backend, case, ready, [Change(0, INDEX, VALUES)])
    assert all((place.inputs[0][INDEX] == VALUES).all() for place in ready.places)
    undo()
    assert not any((place.inputs[0][INDEX] == VALUES).all() for place in ready.places)


def test_two_more_results_of_a_round_are_kept_while_that_is_asked_for():
    _, _, ready = ready_for("numpy")
    ready.keeps = True
    for iterations in (10, 10):
        ready.time(iterations)
    (opening,), (kept,) = ready.opening, ready.kept
    assert len({id(each) for each in (opening, kept, ready.result)}) == 3
    ready.time(10)
    assert ready.opening == [opening]
    ready.forget()
    assert ready.opening == []
    ready.time(1)
    assert ready.opening == [ready.result]
    ready.forget()
    ready.keeps = False
    ready.time(10)
    assert ready.kept == []
    assert ready.opening == []


class Looking:
    """Calls that note what they find at one place of their input, and return a copy of all of it."""

    def __init__(self, array):
        self.array, self.found = array, []

    def __call__(self):
        self.found.append(float(self.array[3]))
        return self.array.copy()


@pytest.fixture
def looking():
    """Return a case and its calls, each of which looks at the input of one place."""
    backend, case, ready = ready_for("numpy")
    ready.places = [replace(place, run=Looking(place.inputs[0])) for place in ready.places]
    ready.exchange([place.run for place in ready.places])
    ready.keeps = True
    return backend, case, ready


@pytest.mark.parametrize("index", [INDEX, (np.arange(60),)])
def test_new_values_come_between_two_calls_of_the_next_round(looking, index):
    """Whoever computes only after a pause must not find one."""
    backend, case, ready = looking
    old, values = float(ready.places[0].inputs[0][3]), np.full(len(index[0]), 1.5, np.float32)
    undo = probe.renew(backend, case, ready, [Change(0, index, values)], amid=True)
    ready.move()
    ready.time(10)
    n_old = ready.first.found.count(old)
    assert 1 <= n_old <= 8
    assert ready.first.found == [old] * n_old + [1.5] * (10 - n_old)
    assert {float(result[0][3]) for result in (ready.opening, ready.kept or ready.opening, [ready.result])} == {
        1.5
    }
    ready.move()
    ready.time(3)
    assert ready.first.found == [1.5] * 3
    undo()
    assert {float(place.inputs[0][3]) for place in ready.places} == {old}


@pytest.mark.parametrize("writes", [True, False])
def test_of_rounds_of_one_call_new_values_come_after_the_first(looking, monkeypatch, writes):
    monkeypatch.setattr(probe, "_reads_inputs", lambda backend, case: writes)
    backend, case, ready = looking
    place, old = ready.places[1], float(ready.places[0].inputs[0][3])
    probe.renew(backend, case, ready, [Change(0, INDEX, VALUES)], amid=True)
    ready.move()
    ready.time(1)
    assert ready.opening == []
    assert ready.result[3] == old
    ready.time(1)
    assert ready.opening[0][3] == 1.5
    assert place.run.found == ([old, 1.5] if writes else [])


def test_calls_that_are_bound_anew_follow_calls_on_the_old_values(looking, monkeypatch):
    backend, case, ready = looking
    monkeypatch.setattr(probe, "_reads_inputs", lambda backend, case: False)
    old = ready.first
    undo = probe.renew(backend, case, ready, [Change(0, INDEX, VALUES)], amid=True)
    ready.move()
    ready.time(10)
    assert 1 <= len(old.found) <= 8
    assert (ready.opening[0][3], ready.result[3]) == (1.5, 1.5)
    undo()
    ready.time(1)
    assert ready.first is old


class Remembering:
    """Calls that take long until they have come as often as that on the same value, and then hardly any time."""

    def __init__(self, array, admission):
        self.array, self.admission, self.seen = array, admission, []

    def __call__(self):
        value = self.array[3]
        self.seen = [*self.seen, value] if self.seen and self.seen[-1] == value else [value]
        if len(self.seen) <= self.admission:
            sleep(1e-3)
        return self.array


@pytest.mark.parametrize(("admission", "remembers"), [(0, False), (1, True), (12, True), (10**6, False)])
def test_what_is_remembered_only_once_it_recurs_counts_as_remembered(admission, remembers):
    backend, case, ready = ready_for("numpy")
    ready.exchange([Remembering(ready.places[0].inputs[0], admission)] * len(ready.places))
    novelties = [[Change(0, INDEX, VALUES + i)] for i in range(3)]
    times_s = probe.novelty(backend, case, ready, novelties, 20)
    assert plausibility.remembers(times_s) == remembers
