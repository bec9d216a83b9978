"""Nobody who misbehaves holds a run up, fills it, or outlives it: messages, output and processes have limits."""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe

import numpy as np
import psutil
import pytest

from benchmarks.machine import guardian, signals
from benchmarks.measure import limited
from benchmarks.measure.limited import Broken
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.printed import MOST_BYTES, Printed
from tests.job import ROOT, WRONG

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who has left its group")
X = (np.linspace(-1, 1, 5),)


@pytest.fixture
def ends():
    ours, theirs = Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


def received(ours, timeout_s=5.0, alive=True):
    return limited.receive(ours, timeout_s, lambda: alive)


# Messages


@pytest.mark.parametrize("message", [None, (1, "ok", b"x" * 300_000)])
def test_messages_are_those_of_a_connection(ends, message):
    ours, theirs = ends
    writer = threading.Thread(target=theirs.send, args=[message])  # a long one is read while it is written
    writer.start()
    assert received(ours) == message
    writer.join(5)


def test_requests_are_read_by_a_connection(ends):
    ours, theirs = ends
    limited.send(ours, (1, "call", X), 5.0)
    number, method, _ = theirs.recv()
    assert (number, method) == (1, "call")


@pytest.mark.parametrize("content", [b"", b"\0\0", struct.pack("!i", 100) + b"half"])
def test_half_a_message_is_waited_for_no_longer_than_a_whole_one(ends, content):
    ours, theirs = ends
    os.write(theirs.fileno(), content)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        received(ours, 0.05)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("!i", 4) + b"what",
        struct.pack("!i", -7),
        struct.pack("!i", 0),
        struct.pack("!iQ", -1, 2**60),
        struct.pack("!i", 3) + b"cx\n",
    ],
)
def test_what_is_no_message_is_told_from_one(ends, content):
    ours, theirs = ends
    os.write(theirs.fileno(), content)
    with pytest.raises(Broken):
        received(ours)


def test_an_end_that_is_closed_or_whose_process_is_gone_is_noticed(ends, monkeypatch):
    monkeypatch.setattr(limited, "_LOOK_S", 0.02)
    ours, theirs = ends
    duplicate = os.dup(theirs.fileno())  # as a child of the worker's may hold it
    os.write(duplicate, struct.pack("!i", len(pickle.dumps(1))) + pickle.dumps(1))
    assert received(ours, alive=False) == 1, "what was said before counts"
    theirs.close()
    with pytest.raises(EOFError):
        received(ours, alive=False)
    os.close(duplicate)
    with pytest.raises(EOFError):
        received(ours)


def test_a_machine_that_was_suspended_waits_as_long_as_any_other(ends, monkeypatch):
    """Its clock jumps by more than any limit; the reply comes later."""
    ours, theirs = ends
    times = iter([0.0, 1e4])
    monkeypatch.setattr(limited, "monotonic", lambda: next(times, 1e4))
    looks = []

    def is_ready(*_):
        looks.append(1)
        if len(looks) == 2:
            theirs.send("here")
        return len(looks) > 1

    monkeypatch.setattr(limited, "_is_ready", is_ready)
    assert received(ours, 5.0) == "here"


def test_nobody_who_reads_holds_nobody_up(ends):
    with pytest.raises(TimeoutError):
        limited.send(ends[0], b"x" * 10_000_000, 0.05)


# Output


def test_what_is_printed_is_passed_on_up_to_a_limit_and_its_end_is_kept(capsys):
    printed = Printed()
    os.write(printed.descriptor, b"first\n")
    for _ in range(40):
        os.write(printed.descriptor, b"x" * 9_999 + b"\n")
    os.write(printed.descriptor, b"the last words\n\n")
    printed.started()
    assert printed.last_line() == "the last words"
    printed.pass_on()
    told = capsys.readouterr().err
    assert told.startswith("first\n")
    assert f"more than {MOST_BYTES} bytes" in told
    assert len(told) < 2 * MOST_BYTES
    printed.pass_on()
    assert capsys.readouterr().err == ""


def test_a_long_line_is_quoted_by_its_end():
    printed = Printed()
    os.write(printed.descriptor, b"x" * 5000 + b" why")
    printed.started()
    assert printed.last_line().endswith(" why")
    assert len(printed.last_line()) < 250


# Processes


@linux
def test_who_does_not_stand_still_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(os, "waitid", lambda *_: None)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, process_group=0
    ) as child:
        assert not signals.stop(child.pid, 0.01)
        child.kill()


