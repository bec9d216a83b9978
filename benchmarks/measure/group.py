"""A group of comparable cases on its way through the measurement, step by step.

Prepare, check, calibrate, take rounds in turn, check again. What fails a step takes no further one, and the others
go on without it.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from backends.interface import index_of
from benchmarks.check.references import Reference, references
from benchmarks.machine import doubts, gpus, memory
from benchmarks.machine.gpus import Telemetry
from benchmarks.machine.pulse import Pulse
from benchmarks.measure import plausibility, sampling
from benchmarks.measure.disturbance import Reading, Undisturbed
from benchmarks.measure.entry import Entry, expected, verdicts_on
from benchmarks.measure.pool import CaseError, Pool, Request
from benchmarks.measure.referee import Referee
from benchmarks.measure.sampling import Burst, Lane, Rule, combine, open_lane, take_turns
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.measure.transfers import Transfers
from benchmarks.quantities import plural, seconds
from benchmarks.record.schema import Case, Closer, Pair

ENERGY_S = 0.5
"""A GPU's energy is read around half a second of calls: its counter moves every 20 to 100 ms."""
FEW_CALLS = 2
"""Two calls show that a backend does not wait, before a whole round of them fills its queue."""
LEAD = 8
"""A round is called ended too soon once its result has arrived late 8 times more often than in time.

A lead rather than a streak: on a busy machine the end of a round is now and then noticed so late that the work
that was not waited for is over.
"""
MOST_ARRIVALS = 5 * LEAD
"""After 40 tries without a decision, results that are late every other time count as late."""


