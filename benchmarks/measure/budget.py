"""The time that a run has: what is left of it is shared equally by the groups that are still to come."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.machine.caveat import Caveat
from benchmarks.measure.sampling import Rule
from benchmarks.quantities import duration, plural

USED_UP = "the time budget is used up"
"""Why a case was not measured that no time was left for."""
ROUNDS_SHARE = 0.3
"""The part of a run's time that rounds take, before any group has told."""
EXPERIENCE_S = 20.0
"""What is expected counts for as much as the first 20 s."""
EARLY = 3
"""In a bounded run a group may have three times its equal share."""
CLOSING_S, CLOSING_SHARE = 8.0, 0.25
"""The bandwidth again, and the report; no more than a quarter of the budget is left for them."""
GROUP_S = 5.0
"""What a group takes, before any has told: that many seconds in the quick preset on two cores."""


@dataclass
class Budget:
    """`total_s` seconds for a whole run, and for the `n_groups` groups of comparable cases in it what is left.

    They count from `begun`, by the `clock`, or from now on: what came before the first group has taken its part.
    A `bounded` one only takes from the time that cases usually have; another one also adds to it. `at_least_one`
    group is measured, by the fewest turns, whatever the time, or none.
    """

    total_s: float
    n_groups: int
    bounded: bool = False
    clock: Callable[[], float] = time.monotonic
    begun: float | None = None
    at_least_one: bool = False
    _n_over: int = 0
    _missed: set[str] = field(default_factory=set)
    _measured_s: float = 0.0
    _rounds_s: float = 0.0
    _before_s: float = 0.0

    def __post_init__(self) -> None:
        self._begun = self.clock() if self.begun is None else self.begun

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
        return max(0.0, self.total_s - self.closing_s - (self.clock() - self._begun))

    def rule(self, usual: Rule, group: str, n_lanes: int) -> Rule | None:
        """Return when to stop timing the next group, of `n_lanes` sources of rounds; None without time."""
        left_s = self.left_s
        if not left_s and (self._n_over or not self.at_least_one):
            self._before_s = self._before_s or self.clock() - self._begun
            self._missed.add(group)
            return None
        share_s = left_s / max(1, self.n_groups - self._n_over) * self._rounds_share() / n_lanes
        # Most groups are decided early, and leave their time to those that are not.
        share_s *= EARLY if self.bounded else 1
        max_s = min(share_s, usual.max_s) if self.bounded else share_s
        # With pairs in question too, patience ends where the groups to come need the time.
        patience = min(max(1.0, share_s / max_s), usual.patience) if max_s else 1.0
        return replace(usual, max_s=max_s, patience=patience)

    def took(self, seconds: float, rounds_s: float) -> None:
        """Take note of a group that is over, and of how much of its time its rounds took."""
        self._n_over += 1
        self._measured_s += seconds
        self._rounds_s += rounds_s

    def shortfall(self) -> Caveat:
        """Say what was not measured."""
        return Caveat(
            f"The time budget of {duration(self.total_s)} ended the run before {self.n_missed} of "
            f"{plural(self.n_groups, 'group')}.",
            "budget",
        )

    def nothing_timed(self) -> str:
        """Say that the time was over before the first group, and how much would be enough for all of them."""
        enough_min = math.ceil((self._before_s + GROUP_S * self.n_groups + CLOSING_S) / 60)
        return (
            f"Nothing was timed: what comes before has taken {duration(self._before_s)}, and the time budget is "
            f"{duration(self.total_s)}. "
            f"Enough for {plural(self.n_groups, 'group')}: --time-budget {enough_min}min."
        )

    def _rounds_share(self) -> float:
        return (self._rounds_s + EXPERIENCE_S * ROUNDS_SHARE) / (self._measured_s + EXPERIENCE_S)
