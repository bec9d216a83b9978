"""The path of one measurement: a group of comparable cases is prepared, cross-checked, timed in turn and recorded.

The first test of a group measures all of it; the others replay what was measured. What fails its cross-check is
never timed; what fails anywhere is a record with its reason.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from subprocess import SubprocessError
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import backends
from benchmarks.check.accuracy import Verdict
from benchmarks.check.references import references
from benchmarks.machine import bandwidth, doubts, roofline
from benchmarks.machine.bandwidth import Bandwidth
from benchmarks.machine.pulse import Pulse
from benchmarks.measure import plausibility
from benchmarks.measure import sampling as measure
from benchmarks.measure.group import Entry, Group, expected
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.sampling import Rule, Sampling
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.plan import inputs
from benchmarks.plan.cases import Case
from benchmarks.record.recorder import Recorder

MEMORY_SHARE = 0.6
"""Of the memory that is free, the cases measured together take no more than this share."""
MOST_BANDWIDTHS = 4
"""No device's bandwidth is measured again for an implausible case once there are so many measurements of it."""
CALL_OPS = ("relu", "linear")
"""A call on one element is timed for the first of these that the backend has."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: its record, and its rounds or the mistake that kept it from having any."""

    record: Mapping[str, Any]
    sampling: Sampling | None
    error: Exception | None


