"""Workers: a mistake, a crash or a hang costs one request, and the next one finds a new process."""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

import backends
from benchmarks.machine import memory, signals
from benchmarks.measure import failures, means, rest
from benchmarks.measure import pool as pool_module
from benchmarks.measure.pool import AHEAD_BYTES, MOST_CHANGES, CaseError, Pool, Request, worker_environment
from benchmarks.measure.remote import ProcessWorker
from benchmarks.plan import inputs
from benchmarks.record.schema import Case, Policies
from tests.job import WRONG

X = (np.linspace(-1, 1, 5),)


@pytest.fixture(scope="module")
def pool():
    """Return a pool for all: what ends one of its workers is followed by another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(WRONG))
        pool = Pool(1, timeout_s=20)
        yield pool
        pool.close()


@pytest.fixture(scope="module")
def team():
    """Return a pool for all whose workers may use two threads."""
    pool = Pool(2)
    yield pool
    pool.close()


@pytest.fixture
def fresh_pool(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(WRONG))
    pool = Pool(1, timeout_s=20)
    yield pool
    pool.close()


def sigmoid(pool, backend):
    return pool.call(backend, "cpu", "evaluate", "sigmoid", "forward", X, None, {})


def test_a_backend_outside_the_repository_is_found(pool):
    np.testing.assert_allclose(sigmoid(pool, "right"), 1 / (1 + np.exp(-X[0])))


def test_workers_persist(fresh_pool):
    first = fresh_pool.call("numpy", "cpu", "describe")
    assert fresh_pool.facts("numpy", "cpu") == replace(first, start_s=fresh_pool.facts("numpy", "cpu").start_s)
    assert 0 < first.import_s < fresh_pool.facts("numpy", "cpu").start_s < 60
    assert len(fresh_pool.started()) == 1


def test_in_process_there_is_no_other(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))  # which it sets, for libraries yet to be imported
    before, pool = psutil.Process().children(), Pool(1, in_process=True)
    np.testing.assert_allclose(sigmoid(pool, "numpy"), 1 / (1 + np.exp(-X[0])))
    assert psutil.Process().children() == before  # of other tests, if they have left any
    with pytest.raises(CaseError) as caught:
        pool.call("numpy", "cpu", "evaluate", "sigmoid", "forward", (), None, {})
    assert caught.value.ending.status == "failed"
    assert pool.facts("numpy", "cpu").backend_version == np.__version__
    pool.close()


def test_an_exception_is_reported_and_the_worker_goes_on(pool):
    with pytest.raises(CaseError, match="RuntimeError: out of luck") as caught:
        sigmoid(pool, "raises")
    assert caught.value.ending.status == "failed"
    assert "Traceback" in caught.value.details
    assert pool.call("raises", "cpu", "describe").threads == 1


def test_a_crash_is_reported_and_the_worker_replaced(pool):
    with pytest.raises(CaseError, match="ended with signal SIGABRT") as caught:
        sigmoid(pool, "crashes")
    assert caught.value.ending.status == "crashed"
    assert pool.call("crashes", "cpu", "describe").threads == 1


def test_a_hang_is_ended_and_the_worker_replaced(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(WRONG))
    pool = Pool(1, timeout_s=1, start_timeout_s=20)
    with pytest.raises(CaseError, match="no answer within 1 s") as caught:
        sigmoid(pool, "hangs")
    assert caught.value.ending.status == "timeout"
    assert pool.call("hangs", "cpu", "describe").threads == 1
    pool.close()


def test_an_unavailable_device_is_remembered(pool):
    for _ in range(2):
        with pytest.raises(CaseError) as caught:
            pool.call("numpy", "cuda", "describe")
        assert caught.value.ending.status in ("unavailable", "failed")


def test_a_dead_worker_is_noticed_at_the_next_request(pool):
    pool.call("numpy", "cpu", "describe")
    pool._workers["numpy", "cpu", 0]._process.kill()
    with pytest.raises(CaseError, match="SIGKILL"):
        pool.call("numpy", "cpu", "describe")
    assert pool.call("numpy", "cpu", "describe").threads == 1


def test_thread_counts_are_set_before_any_import():
    environment = worker_environment(3)
    assert environment["OMP_NUM_THREADS"] == environment["NUMBA_NUM_THREADS"] == environment["NPROC"] == "3"
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert environment["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("backend", ["numba-parallel", "jax", "torch"])
@pytest.mark.parametrize(("workers", "threads"), [("pool", 1), ("team", 2)])
def test_the_thread_count_takes_effect(backend, workers, threads, request):
    if reason := backends.missing(backend):
        pytest.skip(reason)
    assert request.getfixturevalue(workers).facts(backend, "cpu").threads == threads


def test_strided_inputs_give_the_same(pool):
    arrays = inputs.draw("mean_squared_error", (3, 4), "float32")
    plain, strided = (
        pool.call("numpy", "cpu", "evaluate", "mean_squared_error", "forward", arrays, None, {}, flag)
        for flag in (False, True)
    )
    assert plain == pytest.approx(strided, rel=1e-6)


def test_processes_of_one_backend_are_told_apart(pool):
    for process in (0, 1):
        pool.call("numpy", "cpu", "describe", process=process)
    workers = [pool._workers["numpy", "cpu", process]._process.pid for process in (0, 1)]
    assert workers[0] != workers[1]
    assert pool.started().count(("numpy", "cpu")) == 1


@pytest.mark.parametrize(
    ("kind", "message", "status"),
    [
        ("MemoryError", "", "out_of_memory"),
        ("_ArrayMemoryError", "Unable to allocate 373. GiB", "out_of_memory"),
        ("OutOfMemoryError", "CUDA out of memory", "out_of_memory"),
        ("RuntimeError", "DefaultCPUAllocator: can't allocate memory: you tried", "out_of_memory"),
        ("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory", "out_of_memory"),
        ("RuntimeError", "CUDA error: out of memory", "out_of_memory"),
        ("AcceleratorError", "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'", "out_of_memory"),
        ("XlaRuntimeError", "INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory", "out_of_memory"),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", "out_of_memory"),
        ("Invalid", "no output, since it ran out of memory", "invalid"),
        ("Invalid", "the output is that of the call before", "invalid"),
        ("Unmeasurable", "cold: too many copies", "unavailable"),
        ("RuntimeError", "out of luck", "failed"),
    ],
)
def test_what_a_worker_raises_becomes_a_status(kind, message, status):
    with pytest.raises(CaseError) as caught:
        failures.unwrap(("error", (kind, message, "Traceback")))
    assert caught.value.ending.status == status


def test_memory_that_no_machine_has_is_running_out_of_it(pool):
    case = Case("relu", "forward", "float64", (10**13,), "numpy", "cpu")
    with pytest.raises(CaseError) as caught:
        pool.call("numpy", "cpu", "prepare", case)
    assert caught.value.ending.status == "out_of_memory"


def test_a_worker_that_the_system_ended_for_memory_ran_out_of_it(pool, monkeypatch):
    pool.call("numpy", "cpu", "describe")
    monkeypatch.setattr(memory, "oom_kills", lambda: 10**9)
    pool._workers["numpy", "cpu", 0]._process.kill()
    with pytest.raises(CaseError, match="memory ran out") as caught:
        pool.call("numpy", "cpu", "describe")
    assert caught.value.ending.status == "out_of_memory"


@pytest.mark.parametrize("backend", ["numba-parallel", "jax", "torch", "onnxruntime"])
def test_workers_use_no_processor_after_their_turn(team, backend):
    if reason := backends.missing(backend):
        pytest.skip(reason)
    team.call(backend, "cpu", "prepare", Case("relu", "forward", "float32", (1_000_000,), backend, "cpu"))
    team.call(backend, "cpu", "rounds", 10, 3)
    process = psutil.Process(team._workers[backend, "cpu", 0]._process.pid)
    before = process.cpu_times()
    time.sleep(0.5)
    after = process.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) < 0.04


def test_a_turn_that_never_comes_to_rest_ends_all_the_same(monkeypatch):
    monkeypatch.setattr(rest, "_another_runs", lambda: True)
    started = time.perf_counter()
    rest.come_to_rest()
    assert rest.MOST_REST_S <= time.perf_counter() - started < 10


# Side by side


class MadeUp(ProcessWorker):
    """A worker that answers at once, and tells what it is asked for."""

    def __init__(self, name, told, fails=False):
        self.name, self.told, self.fails = name, told, fails
        self._answers, self._says = os.pipe()
        os.set_blocking(self._answers, False)

    def __del__(self):
        os.close(self._answers)
        os.close(self._says)

    alive = is_due = False

    def treatment(self):
        return None

    def is_treated_otherwise(self):
        return True

    def fileno(self):
        return self._answers

    def ask(self, method, *arguments):
        self.told.append(f"ask {self.name}")
        os.write(self._says, b".")

    def answer(self):
        self.told.append(f"answer {self.name}")
        os.read(self._answers, 1)
        if self.fails:
            raise CaseError("crashed", f"{self.name} is out of luck")
        return self.name

    def call(self, method, *arguments):
        self.ask(method)
        return self.answer()

    def treated_otherwise(self, asked):
        return False

    def treat_as_before(self, asked):
        self.told.append(f"{self.name} as before {asked}")

    def close(self, *_):
        self.told.append(f"close {self.name}")


def made_up(monkeypatch, *names, processors=2):
    """Return a pool of made-up workers, of which those with an x fail, and what becomes of them."""
    told, pool = [], Pool(1)
    pool._workers = {(name, "cpu", 0): MadeUp(name, told, fails="x" in name) for name in names}
    monkeypatch.setattr(pool_module.environment, "processors_allowed", lambda: processors)
    return pool, told


def test_as_many_are_asked_at_once_as_there_are_processors(monkeypatch):
    pool, told = made_up(monkeypatch, "a", "b", "c")
    assert pool.at_once([Request(name, "cpu", "describe") for name in "abc"]) == ["a", "b", "c"]
    assert told.index("ask b") < told.index("answer a") < told.index("ask c")
    assert sorted(told[-3:]) == [f"{name} as before a, b and c" for name in "abc"]


def test_who_fails_beside_others_costs_them_nothing_and_is_replaced(monkeypatch):
    pool, told = made_up(monkeypatch, "a", "x", "b")
    first, failed, last = pool.at_once([Request(name, "cpu", "describe") for name in ("a", "x", "b")])
    assert (first, last) == ("a", "b")
    assert (failed.ending.status, failed.ending.reason) == ("crashed", "x is out of luck")
    assert "close x" in told
    assert pool.started() == [("a", "cpu"), ("b", "cpu")]


def test_what_was_asked_ahead_is_not_asked_again(monkeypatch):
    pool, told = made_up(monkeypatch, "a")
    first, second = (Request("a", "cpu", "describe") for _ in range(2))
    pool.ask_ahead(first)
    pool.ask_ahead(second)
    assert told == ["ask a", "ask a"]
    assert [pool.outcome(second), pool.outcome(first)] == ["a", "a"]
    assert told == ["ask a", "ask a", "answer a", "answer a"]


def test_answers_to_what_was_asked_ahead_come_before_those_to_anything_else(monkeypatch):
    pool, told = made_up(monkeypatch, "a", "b")
    ahead = Request("a", "cpu", "describe")
    pool.ask_ahead(ahead)
    assert pool.call("a", "cpu", "describe") == "a"
    assert told == ["ask a", "answer a", "ask a", "answer a"]
    assert pool.outcome(ahead) == "a"
    assert len(told) == 4


def test_who_fails_at_what_was_asked_ahead_is_asked_for_the_rest_anew(monkeypatch):
    pool, told = made_up(monkeypatch, "x")
    first, second = (Request("x", "cpu", "describe") for _ in range(2))
    for request in (first, second):
        pool.ask_ahead(request)
    monkeypatch.setattr(pool, "_started", lambda key: MadeUp("y", told))
    with pytest.raises(CaseError, match="x is out of luck"):
        pool.outcome(first)
    assert pool.outcome(second) == "y"
    assert told == ["ask x", "ask x", "answer x", "close x", "ask y", "answer y"]


def test_no_more_is_asked_ahead_than_a_connection_holds_and_nothing_of_who_is_not_there(monkeypatch):
    pool, told = made_up(monkeypatch, "a")
    half = (b"." * (AHEAD_BYTES // 2 - 100),)
    requests = [Request("a", "cpu", "describe", half) for _ in range(3)]
    for request in requests:
        pool.ask_ahead(request)
    pool.ask_ahead(Request("b", "cpu", "describe"))
    assert told == ["ask a", "ask a"]
    assert [pool.outcome(request) for request in requests] == ["a", "a", "a"]


def test_a_crash_and_a_hang_beside_others_cost_those_alone(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(WRONG))
    pool = Pool(1, timeout_s=2, start_timeout_s=20)
    names = ("numpy", "crashes", "hangs", "raises", "no-such", "right")
    pool.launch([(name, "cpu") for name in names])
    asked = {name: Request(name, "cpu", "evaluate", ("sigmoid", "forward", X, None, {})) for name in names}
    found = pool.at_once(list(asked.values()))
    reasons = [each.ending.reason if isinstance(each, CaseError) else "" for each in found]
    assert reasons[1].startswith("the process of crashes-cpu ended with signal SIGABRT")
    assert reasons[2].startswith("hangs-cpu gave no answer within 2 s and was ended")
    assert reasons[3] == "RuntimeError: out of luck"
    assert reasons[4] == "no-such on cpu: not among these backends"
    for array in (found[0], found[5]):
        np.testing.assert_allclose(array, 1 / (1 + np.exp(-X[0])))
    for name in ("crashes", "hangs"):
        assert pool.call(name, "cpu", "describe").threads == 1
    again = [replace(asked[name]) for name in ("crashes", "hangs", "crashes", "right")]
    for request in again:
        pool.ask_ahead(request)
    for request, reason in zip(again[:3], (reasons[1], reasons[2], reasons[1]), strict=True):
        with pytest.raises(CaseError) as caught:
            pool.outcome(request)
        assert caught.value.ending.reason == reason
    np.testing.assert_array_equal(pool.outcome(again[3]), found[5])
    pool.close()


def test_workers_that_are_launched_are_there_when_asked_and_end_with_the_others(fresh_pool):
    fresh_pool.launch([("numpy", "cpu"), ("right", "cpu"), ("numpy", "cpu")])
    numpy, right = fresh_pool._launched.values()
    assert fresh_pool.started() == []
    assert fresh_pool.facts("numpy", "cpu").threads == 1
    assert fresh_pool._workers["numpy", "cpu", 0] is numpy
    assert right.alive
    fresh_pool.close()
    assert [numpy.alive, right.alive] == [False, False]
    assert fresh_pool.facts("right", "cpu").threads == 1
    assert fresh_pool._workers["right", "cpu", 0] is not right


@pytest.mark.skipif(not signals.can_stop() or os.geteuid(), reason="only the administrator may raise a priority")
def test_what_changes_while_several_compute_is_put_back_and_nobody_is_blamed(fresh_pool, monkeypatch):
    pids = workers(fresh_pool, 2)
    usual, ask = os.getpriority(os.PRIO_PROCESS, 0), ProcessWorker.ask

    def asked(worker, *what):
        ask(worker, *what)
        os.setpriority(os.PRIO_PROCESS, pids[0], usual + 1)

    monkeypatch.setattr(ProcessWorker, "ask", asked)
    fresh_pool.at_once([Request("numpy", "cpu", "describe", (), i) for i in range(2)])
    assert os.getpriority(os.PRIO_PROCESS, pids[0]) == usual
    assert [fresh_pool.seen("numpy", "cpu", i).privileges for i in range(2)] == [(), ()]


# Turns of a worker alone


linux = pytest.mark.skipif(not signals.can_stop(), reason="workers are stopped on Linux alone")


def states(pool):
    return [psutil.Process(worker._process.pid).status() for worker in pool._workers.values()]


@linux
def test_while_one_computes_the_others_are_stopped(pool):
    for process in range(3):
        pool.call("numpy", "cpu", "prepare_floor", process=process)
    with pool.alone() as alone:
        assert alone
        assert set(states(pool)) == {psutil.STATUS_STOPPED}
        reading = pool.turn("numpy", "cpu", 10, 3, process=1)
        assert len(reading.rounds) == 3
        assert reading.waited_s is not None
        assert set(states(pool)) == {psutil.STATUS_STOPPED}
    assert psutil.STATUS_STOPPED not in states(pool)
    assert pool.call("numpy", "cpu", "describe", process=2).threads == 1


@pytest.fixture
def lowered(pool):
    """Return a pool of whose workers a test lowers the priority."""
    yield pool
    for process, pid in enumerate(workers(pool, 3)):
        if os.geteuid() == 0:  # others may not raise a priority again
            os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0))
        else:
            pool.end("numpy", "cpu", process)


@linux
def test_whose_call_changes_the_priority_of_others_is_refused_and_they_get_it_back(lowered):
    pool, pids = lowered, workers(lowered, 3)
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with pool.alone():
        for pid in pids[:2]:
            os.setpriority(os.PRIO_PROCESS, pid, usual + 1)
        with pytest.raises(CaseError, match=r"processors of other processes changed .*: numpy and numpy"):
            pool.call("numpy", "cpu", "describe", process=2)
        if os.geteuid() == 0:  # others may not raise a priority again
            assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in pids[:2]] == [usual] * 2
            assert pool.seen("numpy", "cpu", 0).privileges == ()
        assert pool.call("numpy", "cpu", "describe", process=2).threads == 1, "it is told once"
    assert pool.seen("numpy", "cpu", 0).meanwhile == "numpy"
    assert pool.seen("numpy", "cpu", 2).meanwhile == ""


@linux
def test_a_priority_that_somebody_changes_once_is_nobody_s_fault(lowered):
    """Such as a daemon that lowers the priority of whoever computes for long: it may come at any moment."""
    pool, pids = lowered, workers(lowered, 2)
    with pool.alone():
        for i in range(MOST_CHANGES):
            os.setpriority(os.PRIO_PROCESS, pids[0], os.getpriority(os.PRIO_PROCESS, 0) + 1 + i)
            if i < MOST_CHANGES - 1:
                assert pool.call("numpy", "cpu", "describe", process=1).threads == 1
        with pytest.raises(CaseError, match="processors of other processes changed"):
            pool.call("numpy", "cpu", "describe", process=1)


@linux
def test_a_script_that_lowers_the_priority_of_all_workers_accuses_none(lowered, monkeypatch):
    pool, pids = lowered, workers(lowered, 3)
    lower = os.getpriority(os.PRIO_PROCESS, 0) + 1

    def catch_up(seconds):
        os.setpriority(os.PRIO_PROCESS, pids[2], lower)

    monkeypatch.setattr(pool_module, "sleep", catch_up)
    with pool.alone():
        for pid in pids[:2]:
            os.setpriority(os.PRIO_PROCESS, pid, lower)
        assert pool.call("numpy", "cpu", "describe", process=2).threads == 1


@linux
def test_a_worker_keeps_the_treatment_that_it_was_given_though_this_process_gets_another(pool, monkeypatch):
    """Such as more processors for its container, or another priority for who asks alone."""
    workers(pool, 1)
    usual = means.treatment(os.getpid())
    for other in (
        replace(usual, priority=usual.priority + 3),
        replace(usual, processors={*usual.processors, 999}),
    ):
        monkeypatch.setattr(means, "treatment", lambda pid, other=other: other)
        assert pool.seen("numpy", "cpu", 0).privileges == ()


def test_the_next_call_after_an_end_has_another_worker(pool):
    (before,) = workers(pool, 1)
    pool.end("numpy", "cpu", 0)
    pool.end("numpy", "cpu", 0)
    assert workers(pool, 1) != [before]


@linux
def test_fewer_processors_for_all_are_nobody_s_doing(pool):
    pids = workers(pool, 2)
    allowed = os.sched_getaffinity(0)
    try:
        with pool.alone():
            for pid in (0, *pids):
                os.sched_setaffinity(pid, {min(allowed)})
            assert pool.call("numpy", "cpu", "describe", process=1).threads == 1
    finally:
        for pid in (0, *pids):
            os.sched_setaffinity(pid, allowed)


def workers(pool, n):
    """Have `n` workers, and return their processes' numbers."""
    for process in range(n):
        pool.call("numpy", "cpu", "describe", process=process)
    return [pool._workers["numpy", "cpu", process]._process.pid for process in range(n)]


