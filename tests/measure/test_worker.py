"""The steps in which a worker makes a case ready, and the processor on which it takes its turn."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks.machine import memory, resources
from benchmarks.measure.worker import Worker
from benchmarks.record.schema import Case

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lets a thread choose")
CASE = Case("mean_squared_error", "backward", "float32", (10, 10), "numpy", "cpu")


@pytest.fixture(scope="module")
def worker():
    return Worker("numpy", "cpu", 1)


def test_a_case_is_made_ready_in_steps_as_it_is_in_one(worker):
    worker.draw(CASE)
    worker.call_first()
    first_call_s = worker._beginning._first[1]
    in_steps = worker.prepare(CASE)
    assert in_steps.first_call_s == first_call_s
    stepwise, n_places = worker._prepared.call_twice(), len(worker._prepared.places)
    in_one = worker.prepare(CASE)
    assert (in_one.bytes_moved, in_one.bytes_in) == (in_steps.bytes_moved, in_steps.bytes_in)
    assert (worker._prepared.call_twice() == stepwise).all()
    assert len(worker._prepared.places) == n_places > 1
    worker.release()


def test_what_was_drawn_for_another_case_is_not_used(worker):
    worker.draw(CASE)
    other = replace(CASE, shape=(7,))
    assert worker.prepare(other).bytes_in == 2 * 7 * 4
    assert worker._case == other
    worker.release()
    with pytest.raises(RuntimeError, match="no case is drawn"):
        worker.call_first()


def test_a_case_is_let_go_once(worker, monkeypatch):
    given_back = []
    monkeypatch.setattr(memory, "give_back", lambda: given_back.append(1))
    worker.prepare(CASE)
    worker.release()
    worker.prepare(CASE)
    assert len(given_back) == 1
    worker.draw(CASE)
    assert len(given_back) == 2
    worker.release()


@linux
@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_computes_in_its_own_thread_keeps_to_the_processor_of_the_turn(monkeypatch, asynchronous):
    worker, allowed = Worker.__new__(Worker), os.sched_getaffinity(0)
    worker._backend = SimpleNamespace(asynchronous=asynchronous)
    moves = []
    worker._prepared = SimpleNamespace(move=lambda: moves.append(1))
    monkeypatch.setattr(worker, "_turn", lambda *counts: os.sched_getaffinity(0), raising=False)
    processor = max(allowed)
    assert worker.turn(1, 1, processor) == (allowed if asynchronous else {processor})
    assert worker.turn(1, 1, None) == allowed
    assert os.sched_getaffinity(0) == allowed
    assert len(moves) == 2
    worker.turn(1, 1, None, stays=True)
    assert len(moves) == 2


@linux
def test_slower_processors_of_another_kind_take_no_turns(monkeypatch, tmp_path):
    for processor, capacity in enumerate((1024, 1000, 400)):
        folder = tmp_path / f"cpu{processor}"
        folder.mkdir()
        (folder / "cpu_capacity").write_text(f"{capacity}\n")
    monkeypatch.setattr(resources, "_PROCESSORS", tmp_path)
    monkeypatch.setattr(resources.environment, "processors", lambda: [0, 1, 2])
    assert resources.alike_processors() == [0, 1]
    monkeypatch.setattr(resources, "_PROCESSORS", tmp_path / "untold")
    assert resources.alike_processors() == [0, 1, 2]
