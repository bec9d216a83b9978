"""The bandwidth: what is measured, which measurements hold, and what share of it a record reaches."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.machine import bandwidth, limit, roofline
from benchmarks.machine.bandwidth import LADDER
from benchmarks.machine.limit import Bandwidth
from benchmarks.machine.roofline import Roofline

SIZES = (2**12, 2**14, 2**16)
MEASURED = Bandwidth(SIZES, (400.0, 100.0, 40.0), (200.0, 50.0, 60.0), ("plain", "plain", "streaming"))
DEVICE = bandwidth.from_seconds([n / 1e12 for n in bandwidth.DEVICE_LADDER])


def measurement(measured: Bandwidth = MEASURED, *, scale: float = 1.0, at: int = 1) -> Bandwidth:
    """`measured`, its copy and reading at size number `at` times `scale`."""
    scaled = {
        kind: tuple(rate * (scale if i == at else 1) for i, rate in enumerate(getattr(measured, kind)))
        for kind in ("copy", "read")
    }
    return replace(measured, **scaled)


def settled(*measurements: Bandwidth, device: str = "cpu") -> pd.DataFrame:
    """Return what a device's measurements settle as a frame, a row a kind and size."""
    return pd.DataFrame([asdict(each) for each in roofline.settle(device, measurements)])


SIZES = LADDER[:-1]
"""The largest takes half of the time of all."""


@pytest.fixture(scope="module")
def measured():
    return bandwidth.measure_host(2, SIZES)


def test_the_host_is_measured_at_every_size(measured):
    assert measured.n_bytes == SIZES
    assert len(measured.copy) == len(measured.read) == len(measured.stores) == len(SIZES)
    assert all(0.1 < rate < 50_000 for rate in measured.copy + measured.read)
    assert set(measured.stores) <= {"plain", "streaming"}


def test_small_sizes_show_the_cache_and_not_the_interpreter(measured):
    # A call of NumPy's takes 150 ns at least, in which 4 KiB would be 27 GB/s.
    assert measured.copy[0] > 40
    assert measured.copy[0] > 2 * measured.copy[-1]


def test_the_smallest_copies_are_never_streamed(measured):
    assert measured.stores[:2] == ("plain", "plain")


def test_measuring_starts_no_framework_and_no_pandas():
    code = "import sys, benchmarks.machine.bandwidth; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "numpy" in loaded
    assert not {"pandas", "scipy", "numba", "jax", "torch", "backends"} & set(loaded)


@pytest.mark.parametrize("times", [3, bandwidth._UNLOCKED])
def test_a_copy_copies_the_bytes_it_counts(times):
    memory = np.random.default_rng(0).integers(256, size=2**16, dtype=np.uint8)
    before = memory.copy()
    bandwidth._copies(memory, 2**13)(times)
    changed = np.flatnonzero(memory != before)
    assert np.array_equal(memory[2**15 + 2048 :][: 2**12], before[: 2**12])
    assert changed.min() >= 2**15 + 2048
    assert changed.max() < 2**15 + 2048 + 2**12


def test_reading_reads_all_bytes_so_often():
    memory = np.zeros(2**13, np.uint8)
    read = bandwidth._reads(memory, 2**12)
    assert np.array_equal(read(5), np.zeros(5))
    integers = memory.view(np.int64)
    for place, largest in ((0, 7), (2**9 - 1, 8)):  # the first that it must read, and the last
        integers[place] = largest
        assert np.array_equal(read(5), np.full(5, largest))
    integers[2**9] = 9
    assert np.array_equal(read(5), np.full(5, 8))


@pytest.mark.parametrize("kind", ["copy", "read"])
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_move_parts_that_are_aligned_and_do_not_overlap(kind, threads, monkeypatch):
    seen = []

    def prepare(share, n_bytes):
        seen.append((share.ctypes.data, share.size, n_bytes))
        return original(share, n_bytes)

    original = bandwidth._PREPARE[kind]
    monkeypatch.setitem(bandwidth._PREPARE, kind, prepare)
    ladder = [2**12, 2**20]
    assert all(rate > 0 for rate in bandwidth.rates(kind, ladder, threads, bandwidth.room(ladder, threads)))
    starts, sizes, parts = zip(*seen, strict=True)
    assert len(set(starts)) == threads
    assert all(start % 4096 == 0 for start in starts)
    assert all(low + size <= high for low, size, high in zip(starts, sizes, starts[1:threads], strict=False))
    # Both halves of the largest part, and half a page between them, lie within its share.
    assert max(parts) + 2048 + 4096 // 2 <= min(sizes)
    assert 2**20 - 128 * threads < max(parts) * threads <= 2**20


