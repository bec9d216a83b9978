"""A simulated machine: rounds take known times, and the machine's speed changes in known ways."""

from __future__ import annotations

import math
import random
from itertools import count


class Machine:
    """A clock that only rounds advance, and at each time the factor by which a disturbance slows a round."""

    def __init__(self, seed=0, disturbance="none"):
        self.chance = random.Random(seed)
        self.now = 0.0
        self.factor = getattr(self, disturbance)
        self._level = 0.0
        self._burst_ends = self._burst_begins = 0.0

    def none(self):
        return 1.0

    def drift(self):
        """Ever slower: by 5 % a second."""
        return 1 + 0.05 * self.now

    def bursts(self):
        """Another program takes half the processor, half of the time, for a tenth of a second on average."""
        if self.now > self._burst_ends:
            self._burst_begins = self.now + self.chance.expovariate(10)
            self._burst_ends = self._burst_begins + self.chance.expovariate(10)
        return 2.0 if self._burst_begins <= self.now <= self._burst_ends else 1.0

    def heavy_tails(self):
        """One round in twenty takes up to ten times as long."""
        return 1 + (9 * self.chance.random() if self.chance.random() < 0.05 else 0.02 * self.chance.random())

    def autocorrelation(self):
        """Wander: successive rounds resemble each other, over some hundred milliseconds."""
        self._level = 0.98 * self._level + self.chance.gauss(0, 0.01)
        return math.exp(self._level)

    def source(self, seconds_per_call):
        """Return a source of rounds of a call that takes so many seconds on an undisturbed machine."""

        def burst(iterations, n_rounds):
            found = []
            for _ in range(n_rounds):
                found.append(iterations * seconds_per_call * self.factor())
                self.now += found[-1]
            return found

        return burst


DISTURBANCES = ("none", "drift", "bursts", "heavy_tails", "autocorrelation")


def failing(burst, after):
    """Return a source of rounds that fails after so many bursts."""
    calls = count()
    return lambda *counts: burst(*counts) if next(calls) < after else []
