"""New values come to the same addresses where arrays can be written, and the old ones return."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from benchmarks.measure import prepared, probe
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


def test_one_more_result_of_a_round_is_kept_while_that_is_asked_for():
    _, _, ready = ready_for("numpy")
    ready.keeps = True
    ready.time(10)
    assert len(ready.kept) == 1
    assert ready.kept[0] is not ready.result
    ready.forget()
    ready.keeps = False
    ready.time(10)
    assert ready.kept == []