@dataclass
class Harness:
    """Measures cases in the workers of `pool`, each in `n_processes` of them, and records them.

    `planned` are all cases of the run: those to be compared with each other are measured together. `required`
    holds the backends and devices that the user asked for by name: for them, being unavailable is a failure and
    no reason to skip. `seed` is that of the order in which backends take turns.
    """

    pool: Pool
    recorder: Recorder
    planned: Sequence[Case] = ()
    required: frozenset[str] = frozenset()
    n_processes: int = 1
    seed: int = 0
    keep_rounds: bool = False
    watch: Stopwatch = field(default_factory=Stopwatch)
    _pulse: Pulse = field(default_factory=Pulse)
    _bandwidths: dict[str, list[Bandwidth]] = field(default_factory=dict)
    _outcomes: dict[Case, Outcome] = field(default_factory=dict)
    _records: defaultdict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._order = random.Random(self.seed)
        self._groups: defaultdict[str, list[Case]] = defaultdict(list)
        for case in self.planned:
            self._groups[case.group].append(case)

    def time(self, case: Case, benchmark: BenchmarkFixture, rule: Rule) -> None:
        """Measure `case` and its group, unless that is done, and put its rounds into `benchmark`.

        Fails or skips the test if the case has no result.
        """
        # pytest-benchmark has no public way to take rounds measured elsewhere; this marks it used.
        benchmark._mode = "activation-bench"  # noqa: SLF001
        if case not in self._outcomes:
            for part in self._parts(self._groups.get(case.group, [case])):
                self._measure(part, rule if benchmark.enabled else None)
        outcome = self._outcomes.pop(case)
        if outcome.error:
            raise outcome.error
        if outcome.sampling and outcome.record["status"] == "ok":
            benchmark.group = case.group
            benchmark.extra_info.update(outcome.record, burst_medians_s=outcome.sampling.burst_medians_s)
            fill(benchmark, outcome.sampling)
        self.settle(outcome.record["status"], outcome.record.get("reason", ""), case.backend, case.device)

    def time_call(self, backend: str, device: str, benchmark: BenchmarkFixture, rule: Rule) -> None:
        """Measure what a backend costs before it computes: its start, a call of nothing, a call on one element."""
        benchmark._mode = "activation-bench"  # noqa: SLF001
        cost: dict[str, Any] = {"backend": backend, "device": device}
        if not benchmark.enabled:
            pytest.skip("nothing is timed in this run")
        try:
            with self.watch.phase("starting workers"):
                facts = self.pool.facts(backend, device)
            cost |= {name: facts[name] for name in ("backend_version", "start_s", "import_s")}
            floor = self._floor(backend, device, rule)
            cost |= _named(floor, "floor") | self._one_element(backend, device, rule)
            self._check_threads(backend, device)
        except CaseError as error:
            self.settle(error.status, error.reason, backend, device)
            return
        self.recorder.cost(cost)
        benchmark.group = "a call that does nothing"
        fill(benchmark, floor)

    def finish(self) -> None:
        """Measure the bandwidth again, where it was measured, and record what the run spent its time on.

        Where it has moved, a third measurement says which of the two to believe.
        """
        for device, found in self._bandwidths.items():
            if found:
                self._measure_bandwidth(device)
                if roofline.settle([{"device": device, **asdict(each)} for each in found])["rejected"].any():
                    self._measure_bandwidth(device)
        self.recorder.end(self.watch.shares(), self._pulse.usual_s)

    def settle(self, status: str, reason: str, backend: str, device: str) -> None:
        """Turn a status into the outcome of the running test; what a peer gets wrong fails none."""
        if status == "unavailable" and not self.required & {backend, device}:
            pytest.skip(reason)
        if status not in ("ok", "known_deviation"):
            if backend in backends.peers():
                pytest.xfail(f"{status}: {reason}")  # news about another library
            pytest.fail(f"{status}: {reason}", pytrace=False)

    def _measure(self, cases: Sequence[Case], rule: Rule | None) -> None:
        """Take cases through all steps and record each; without a rule, only check them."""
        entries = [Entry(case) for case in cases]
        group = Group(entries, self.pool, self.n_processes, self.watch)
        self._require_memory(entries)
        limits: dict[str, Bandwidth | None] = {}
        with group.prepared():
            if rule is not None:
                limits = {case.device: self._bandwidth(case.device) for case in cases}
            self._take_through(group, rule)
        for entry in entries:
            self._outcomes[entry.case] = self._conclude(entry, limits.get(entry.case.device))

    def _take_through(self, group: Group, rule: Rule | None) -> None:
        """Take a prepared group through all further steps; without a rule, only through the check."""
        if group.alive:
            with self.watch.phase("checks"):
                due = expected(group.entries, references)
            group.check(due, "result")
        if rule is not None and group.alive:
            group.require_waiting()
            group.sample(rule, self._order, self._pulse)
            group.check(due, "last_result")
            group.require_waiting()
            group.look_closer()

    def _conclude(self, entry: Entry, limit: Bandwidth | None) -> Outcome:
        """Judge what was measured as a whole, and record it."""
        facts = entry.facts
        drift = facts.pop("drift", 0.0)
        if entry.verdicts:
            facts = judged(entry) | facts
        if entry.alive:
            facts |= {"status": "ok"}
            if entry.sampling:
                facts |= timed(entry.case, entry.sampling, facts, limit)
                seen = {**asdict(entry.case), "n_elements": entry.case.n_elements, **facts}
                reason = self._too_fast(seen, entry.verdicts) or plausibility.too_flat(
                    seen, self._records[entry.case.op]
                )
                if reason:
                    facts = {k: v for k, v in facts.items() if k not in _TIMES} | {
                        "status": "invalid",
                        "reason": reason,
                    }
                else:
                    facts["warning"] = plausibility.doubts(seen, entry.subnormal, drift)
        record = self.recorder.case(entry.case, facts)
        if record["status"] == "ok":
            self._records[entry.case.op].append(record)
        if entry.sampling and record["status"] == "ok":
            self.recorder.bursts(entry.case, entry.sampling)
        if self.keep_rounds and entry.sampling:
            self.recorder.rounds(entry.case, entry.sampling)
        return Outcome(record, entry.sampling, entry.error)

    def _too_fast(self, seen: Mapping[str, Any], verdicts: Sequence[Verdict]) -> str | None:
        """Return why a case is faster than its device, whose bandwidth is measured again before it is believed.

        Another program may have disturbed the measurements so far: the fastest of them counts.
        """
        device = seen["device"]
        known = self._bandwidths[device]
        if not known:
            return None
        reason = plausibility.too_fast(seen, bandwidth.fastest(known), verdicts)
        if reason and len(known) < MOST_BANDWIDTHS:
            self._measure_bandwidth(device)
            reason = plausibility.too_fast(seen, bandwidth.fastest(known), verdicts)
        return reason

    def _one_element(self, backend: str, device: str, rule: Rule) -> dict[str, Any]:
        """Time a call on one element, of the first of `CALL_OPS` that the backend has."""
        for op in CALL_OPS:
            entry = Entry(Case(op, "forward", "float32", (1,), backend, device))
            group = Group([entry], self.pool, 1, self.watch)
            with group.prepared():
                self._take_through(group, rule)
            if entry.sampling and entry.alive:
                first_call_s = entry.facts["first_call_s"]
                return _named(entry.sampling, "call") | {"call_op": op, "first_call_s": first_call_s}
            if entry.facts["status"] != "unavailable":
                raise CaseError(entry.facts["status"], entry.facts["reason"])
        return {}

    def _floor(self, backend: str, device: str, rule: Rule) -> Sampling:
        """Time a call that does nothing."""
        self.pool.call(backend, device, "prepare_floor")
        lane = measure.open_lane(self.pool.rounds(backend, device), rule)
        measure.take_turns([lane], self._order)
        return measure.combine([lane])

    def _check_threads(self, backend: str, device: str) -> None:
        """Warn of a library that would compute with more threads than it was allowed."""
        for pool in self.pool.call(backend, device, "thread_pools"):
            if pool["num_threads"] > self.pool.threads:
                self.recorder.warn(
                    f"{backend} on {device}: {pool['internal_api']} uses {pool['num_threads']} threads where "
                    f"{self.pool.threads} were asked for."
                )

    def _parts(self, cases: Sequence[Case]) -> Iterator[list[Case]]:
        """Yield the cases in parts that fit into memory side by side."""
        free = MEMORY_SHARE * doubts.available_memory_bytes()
        part: list[Case] = []
        for case in cases:
            if part and self._bytes([*part, case]) > free:
                yield part
                part = []
            part.append(case)
        if part:
            yield part

    def _bytes(self, cases: Iterable[Case]) -> float:
        return self.n_processes * sum(inputs.bytes_needed(case) for case in cases if case.device == "cpu")

    def _require_memory(self, entries: Sequence[Entry]) -> None:
        """Give up a case that cannot fit, before the system ends some process for it."""
        free = doubts.available_memory_bytes()
        for entry in entries:
            needed = self._bytes([entry.case])
            if needed > free:
                entry.facts |= {
                    "status": "out_of_memory",
                    "reason": f"needs about {needed / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free",
                }

    def _bandwidth(self, device: str) -> Bandwidth | None:
        """Return a device's bandwidth, measured before its first case; None where that fails."""
        if device not in self._bandwidths:
            self._bandwidths[device] = []
            self._measure_bandwidth(device)
        return next(iter(self._bandwidths[device]), None)

    def _measure_bandwidth(self, device: str) -> None:
        with self.watch.phase("bandwidth"), suppress(CaseError, SubprocessError, OSError):
            on_host = device == "cpu"
            needed = [inputs.bytes_needed(case) for case in self.planned] or [bandwidth.LADDER[-1]]
            ladder = bandwidth.steps(max(needed))
            found = bandwidth.measure_host(self.pool.threads, ladder) if on_host else self._copies(device, ladder)
            if found:
                self._bandwidths[device].append(found)
                self.recorder.bandwidth(device, found)

    def _copies(self, device: str, ladder: Sequence[int]) -> Bandwidth | None:
        """Return the bandwidth of the backends' own copies: the fastest is what the device can do."""
        places = [backend for backend, place in self.pool.started() if place == device]
        found = [self.pool.call(backend, device, "copy_seconds", ladder) for backend in places]
        if not found:
            return None
        return bandwidth.from_seconds([min(seconds) for seconds in zip(*found, strict=True)], ladder)


