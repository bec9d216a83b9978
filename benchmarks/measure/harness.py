"""The path of one measurement: a group of comparable cases is prepared, cross-checked, timed in turn and recorded.

The first test of a group measures all of it; the others replay what was measured. What fails its cross-check is
never timed; what fails anywhere is a record with its reason.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace

import pytest
from _pytest.outcomes import Skipped  # what pytest.skip raises
from pytest_benchmark.fixture import BenchmarkFixture

import backends
from benchmarks.machine import resources
from benchmarks.machine.limit import Bandwidth
from benchmarks.machine.pulse import Pulse
from benchmarks.measure import call_cost, plausibility
from benchmarks.measure.budget import USED_UP, Budget
from benchmarks.measure.entry import Entry
from benchmarks.measure.evaluations import Evaluations
from benchmarks.measure.group import Group
from benchmarks.measure.limits import Limits
from benchmarks.measure.measured import measured, times_of
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.remote import LEAVE_S
from benchmarks.measure.sampling import Rule
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.measure.transfers import Transfers
from benchmarks.plan import inputs
from benchmarks.record.assembly import BESIDE, Line
from benchmarks.record.recorder import Recorder
from benchmarks.record.run import bursts_of
from benchmarks.record.schema import Case, Check, Ending, Measured, Pair, Times, by_group, columns_of, row
from benchmarks.record.unfinished import Unfinished

MEMORY_SHARE = 0.6
"""Of the memory that is free, the cases measured together take no more than this share."""


class NotReached(Skipped):
    """Skips the test of a case for which no time was left."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: its ending, its record's values and bursts, or the mistake that kept it from any."""

    ending: Ending
    values: Mapping[str, object] = field(default_factory=dict)
    bursts_s: Sequence[Sequence[float]] = ()
    error: Exception | None = None


