"""What is asked of a device, here of a made-up one: none of this shows that a GPU answers so."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from backends.interface import NotSupported
from benchmarks.machine import bandwidth, gpus, persisting, roofline
from benchmarks.machine.bandwidth import DEVICE_LADDER
from benchmarks.machine.gpus import Load, Telemetry
from benchmarks.machine.limit import Moved
from benchmarks.machine.roofline import Roofline
from benchmarks.measure import calls, devices, harness, prepared
from benchmarks.measure import limits as limits_module
from benchmarks.measure import worker as worker_module
from benchmarks.measure.group import Entry, Group
from benchmarks.measure.limits import Limits
from benchmarks.measure.pool import CaseError, Pool, worker_environment
from benchmarks.measure.sampling import Rule
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.measure.transfers import Transfers
from benchmarks.measure.worker import Worker
from benchmarks.record.schema import Case, Closer, Measured, Preparation, Times
from tests.job import ROOT, STATED, Job

DEVICE = ROOT / "tests" / "device"
RULE = Rule(precision=0.02, confidence=0.95, max_s=0.05)
CASE = Case("relu", "forward", "float32", (1000,), "made-up-device", "cuda")


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(DEVICE))
    found = Pool(1, timeout_s=30)
    yield found
    found.close()


class SteadyPulse:
    """A host that ran 38 % faster than usual."""

    def beat(self):
        pass

    def deviation(self):
        return -0.38


def evaluate(pool, backend, op="relu"):
    return pool.call(backend, "cuda", "evaluate", op, "forward", [np.ones(3, np.float32)], None, {})


def test_a_case_on_a_device_has_its_clock_transfers_and_memory(pool):
    entry = Entry(CASE)
    group = Group([entry], pool, 1, Stopwatch())
    with group.prepared():
        group.take_through(RULE, random.Random(0), SteadyPulse())
    assert entry.ending is None
    closer = entry.closer
    assert (closer.device_s, closer.device_low_s, closer.device_high_s) == (5e-6, 5e-6, 5e-6)
    assert (closer.host_to_device_s, closer.device_to_host_s) == pytest.approx((4e-6, 8e-6))
    assert (closer.host_to_device_pinned_s, closer.device_to_host_pinned_s) == pytest.approx((2e-6, 4e-6))
    assert closer.peak_bytes == 4000  # below what the host's pages would show
    assert entry.drift == 0  # the pulse is the processor's
    assert "released=1" in pool.call("made-up-device", "cuda", "describe").settings  # after it


def test_a_graph_is_replayed_into_one_output_and_checked_like_any_other_case(pool):
    """The device, which lacks `reuse`, is bound for a fresh output, which the graph keeps."""
    entry = Entry(replace(CASE, allocation="reuse", launch="graph"))
    group = Group([entry], pool, 1, Stopwatch())
    with group.prepared():
        group.take_through(RULE, random.Random(0), SteadyPulse())
    assert entry.ending is None
    assert {"result", "timed result", "inputs"} <= set(entry.checks)
    assert entry.closer.device_s == 5e-6


def test_a_graph_that_writes_nothing_is_no_result(pool, monkeypatch):
    """As one is whose kernels were not captured, but ran at once."""
    monkeypatch.setenv("MADE_UP_GRAPHS", "empty")
    entry = Entry(replace(CASE, allocation="reuse", launch="graph"))
    group = Group([entry], pool, 1, Stopwatch())
    with group.prepared():
        group.take_through(RULE, random.Random(0), SteadyPulse())
    assert (entry.ending.status, entry.ending.reason) == (
        "invalid",
        "the call left its output buffer as it was",
    )


def test_a_revision_without_graphs_says_so():
    case = replace(CASE, allocation="reuse", launch="graph")
    with pytest.raises(NotSupported, match="this revision of it captures no graphs"):
        calls.bound(SimpleNamespace(name="made-up-device"), case, (), None)


def test_a_device_that_broke_costs_the_case_that_broke_it_alone(pool):
    with pytest.raises(CaseError, match="device-side assert") as caught:
        evaluate(pool, "broken-device", "sigmoid")
    assert (caught.value.ending.status, caught.value.is_broken) == ("failed", True)
    assert evaluate(pool, "broken-device").tolist() == [1, 1, 1]


def test_a_device_that_still_computes_keeps_its_worker(pool):
    with pytest.raises(CaseError) as caught:
        evaluate(pool, "made-up-device", "sigmoid")
    assert not caught.value.is_broken
    process = pool._workers["made-up-device", "cuda", 0]._process
    assert evaluate(pool, "made-up-device").tolist() == [1, 1, 1]
    assert pool._workers["made-up-device", "cuda", 0]._process is process


@pytest.mark.parametrize(("answer", "usable"), [([1.0], True), ([0.0], False), (None, False)])
def test_a_device_is_usable_if_it_brings_back_what_it_got(answer, usable):
    def asarray(array):
        if answer is None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return answer

    backend = SimpleNamespace(device="cuda", asarray=asarray, to_numpy=np.asarray)
    assert devices.is_usable(backend) is usable
    assert devices.is_usable(SimpleNamespace(device="cpu"))


def test_workers_of_the_host_see_no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("JAX_PLATFORMS", "cuda,cpu")
    environment = worker_environment(1, "cpu")
    assert environment["CUDA_VISIBLE_DEVICES"] == environment["ROCR_VISIBLE_DEVICES"] == ""
    assert environment["JAX_PLATFORMS"] == "cpu"


def test_workers_of_a_device_share_its_memory_and_keep_what_was_given(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    environment = worker_environment(1, "cuda")
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    assert worker_environment(1, "cuda")["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"


def test_energy_is_read_around_half_a_second_of_calls(pool, monkeypatch):
    readings = iter(range(0, 1000, 7))
    monkeypatch.setattr(gpus, "load", lambda _: Load(1980.0, (), float(next(readings)), None, None))
    entry = Entry(CASE)
    group = Group([entry], pool, 1, Stopwatch())
    with group.prepared():
        group.take_through(RULE, random.Random(0), SteadyPulse())
        n = math.ceil(0.5 / entry.sampling.median_s)
        assert entry.closer.energy_j == pytest.approx(7 / n)
        entry.preparation = replace(entry.preparation, at_most=3)
        assert group._energy_j(entry) is None  # three calls are no half second
        monkeypatch.setattr(gpus, "load", lambda _: Load(1980.0, (), None, None, None))
        assert group._energy_j(entry) is None


def test_bursts_of_a_device_that_is_slowed_down_make_its_times_doubtful(pool):
    entry = Entry(CASE)
    slowed = Load(1200.0, ("power limit",), None, None, None)
    group = Group([entry], pool, 1, Stopwatch(), telemetry={"cuda": Telemetry(lambda: slowed)})
    with group.prepared():
        group.take_through(RULE, random.Random(0), SteadyPulse())
    assert entry.load.startswith("the GPU was slowed down in ")
    assert entry.load.endswith(" bursts (power limit)")
    assert sum(source.n_again for source in entry.sources) == 0  # always: that is as it is


def test_each_gpu_is_watched_on_its_own(pool, monkeypatch):
    entries = [Entry(CASE), Entry(replace(CASE, device="cuda:1"))]
    slowed = {0: (), 1: ("temperature (hardware)",)}
    monkeypatch.setattr(gpus, "load", lambda at: Load(1200.0, slowed[at], None, None, None))
    group = Group(entries, pool, 1, Stopwatch())
    with group.prepared():
        group.take_through(RULE, random.Random(0), SteadyPulse())
    assert [entry.ending.reason if entry.ending else "" for entry in entries] == ["", ""]
    assert [entry.load[:27] for entry in entries] == ["", "the GPU was slowed down in "]


# The clock


def clocked(*samples):
    left = list(samples)
    return SimpleNamespace(device_seconds=lambda run, iterations: left.pop(0))


def test_the_clocks_interval_is_that_of_seven_samples():
    found = devices.clock(clocked(3.0, 1.0, 2.0, 5.0, 4.0, 2.5, 3.5), lambda: None, 10)
    assert found == devices.Clock(3.0, 1.0, 5.0)


def test_a_sample_that_cannot_be_told_leaves_the_others():
    assert devices.clock(clocked(3.0, None, 2.0, None, 4.0, None, None), lambda: None, 10) == devices.Clock(
        3, 2, 4
    )
    assert devices.clock(clocked(None), lambda: None, 10) is None


# Copies


class Copying:
    """A device whose copies take what `seconds` says by its clock, and fail beyond `most` bytes."""

    name, device, asynchronous = "made up", "cuda", True

    def __init__(self, seconds, most=math.inf, clock=True):
        self.seconds, self.most, self.clock = seconds, most, clock
        self.synchronized = 0

    def copier(self, n_bytes):
        if 2 * n_bytes > self.most:
            raise RuntimeError("CUDA error: out of memory")

        def copy():
            return n_bytes

        copy.n_bytes = 2 * n_bytes
        return copy

    def device_seconds(self, run, iterations):
        return self.seconds(run.n_bytes) if self.clock else None

    def synchronize(self, result):
        self.synchronized += 1


def launched(n_bytes):
    """As on an H200: 1.6 µs to launch, then 4,200 GB/s."""
    return 1.6e-6 + n_bytes / 4.2e12


def test_copies_are_timed_by_the_devices_clock():
    assert devices.copy_seconds(Copying(launched), DEVICE_LADDER) == [launched(n) for n in DEVICE_LADDER]


def test_without_a_clock_many_copies_share_a_synchronisation():
    backend = Copying(launched, clock=False)
    (found,) = devices.copy_seconds(backend, DEVICE_LADDER[:1])
    assert 0 < found < 1e-3
    assert backend.synchronized <= 2 * (2 + devices.COPY_SAMPLES)


def test_a_copy_that_fails_costs_its_size_alone():
    found = devices.copy_seconds(Copying(launched, most=2**20), DEVICE_LADDER)
    assert [math.isfinite(seconds) for seconds in found] == [n <= 2**20 for n in DEVICE_LADDER]


def test_what_has_no_copy_says_so():
    with pytest.raises(RuntimeError, match="no copy of its own"):
        devices.copy_seconds(SimpleNamespace(name="b", device="cuda", copier=lambda n: None), DEVICE_LADDER)
    with pytest.raises(RuntimeError, match="no read of its own"):  # as an older revision
        devices.read_seconds(SimpleNamespace(name="b", device="cuda"), DEVICE_LADDER)


def test_a_read_moves_all_of_its_bytes_one_way():
    backend = Copying(launched)
    backend.reader = lambda n_bytes: backend.copier(n_bytes // 2)
    assert devices.read_seconds(backend, DEVICE_LADDER) == [launched(n) for n in DEVICE_LADDER]


def test_persisting_lines_are_undone_before_each_cold_round_and_before_the_clock(monkeypatch):
    """On the host, which has none: that a GPU's driver is asked is another test's."""
    undone = []
    monkeypatch.setattr(persisting, "undoing", lambda device: lambda: not undone.append(device))
    monkeypatch.setattr(prepared, "_cache_bytes", lambda backend: 2**14)
    monkeypatch.setattr(worker_module, "_collect", lambda: None)
    worker = Worker("numpy", "cpu", 1)
    case = replace(CASE, backend="numpy", device="cpu")
    worker.prepare(case)
    worker._prepared.time(2)
    assert undone == ["cpu"]  # once, to see whether it can
    worker.prepare(replace(case, cache="cold"))
    for _ in range(3):
        worker._prepared.time(2)
    assert len(undone) == 4
    worker.device_seconds(2)
    assert len(undone) == 5


def test_where_persisting_lines_are_kept_the_record_says_so(monkeypatch):
    monkeypatch.setattr(persisting, "undoing", lambda device: lambda: False)
    monkeypatch.setattr(worker_module, "_collect", lambda: None)
    worker = Worker("numpy", "cpu", 1)
    assert "persisting_lines" not in str(worker.describe().settings)
    worker._backend = SimpleNamespace(device="cuda", settings=lambda: "x64=True")
    assert worker._settings() == "x64=True, persisting_lines=kept"


def test_launches_are_no_bandwidth():
    """Right results were called invalid: 8 MB in 21 µs was taken for the limit, which is ten times that."""
    found = bandwidth.from_seconds([launched(n) for n in DEVICE_LADDER])
    assert found.n_bytes == DEVICE_LADDER
    assert min(found.copy) > 2000  # where launches count for copies, 64 KiB in 1.6 µs would be 41 GB/s
    assert found.at("copy", 8e8) == pytest.approx(4200, rel=0.02)  # 10⁸ elements in, and out
    assert found.at("copy", 4e9) == pytest.approx(4200, rel=0.01)
    assert 8e6 / 21.4e-6 / 1e9 / found.at("copy", 8e6) < 0.2  # no share from which a time must grow
    assert found.most(8e4) > 80e3 / 6.27e-6 / 1e9  # nor one that cannot be


def test_sizes_that_failed_have_the_rate_of_the_next_smaller_one():
    seconds = [launched(n) if n <= 2**24 else math.inf for n in DEVICE_LADDER]
    found = bandwidth.from_seconds(seconds)
    assert set(found.copy[-4:]) == {2**24 / launched(2**24) / 1e9}
    assert bandwidth.from_seconds([math.inf] * len(DEVICE_LADDER)) is None


class Recording:
    """Keeps what was measured."""

    def __init__(self):
        self.found, self.warnings = {}, []

    def warn(self, caveat):
        self.warnings.append(str(caveat))

    def bandwidth(self, place, measured):
        self.found[place] = measured


def test_a_backend_whose_copies_fail_costs_the_device_no_bandwidth():
    class Copiers:
        threads = 1

        def started(self):
            return [("broken", "cuda"), ("slow", "cuda"), ("fast", "cuda"), ("host", "cpu")]

        def call(self, backend, place, method, ladder):
            assert place == "cuda"
            asked.append((backend, method))
            if backend == "broken":
                raise CaseError("crashed", "the process of broken-cuda ended")
            slower = (2 if backend == "slow" else 1) * (1 if method == "copy_seconds" else 0.8)
            return [slower * launched(n) for n in ladder]

    asked, recorder = [], Recording()
    limits = Limits(Copiers(), recorder, Stopwatch(), [CASE])
    found = limits.of("cuda")
    assert found == bandwidth.from_seconds(*([k * launched(n) for n in DEVICE_LADDER] for k in (1, 0.8)))
    assert recorder.found["cuda"] is found
    assert limits_module.MOST == 4
    (told, _) = recorder.warnings
    assert told == "The copy bandwidth of cuda is measured without broken: the process of broken-cuda ended."
    limits.measure_again()
    assert len(recorder.warnings) == 2  # of its copies, and of its reads
    assert [asked.count((name, "copy_seconds")) for name in ("broken", "slow", "fast")] == [1, 2, 2]


def reading(*, reads=1.2, cache=50e6, memory=3e12):
    """Return the bandwidth of a device: twice as high within its `cache`, and for reads `reads` times as high."""
    copies = [1.6e-6 + n / (2 * memory if n < cache else memory) for n in DEVICE_LADDER]
    return bandwidth.from_seconds(copies, [seconds / reads for seconds in copies])


def test_what_only_reads_is_compared_with_what_reads_reach():
    found = reading()
    summed, copied = (found.of(Moved(4e9, written, "cuda")) for written in (4, 2e9))
    assert summed == pytest.approx(1.2 * copied)
    assert reading(reads=0.5).read == reading().copy  # a copy reads too
    assert bandwidth.from_seconds([launched(n) for n in DEVICE_LADDER]).read == ()


def test_one_measurement_without_reads_leaves_those_of_another():
    found = reading()
    assert bandwidth.fastest([replace(found, read=()), found]) == found
    assert bandwidth.fastest([replace(found, read=())]).read == ()


def test_at_the_edge_of_a_cache_the_faster_side_is_the_limit():
    """Between 16 and 64 MiB a call may still lie in the cache: its share would be 1.4 of what lies between."""
    found = reading(cache=60e6)
    assert found.of(Moved(50e6, 25e6, "cuda")) == found.of(Moved(2**24, 2**23, "cuda")) == found.copy[4]
    assert found.of(Moved(2**26, 2**25, "cuda")) == found.copy[5]
    assert found.of(Moved(1e15, 5e14, "cuda")) == found.copy[-1]
    assert math.isnan(found.of(Moved(math.nan, 1, "cuda")))
    roof = Roofline(roofline.settle("cuda", [found, found]))
    assert roof.at("cuda", 50e6, 25e6) == found.copy[4]
    assert roof.at("cuda", 50e6, 25e6, "cold") == roof.at("cuda", 2**30, 2**29) == found.copy[7]


@pytest.mark.parametrize(
    ("cache", "gigabytes_per_s", "told"),
    [
        ("hot", 4100, None),  # as fast as the second-level cache
        ("hot", 4500, "of what cuda moves at this size: the work cannot have been done"),
        ("cold", 3200, None),  # two measurements of the memory may differ by as much
        ("cold", 3600, "of what the memory of cuda delivers: the inputs were in its cache"),
    ],
)
def test_a_share_above_one_is_no_result_on_a_device(cache, gigabytes_per_s, told):
    class Idle:
        def started(self):
            return []

    limits = Limits(Idle(), Recording(), Stopwatch())
    limits._found["cuda"] = [reading()]
    n_bytes = 16_000_000
    empty = dict.fromkeys((each.name for each in fields(Times)), 0)
    median_s = n_bytes / gigabytes_per_s / 1e9
    times = Times(**empty | {"median_s": median_s, "ci95_high_s": median_s})
    reason = limits.exceeded("cuda", times, n_bytes, [], written=n_bytes / 2, cache=cache)
    assert (told in reason) if told else reason is None
    deviating = SimpleNamespace(status="known_deviation")
    assert limits.exceeded("cuda", times, n_bytes, [deviating], written=n_bytes / 2, cache=cache) is None


def test_copies_are_timed_before_a_case_is_prepared(monkeypatch):
    """One that hangs costs its worker, which would hold a case that has done nothing wrong."""

    class Asked:
        def under(self, policies):
            return self

        def started(self):
            return [("made-up-device", "cuda")]

        def call(self, backend, place, method, *arguments):
            asked.append(method)
            raise CaseError("timeout", "made-up-device-cuda gave no answer within 1 s and was ended")

        def facts(self, backend, place, process):
            asked.append("started")
            raise CaseError("failed", "enough")

        def at_once(self, requests):
            return [CaseError("failed", "enough") for _ in requests]

        def release(self, *places):
            pass

    asked = []
    recorder = SimpleNamespace(
        begin=lambda cases: None,
        group=lambda found, rounds, pairs: [Recorded(found[0])],
        warn=lambda caveat: None,
    )
    monkeypatch.setattr(harness, "row", lambda record: {})
    measures = harness.Harness(Asked(), recorder)
    measures._measure([CASE], RULE)
    assert asked.index("copy_seconds") < asked.index("started")


def test_a_copy_that_hangs_costs_its_worker_and_no_case(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(DEVICE))
    pool, case = Pool(1, timeout_s=1, start_timeout_s=30), replace(CASE, backend="hanging-device")
    pool.facts(case.backend, "cuda")
    before = pool._workers[case.backend, "cuda", 0]._process.pid
    limits = Limits(pool, Recording(), Stopwatch(), [case])
    assert limits.of("cuda") is None
    entry = Entry(case)
    group = Group([entry], pool, 1, Stopwatch())
    with group.prepared():
        group.take_through(RULE, random.Random(0), SteadyPulse())
    assert entry.ending is None
    assert entry.sampling.median_s > 0
    assert pool._workers[case.backend, "cuda", 0]._process.pid != before
    limits._measure("cuda")  # its copies are not asked for again
    assert pool._workers[case.backend, "cuda", 0].alive
    pool.close()


@dataclass(frozen=True)
class Recorded:
    """What a recorder returns of a case."""

    measured: Measured


# Transfers


def test_transfers_are_measured_several_times_after_one_that_does_not_count():
    asked = []

    def transfer(n_bytes, *, pinned):
        asked.append((n_bytes, pinned))
        n = len(asked)
        return (100.0, 200.0) if n == 1 else (float(n), 10.0 * n)

    known = {}
    backend = SimpleNamespace(transfer_seconds=transfer)
    found = devices.transfers(backend, 8, 8, known)
    assert (found.to_s, found.back_s) == (3.0, 30.0)
    assert asked == [(8, False)] * 4 + [(8, True)] * 4
    assert devices.transfers(backend, 8, 8, known) == found
    assert len(asked) == 8  # no op changes what a transfer takes


def test_a_transfer_that_hangs_costs_its_times_alone_and_is_not_asked_for_again(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(DEVICE))
    monkeypatch.setattr(harness, "row", lambda record: {})
    found, warnings = [], []

    def recorded(measured, rounds, pairs):
        found.extend(measured)
        return [Recorded(each) for each in measured]

    recorder = SimpleNamespace(begin=lambda cases: None, group=recorded, warn=warnings.append)
    pool = Pool(1, timeout_s=1, start_timeout_s=30)
    measures = harness.Harness(pool, recorder, with_bandwidth=False)
    processes = []
    for n in (1000, 2000, 3000):
        measures._measure([replace(CASE, backend="hanging-transfer", shape=(n,))], RULE)
        worker = pool._workers.get(("hanging-transfer", "cuda", 0))
        processes.append(worker and worker._process.pid)
    pool.close()
    reason = "hanging-transfer-cuda gave no answer within 1 s and was ended"
    for each, n in zip(found, (1000, 2000, 3000), strict=True):
        assert (each.ending.status, each.times.processes) == ("ok", 1)
        assert (each.closer.device_s, each.closer.peak_bytes) == (5e-6, 4 * n)
        assert each.closer.host_to_device_s is each.closer.device_to_host_pinned_s is None
    again = f"not measured again in this run: {reason}"
    assert [each.closer.no_transfers for each in found] == [reason, again, again]
    assert list(map(str, warnings)) == [
        f"Transfers of hanging-transfer to and from cuda are not measured: {reason}."
    ]
    assert processes[0] is None  # ended by the first
    assert processes[1] == processes[2] is not None


def test_only_the_backend_and_device_whose_transfer_hung_are_asked_no_more():
    def call(backend, place, method, n_to, n_back):
        asked.append((backend, place))
        if (backend, place) == ("made-up-device", "cuda"):
            raise CaseError("timeout", "made-up-device-cuda gave no answer")
        return devices.Transfers(1.0, 2.0, None, None)

    asked, pool, ready = (
        [],
        SimpleNamespace(call=call),
        Preparation(first_call_s=0, bytes_moved=0, bytes_written=0),
    )
    asks, nothing = Transfers(), Closer(device_s=None, peak_bytes=None)
    others = [replace(CASE, device="cuda:1"), replace(CASE, backend="another")]
    found = [asks.added(nothing, pool, case, ready) for case in (CASE, *others, CASE, *others)]
    assert [each.host_to_device_s for each in found] == [None, 1.0, 1.0, None, 1.0, 1.0]
    assert asked.count(("made-up-device", "cuda")) == 1
    assert len(asked) == 5


def test_a_transfer_that_fails_may_do_for_the_next_case():
    """As where there is no memory left to pin for so many bytes."""

    def call(backend, place, method, n_to, n_back):
        if n_to > 8:
            raise CaseError("out_of_memory", "cannot pin so much")
        return devices.Transfers(1.0, 2.0, 3.0, 4.0)

    warnings, pool, nothing = [], SimpleNamespace(call=call), Closer(device_s=5e-6, peak_bytes=None)
    asks = Transfers(SimpleNamespace(warn=warnings.append))
    few, many = (Preparation(first_call_s=0, bytes_moved=2 * n, bytes_written=n, bytes_in=n) for n in (8, 2**40))
    assert asks.added(nothing, pool, CASE, many) == replace(nothing, no_transfers="cannot pin so much")
    assert asks.added(nothing, pool, CASE, few) == replace(
        nothing,
        host_to_device_s=1.0,
        device_to_host_s=2.0,
        host_to_device_pinned_s=3.0,
        device_to_host_pinned_s=4.0,
    )
    assert warnings == []


def test_where_there_is_no_pinned_memory_the_rest_is_told():
    backend = SimpleNamespace(transfer_seconds=lambda n, *, pinned: None if pinned else (1.0, 2.0))
    assert devices.transfers(backend, 8, 4, {}) == devices.Transfers(1.0, 2.0, None, None)
    older = SimpleNamespace()
    assert devices.transfers(older, 8, 4, {}) == devices.Transfers(None, None, None, None)


# Memory


def fitting(monkeypatch, free, sizes):
    """Return the parts in which cases of so many elements are measured where a device has `free` bytes."""
    monkeypatch.setattr(harness.resources, "available_memory_bytes", lambda: 2**40)

    class Asked:
        def under(self, policies):
            return self

        def call(self, backend, place, method):
            if backend == "silent":
                raise CaseError("crashed", "it is gone")
            return free.get(backend)

    cases = [Case("relu", "forward", "float32", (n,), name, "cuda") for name, n in sizes]
    measures = harness.Harness(Asked(), None)
    entries = [Entry(case) for case in cases]
    measures._require_memory(entries)
    return [len(part) for part in measures._parts(cases)], [entry.ending for entry in entries]


def test_cases_are_put_side_by_side_as_far_as_the_device_has_memory(monkeypatch):
    n = 2**20  # 12 MiB: an input, and two outputs
    sizes = [("a", n), ("b", n), ("c", n)]
    assert fitting(monkeypatch, {"a": 2**30}, sizes) == ([3], [None] * 3)
    assert fitting(monkeypatch, {"a": 2**30, "b": 45 * 2**20}, sizes)[0] == [2, 1]
    assert fitting(monkeypatch, {}, sizes)[0] == [3]  # nobody knows
    assert fitting(monkeypatch, {"b": 45 * 2**20}, [("silent", n), *sizes])[0] == [2, 2]


def test_a_case_that_cannot_fit_on_the_device_is_given_up(monkeypatch):
    _, (ending,) = fitting(monkeypatch, {"a": 2**20}, [("a", 2**28)])
    assert ending.status == "out_of_memory"
    assert ending.reason == "needs about 3.0 GiB; 0.0 GiB are free on cuda"


def test_a_run_on_a_made_up_device_ends_with_its_record(tmp_path):
    job = Job(
        tmp_path, *STATED, "--op", "relu", "--size", "1000", "--mode", "forward", "--device", "cuda",
        "--backend", "made-up-device", "--benchmark-only", pythonpath=DEVICE, check=0,
    )  # fmt: skip
    (row,) = job.records.to_dict("records")
    assert (row["status"], row["device"], row["device_name"]) == ("ok", "cuda", "Made-up device")
    assert row["device_s"] == row["device_low_s"] == 5e-6
    assert row["host_to_device_pinned_s"] == pytest.approx(2e-6)
    assert row["peak_bytes"] == 4000