@dataclass
class Group:
    """Comparable cases in their workers, `n_processes` for each; a `referee` watches them, where there is one.

    `transfers` knows of which backends and devices transfers are still asked, in all groups of a run.
    """

    entries: Sequence[Entry]
    pool: Pool
    n_processes: int
    watch: Stopwatch
    pairs: Sequence[Pair] = ()
    telemetry: dict[str, Telemetry] = field(default_factory=dict)
    referee: Referee | None = None
    transfers: Transfers = field(default_factory=Transfers)

    @property
    def alive(self) -> list[Entry]:
        """The entries that have not failed."""
        return [entry for entry in self.entries if entry.alive]

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Have the group prepared meanwhile, and let the workers forget it afterwards."""
        try:
            self.prepare()
            yield
        finally:
            self.release()

    def prepare(self) -> None:
        """Start workers, draw inputs, bind and call for the first time.

        Starts and first calls are timed, so they are made one after the other; all else side by side.
        """
        for entry in self.alive:
            with entry.step(), self.watch.phase("starting workers"):
                facts = [self.pool.facts(*_place(entry), process) for process in range(self.n_processes)]
                self._require_support(entry.case)
                entry.worker = facts[0]
        with self.watch.phase("first calls and transfers"):
            self._all("draw", lambda entry: (entry.case,))
            for entry in self.alive:
                with entry.step():
                    for process in range(self.n_processes):
                        self._call(entry.case, "call_first", process=process)
            ready = self._all("prepare", lambda entry: (entry.case,))
        for entry in self.alive:
            entry.preparation = ready[id(entry)][0]

    def _all(
        self, method: str, arguments: Callable[[Entry], tuple[Any, ...]] = lambda _: ()
    ) -> dict[int, list[Any]]:
        """Have all workers do the same side by side, since nothing is timed meanwhile.

        Returns what came of it by the id of each entry, process by process; those that fail have ended.
        """
        asked = list(itertools.product(self.alive, range(self.n_processes)))
        told: dict[int, list[Any]] = {id(entry): [] for entry, _ in asked}
        for (entry, _), answer in zip(asked, self._at_once(asked, method, arguments), strict=True):
            told[id(entry)].append(answer)
        return told

    def _at_once(
        self,
        asked: Sequence[tuple[Entry, int]],
        method: str,
        arguments: Callable[[Entry], tuple[Any, ...]] = lambda _: (),
    ) -> list[Any]:
        """Return what workers answer, each for an entry and a process; an entry whose worker fails has ended."""
        found = self.pool.at_once(
            [Request(*_place(entry), method, arguments(entry), process) for entry, process in asked]
        )
        for (entry, _), answer in zip(asked, found, strict=True):
            if isinstance(answer, CaseError):
                entry.ending = entry.ending or answer.ending
        return found

    def take_through(self, rule: Rule | None, order: random.Random, pulse: Pulse) -> None:
        """Take what is prepared through all further steps; without a rule, only through the check."""
        if self.alive:
            with self.watch.phase("checks"):
                due = expected(self.entries, references)
            self.check(due, "result")
        if rule is not None and self.alive:
            self.require_waiting()
            self.referee = Referee(self.entries, self.pool, self.n_processes, due, self.watch)
            self.sample(rule, order, pulse)
            self.check(due, "last_result")
            self.referee.finish()
            self.require_waiting()
            self.referee.conclude()
            self.look_closer()

    def check(self, due: Sequence[Reference], method: str) -> None:
        """Compare outputs with what they must be, in every process.

        A worker is told where they are looked at when they are there, and not before.
        """
        with self.watch.phase("checks"):
            if method == "result":
                self._all("call_twice")
            # Nobody is told before all have computed: whoever knows the places could tell others.
            index = [reference.index for reference in due]
            outputs = self._all(method, lambda _: (index,))
            flushed, subnormal = self._all("flushes_subnormals"), self._all("subnormal_share")
            for entry in self.alive:
                with entry.step():
                    each = zip(outputs[id(entry)], flushed[id(entry)], strict=True)
                    verdicts = [verdicts_on(entry.case, due, out, flushed=zero) for out, zero in each][-1]
                    entry.verdicts = entry.verdicts or verdicts  # the record's are those of the first check
                    entry.oracle = ", ".join(dict.fromkeys(r.oracle for r in due))
                    entry.subnormal = subnormal[id(entry)][0]
                    entry.checks.append("result" if method == "result" else "timed result")

    def require_waiting(self) -> None:
        """Fail what does not wait for its work: in a few calls before it is timed, in as many as a round after."""
        for entry in self.alive:
            n = entry.sampling.iterations[0] if entry.sampling else min(FEW_CALLS, entry.at_most)
            if not entry.sampling or n > FEW_CALLS:  # otherwise as before it was timed
                with entry.step(), self.watch.phase("synchronisation"):
                    self._require_complete(entry.case, n)
            if entry.sampling and entry.alive:
                entry.checks.append("waits")

    def sample(self, rule: Rule, order: random.Random, pulse: Pulse) -> None:
        """Take rounds in turn, each worker alone where that can be had, and compare all with each other."""
        with self.pool.alone():
            with self.watch.phase("calibration and warm-up"):
                lanes = {id(entry): self.lanes(entry) for entry in self.alive}
            with self.watch.phase("rounds"):
                before = doubts.read_moment()
                every = [lane for entry in self.alive for lane in lanes[id(entry)]]
                if self.referee:
                    self.referee.begin(lanes)
                take_turns(every, rule, order, self._between(pulse, order))
                others = doubts.others_share(before, doubts.read_moment())
        drift = pulse.deviation()
        loads = {device: doubts.gpu_load(each.finish()) for device, each in self.telemetry.items()}
        for entry in self.alive:
            with entry.step():
                entry.sampling = combine(lanes[id(entry)], rule.confidence)
                # The pulse is the processor's and tells nothing of another device, nor the other way round.
                on_host = entry.case.device == "cpu"
                entry.drift, entry.others = drift if on_host else 0.0, others
                entry.load = loads.get(entry.case.device, "")
        self.pairs = list(self._pairs(lanes, rule))

    def _between(self, pulse: Pulse, order: random.Random) -> Callable[[], None]:
        def between() -> None:
            pulse.beat()
            self.pool.change_processor(order)
            if self.referee:
                self.referee.before_turn()

        return between

    def _pairs(self, lanes: Mapping[int, Sequence[Lane]], rule: Rule) -> Iterator[Pair]:
        ranked = sorted(self.alive, key=_by_median)
        for faster, slower in itertools.combinations(ranked, 2):
            found = sampling.between(lanes[id(slower)], lanes[id(faster)], rule)
            yield Pair(
                case=faster.case,
                other=slower.case.backend,
                other_device=slower.case.device,
                ratio=found.ratio,
                low=found.low,
                high=found.high,
                turns=found.turns,
                margin=found.margin,
                placement=found.placement,
                verdict=found.verdict,
            )

    def look_closer(self) -> None:
        """Measure, outside the rounds, what a call needs beside time."""
        with self.watch.phase("memory and transfers"):
            peaks = self._peaks()
        for entry in self.alive:
            with entry.step(), self.watch.phase("memory and transfers"):
                entry.closer = self._closer(entry, peaks[id(entry)])

    def _closer(self, entry: Entry, peak_bytes: int | None) -> Closer:
        assert entry.sampling is not None
        assert entry.preparation is not None
        case, ready = entry.case, entry.preparation
        clock = self._call(case, "device_seconds", entry.sampling.iterations[0])
        closer = Closer(
            device_s=clock and clock.median_s,
            device_low_s=clock and clock.low_s,
            device_high_s=clock and clock.high_s,
            energy_j=self._energy_j(entry) if case.device != "cpu" else None,
            peak_bytes=peak_bytes,
        )
        return closer if case.device == "cpu" else self.transfers.added(closer, self.pool, case, ready)

    def _energy_j(self, entry: Entry) -> float | None:
        """Return the GPU's energy for a call, from its counter; None where it has none, or rounds are short."""
        assert entry.sampling is not None
        n = min(entry.at_most, math.ceil(ENERGY_S / entry.sampling.median_s))
        before = gpus.load(index_of(entry.case.device))
        if before is None or before.energy_j is None or n * entry.sampling.median_s < ENERGY_S / 2:
            return None
        self._call(entry.case, "rounds", n, 1)
        after = gpus.load(index_of(entry.case.device))
        return None if after is None or after.energy_j is None else (after.energy_j - before.energy_j) / n

    def examine(self, due: Sequence[Reference], call_s: float) -> None:
        """Have a referee look at cases whose rounds were not taken in turns; a call took `call_s`."""
        self.referee = Referee(self.entries, self.pool, self.n_processes, due, self.watch)
        processes = range(self.n_processes)
        self.referee.begin(
            {
                id(entry): [
                    Lane(self.burst(entry, process), _calls_of_a_round(entry, call_s), values=[call_s])
                    for process in processes
                ]
                for entry in self.alive
            }
        )
        self.referee.finish()
        self.referee.conclude()

    def release(self) -> None:
        """Let the workers forget their cases."""
        with self.watch.phase("letting go"):
            every = itertools.product(self.entries, range(self.n_processes))
            self.pool.release(*((*_place(entry), process) for entry, process in every))

    def burst(self, entry: Entry, process: int = 0) -> Burst:
        """Return the rounds of one process as steps of its entry: none once that has failed."""
        rounds = self.pool.rounds(entry.case.backend, entry.case.device, process)

        def burst(iterations: int, n_rounds: int) -> Sequence[float]:
            if entry.alive:
                with entry.step():
                    return rounds(iterations, n_rounds)
            return ()

        return burst

    def _turn(self, entry: Entry, process: int, *, stays: bool = False) -> Callable[[int, int], Reading | None]:
        """Return its turns in the same way."""
        case = entry.case

        def take(iterations: int, n_rounds: int) -> Reading | None:
            if entry.alive:
                with entry.step():
                    reading = self.pool.turn(case.backend, case.device, iterations, n_rounds, process, stays=stays)
                    entry.readings.append(reading)
                    return reading if case.device == "cpu" else replace(reading, throttled=self._beat(case.device))
            return None

        return take

    def _beat(self, device: str) -> bool:
        """Tell whether a GPU is slowed down, after a burst on it; each is watched on its own."""
        watched = Telemetry(partial(gpus.load, index_of(device)))
        return self.telemetry.setdefault(device, watched).beat()

    def _peaks(self) -> dict[int, int | None]:
        """Return the most memory that a call of each takes; None where it is too little to be seen, or unknown."""
        seen = [entry for entry in self.alive if entry.case.device != "cpu" or _is_visible(entry)]
        peaks: dict[int, int | None] = {id(entry): None for entry in self.alive}
        for entry, peak in zip(seen, self._at_once([(entry, 0) for entry in seen], "peak_bytes"), strict=True):
            if entry.alive and not _is_unseen(entry, peak):
                peaks[id(entry)] = peak
        return peaks

    def _call(self, case: Case, method: str, *arguments: Any, process: int = 0) -> Any:
        return self.pool.call(case.backend, case.device, method, *arguments, process=process)

    def _require_support(self, case: Case) -> None:
        if gap := self._call(case, "supports", case.op, case.dtype, case.mode, case.bound_as, case.saved):
            raise CaseError("unavailable", gap)

    def _require_complete(self, case: Case, iterations: int) -> None:
        """Raise CaseError if rounds end before their work does."""
        lead = 0
        for _ in range(MOST_ARRIVALS):
            later_s, round_s, at_once_s = self._call(case, "arrival_seconds", iterations)
            lead += 1 if plausibility.is_pending(later_s, at_once_s, round_s / iterations) else -1
            if lead < 0:
                return
            if lead == LEAD:
                break
        raise CaseError(
            "invalid",
            f"the result of a round of {plural(iterations, 'call')} took {seconds(at_once_s - later_s)} longer "
            "to arrive than it takes after a pause: the calls were not waited for, so their time is not known",
        )

    def lanes(self, entry: Entry) -> list[Lane]:
        """Return a calibrated and warmed-up lane for each process; its disturbed bursts are taken again."""
        lanes = []
        for process in range(self.n_processes):
            undisturbed = Undisturbed(self._turn(entry, process), self._turn(entry, process, stays=True))
            lane = open_lane(undisturbed.as_it_comes, entry.at_most, entry.round_s, heat=process)
            lane.burst = undisturbed
            entry.sources.append(undisturbed)
            lanes.append(lane)
        return lanes


def _place(entry: Entry) -> tuple[str, str]:
    return entry.case.backend, entry.case.device


def _calls_of_a_round(entry: Entry, call_s: float) -> int:
    return min(entry.at_most, max(FEW_CALLS, math.ceil(entry.round_s / call_s)))


def _by_median(entry: Entry) -> tuple[float, str, str]:
    assert entry.sampling is not None
    return entry.sampling.median_s, entry.case.backend, entry.case.device


def _is_visible(entry: Entry) -> bool:
    """Tell whether a call takes so much memory that the growth of its process shows it."""
    assert entry.preparation is not None
    return entry.preparation.bytes_moved >= memory.resolution_bytes()


def _is_unseen(entry: Entry, peak: int | None) -> bool:
    """Tell whether a fresh output, which takes memory, was not seen: the framework had kept some."""
    assert entry.preparation is not None
    fresh = entry.case.allocation == "fresh" and entry.case.device == "cpu" and peak == 0
    return fresh and entry.preparation.bytes_written > 2 * memory.resolution_bytes()
