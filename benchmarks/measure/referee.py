"""The referee: whether what is timed is the work, asked from outside while cases take their turns, and after.

All cases are asked alike, and nothing of it is timed. `docs/cheats.md` says against what each check stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil, isnan
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.check.references import Reference
from benchmarks.measure import means, plausibility
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.entry import Entry, verdicts_on
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.probe import Renewed
from benchmarks.measure.remote import Seen
from benchmarks.measure.renewals import Renewal, Renewals
from benchmarks.measure.sampling import MOST_CALLS, MOST_EXACT_S, ROUND_S, Lane
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.quantities import listing, number, seconds
from benchmarks.record.schema import Case
from benchmarks.stats.pairs import LOOKS

PHASE = "referee"
LARGE_S = 1e-3
"""Cases whose calls take so long are asked once for new values."""
REPEATS, FEW, FEW_FROM_S = 5, 2, 5e-4
"""How often first calls and fetching are timed: five times; twice where a call takes half a millisecond, and once
where it takes `LARGE_S`."""
TRIES = 8
"""What speaks against a case must be seen eight times in a row: where ten programs share two processors, one call
in three is interrupted. Who is honest is asked once, as a rule."""
WHOLE = 2**16
"""Inputs of up to 65,536 numbers are compared whole after timing; of larger ones, `SOME` at random."""
SOME = 1000
CLOCK_TRIES = 20
"""So many more bursts are taken where none has cleared the clock: other programs disturb many in a row."""
LONG_BURST_S, LEAST_ROUND_S = 5e-3, 5e-5
"""They claim to take 5 ms, or have as many rounds as would claim that if each took 50 us."""
MOST_GROWTH = 64
"""Rounds that have become shorter since they were calibrated get up to 64 times as many calls."""
DOUBLED_AFTER = 3
"""After three of them the next ones are twice as long, the last two 64 times.

