"""What the checks find out about a function that somebody tries. Its times are records of a run."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.record.schema import Ending, Verdict

RIGHT = ("ok", "known_deviation")
"""Statuses of a check that found nothing wrong."""


@dataclass(frozen=True)
class Point:
    """One input and what a function makes of it, as texts; `ulp` is how far that is from what is exact."""

    given: str
    got: str
    exact: str
    ulp: float


@dataclass(frozen=True)
class Region:
    """A part of the inputs, such as `-10 to -1`: how many points were looked at, and the errors there in ULP."""

    label: str
    n_points: int
    max_ulp: float
    mean_ulp: float


@dataclass(frozen=True)
class Judged:
    """What a function's results in one mode and type are worth; the worst point, if any is wrong at all."""

    mode: str
    dtype: str
    ending: Ending
    worst: Point | None = None
    regions: tuple[Region, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing is wrong: every error within what is allowed."""
        return self.ending.status in RIGHT

    @property
    def verdict(self) -> Verdict | None:
        """The errors; None where there is no result."""
        return self.ending if isinstance(self.ending, Verdict) else None


@dataclass(frozen=True)
class Layout:
    """A shape or layout of the inputs, and how calls on it ended; `ok` where their results were right."""

    name: str
    ending: Ending


@dataclass(frozen=True)
class Trial:
    """A function, the op that it was tried as, and what was found.

    `sentence` says where it lies and what it computes with; `settings` the framework's version and threads;
    `decisive` are the types that it must be right in. `note` is what was not checked, or why.
    """

    name: str
    op: str
    sentence: str
    settings: str
    decisive: tuple[str, ...]
    judged: tuple[Judged, ...] = ()
    specials: tuple[Point, ...] = ()
    layouts: tuple[Layout, ...] = ()
    gradient: str = ""
    notes: tuple[str, ...] = ()

    @property
    def deciding(self) -> list[Judged]:
        """What was judged in the types that it must be right in."""
        return [each for each in self.judged if each.dtype in self.decisive]
