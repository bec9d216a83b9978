"""A stopwatch: what a run spends its time on, by phase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stopwatch:
    """Adds up the seconds of each phase. What a phase within another takes is not counted twice."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self._seconds: dict[str, float] = {}
        self._within_s = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile as `name`."""
        started, within_s = perf_counter(), self._within_s
        self._within_s = 0.0
        try:
            yield
        finally:
            took_s = perf_counter() - started
            self._seconds[name] = self._seconds.get(name, 0.0) + took_s - self._within_s
            self._within_s = within_s + took_s

    def spent(self) -> dict[str, float]:
        """Return the seconds of each phase, and of `everything else` since the stopwatch was made."""
        total = perf_counter() - self._started
        return self._seconds | {"everything else": total - sum(self._seconds.values())}
