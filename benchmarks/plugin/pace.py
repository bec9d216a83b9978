"""Pace: how long a run takes, and what is left of it, from what its steps took so far.

A step is what is done in one go: a check, or the measurement of a whole group, in the first of its tests. Steps of
one kind take about as long. Where few of a kind were seen, they take as long as usual, times what the others of
their suite have taken more than usual.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import timedelta

EXPERIENCE = 0.05
"""What is usual counts for as much as the first 5 % of a suite: a few small steps say little of large ones."""
KIN = 0.1
"""What the steps of a suite took counts for as much as a tenth of each kind.

A run begins with simple functions. By them alone four of five runs were thought to be a quarter too short.
"""


@dataclass(frozen=True)
class Step:
    """A step of a run: it takes about `usual_s` seconds, and those of one `kind` differ from that alike.

    `once_s` is for what a first step does beside, such as starting a worker: nothing is learned from such a step.
    """

    name: str
    suite: str
    kind: Hashable
    usual_s: float
    once_s: float = 0.0


@dataclass
class _Learned:
    """Seconds that steps took, those that they usually take, and the usual ones of the steps still to come."""

    suite: str
    spent_s: float = 0.0
    usual_s: float = 0.0
    to_come_s: float = 0.0


class Pace:
    """How far a run is.

    `steps` are given by the ids of their tests; `closing_s` is what follows the last one. The run ends after
    `most_s` at the latest.
    """

    def __init__(
        self,
        steps: Mapping[str, Step],
        *,
        closing_s: float = 0.0,
        most_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps, self._clock = steps, clock
        self._begun = clock()
        self._closing_s, self._most_s = closing_s, most_s
        self._kinds: dict[Hashable, _Learned] = {}
        self._to_come = dict.fromkeys(steps.values())
        for step in self._to_come:
            self._kinds.setdefault(step.kind, _Learned(step.suite)).to_come_s += step.usual_s
        self._once_s = sum(step.once_s for step in self._to_come)
        self._running: tuple[Step, float] | None = None

    def begin(self, test: str) -> None:
        """Take note of a test that begins."""
        step = self._steps[test]
        if self._running is None or self._running[0] != step:
            self._running = (step, self._clock())

    def learn(self, test: str, seconds: float, *, finished: bool) -> None:
        """Take note of what a phase of a test took; with the first test that is finished, so is its step."""
        step = self._steps[test]
        kind = self._kinds[step.kind]
        kind.spent_s += 0.0 if step.once_s else seconds
        if finished and step in self._to_come:
            del self._to_come[step]
            kind.to_come_s -= step.usual_s
            kind.usual_s += 0.0 if step.once_s else step.usual_s
            self._once_s -= step.once_s

    @property
    def done(self) -> float:
        """Share of the time that is over."""
        left_s = self.left_s()
        elapsed_s = self._clock() - self._begun
        return elapsed_s / (elapsed_s + left_s) if elapsed_s + left_s else 1.0

    def elapsed(self) -> timedelta:
        """Return the time since the run began."""
        return timedelta(seconds=round(self._clock() - self._begun))

    def left(self) -> str:
        """Say about how long the run still takes: `about 0:01:20 left`."""
        left = timedelta(seconds=round(self.left_s()))
        return f"about {left} left" if left else "about to end"

    def left_s(self) -> float:
        """Return about how many seconds the run still takes."""
        rates = self._rates()
        seconds = sum(kind.to_come_s * rates[name] for name, kind in self._kinds.items())
        left_s = max(0.0, seconds + self._once_s - self._under_way_s(rates)) + self._closing_s
        return min(left_s, max(0.0, self._begun + self._most_s - self._clock()))

    def _under_way_s(self, rates: Mapping[Hashable, float]) -> float:
        """Return how much of the step that runs is over; a step that takes longer than expected might end now."""
        if self._running is None or self._running[0] not in self._to_come:
            return 0.0
        step, since = self._running
        return min(self._clock() - since, step.usual_s * rates[step.kind] + step.once_s)

    def _rates(self) -> dict[Hashable, float]:
        """Return how many times as long as usual the steps of each kind take."""
        suites: defaultdict[str, _Learned] = defaultdict(lambda: _Learned(""))
        for kind in self._kinds.values():
            suite = suites[kind.suite]
            suite.to_come_s += kind.to_come_s
            # A step that is not over is no measure of its kind.
            suite.spent_s += kind.spent_s if kind.usual_s else 0.0
            suite.usual_s += kind.usual_s
        rates = {name: _rate(suite, EXPERIENCE, 1.0) for name, suite in suites.items()}
        return {name: _rate(kind, KIN, rates[kind.suite]) for name, kind in self._kinds.items()}


def _rate(of: _Learned, share: float, expected: float) -> float:
    """Return how many times as long as usual steps take: as `expected` at first, then more and more as they took.

    What is expected counts for as much as a `share` of them.
    """
    experience_s = share * (of.usual_s + of.to_come_s)
    spent_s = of.spent_s if of.usual_s else 0.0
    return (spent_s + experience_s * expected) / (of.usual_s + experience_s) if experience_s else expected