On a crowded machine, waiting for a processor comes before the first round and after the last: no more of a longer
burst, while a slow clock is slow throughout.
"""
AMID = 3
"""New values come between the first call of three and the last, if there are so many in a round."""
RECURRING_S = 5e-3
"""Values have recurred long enough after calls that claim to take 5 ms: what is taken in later gains little."""
HELD_S, MOST_HELD = 8e-3, 16
"""After the last turn, results of calls of 8 ms are kept, at most 16: eight buffers in turn are noticed."""
HELPED_S = 1e-2
"""Processor time is counted by the system in steps of up to 10 ms."""
HELPING_S, HELPED_SHARE = 0.1, 0.01
"""Whoever seems to have helped is looked at again, in bursts that claim 0.1 s: does it use 1 % of a processor?"""


class Referee:
    """Watches over the comparable cases of a group. `due` are their references."""

    def __init__(
        self,
        entries: Sequence[Entry],
        pool: Pool,
        n_processes: int,
        due: Sequence[Reference],
        watch: Stopwatch,
    ) -> None:
        self._entries, self._pool, self._watch = entries, pool, watch
        self._n_processes = n_processes
        self._due = due
        self._renewals: Renewals | None = None
        self._random = random.SystemRandom()
        self._turns_left = self._random.randint(2, LOOKS[0])
        self._is_over = False
        self._lanes: Mapping[int, Sequence[Lane]] = {}
        self._before: Mapping[tuple[str, int], float] = {}
        self._after: Mapping[tuple[str, int], float] = {}
        self._stops: dict[int, int] = {}

    def begin(self, lanes: Mapping[int, Sequence[Lane]]) -> None:
        """Take note of what there is before the first turn; `lanes` are those of each entry, by its id."""
        self._lanes = lanes
        self._before = means.marked()
        for entry in self._alive():
            for process in range(self._n_processes):
                if seen := self._pool.seen(entry.case.backend, entry.case.device, process):
                    self._stops[seen.pid] = len(seen.stirred_s)

    def before_turn(self) -> None:
        """Ask for new values before a turn that was drawn in advance."""
        self._turns_left -= 1
        if self._turns_left == 0:
            self._ask_for_new_values(self._alive())

    def finish(self) -> None:
        """Ask once more after the last turn, each worker alone as it was then."""
        self._is_over = True
        with self._pool.alone():
            if self._turns_left > 0:
                self._ask_for_new_values(self._alive())
            self._ask_for_new_values([entry for entry in self._alive() if self._call_s(entry) < LARGE_S])
            self._each(self._require_no_memory)
            self._each(self._require_a_true_clock)

    def conclude(self) -> None:
        """Look at the inputs, at how results are fetched, at the process, and at the harness in it."""
        self._each(self._require_inputs_as_they_were)
        self._each(self._require_results_that_are_there)
        self._after = means.marked()
        self._each(self._require_own_means)
        self._each(self._require_unbroken_seal)

    # --- new values -------------------------------------------------------------------------------------------

    def _ask_for_new_values(self, entries: Sequence[Entry]) -> None:
        renewal = self._draw(entries, lambda renewals: renewals.renewal())
        for entry in entries if renewal else ():
            with entry.step(), self._watch.phase(PHASE):
                for process in range(self._n_processes):
                    self._require_new_results(entry, process, renewal)
                _note(entry, "new values")

    def _require_new_results(self, entry: Entry, process: int, renewal: Renewal) -> None:
        """Have a burst taken on new values, as every burst is; look at the result of three of its calls.

        A result from before must be what it was: who is given a fresh output may keep it.
        """
        case, lane = entry.case, self._lanes[id(entry)][process]
        self._call(case, "renew", renewal.changes, self._holds(entry), process=process)
        most = max(1, lane.iterations)
        iterations = self._random.randint(min(AMID, most), most)
        # Of rounds of one call, new values come after the first.
        self._pool.turn(case.backend, case.device, iterations, 1 if iterations > 1 else 2, process)
        found: Renewed = self._call(case, "results_at", renewal.index, process=process)
        for results in found.last:
            require_right(case, renewal, results)
        for results in found.others:
            with _as("cheated", "right in the last call of a round alone"):
                require_right(case, renewal, results)
        for results in found.first:
            with _as("cheated", "right only after some calls on the same inputs, or after a pause"):
                require_right(case, renewal, results)
        for results in found.held:
            with _as("invalid", "a result that was kept has changed while others were computed"):
                verdicts_on(case, renewal.before, results)

    def _holds(self, entry: Entry) -> int:
        """Return how many results to keep: one while turns are to come, which find the memory as it was left."""
        most = int(HELD_S / (self._call_s(entry) or HELD_S)) if self._is_over else 1
        return max(1, min(MOST_HELD, most))

    def _require_no_memory(self, entry: Entry, process: int) -> None:
        """Time first calls on new values beside later ones, and beside those on values that have long recurred."""
        n, recurring = self._repeats(entry), ceil(RECURRING_S / (self._call_s(entry) or RECURRING_S))
        for _ in range(TRIES):
            novelties = self._draw([entry], lambda renewals: [renewals.changes() for _ in range(n)])
            times_s = self._call(
                entry.case, "novelty", novelties or [], min(recurring, MOST_CALLS), process=process
            )
            if not plausibility.remembers(times_s):
                _note(entry, "no memory", passed=bool(times_s))
                return
        first_s, later_s = (sorted(each)[len(times_s) // 2] for each in zip(*times_s, strict=True))
        raise CaseError(
            "cheated",
            f"the first call on new values takes {seconds(first_s)}, a later one {seconds(later_s)}: results are "
            "remembered",
        )

    def _draw(self, entries: Sequence[Entry], drawn: Callable[[Renewals], Any]) -> Any:
        """Return what is drawn for all; a mistake of the oracle ends the entry for which it was asked."""
        for entry in entries:
            if entry.alive:
                with entry.step(), self._watch.phase(PHASE):
                    if self._renewals is None:
                        self._renewals = Renewals(entry.case, self._due)
                    return drawn(self._renewals)
        return None

    # --- clock, inputs, results -------------------------------------------------------------------------------

    def _require_a_true_clock(self, entry: Entry, process: int) -> None:
        """Compare what bursts claim with how long they take by the clock of this process.

        Not where inputs are put back before each round, which takes as long and is not claimed.
        """
        if entry.case.allocation == "inplace":
            return
        bursts = [reading for reading in entry.readings if reading.process == process]
        for i in range(CLOCK_TRIES + 1):
            if any(map(plausibility.clears_a_clock, bursts)):
                _note(entry, "clock")
                return
            if any(isnan(burst.wall_s) for burst in bursts):
                return  # workers that are not stopped have no times by this clock
            if i < CLOCK_TRIES:
                bursts.append(self._long_burst(entry, process, LONG_BURST_S * 2 ** (i // DOUBLED_AFTER)))
        told = [burst for burst in bursts if plausibility.tells_of_a_clock(burst)] or bursts
        if not any(map(plausibility.is_explained, told)):
            ratio = number(min(map(plausibility.clock_ratio, told)))
            raise CaseError("cheated", f"its rounds take {ratio} times as long by the clock of another process")

    def _long_burst(self, entry: Entry, process: int, claims_s: float) -> Reading:
        """Return a burst that claims so many seconds, in usual rounds, as far as is known of its calls."""
        case, call_s = entry.case, max(self._call_s(entry), MOST_EXACT_S)
        usual = self._lanes[id(entry)][process].iterations
        iterations = min(max(usual, ceil(ROUND_S / call_s)), MOST_GROWTH * usual)
        round_s = max(iterations * call_s, LEAST_ROUND_S)
        return self._pool.turn(case.backend, case.device, iterations, ceil(claims_s / round_s), process)

    def _require_inputs_as_they_were(self, entry: Entry, process: int) -> None:
        assert self._renewals is not None
        arrays = self._renewals.present()
        index = [self._some(array) for array in arrays]
        for place in self._call(entry.case, "inputs_at", index, process=process):
            for array, i, found in zip(arrays, index, place, strict=True):
                if not np.array_equal(array[i], found):
                    raise CaseError("invalid", "calls have changed their inputs")
        _note(entry, "inputs")

    def _some(self, array: np.ndarray[Any, Any]) -> Any:
        if array.size <= WHOLE:
            return ...
        chosen = [self._random.randrange(array.size) for _ in range(SOME)]
        return np.unravel_index(chosen, array.shape)

    def _require_results_that_are_there(self, entry: Entry, process: int) -> None:
        """Compare fetching results with fetching plain arrays."""
        for _ in range(TRIES):
            found = self._call(entry.case, "fetched", self._repeats(entry), process=process)
            if strange := next((each.strange for each in found if each.strange), ""):
                raise CaseError(
                    "invalid", f"an output is a {strange}, which is not the type of the backend's arrays"
                )
            times_s = [(each.result_s, each.plain_s) for each in found]
            if not plausibility.is_deferred(times_s, self._call_s(entry), self._far_s(entry)):
                _note(entry, "fetched", passed=bool(found))
                return
        result_s, plain_s = (min(each) for each in zip(*times_s, strict=True))
        raise CaseError(
            "cheated",
            f"fetching a result takes {seconds(result_s)}, a plain array of its values {seconds(plain_s)}: it is "
            "computed only when it is fetched",
        )

    # --- the process ------------------------------------------------------------------------------------------

    def _require_own_means(self, entry: Entry, process: int) -> None:
        """Require that it has computed alone, in no more threads than it was allowed, treated like the others."""
        seen = self._pool.seen(entry.case.backend, entry.case.device, process)
        if seen is None:
            return
        helped_s = _helped_s(seen, self._before, self._after)
        if helped_s > HELPED_S and self._goes_on_helping(entry, process, seen):
            raise CaseError("cheated", f"processes that it started computed for {seconds(helped_s)} meanwhile")
        stirred_s = plausibility.stirred_s(seen.stirred_s[self._stops.get(seen.pid, 0) :])
        if stirred_s > HELPED_S:
            raise CaseError("cheated", f"it computed for {seconds(stirred_s)} while it was stopped")
        if seen.privileges:
            # Its next case gets a process that is treated like the others. Anybody may have changed this one.
            self._pool.end(entry.case.backend, entry.case.device, process)
            treated = f"the system treats it differently: {listing(sorted({*seen.privileges}))}"
            who = f"while {seen.meanwhile} was asked" if seen.meanwhile else "by itself or by another program"
            raise CaseError("invalid", f"{treated}; that came {who}")
        used = [reading for reading in entry.readings if reading.cpu_s >= 0]
        self._require_threads(entry, [(each.cpu_s, each.wall_s) for each in used])
        # Where other programs leave no second processor, a second thread waits for one. Those that hand their work
        # to other threads are not asked: each that is woken waits, however little it has to do.
        if not self._call(entry.case, "is_asynchronous", process=process):
            wanted = [(each.cpu_s + each.queued_s, each.wall_s) for each in used]
            self._require_threads(entry, wanted)
        _note(entry, "alone", passed=bool(used))

    def _goes_on_helping(self, entry: Entry, process: int, seen: Seen) -> bool:
        """Tell whether processes that it started compute in one burst after another.

        Each stop wakes them, if only to sleep again: four idle ones came to 34 ms in 400 stops. And a processor
        that was taken away then counts as theirs.
        """
        with self._pool.alone():
            for _ in range(TRIES):
                before, started = means.marked(), perf_counter()
                self._long_burst(entry, process, HELPING_S)
                if _helped_s(seen, before, means.marked()) <= HELPED_SHARE * (perf_counter() - started):
                    return False
        return True

    def _require_threads(self, entry: Entry, used: Sequence[tuple[float, float]]) -> None:
        """Require that no more than its threads have used, or waited for, a processor: see `too_many_threads`."""
        queued, threads = entry.case.timing == "throughput", self._pool.threads
        if share := plausibility.too_many_threads(used, threads, queued=queued):
            what = f"it used, or waited for, {number(share)} processors where {threads} were allowed"
            raise CaseError("invalid", what)

    def _require_unbroken_seal(self, entry: Entry, process: int) -> None:
        if broken := self._call(entry.case, "broken_seal", process=process):
            raise CaseError("cheated", f"in its process the harness is not what it was: {listing(broken)}")
        _note(entry, "seal")

    # --- all of them ------------------------------------------------------------------------------------------

    def _alive(self) -> list[Entry]:
        return [entry for entry in self._entries if entry.alive]

    def _each(self, require: Callable[[Entry, int], None]) -> None:
        for entry in self._alive():
            with entry.step(), self._watch.phase(PHASE):
                for process in range(self._n_processes):
                    require(entry, process)

    def _call(self, case: Case, method: str, *arguments: Any, process: int = 0) -> Any:
        return self._pool.call(case.backend, case.device, method, *arguments, process=process)

    def _repeats(self, entry: Entry) -> int:
        call_s = self._call_s(entry)
        return REPEATS if call_s < FEW_FROM_S else FEW if call_s < LARGE_S else 1

    def _far_s(self, entry: Entry) -> float:
        """Return what a result may take longer to fetch because several threads have written it."""
        if entry.preparation is None or entry.worker is None or entry.case.device != "cpu":
            return 0.0
        return plausibility.far_s(entry.preparation.bytes_written, entry.worker.threads or 1)

    def _call_s(self, entry: Entry) -> float:
        """Return about how long a call takes."""
        lanes = self._lanes[id(entry)]
        return min((lane.median_s for lane in lanes if lane.values), default=0.0)


def _helped_s(
    seen: Seen, before: Mapping[tuple[str, int], float], after: Mapping[tuple[str, int], float]
) -> float:
    """Return for how long other processes with the mark of one have computed between two readings of `marked`."""
    return sum(
        s - before.get((mark, pid), 0.0)
        for (mark, pid), s in after.items()
        if mark == seen.mark and pid != seen.pid
    )


def require_right(case: Case, renewal: Renewal, results: Sequence[Any]) -> None:
    """Raise CaseError unless results are those of the new values; cheated, if they are those of the old ones."""
    try:
        verdicts_on(case, renewal.due, results)
    except CaseError as error:
        if renewal.is_remembered(results):
            raise CaseError(
                "cheated", "with new values in its inputs it returns what the old ones give"
            ) from error
        reason = f"with new values in its inputs: {error.ending.reason}"
        raise CaseError(error.ending.status, reason) from error


@contextmanager
def _as(status: str, meaning: str) -> Iterator[None]:
    """Have what is wrong with results in here end a case by this `status`, and say what it means."""
    try:
        yield
    except CaseError as error:
        raise CaseError(status, f"{meaning}: {error.ending.reason}") from error


def _note(entry: Entry, check: str, *, passed: bool = True) -> None:
    if passed and check not in entry.checks:
        entry.checks.append(check)