@linux
def test_a_crash_or_a_hang_of_one_that_computes_alone_costs_that_one(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(WRONG))
    pool = Pool(1, timeout_s=3, start_timeout_s=20)
    for backend in ("numpy", "crashes", "hangs"):
        pool.call(backend, "cpu", "prepare_floor")
    with pool.alone():
        for backend, status in (("crashes", "crashed"), ("hangs", "timeout")):
            with pytest.raises(CaseError) as caught:
                sigmoid(pool, backend)
            assert caught.value.ending.status == status
        assert pool.turn("numpy", "cpu", 1, 1).rounds
    pool.close()


@linux
def test_an_interruption_leaves_nobody_stopped(pool):
    pool.call("numpy", "cpu", "describe")
    with pytest.raises(KeyboardInterrupt), pool.alone():
        raise KeyboardInterrupt
    assert psutil.STATUS_STOPPED not in states(pool)


@linux
def test_stopped_workers_end_with_the_one_that_stopped_them():
    code = (
        "import time\n"
        "from benchmarks.measure.pool import Pool\n"
        "pool = Pool(1)\n"
        "for process in range(2): pool.call('numpy', 'cpu', 'describe', process=process)\n"
        "with pool.alone():\n"
        "    print(*[worker._process.pid for worker in pool._workers.values()], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
    _, left = psutil.wait_procs(workers, timeout=5)
    assert not [worker for worker in left if worker.status() != psutil.STATUS_ZOMBIE]


def test_in_one_process_nobody_is_stopped(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))  # which such a pool changes for good
    pool = Pool(1, in_process=True)
    pool.call("numpy", "cpu", "prepare_floor")
    with pool.alone() as alone:
        assert not alone
        reading = pool.turn("numpy", "cpu", 10, 3)
    assert len(reading.rounds) == 3
    assert reading.waited_s is None