def judged(entry: Entry) -> dict[str, Any]:
    """Return the errors that the cross-check found."""
    worst = max(entry.verdicts, key=lambda v: v.max_ulp)
    return {
        "max_ulp": worst.max_ulp,
        "mean_ulp": worst.mean_ulp,
        "max_abs_error": max(v.max_abs_error for v in entry.verdicts),
        "reason": "; ".join(dict.fromkeys(v.reason for v in entry.verdicts if v.reason)),
    }


def timed(case: Case, sampling: Sampling, facts: Mapping[str, Any], limit: Bandwidth | None) -> dict[str, Any]:
    """Return what the rounds say."""
    median, per_call, n_bytes = sampling.median_s, sampling.per_call_s, facts["bytes_moved"]
    rate = n_bytes / median / 1e9
    kind = bandwidth.kind(n_bytes, facts["bytes_written"])
    return {
        "median_s": median,
        "mean_s": sum(per_call) / len(per_call),
        "min_s": min(per_call),
        "iqr_s": sampling.iqr_s,
        "ci95_low_s": sampling.low_s,
        "ci95_high_s": sampling.high_s,
        "processes": len(sampling.processes),
        "bursts": sampling.n_bursts,
        "rounds": len(per_call),
        "iterations": sampling.iterations[0],
        "stop_reason": sampling.stop_reason,
        "elements_per_s": case.n_elements / median,
        "gigabytes_per_s": rate,
        "fraction_of_bandwidth": rate / limit.at(kind, n_bytes) if limit else None,
    }


_TIMES = (
    "median_s",
    "mean_s",
    "min_s",
    "iqr_s",
    "ci95_low_s",
    "ci95_high_s",
    "elements_per_s",
    "gigabytes_per_s",
    "fraction_of_bandwidth",
    "device_s",
)


def _named(sampling: Sampling, name: str) -> dict[str, float]:
    return {f"{name}_s": sampling.median_s, f"{name}_low_s": sampling.low_s, f"{name}_high_s": sampling.high_s}


def fill(benchmark: BenchmarkFixture, sampling: Sampling) -> None:
    """Put externally measured rounds into pytest-benchmark's fixture."""
    # Rounds of several processes may have different numbers of calls; pytest-benchmark knows one number.
    iterations = sampling.iterations[0]
    stats = benchmark._make_stats(iterations)  # noqa: SLF001
    for seconds_per_call in sampling.per_call_s:
        stats.update(seconds_per_call * iterations)