def test_at_interpolates_logarithmically_and_keeps_the_ends():
    assert MEASURED.at("copy", 2**13) == pytest.approx(200)
    assert MEASURED.at("read", 2**13) == pytest.approx(100)
    assert MEASURED.at("copy", 1) == pytest.approx(400)
    assert MEASURED.at("copy", 1e15) == pytest.approx(40)


def test_a_device_without_reading_is_judged_by_its_copies():
    assert DEVICE.at("read", 2**20) == DEVICE.at("copy", 2**20) == pytest.approx(1000)
    assert set(DEVICE.stores) == {""}


@pytest.mark.parametrize(("written", "kind"), [(0, "read"), (4, "read"), (100, "copy"), (5000, "copy")])
def test_what_writes_next_to_nothing_is_limited_by_reading(written, kind):
    assert limit.kind(10_000, written) == kind


def test_one_measurement_stands_as_it_is():
    rows = settled(measurement())
    assert tuple(rows.columns) == roofline.BANDWIDTH
    assert rows["gigabytes_per_s"].tolist() == [*MEASURED.copy, *MEASURED.read]
    assert rows["kind"].tolist() == ["copy"] * 3 + ["read"] * 3
    assert rows["stores"].tolist() == ["plain", "plain", "streaming", "", "", ""]
    assert rows["moved"].isna().all()
    assert not rows["rejected"].any()


def test_two_measurements_that_agree_are_averaged():
    rows = settled(measurement(), measurement(scale=1.08))
    assert rows["gigabytes_per_s"][1] == pytest.approx(104)
    assert rows["moved"].tolist() == pytest.approx([0, 0.08, 0, 0, 0.08, 0])
    assert not rows["rejected"].any()


@pytest.mark.parametrize("scale", [1.23, 1 / 1.23])
def test_a_size_whose_bandwidth_moved_is_rejected(scale):
    rows = settled(measurement(), measurement(scale=scale))
    assert rows["rejected"].tolist() == [False, True, False, False, True, False]
    assert rows["moved"][1] == pytest.approx(0.23)


@pytest.mark.parametrize(
    ("scales", "rate", "moved"),
    [
        ((1.0, 1.5, 1.4), 145.0, 0.0714),  # the machine changed once: its end counts
        ((1.0, 1.5, 1.02), 101.0, 0.02),  # the second was disturbed
        ((1.0, 0.98, 0.5), 99.0, 0.0204),
    ],
)
def test_of_three_the_closest_two_stand(scales, rate, moved):
    row = settled(*(measurement(scale=scale) for scale in scales)).iloc[1]
    assert row["gigabytes_per_s"] == pytest.approx(rate)
    assert row["moved"] == pytest.approx(moved, abs=1e-4)
    assert not row["rejected"]


def test_of_equally_close_pairs_the_latest_stands():
    rows = settled(*(measurement(scale=scale) for scale in (1.0, 2.0, 4.0)))
    assert rows["gigabytes_per_s"][1] == pytest.approx(300)


def test_three_that_all_differ_are_rejected():
    rows = settled(*(measurement(scale=scale) for scale in (1.0, 1.5, 2.5)))
    assert rows["rejected"].tolist() == [False, True, False, False, True, False]


def test_a_device_has_rows_of_copies_only():
    rows = settled(measurement(DEVICE), device="cuda")
    assert set(rows["kind"]) == {"copy"}
    assert set(rows["stores"]) == {""}


def test_the_limit_is_reading_for_what_writes_next_to_nothing():
    roof = Roofline(roofline.settle("cpu", [measurement()]))
    assert [roof.at("cpu", 2**13, written) for written in (2**12, 4, math.nan)] == pytest.approx([200, 100, 200])


def test_the_limit_agrees_with_the_bandwidth_itself():
    roof = Roofline(roofline.settle("cpu", [measurement()]))
    for n_bytes in (0, 1, 5000, 2**14, 30_000, 2**40):
        assert roof.at("cpu", n_bytes, n_bytes) == pytest.approx(MEASURED.at("copy", n_bytes))


