"""The processor on which a worker takes its turn."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from benchmarks.machine import resources
from benchmarks.measure.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lets a thread choose")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_computes_in_its_own_thread_keeps_to_the_processor_of_the_turn(monkeypatch, asynchronous):
    worker, allowed = Worker.__new__(Worker), os.sched_getaffinity(0)
    worker._backend = SimpleNamespace(asynchronous=asynchronous)
    monkeypatch.setattr(worker, "_turn", lambda *counts: os.sched_getaffinity(0), raising=False)
    processor = max(allowed)
    assert worker.turn(1, 1, processor) == (allowed if asynchronous else {processor})
    assert worker.turn(1, 1, None) == allowed
    assert os.sched_getaffinity(0) == allowed


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
