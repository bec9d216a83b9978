"""What a process uses, seen from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from benchmarks.measure import means

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells")


def marked(mark):
    return {pid: seconds for (found, pid), seconds in means.marked().items() if found == mark}


@pytest.fixture
def sleeper():
    code = "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, means.MARK: "a-mark"}) as process:
        yield process
        for pid in marked("a-mark"):
            os.kill(pid, 9)


def test_a_child_is_found_by_its_mark_though_it_has_left_its_group(sleeper):
    ended = time.monotonic() + 10
    while len(found := marked("a-mark")) < 2 and time.monotonic() < ended:
        time.sleep(0.01)
    assert sleeper.pid in found
    assert len(found) == 2
    assert all(0 <= seconds < 5 for seconds in found.values())
    assert not marked("another-mark")


def test_processor_time_is_that_of_the_process():
    before, own = means.processor_seconds(os.getpid()), time.process_time()
    assert before == pytest.approx(own, abs=0.1)
    assert means.processor_seconds(2**22 - 1) is None


def test_a_changed_priority_and_processors_are_told(sleeper):
    usual = means.treatment(os.getpid())
    assert means.privileges(sleeper.pid, [usual]) == []
    os.setpriority(os.PRIO_PROCESS, sleeper.pid, usual.priority + 1)
    (told,) = means.privileges(sleeper.pid, [usual])
    assert told.startswith("a thread has priority")
    assert means.privileges(sleeper.pid, [usual, replace(usual, priority=usual.priority + 1)]) == []


def test_a_thread_that_is_woken_and_sleeps_again_waits_for_nothing():
    before = {"1": (5_000, 7_000), "2": (0, 0), "3": (0, 0)}
    computing = {"1": (10_005_000, 30_007_000)}
    woken = {"2": (10_000, 9_000_000), "3": (10_000, 8_000_000)}
    assert means.queued_seconds(before, before | computing) == pytest.approx(0.03)
    assert means.queued_seconds(before, before | computing | woken) == pytest.approx(0.03 + 2 * 4e-5)


def test_a_thread_that_began_in_between_counts_from_its_beginning():
    assert means.queued_seconds({}, {"7": (2_000_000, 6_000_000)}) == pytest.approx(0.006)