@dataclass
class Harness:
    """Measures cases in the workers of `pool`, each in `n_processes` of them, and records them.

    `planned` are all cases of the run: those to be compared with each other are measured together. `required`
    holds the backends and devices that the user asked for by name: for them, being unavailable is a failure and
    no reason to skip. `seed` is that of the order in which backends take turns, `budget` the time that there is.
    What `earlier`, a run that was cut short, has measured is not measured again. pytest-benchmark `saves` the run.
    `checked_places` are the backends, with their devices, that this process is going to check.
    """

    pool: Pool
    recorder: Recorder
    planned: Sequence[Case] = ()
    required: frozenset[str] = frozenset()
    n_processes: int = 1
    seed: int = 0
    budget: Budget | None = None
    keep_rounds: bool = False
    with_bandwidth: bool = True
    earlier: Unfinished | None = None
    saves: bool = False
    checked_places: Sequence[tuple[str, str]] = ()
    watch: Stopwatch = field(default_factory=Stopwatch)
    _pulse: Pulse = field(default_factory=Pulse)
    _outcomes: dict[Case, Outcome] = field(default_factory=dict)
    _timed: defaultdict[str, list[tuple[Case, Times]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._order = random.Random(self.seed)
        self.evaluations = Evaluations(self.pool, self.checked_places)
        self._limits = Limits(self.pool, self.recorder, self.watch, self.planned)
        self._transfers = Transfers(self.recorder)
        self._groups = by_group(self.planned)
        self._checked: dict[tuple[str, ...], Ending] = {}
        self._is_closed = False
        self.complete = False
        if self.earlier:
            self._take_over(self.earlier)

    def time(self, case: Case, benchmark: BenchmarkFixture, rule: Rule) -> None:
        """Measure `case` and its group, unless that is done, and put its rounds into `benchmark`.

        Fails or skips the test if the case has no result.
        """
        # pytest-benchmark has no public way to take rounds measured elsewhere; this marks it used.
        benchmark._mode = "activation-bench"  # noqa: SLF001
        outcome = self.measure(case, rule if benchmark.enabled else None)
        if outcome is None:
            raise NotReached(USED_UP)
        if outcome.error:
            raise outcome.error
        if outcome.bursts_s and outcome.ending.status == "ok":
            benchmark.group = case.group
            benchmark.extra_info.update(outcome.values, bursts_s=outcome.bursts_s)
            fill(benchmark, outcome.bursts_s, int(str(outcome.values["iterations"])))
        self.settle(outcome.ending, case.backend, case.device)

    def measure(self, case: Case, rule: Rule | None) -> Outcome | None:
        """Measure a case and its group, unless that is done; return what became of it, None if no time is left.

        Without a rule, it is only checked.
        """
        if case not in self._outcomes and not self._measure_group(case, rule):
            return None
        return self._outcomes.pop(case)

    def time_call(self, backend: str, device: str, benchmark: BenchmarkFixture, rule: Rule) -> None:
        """Measure what a backend costs before it computes: its start, a call of nothing, a call on one element."""
        benchmark._mode = "activation-bench"  # noqa: SLF001
        if not benchmark.enabled:
            pytest.skip("nothing is timed in this run")
        if self.budget and not self.budget.left_s:
            raise NotReached(USED_UP)
        try:
            cost = call_cost.measure(self.pool, backend, device, rule, self._order, self._pulse, self.watch)
        except CaseError as error:
            self.settle(error.ending, backend, device)
            return
        for warning in cost.warnings:
            self.recorder.warn(warning)
        self.recorder.cost(cost.cost)
        benchmark.group = "a call that does nothing"
        fill(benchmark, cost.floor.bursts_s, cost.floor.iterations[0])

    def checked(self, check: Check, sample: str) -> Ending | None:
        """Return how a check of the run that is gone on with ended; None of one that is to be made."""
        return self._checked.get((*row(check).values(), sample))  # type: ignore[arg-type]

    def close(self, *, complete: bool) -> None:
        """End the workers and the journal, once; measure the bandwidth of a `complete` run again before."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._finish(complete=complete)
            self.complete = complete
        finally:
            # Whoever presses Ctrl-C does not wait for what is being computed.
            self.pool.close(LEAVE_S if complete else 0.0)
            self.recorder.close()

    def _finish(self, *, complete: bool) -> None:
        """Record what the run spent its time on; one that was cut short has had enough of it."""
        if self.budget and self.budget.n_missed:
            self.recorder.warn(self.budget.shortfall())
        if complete:
            self._limits.measure_again()
        self.recorder.end(self.watch.spent(), self._pulse.usual_s, complete=complete, saves=self.saves)

    def _take_over(self, earlier: Unfinished) -> None:
        """Take what a run that was cut short has found out for what this one has."""
        for case, line in earlier.cases.items():
            self._outcomes[case] = replayed(line)
            if line["status"] == "ok" and line.get("median_s") is not None:
                known: Line = {each.name: line.get(each.name) for each in fields(Times)}
                self._timed[case.op].append((case, Times(**known)))
        for line in earlier.accuracy:
            of = [str(line.get(each.name, each.before)) for each in columns_of(Check)]
            self._checked[*of, str(line["sample"])] = _ending(line)

    def settle(self, ending: Ending, backend: str, device: str) -> None:
        """Turn an ending into the outcome of the running test; what a peer gets wrong fails none."""
        if ending.status == "unavailable" and not self.required & {backend, device}:
            pytest.skip(ending.reason)
        if ending.status not in ("ok", "known_deviation"):
            if backend in backends.peer_names():
                pytest.xfail(f"{ending.status}: {ending.reason}")  # news about another library
            pytest.fail(f"{ending.status}: {ending.reason}", pytrace=False)

    def _measure_group(self, case: Case, usual: Rule | None) -> bool:
        """Measure a case with those that it is compared with; tell whether the run had time left for it."""
        known = self.earlier.cases if self.earlier else {}
        # A group that was cut short between its parts, which are not compared with each other, has some already.
        cases = [each for each in self._groups.get(case.group, ()) if each not in known] or [case]
        rule = usual
        if usual and self.budget:
            rule = self.budget.rule(usual, case.group, len(cases) * self.n_processes)
            if rule is None:
                return False
        started = time.monotonic()
        rounds_s = sum(self._measure(part, rule) for part in self._parts(cases))
        if usual and self.budget:
            self.budget.took(case.group, time.monotonic() - started, rounds_s)
        return True

    def _measure(self, cases: Sequence[Case], rule: Rule | None) -> float:
        """Take cases through all steps and record each; without a rule, only check them.

        Returns the seconds that rounds took.
        """
        self.recorder.begin(cases)
        entries = [Entry(case) for case in cases]
        pool = self.pool.under(cases[0])
        group = Group(entries, pool, self.n_processes, self.watch, transfers=self._transfers)
        self._require_memory(entries)
        limits: dict[str, Bandwidth | None] = {}
        if rule is not None:  # before anything is prepared: a copy that hangs costs the worker what it holds
            limits = {case.device: self._limits.of(case.device) for case in cases if self.with_bandwidth}
        with group.prepared():
            group.take_through(rule, self._order, self._pulse)
        found = [self._concluded(entry, limits.get(entry.case.device)) for entry in entries]
        rounds = [each.rounds(every=self.keep_rounds) if (each := entry.sampling) else None for entry in entries]
        for entry, record in zip(
            entries, self.recorder.group(found, rounds, _valid(group.pairs, found)), strict=True
        ):
            bursts_s = entry.sampling.bursts_s if entry.sampling else ()
            self._outcomes[entry.case] = Outcome(record.measured.ending, row(record), bursts_s, entry.error)
        return sum(entry.sampling.spent_s for entry in entries if entry.sampling)

    def _concluded(self, entry: Entry, limit: Bandwidth | None) -> Measured:
        """Judge what was measured of a case as a whole."""
        ending, times, warning = entry.ending or Ending(status="ok"), None, ""
        if entry.alive and entry.sampling and entry.preparation:
            case, moved = entry.case, entry.preparation
            times = times_of(case, entry.sampling, entry.preparation, limit, entry.sources)
            earlier = self._timed[case.op]
            if reason := (
                self._limits.exceeded(
                    *(case.device, times, moved.bytes_moved, entry.verdicts),
                    written=moved.bytes_written,
                    cache=case.cache,
                )
                or plausibility.too_flat(case, times, earlier)
            ):
                ending, times = Ending(status="invalid", reason=reason), None
                entry.closer = entry.closer and replace(
                    entry.closer, device_s=None, device_low_s=None, device_high_s=None
                )
            else:
                warning = plausibility.doubts(entry.subnormal, entry.drift, entry.others, entry.load)
                earlier.append((case, times))
        return measured(entry, ending, times, warning)

    def _parts(self, cases: Sequence[Case]) -> Iterator[list[Case]]:
        """Yield the cases in parts that fit into memory side by side, on the host and on each device."""
        free = {device: MEMORY_SHARE * n_bytes for device, n_bytes in self._free(cases).items()}
        part: list[Case] = []
        for case in cases:
            if part and any(n > free[device] for device, n in self._needed([*part, case]).items()):
                yield part
                part = []
            part.append(case)
        if part:
            yield part

    def _needed(self, cases: Iterable[Case]) -> dict[str, int]:
        """Return how many bytes cases need on each device."""
        needed: dict[str, int] = defaultdict(int)
        for case in cases:
            needed[case.device] += self.n_processes * inputs.bytes_needed(case)
        return needed

    def _free(self, cases: Sequence[Case]) -> dict[str, float]:
        """Return how many bytes are free on each device: the least that a backend there says, if any does."""
        pool, free = self.pool.under(cases[0]), {"cpu": float(resources.available_memory_bytes())}
        for case in cases:
            if case.device == "cpu":
                continue
            free.setdefault(case.device, math.inf)
            # One that cannot be asked says why when the case is prepared.
            with suppress(CaseError), self.watch.phase("starting workers"):
                if (told := pool.call(case.backend, case.device, "free_bytes")) is not None:
                    free[case.device] = min(free[case.device], float(told))
        return free

    def _require_memory(self, entries: Sequence[Entry]) -> None:
        """Give up a case that cannot fit, before the system ends some process for it."""
        free = self._free([entry.case for entry in entries])
        for entry in entries:
            device = entry.case.device
            needed = self._needed([entry.case])[device]
            if needed > free[device]:
                there = "" if device == "cpu" else f" on {device}"
                entry.ending = Ending(
                    status="out_of_memory",
                    reason=f"needs about {needed / 2**30:.1f} GiB; {free[device] / 2**30:.1f} GiB are free{there}",
                )


def _valid(pairs: Iterable[Pair], found: Iterable[Measured]) -> list[Pair]:
    """Return the pairs of cases that have a result."""
    good = {(each.case.backend, each.case.device) for each in found if each.times}
    return [
        pair for pair in pairs if {(pair.case.backend, pair.case.device), (pair.other, pair.other_device)} <= good
    ]


def replayed(line: Line) -> Outcome:
    """Return what became of a case of a run that was cut short, from its line in the journal."""
    values = {name: value for name, value in line.items() if name not in BESIDE}
    return Outcome(_ending(line), values, bursts_of(line))


def _ending(line: Line) -> Ending:
    return Ending(status=str(line["status"]), reason=str(line.get("reason") or ""))


def fill(benchmark: BenchmarkFixture, bursts_s: Sequence[Sequence[float]], iterations: int) -> None:
    """Put what was measured, in seconds per call, into pytest-benchmark's fixture, a burst as one of its rounds.

    Rounds of several processes may have different numbers of calls; pytest-benchmark knows one number.
    """
    stats = benchmark._make_stats(iterations)  # noqa: SLF001
    for seconds_per_call in itertools.chain.from_iterable(bursts_s):
        stats.update(seconds_per_call * iterations)
