"""Drift: a kernel that never changes, timed again and again, shows when the machine itself changes its speed."""

from __future__ import annotations

import statistics
from time import perf_counter

import numpy as np

LIMIT = 0.05
"""Cases during which the machine's speed was this far from usual are measured again, or called doubtful."""
N_ELEMENTS = 32_768
"""128 KiB of float32: within a second-level cache, so that the processor is timed and not the memory."""
N_ROUNDS = 2


class Pulse:
    """The reference kernel: a sine of `N_ELEMENTS` numbers by NumPy, in one thread of the calling process.

    It beats while a group of cases is measured, once a turn; `deviation` ends the group.
    """

    def __init__(self) -> None:
        self._x = np.linspace(-3, 3, N_ELEMENTS, dtype=np.float32)
        self._y = np.empty_like(self._x)
        self._beats: list[float] = []
        self._groups: list[float] = []

    def beat(self) -> None:
        """Time the kernel: its median over `N_ROUNDS` rounds, after as many to wake the processor; under 1 ms."""
        self._beats.append(statistics.median([self._round() for _ in range(2 * N_ROUNDS)][N_ROUNDS:]))

    def deviation(self) -> float:
        """Return how much slower the kernel was since the last call than is usual, such as 0.07 for 7 %.

        What is usual is the median over all groups so far. 0 if it has not beaten.
        """
        if not self._beats:
            return 0.0
        self._groups.append(statistics.median(self._beats))
        self._beats.clear()
        return self._groups[-1] / statistics.median(self._groups) - 1

    @property
    def usual_s(self) -> float | None:
        """Seconds of the kernel's round, as is usual in this run; None if no group has ended."""
        return statistics.median(self._groups) if self._groups else None

    def _round(self) -> float:
        started = perf_counter()
        for _ in range(4):
            np.sin(self._x, out=self._y)
        return perf_counter() - started
