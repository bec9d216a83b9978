"""A against B: two sides of every case, prepared, cross-checked and compared, in fresh processes at each sitting.

Each sitting starts new workers on both sides and takes the undecided cases in an order drawn anew, until all are
decided, the last look is over, or the time budget is used up. Every sitting is on disk when it is over.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter

import pandas as pd

from benchmarks.check.references import references
from benchmarks.machine import environment
from benchmarks.measure import paired
from benchmarks.measure.entry import Entry, expected
from benchmarks.measure.group import Group
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.sides import Side
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.quantities import plural, seconds
from benchmarks.record.journal import write_journal_line
from benchmarks.record.schema import CASE_KEYS, SITTING_COLUMNS, Case, Ending, Sitting, row
from benchmarks.stats.effects import Criteria
from benchmarks.stats.sittings import LOOKS, conclude, undecided
from benchmarks.stats.verdicts import AMBIGUOUS


@dataclass
class Duel:
    """Compares `cases` on two sides, at most for `budget_s` seconds; `say` is told how it goes.

    `sittings` holds what was found so far, after each case: an interruption loses the case it meets.
    """

    base: Side
    head: Side
    cases: Sequence[Case]
    criteria: Criteria
    threads: int
    seed: int
    budget_s: float
    journal: Path
    timeout_s: float = 120.0
    say: Callable[[str], None] = print
    sittings: list[Sitting] = field(default_factory=list)

    def run(self) -> pd.DataFrame:
        """Take sittings until all is decided; return a verdict for each case (COMPARISON_COLUMNS).

        An interruption ends it with the verdicts that what was measured supports.
        """
        self._started = perf_counter()
        self._order = random.Random(self.seed)
        self._references = cache(references)
        self._cheated: set[Case] = set()
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        due, n_decided = list(self.cases), 0
        try:
            for n in range(1, LOOKS[-1] + 1):
                self._sit(n, due)
                if n in LOOKS:
                    found = self.conclude()
                    n_decided = int((found["verdict"] != AMBIGUOUS).sum())
                    due = self._undecided(found)
                spent = seconds(perf_counter() - self._started)
                self.say(f"sitting {n}: {n_decided} of {plural(len(self.cases), 'case')} decided, {spent}")
                if not due or self._is_over():
                    break
        except KeyboardInterrupt:
            self.say("interrupted: these are the verdicts that what was measured so far supports")
        return self.conclude()

    def conclude(self) -> pd.DataFrame:
        """Return the verdicts that the sittings so far support."""
        rows = pd.DataFrame(map(row, self.sittings), columns=list(SITTING_COLUMNS))
        found = conclude(rows, CASE_KEYS, self.criteria)
        seen = set(found[list(CASE_KEYS)].itertuples(index=False, name=None))
        unseen = [case.key for case in self.cases if case.key not in seen]
        rest = pd.DataFrame(unseen, columns=list(CASE_KEYS)).assign(
            verdict=AMBIGUOUS, samples=0, reason="not reached"
        )
        return pd.concat([found, rest], ignore_index=True) if unseen else found

    def _sit(self, n: int, due: Sequence[Case]) -> None:
        """Measure each case once, one backend after the other, in new processes for both sides."""
        places = list(dict.fromkeys((case.backend, case.device) for case in due))
        for place in self._order.sample(places, len(places)):
            here = [case for case in due if (case.backend, case.device) == place]
            with self._pools() as pools:
                self._pin(dict.fromkeys(pool.under(case) for pool in pools for case in here), *place)
                for case in self._order.sample(here, len(here)):
                    if self._is_over():
                        return
                    self._record(self._compare(n, case, pools))

    @contextmanager
    def _pools(self) -> Iterator[list[Pool]]:
        pools = [
            Pool(self.threads, timeout_s=self.timeout_s, command=side.command(), variables=self._padding())
            for side in (self.base, self.head)
        ]
        try:
            yield pools
        finally:
            for pool in pools:
                pool.close()

    def _pin(self, pools: Iterable[Pool], backend: str, device: str) -> None:
        """Let both sides of a backend that computes in one thread do so on one processor, drawn anew each time.

        Each on its own, one would for seconds be 10 % slower than the other whenever something else, such as
        another guest of the host, uses half of its core.
        """
        processor = self._order.choice(environment.processors())
        for pool in pools:
            with suppress(CaseError):  # why there is no worker is said where it is needed next
                if pool.facts(backend, device).threads == 1:
                    pool.call(backend, device, "pin", processor)

    def _padding(self) -> dict[str, str]:
        """Return a variable of random length.

        How long the arguments and variables of a process are shifts its stack, which alone makes some kernels 3 %
        faster or slower (Mytkowicz et al. 2009, "Producing wrong data without doing anything obviously wrong!").
        Two sides in folders with names of different lengths would always differ by it.
        """
        return {"ACTIVATION_BENCH_PADDING": "." * self._order.randrange(4096)}

    def _compare(self, n: int, case: Case, pools: Iterable[Pool]) -> Sitting:
        """Take a case through all steps on both sides; return what sitting `n` found."""
        entries = [Entry(case), Entry(case)]
        base, head = (
            Group([entry], pool.under(case), 1, Stopwatch()) for entry, pool in zip(entries, pools, strict=True)
        )
        effect = None
        with base.prepared(), head.prepared():
            due = expected(entries, self._references)
            for group in (base, head):
                group.check(due, "result")
                group.require_waiting()
            if all(entry.alive for entry in entries):
                effect = paired.sitting(
                    base.burst(entries[0]),
                    head.burst(entries[1]),
                    self._order,
                    min(entry.at_most for entry in entries),
                    entries[0].round_s,
                )
                for group in (base, head):
                    group.check(due, "last_result")
                # Each sitting has new processes, which cannot know which one it is.
                if effect and (n == 1 or case in self._cheated):
                    base.examine(due, effect.base_s)
                    head.examine(due, effect.head_s)
        if any(entry.ending and entry.ending.status == "cheated" for entry in entries):
            self._cheated.add(case)
        ends = [entry.ending or Ending(status="ok") for entry in entries]
        reasons = [
            f"{name}: {end.reason}" for name, end in zip(("base", "head"), ends, strict=True) if end.status != "ok"
        ]
        return Sitting(
            case=case,
            sitting=n,
            **(asdict(effect) if effect and not reasons else {}),
            base_status=ends[0].status,
            head_status=ends[1].status,
            reason="; ".join(reasons),
        )

    def _record(self, sitting: Sitting) -> None:
        self.sittings.append(sitting)
        try:
            with self.journal.open("a", encoding="utf-8") as file:
                write_journal_line(file, row(sitting))
        except OSError as error:  # a full disk costs the file, and not the comparison
            self.say(f"this sitting is in no file: {error}")

    def _undecided(self, found: pd.DataFrame) -> list[Case]:
        left = set(undecided(found)[list(CASE_KEYS)].itertuples(index=False, name=None))
        return [case for case in self.cases if case.key in left]

    def _is_over(self) -> bool:
        return perf_counter() - self._started > self.budget_s