# Memory


LARGE = Case("relu", "forward", "float32", (16_777_216,), "numpy", "cpu")


def test_a_sibling_has_the_threads_and_memory_of_the_policies(fresh_pool):
    pool = fresh_pool
    usual, two = pool.under(Policies()), pool.under(Policies(team="2threads"))
    assert usual is pool is pool.under(Policies(team="1thread")), "the pool has one thread"
    assert (two.threads, pool.under(Policies(team="2threads")), two.under(Policies())) == (2, two, two)
    assert pool.under(Policies(team="2threads", memory="released")) is not two
    two.call("numpy", "cpu", "describe")
    process = two._workers["numpy", "cpu", 0]._process
    assert psutil.Process(process.pid).environ()["NUMBA_NUM_THREADS"] == "2"
    pool.close()
    assert process.poll() is not None, "it ends with the pool"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="of glibc's allocator")
def test_retained_memory_costs_no_page_faults_and_is_given_back_at_the_end(fresh_pool):
    assert_kept(fresh_pool, "numpy")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="of glibc's allocator")
@pytest.mark.parametrize("backend", ["torch", "numba-parallel", "jax"])
def test_every_framework_keeps_its_memory(pool, backend):
    assert_kept(pool, backend)


def assert_kept(pool, backend):
    if reason := backends.missing(backend):
        pytest.skip(reason)
    pool.call(backend, "cpu", "prepare", replace(LARGE, backend=backend))
    with pool.alone():
        faults = [pool.turn(backend, "cpu", 1, 1).faults for _ in range(6)]
    assert statistics.median(faults) < 100
    process = psutil.Process(pool._workers[backend, "cpu", 0]._process.pid)
    kept = process.memory_info().rss
    pool.release((backend, "cpu", 0))
    assert process.memory_info().rss < kept - 100e6


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="of glibc's allocator")
def test_released_memory_is_found_again_at_each_call(pool):
    released = pool.under(Policies(memory="released"))
    released.call("torch", "cpu", "prepare", replace(LARGE, backend="torch", memory="released"))
    with released.alone():
        assert released.turn("torch", "cpu", 1, 1).faults > 20  # of 2 MiB each, where pages are huge
    assert pool.under(Policies(memory="released")) is released
    assert pool.under(Policies()) is pool
