"""What must hold on a device, checked on one: host and device clock agree, copies reach what it is built for.

Also that processes share its memory, that running out of it is told as that and survived, and what it says of
itself. Each check of each backend stands alone: what fails is a finding, and ends no other.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

import backends
from backends.interface import index_of, kind_of
from benchmarks.machine import gpus, persisting
from benchmarks.machine.bandwidth import DEVICE_LADDER
from benchmarks.measure.limits import SURPLUS
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.quantities import percent, seconds, size
from benchmarks.record.schema import Case

YES, NO, UNKNOWN = "yes", "no", "cannot be told"
LONG = 2**29
"""Elements of a kernel that is long: 4 GiB moved, 1 ms on the fastest devices, beside some 15 µs of the host's."""
SHORT = 2**20
"""As many on the host, where this is only tried."""
SAME = 0.03
"""Host and device clock agree on a long kernel within 3 %."""
BUILT_FOR = 0.7
"""Copies reach at least this share of the nominal bandwidth: it is 0.85 on an H200."""
TAKEN_BYTES = 2 * 2**30
"""A process that has computed nothing yet takes no more of the device's memory: its context, and its kernels."""
MOVED = 2**28
"""Bytes of the transfers."""
TINY = 1024
"""Elements of a call that is all launch."""
SLOWER = 1.1
"""A replay may take a tenth more than the call that was captured: both are launches, and vary."""
CACHED = 2**22
"""Elements of a call that moves 32 MiB: most second-level caches could hold that."""
N_ROUNDS, N_CALLS = 5, 200


@dataclass(frozen=True)
class Finding:
    """What one check found on one backend, what is due, and whether it holds."""

    check: str
    backend: str
    found: str
    due: str
    holds: str