@pytest.mark.parametrize(("at", "left_out"), [(0, {11, 12, 13}), (1, {13, 14, 15}), (2, {15, 16, 20})])
def test_next_to_a_rejected_size_there_is_no_limit(at, left_out):
    roof = Roofline(roofline.settle("cpu", [measurement(), measurement(scale=2.0, at=at)]))
    assert {n for n in (11, 12, 13, 14, 15, 16, 20) if math.isnan(roof.at("cpu", 2**n, 2**n))} == left_out


def test_of_what_was_not_measured_there_is_no_limit():
    roof = Roofline(roofline.settle("cpu", [measurement()]))
    for device, n_bytes in (("cuda", 2**13), ("cpu", math.nan), (None, 2**13)):
        assert math.isnan(roof.at(device, n_bytes, n_bytes))
    assert math.isnan(Roofline([]).at("cpu", 2**13, 2**13))


def test_each_device_is_judged_by_its_own_limit():
    roof = Roofline([*roofline.settle("cpu", [measurement()]), *roofline.settle("cuda", [measurement(DEVICE)])])
    # Where a device's reading was not measured, its copies stand for it.
    assert roof.at("cuda", 2**13, 0) == pytest.approx(1000)
    assert roof.at("cpu", 2**13, 2**12) == pytest.approx(200)


def test_more_than_was_measured_to_be_possible_is_suspicious():
    assert roofline.suspicious(1.2) == "120 % of the measured bandwidth is suspicious"
    assert [roofline.suspicious(fraction) for fraction in (1.0, math.nan)] == ["", ""]


def test_a_disturbed_round_does_not_lower_the_limit(monkeypatch):
    passes = iter([[2e-3, 1e-3, 3e-3], [1e-3, 1e-3, 1e-3], [4e-3, 4e-3, 4e-3], [5e-3, 1e-3, 1e-3]])
    monkeypatch.setattr(bandwidth, "_rounds", lambda *_: next(passes))
    ladder = [10**6 // 128 * 128]
    assert bandwidth.rates("copy", ladder, 1, bandwidth.room(ladder, 1)) == pytest.approx([0.999936])


@pytest.mark.parametrize("warm_s", [1e-4, 3e-3, 7e-3])
def test_the_limit_is_measured_as_warm_as_cases_are(monkeypatch, warm_s):
    """Where a last-level cache holds all of it, the first five repetitions take ever less."""
    done = []

    def repetitions(_pool, _repeats, times):
        seconds = [warm_s * max(1.0, 2 - (len(done) + i) / 5) for i in range(times)]
        done.extend(seconds)
        return sum(seconds) / times

    monkeypatch.setattr(bandwidth, "_round", repetitions)
    found = min(bandwidth._rounds(None, [], int(bandwidth._WARM_UP_BYTES)))
    assert found == pytest.approx(warm_s, rel=0.25)
    assert found == pytest.approx(warm_s) or sum(done) >= bandwidth.WAKE_MOST_S


def test_what_takes_long_by_itself_is_not_done_much_more_often(monkeypatch):
    done = []
    monkeypatch.setattr(bandwidth, "_round", lambda _pool, _repeats, times: done.append(times) or 0.05)
    assert bandwidth._rounds(None, [], 2**28) == [0.05]
    assert sum(done) == 2


def test_doubts_name_the_device_the_kind_the_size_and_the_change():
    known = roofline.settle("cpu", [measurement(), measurement(scale=1.23)])
    assert list(map(str, roofline.doubts(known))) == [
        "The copy bandwidth of cpu at 16 KiB moved by 23 % during the run: no shares of it are given.",
        "The read bandwidth of cpu at 16 KiB moved by 23 % during the run: no shares of it are given.",
    ]


def test_doubts_of_several_sizes_are_one_sentence():
    changed = measurement(replace(MEASURED, copy=(800.0, 120.0, 40.0)))
    (sentence,) = roofline.doubts(roofline.settle("cpu", [measurement(), changed]))
    assert "at 4 KiB and 16 KiB moved by up to 100 %" in str(sentence)
    assert sentence.about == "limit"


def test_bandwidth_that_holds_leaves_no_doubts():
    assert roofline.doubts(roofline.settle("cpu", [measurement(), measurement()])) == []
    assert roofline.doubts(roofline.settle("cpu", [measurement()])) == []
