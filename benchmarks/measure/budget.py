"""The time that a run has: what its rounds may take is shared out by what a turn of each group takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from benchmarks.machine.caveat import Caveat
from benchmarks.measure.sampling import Rule
from benchmarks.plan.costs import ENOUGH_TURNS, Cost
from benchmarks.quantities import duration, plural

USED_UP = "the time budget is used up"
"""Why a case was not measured that no time was left for."""
EARLY = 1.5
"""In a bounded run a group may have half as much again as its share: many are decided at the first look."""
CLOSING_S, CLOSING_SHARE = 8.0, 0.25
"""The bandwidth again, and the report; no more than a quarter of the budget is left for them."""
EXPERIENCE_S = 10.0
"""What is expected of groups counts for as much as what the first 10 s have shown."""


@dataclass
class Budget:
    """`total_s` seconds for a whole run, and for the groups in it, at `costs` by their names, what is left.

    They count from `begun`, by the `clock`, or from now on: what came before the first group has taken its part.
    A `bounded` one only takes from the time that cases usually have; another one also adds to it. `at_least_one`
    group is measured, by the fewest turns, whatever the time, or none.

    A run may aim at less, `aim_s`: then rounds are shared out as if that were all, but each group may have
    `costs.ENOUGH_TURNS`.
    """

    total_s: float
    costs: Mapping[str, Cost]
    bounded: bool = False
    clock: Callable[[], float] = time.monotonic
    begun: float | None = None
    at_least_one: bool = False
    aim_s: float = math.inf
    _missed: set[str] = field(default_factory=set)
    _expected_s: float = 0.0
    _beside_s: float = 0.0
    _before_s: float = 0.0

    def __post_init__(self) -> None:
        self._begun = self.clock() if self.begun is None else self.begun
        self._to_come = dict(self.costs)

    @property
    def closing_s(self) -> float:
        """Seconds kept for what follows the last group."""
        return min(CLOSING_S, CLOSING_SHARE * self.total_s)

    @property
    def n_missed(self) -> int:
        """How many groups had no time left."""
        return len(self._missed)

    @property
    def left_s(self) -> float:
        """Seconds that are left for groups."""
        return max(0.0, self.total_s - self.closing_s - self._elapsed_s)

    def rule(self, usual: Rule, group: str, n_lanes: int) -> Rule | None:
        """Return when to stop timing the next group, of `n_lanes` sources of rounds; None without time."""
        if not self.left_s and (len(self._to_come) < len(self.costs) or not self.at_least_one):
            self._before_s = self._before_s or self._elapsed_s
            self._missed.add(group)
            return None
        share_s = self._share_s(group) / n_lanes * (EARLY if self.bounded else 1)
        max_s = min(share_s, usual.max_s) if self.bounded else share_s
        # With pairs in question too, patience ends where the groups to come need the time.
        patience = min(max(1.0, share_s / max_s), usual.patience) if max_s else 1.0
        return replace(usual, max_s=max_s, patience=patience)

    def took(self, group: str, seconds: float, rounds_s: float) -> None:
        """Take note of a group that is over, and of how much of its time its turns took."""
        if cost := self._to_come.pop(group, None):
            self._beside_s += seconds - rounds_s
            self._expected_s += cost.beside_s

    def shortfall(self) -> Caveat:
        """Say what was not measured."""
        return Caveat(
            f"The time budget of {duration(self.total_s)} ended the run before {self.n_missed} of "
            f"{plural(len(self.costs), 'group')}.",
            "budget",
        )

    def nothing_timed(self) -> str:
        """Say that the time was over before the first group, and how much would be enough for all of them."""
        enough_s = self._before_s + sum(cost.enough_s for cost in self.costs.values()) + CLOSING_S
        return (
            f"Nothing was timed: what comes before has taken {duration(self._before_s)}, and the time budget is "
            f"{duration(self.total_s)}. "
            f"Enough for {plural(len(self.costs), 'group')}: --time-budget {math.ceil(enough_s / 60)}min."
        )

    @property
    def _elapsed_s(self) -> float:
        return self.clock() - self._begun

    def _share_s(self, group: str) -> float:
        """Return what the turns of a group may take, of what all groups to come leave beside them.

        A turn of a large case takes ten times as long as one of a small case, and decides no more.
        """
        to_come = self._to_come.values()
        turn_s = sum(each.turn_s for each in to_come)
        share = self.costs[group].turn_s / turn_s if group in self._to_come else 1.0
        beside_s = self._pace * sum(each.beside_s for each in to_come)
        aim_s = self.aim_s - self.closing_s - self._elapsed_s - beside_s
        # Where checks and first calls use up that time, turns too few to decide anything would help nobody.
        return max(0.0, min(self.left_s - beside_s, max(aim_s, ENOUGH_TURNS * turn_s))) * share

    @property
    def _pace(self) -> float:
        """How many times as long as expected groups take beside their rounds."""
        return (self._beside_s + EXPERIENCE_S) / (self._expected_s + EXPERIENCE_S)