@dataclass
class Checks:
    """The checks of backends on one device, each in a worker of its own."""

    pool: Pool
    device: str

    def of(self, backend: str) -> Iterator[Finding]:
        """Yield what each check finds: `no`, with the reason, for one that fails to be made."""
        checks: dict[str, Callable[[str], Finding]] = {
            "memory at start": self.memory_at_start,
            "host and device clock": self.clocks,
            "copies": self.copies,
            "reads": self.reads,
            "cold calls": self.cold,
            "persisting lines": self.persisting,
            "transfers, pageable": self.pageable,
            "transfers, pinned": self.pinned,
            "graphs": self.graphs,
            "out of memory": self.out_of_memory,
        }
        for name, check in checks.items():
            try:
                yield check(backend)
            except CaseError as error:
                reason = f"{error.ending.status}: {error.ending.reason}"
                yield Finding(name, backend, reason.splitlines()[0][:300], "", NO)

    def memory_at_start(self, backend: str) -> Finding:
        """Check that a worker leaves the device's memory to others."""
        before = gpus.load(index_of(self.device))
        self.pool.facts(backend, self.device)
        after = gpus.load(index_of(self.device))
        taken = None
        if before and after and None not in (before.memory_used_bytes, after.memory_used_bytes):
            taken = (after.memory_used_bytes or 0) - (before.memory_used_bytes or 0)
        found = "unknown" if taken is None else size(max(0, taken))
        holds = UNKNOWN if taken is None else _holds(taken <= TAKEN_BYTES)
        return Finding("memory at start", backend, found, f"at most {size(TAKEN_BYTES)}", holds)

    def clocks(self, backend: str) -> Finding:
        """Check that a long kernel takes as long by the device's clock as by the host's."""
        due = f"the same within {percent(SAME)}"
        self._ask(backend, "prepare", self._long(backend))
        rounds = self._ask(backend, "rounds", N_ROUNDS, N_ROUNDS)
        host_s = statistics.median(rounds) / N_ROUNDS
        clock = self._ask(backend, "device_seconds", N_ROUNDS)
        self._ask(backend, "release")
        if clock is None:
            return Finding("host and device clock", backend, f"host {seconds(host_s)} alone", due, UNKNOWN)
        ratio = host_s / clock.median_s
        found = f"host {seconds(host_s)}, device {seconds(clock.median_s)}: {ratio:.3f} times as long"
        return Finding("host and device clock", backend, found, due, _holds(abs(ratio - 1) <= SAME))

    def copies(self, backend: str) -> Finding:
        """Check that copies reach what the device's memory is built for."""
        if self.device == "cpu":
            return Finding("copies", backend, "the host's are measured without a backend", "", UNKNOWN)
        return self._moving("copies", backend, "copy_seconds")

    def reads(self, backend: str) -> Finding:
        """Check that so do calls that only read."""
        if self.device == "cpu":
            return Finding("reads", backend, "the host's are measured without a backend", "", UNKNOWN)
        return self._moving("reads", backend, "read_seconds")

    def _moving(self, check: str, backend: str, method: str) -> Finding:
        times = self._ask(backend, method, DEVICE_LADDER)
        rate, at = max((n / s / 1e9, n) for n, s in zip(DEVICE_LADDER[-3:], times[-3:], strict=True))
        nominal = next((gpu.nominal_gb_s for gpu in (gpus.gpus() or ())[index_of(self.device) :]), None)
        found = f"{rate:,.0f} GB/s at {size(at)}"
        if not nominal:
            return Finding(check, backend, found, f"at least {percent(BUILT_FOR)} of nominal", UNKNOWN)
        holds = _holds(BUILT_FOR <= rate / nominal <= 1)
        return Finding(check, backend, f"{found}: {percent(rate / nominal)} of {nominal:,.0f}", "", holds)

    def cold(self, backend: str) -> Finding:
        """Check that a cold call which would fit into the second-level cache is no faster than the memory."""
        if self.device == "cpu":
            return Finding("cold calls", backend, "the host has another cache", "", UNKNOWN)
        (*_, copy_s) = self._ask(backend, "copy_seconds", DEVICE_LADDER[-1:])
        case = Case("relu", "forward", "float32", (CACHED,), backend, self.device, cache="cold")
        self._ask(backend, "prepare", case)
        clock = self._ask(backend, "device_seconds", N_ROUNDS)
        self._ask(backend, "release")
        memory = DEVICE_LADDER[-1] / copy_s / 1e9
        due = f"at most {percent(SURPLUS)} of {memory:,.0f} GB/s"
        if clock is None:
            return Finding("cold calls", backend, "the device has no clock", due, UNKNOWN)
        rate = 8 * CACHED / clock.median_s / 1e9  # read and written
        found = f"{rate:,.0f} GB/s, {percent(rate / memory)} of what a large copy moves"
        return Finding("cold calls", backend, found, due, _holds(rate <= SURPLUS * memory))

    def persisting(self, backend: str) -> Finding:
        """Check that lines which persist in that cache can be undone."""
        if self.device == "cpu":
            return Finding("persisting lines", backend, "the host has none", "", UNKNOWN)
        undone = persisting.SETTING not in (self.pool.facts(backend, self.device).settings or "")
        found = "undone before cold calls" if undone else "the driver does not undo them"
        return Finding("persisting lines", backend, found, "undone", _holds(undone))

    def pageable(self, backend: str) -> Finding:
        """Say how fast ordinary memory of the host is moved."""
        return self._transfers(backend, "pageable")

    def pinned(self, backend: str) -> Finding:
        """Say how fast pinned memory is moved."""
        return self._transfers(backend, "pinned")

    def graphs(self, backend: str) -> Finding:
        """Check that a graph's replay waits no longer for its launch than the call that was captured."""
        if self.device == "cpu":
            return Finding("graphs", backend, "the host has none", "", UNKNOWN)
        call = Case("relu", "forward", "float32", (TINY,), backend, self.device, allocation="reuse")
        try:
            replayed_s = self._call_s(replace(call, launch="graph"))
        except CaseError as error:
            if error.ending.status != "unavailable":
                raise
            return Finding("graphs", backend, error.ending.reason[:300], "", UNKNOWN)
        call_s = self._call_s(replace(call, allocation="fresh"))
        found = f"a call takes {seconds(call_s)}, its replay {seconds(replayed_s)}"
        return Finding("graphs", backend, found, "no more", _holds(replayed_s <= SLOWER * call_s))

    def _call_s(self, case: Case) -> float:
        """Return the seconds of a call, its synchronisation included."""
        self._ask(case.backend, "prepare", case)
        times: list[float] = self._ask(case.backend, "rounds", N_CALLS, N_ROUNDS)
        self._ask(case.backend, "release")
        return statistics.median(times) / N_CALLS

    def out_of_memory(self, backend: str) -> Finding:
        """Check that what cannot fit is told as that, and that the worker computes afterwards."""
        free = self._ask(backend, "free_bytes")
        due = "told, and survived"
        if free is None:
            return Finding("out of memory", backend, "free memory is unknown", due, UNKNOWN)
        try:
            self._ask(backend, "take", 2 * free)
        except CaseError as error:
            told = error.ending.status
        else:
            told = "nothing"
        self._ask(backend, "prepare", Case("relu", "forward", "float32", (SHORT,), backend, self.device))
        self._ask(backend, "release")
        return Finding("out of memory", backend, f"told as {told}", due, _holds(told == "out_of_memory"))

    def _long(self, backend: str) -> Case:
        free = self._ask(backend, "free_bytes")
        n = SHORT if self.device == "cpu" else min(LONG, (free or 2**33) // 32)
        return Case("relu", "forward", "float32", (n,), backend, self.device)

    def _transfers(self, backend: str, kind: str) -> Finding:
        moved = self._ask(backend, "transfers", MOVED, MOVED)
        to, back = (moved.pinned_to_s, moved.pinned_back_s) if kind == "pinned" else (moved.to_s, moved.back_s)
        if to is None or back is None:
            return Finding(f"transfers, {kind}", backend, "not offered", "", UNKNOWN)
        rates = f"{MOVED / to / 1e9:.1f} GB/s there, {MOVED / back / 1e9:.1f} back"
        return Finding(f"transfers, {kind}", backend, rates, "", YES)

    def _ask(self, backend: str, method: str, *arguments: object) -> Any:
        return self.pool.call(backend, self.device, method, *arguments)


def table(device: str, threads: int, output: Path | None = None) -> pd.DataFrame:
    """Return the findings of each backend that runs on accelerators, and write them to `output` as JSON."""
    found = [telemetry()]
    for name in places(device):
        pool = Pool(threads)
        try:
            found += Checks(pool, device).of(name)
        finally:
            pool.close()
    if output:
        output.write_text(json.dumps([asdict(each) for each in found], indent=1), encoding="utf-8")
    return pd.DataFrame(map(asdict, found))


def telemetry() -> Finding:
    """Return what the GPU says of its clock, power and energy."""
    now = gpus.load()
    if now is None:
        return Finding("telemetry", "", "NVML does not answer (pip install nvidia-ml-py)", "", UNKNOWN)
    energy = "no energy counter" if now.energy_j is None else "an energy counter"
    return Finding("telemetry", "", f"{now.sm_mhz} MHz, {now.power_w} W, {energy}", "", YES)


def places(device: str) -> list[str]:
    """Return the usual backends that run on an accelerator, are installed, and run on `device` too."""
    declared = {name: set(backends.declarations()[name].devices) for name in backends.names()}
    return [
        name
        for name, devices in declared.items()
        if {"cuda", kind_of(device)} <= devices and not backends.missing(name)
    ]


def _holds(answer: bool) -> str:  # noqa: FBT001
    return YES if answer else NO
