"""Costs: what groups of comparable cases are expected to take, before anything has run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.record.schema import Case

ENOUGH_TURNS = 16
"""So many turns decide most groups."""
# Seconds on two cores of a virtual machine; what a run takes corrects the first two as it goes on.
BESIDE_S, BESIDE_ELEMENT_S = 0.08, 7e-8
"""What a case takes beside its rounds: first calls, checks, a warm-up; and as it grows with the size."""
TURN_S, TURN_ELEMENT_S = 5.5e-3, 2.6e-9
"""What a turn of it takes, waking included."""


@dataclass(frozen=True)
class Cost:
    """What a group is expected to take: `beside_s` beside its rounds, and `turn_s` for each turn of them."""

    beside_s: float
    turn_s: float

    @property
    def enough_s(self) -> float:
        """Seconds in which most groups like it are decided."""
        return self.beside_s + ENOUGH_TURNS * self.turn_s


def cost_of(cases: Sequence[Case], processes: int = 1) -> Cost:
    """Return what comparable cases are expected to take."""
    n, n_elements = processes * len(cases), processes * sum(case.n_elements for case in cases)
    return Cost(
        n * BESIDE_S + n_elements * BESIDE_ELEMENT_S,
        n * TURN_S + n_elements * TURN_ELEMENT_S,
    )