@linux
def test_who_stands_still_when_a_suspended_machine_goes_on_is_not_given_up(monkeypatch):
    found, times = iter([None, None, "stopped"]), iter([0.0, 1e4, 1e4])
    monkeypatch.setattr(os, "waitid", lambda *_: next(found))
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    monkeypatch.setattr(signals.time, "monotonic", lambda: next(times, 1e4))
    assert signals.stop(1, limit_s=10.0)


@linux
def test_whoever_has_a_mark_is_found_in_whatever_group():
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(command, env={**os.environ, "A_MARK": "made-up"}, start_new_session=True)
    while b"A_MARK" not in psutil_environment(child.pid):
        time.sleep(0.01)
    assert guardian.end_marked("A_MARK", "made") == 0
    assert guardian.end_marked("A_MARK", "made-up") == 1
    assert child.wait(5) == -signal.SIGKILL


def psutil_environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
        return file.read()


ORPHANS = """
import os, subprocess, sys, time
from benchmarks.machine import guardian
command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
group = subprocess.Popen(command, process_group=0)
guardian.watch(group.pid)
marked = subprocess.Popen(command, env=os.environ | guardian.marked(), start_new_session=True)
forgotten = subprocess.Popen(command, process_group=0)
guardian.watch(forgotten.pid)
guardian.forget(forgotten.pid)
print(group.pid, marked.pid, forgotten.pid, flush=True)
time.sleep(60)
"""


@linux
def test_what_a_killed_process_leaves_behind_is_ended():
    parent = subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    group, marked, forgotten = map(psutil.Process, map(int, parent.stdout.readline().split()))
    parent.kill()
    parent.wait(5)
    parent.stdout.close()
    _, left = psutil.wait_procs([group, marked], timeout=5)
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
    assert forgotten.is_running()
    forgotten.kill()


# Backends that do harm


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(WRONG))
    pool = Pool(1, timeout_s=60)
    yield pool
    pool.close()


def harm(pool, backend, timeout_s=10):
    """Let a backend do its harm; its start may take longer than that is waited for."""
    pool.facts(backend, "cpu")
    pool._workers[backend, "cpu", 0]._timeout_s = timeout_s
    return pool.call(backend, "cpu", "evaluate", "sigmoid", "forward", X, None, {})


HARMS = {
    "closes-its-descriptors": ("crashed", "closed its connection, and was ended"),
    "half-a-message": ("timeout", "gave no answer within 1 s"),
    "endless-message": ("failed", "what is no reply"),
    "stray-bytes": ("failed", "what is no reply"),
    "child-holds-the-connection": ("crashed", "SIGABRT"),
    "says-why-and-exits": ("crashed", "exit code 3; it printed last: the licence has run out"),
}


@linux
@pytest.mark.parametrize("backend", HARMS)
def test_a_harm_costs_one_request(pool, backend):
    status, reason = HARMS[backend]
    before = pool.facts("numpy", "cpu")
    with pytest.raises(CaseError) as caught:
        harm(pool, backend, 1 if status == "timeout" else 10)
    assert (caught.value.ending.status, reason in str(caught.value)) == (status, True), str(caught.value)
    assert pool.facts("numpy", "cpu") == before
    assert pool.call(backend, "cpu", "describe").threads == 1, "another process has taken its place"


@linux
def test_descriptors_that_are_used_up_cost_no_later_request(pool):
    harm(pool, "uses-up-descriptors")
    with pytest.raises(CaseError):
        pool.call("uses-up-descriptors", "cpu", "no such request")
    assert pool.call("uses-up-descriptors", "cpu", "describe").threads == 1


@linux
def test_gigabytes_of_output_stay_out_of_this_process(pool, monkeypatch, capsys):
    monkeypatch.setenv("HOSTILE_CHUNKS", "3000")  # 200 MB
    before = psutil.Process().memory_info().rss
    harm(pool, "prints-gigabytes")
    assert psutil.Process().memory_info().rss < before + 50e6
    assert len(capsys.readouterr().err) < 3 * MOST_BYTES


@linux
@pytest.mark.parametrize("backend", ["forks-a-child", "leaves-its-group"])
def test_children_of_a_backend_end_with_it(pool, backend):
    harm(pool, backend)
    children = psutil.Process(pool._workers[backend, "cpu", 0]._process.pid).children()
    assert len(children) == 1
    pool.close()
    _, left = psutil.wait_procs(children, timeout=5)
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
