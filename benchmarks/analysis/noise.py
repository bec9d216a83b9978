"""How noisy a run was, and what its reader can do about it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmarks import quantities
from benchmarks.record.run import Run

OFTEN = 0.05
"""Share of bursts that stayed disturbed from which on a run is noisy."""
ENOUGH = 0.8
"""Share of groups that are to be decided."""
LEAST_BUDGET_MIN = 10
"""Minutes of rounds that are proposed where too little is decided, at least."""
_OF_THE_LIMIT = "bandwidth of"


@dataclass(frozen=True)
class Noise:
    """How many groups are decided, how many bursts something else disturbed, and what the machine was warned of.

    A group is decided where no backend is too close to call with the leader. `n_bursts` is 0 where the run does
    not tell which were disturbed.
    """

    n_groups: int
    n_decided: int
    n_bursts: int
    n_again: int
    n_disturbed: int
    warnings: tuple[str, ...]
    budget_min: int

    @property
    def disturbed(self) -> bool:
        """Whether something else had the processor so often that an idle machine would tell more."""
        return bool(self.warnings) or self.n_disturbed > OFTEN * self.n_bursts

    @property
    def undecided(self) -> bool:
        """Whether more time would tell more."""
        return self.n_decided < ENOUGH * self.n_groups

    @property
    def level(self) -> str:
        """How far the run can be relied on, in a word."""
        return ("good", "fair", "low")[self.disturbed + self.undecided]

    @property
    def sentences(self) -> list[str]:
        """What was noisy, in words."""
        found = []
        if self.n_groups:
            share = quantities.percent(self.n_decided / self.n_groups)
            found.append(
                f"{quantities.count(self.n_decided)} of {quantities.plural(self.n_groups, 'comparison')} decided "
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
        if self.undecided:
            found.append(f"More time decides more: `--time-budget {self.budget_min}min`.")
        return found


def noise(run: Run, rows: pd.DataFrame, winners: pd.DataFrame) -> Noise:
    """Return how noisy a run was; `rows` are the measured ones, `winners` those of `tables.best`."""
    contested = winners[winners["runner_up"] != ""]
    told = rows[rows["again"].notna()]
    spent_min = run.time_s.get("rounds", 0.0) / 60
    return Noise(
        n_groups=len(contested),
        n_decided=int(contested["decided"].sum()),
        n_bursts=int(told["bursts"].sum()),
        n_again=int(told["again"].sum()),
        n_disturbed=int(told["disturbed"].sum()),
        warnings=tuple(text for text in run.warnings if _OF_THE_LIMIT not in text),
        budget_min=max(LEAST_BUDGET_MIN, round(4 * spent_min)),
    )


def of_the_limit(run: Run) -> tuple[str, ...]:
    """Return the warnings that make the measured bandwidth doubtful, and no time."""
    return tuple(text for text in run.warnings if _OF_THE_LIMIT in text)
