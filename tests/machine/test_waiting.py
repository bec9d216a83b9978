"""Waiting for a processor, as the system counts it for each thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.machine.waiting import Waiting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells it")


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_two_that_share_a_processor_wait_for_each_other():
    waiting, allowed = Waiting(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    # It inherits the processor.
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before = waiting.seconds()
        spin(0.3)
        assert waiting.seconds() - before > 0.05
    finally:
        os.sched_setaffinity(0, allowed)
        other.kill()
        other.wait()


def test_threads_that_come_and_go_are_counted_while_they_live():
    waiting = Waiting()
    over = threading.Event()
    several = [threading.Thread(target=over.wait) for _ in range(3)]
    for thread in several:
        thread.start()
    assert waiting.seconds() >= 0
    assert len(waiting._files) >= 4
    over.set()
    for thread in several:
        thread.join()
    time.sleep(0.01)
    waiting.seconds()
    assert set(waiting._files) <= {thread.name for thread in Path("/proc/self/task").iterdir()}
