"""How noisy a run was, and what its reader can do about it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import quantities
from benchmarks.analysis.entries import entries
from benchmarks.analysis.tables import Lead
from benchmarks.machine.caveat import Caveat
from benchmarks.record.rows import Rows
from benchmarks.record.run import Run

if TYPE_CHECKING:
    import pandas as pd

OFTEN = 0.05
"""Share of bursts that stayed disturbed from which on a run is noisy."""
GOOD, FAIR = 0.9, 0.75
"""Shares of the groups that are decided in a run to rely on."""
LONGER = 3
"""A run that is to decide more is proposed three times as long, and `LEAST_BUDGET_MIN` minutes at least."""
LEAST_BUDGET_MIN = 5


@dataclass(frozen=True)
class Noise:
    """How many groups are decided, how many bursts something else disturbed, and what the machine was warned of.

    A group is decided where no backend is too close to call with the leader; in `n_placed` others, more processes
    alone can tell. `n_missed` of the `n_planned` groups
    had no time left, in the `spent_min` minutes that the run took. `n_bursts` is 0 where the run does not tell
    which were disturbed.
    """

    n_groups: int
    n_decided: int
    n_placed: int
    n_planned: int
    n_missed: int
    n_bursts: int
    n_again: int
    n_disturbed: int
    warnings: tuple[Caveat, ...]
    spent_min: float

    @property
    def load(self) -> str:
        """That other programs used the processors, and how far; empty where they did not."""
        return next((str(each).partition(":")[0] for each in self.warnings if each.about == "load"), "")

    @property
    def disturbed(self) -> bool:
        """Whether something else had the processor so often that an idle machine would tell more."""
        return bool(self.load) or self.n_disturbed > OFTEN * self.n_bursts

    @property
    def undecided(self) -> bool:
        """Whether the run is to decide more."""
        return self.n_decided < GOOD * self.n_groups

    @property
    def time_tells(self) -> bool:
        """Whether more time would."""
        return self.undecided and self.n_decided + self.n_placed < self.n_groups

    @property
    def budget_min(self) -> int:
        """The time budget to try next, in minutes: to decide more, or else to reach every group."""
        if self.time_tells:
            return max(LEAST_BUDGET_MIN, round(LONGER * self.spent_min))
        return math.ceil(self.spent_min * self.n_planned / max(1, self.n_planned - self.n_missed))

    @property
    def level(self) -> str:
        """How far the run can be relied on, in a word."""
        if self.disturbed or self.n_decided < FAIR * self.n_groups:
            return "low"
        return "fair" if self.undecided or self.n_missed or self.warnings else "good"

    @property
    def brief(self) -> str:
        """How many groups are decided, and what disturbed: `only 8 of 16 groups decided in the time they had`."""
        said = [self._decided] * bool(self.n_groups)
        if self.n_missed:
            said.append(f"{self.n_missed} of {quantities.plural(self.n_planned, 'group')} had no time left")
        if self.load:
            said.append(f"{self.load[0].lower()}{self.load[1:]}")
        return "; ".join(said)

    @property
    def _decided(self) -> str:
        """How many groups are decided, as a part of a sentence."""
        if self.n_groups == 1:
            return "the one group was decided" if self.n_decided else "the one group was not decided in its time"
        only = "only " * (self.n_decided < FAIR * self.n_groups)
        late = " in the time they had" * (self.n_decided < self.n_groups)
        n = f"{only}{self.n_decided}" if self.n_decided else "none"
        return f"{n} of {quantities.count(self.n_groups)} groups decided{late}"

    @property
    def sentences(self) -> list[str]:
        """What was noisy, in words."""
        found = []
        if self.n_missed:
            of = f"{quantities.count(self.n_missed)} of {quantities.plural(self.n_planned, 'group')}"
            found.append(f"The time budget ended before {of}.")
        if self.n_groups == 1:
            found.append(f"{self._decided.capitalize()}.")
        elif self.n_groups:
            share = quantities.percent(self.n_decided / self.n_groups)
            found.append(
                f"{quantities.count(self.n_decided)} of {quantities.count(self.n_groups)} groups decided "
                f"({share}); in the others a backend is too close to call with the first."
            )
        if self.n_bursts:
            stayed = f", and {quantities.count(self.n_disturbed)} stayed disturbed" * bool(self.n_disturbed)
            found.append(
                f"{quantities.count(self.n_again)} of {quantities.plural(self.n_bursts, 'burst')} taken again, "
                f"since something else had the processor{stayed}."
            )
        return found

    @property
    def remedies(self) -> list[str]:
        """What to do about it; what stands between backticks is for a command line."""
        found = ["Repeat on an idle machine."] * self.disturbed
        gains = ["decides more"] * self.time_tells + ["reaches every group"] * bool(self.n_missed)
        if gains:
            found.append(f"More time {' and '.join(gains)}: `--time-budget {self.budget_min}min`.")
        if self.undecided and self.n_placed:
            where = f"In {quantities.plural(self.n_placed, 'group')} of short calls"
            found.append(f"{where}, only more processes can tell: `--processes 3`.")
        return found


@dataclass(frozen=True)
class _Taken:
    bursts: float
    again: float
    disturbed: float


def noise(run: Run, rows: Rows | pd.DataFrame, leads: Sequence[Lead]) -> Noise:
    """Return how noisy a run was; `rows` are the measured ones, `leads` those of each comparable case."""
    contested = [lead for lead in leads if lead.runner_up]
    told = [row for row in entries(rows, _Taken) if not math.isnan(row.again)]
    # Of a run that was cut short, its own sentence says what is missing.
    n_missed = len(run.unmeasured) if run.complete else 0
    return Noise(
        n_groups=len(contested),
        n_decided=sum(lead.decided for lead in contested),
        n_placed=sum(lead.placed for lead in contested),
        n_planned=run.n_groups or 0,
        n_missed=n_missed,
        n_bursts=_sum(row.bursts for row in told),
        n_again=_sum(row.again for row in told),
        n_disturbed=_sum(row.disturbed for row in told),
        warnings=tuple(each for each in run.warnings if each.about in ("times", "load")),
        spent_min=(run.elapsed_s or 0.0) / 60,
    )


def _sum(numbers: Iterable[float]) -> int:
    """Return the sum of those numbers that are known."""
    return int(sum(number for number in numbers if not math.isnan(number)))


def of_the_limit(run: Run) -> tuple[Caveat, ...]:
    """Return the warnings that make the measured bandwidth doubtful, and no time."""
    return tuple(each for each in run.warnings if each.about == "limit")
