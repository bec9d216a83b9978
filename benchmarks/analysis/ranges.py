"""Ranges of sizes: over which neighbouring sizes the same backend, or the same tie of several, is the fastest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis.entries import Key, assembled, grouped
from benchmarks.analysis.tables import CaseLead
from benchmarks.record.schema import POLICIES

GROUP: tuple[str, ...] = ("op", "mode", "dtype", "device", *POLICIES)
"""What the sizes of one op share."""


@dataclass(frozen=True)
class Range:
    """Neighbouring sizes with the same winners.

    `names` are all sizes of the op in words, of which this range has those from `first` to `last`; `cases` are its
    rows of `tables.best`, the smallest size first.
    """

    winners: tuple[str, ...]
    cases: tuple[CaseLead, ...]
    names: tuple[str, ...]
    first: int

    @property
    def last(self) -> int:
        """Index of the largest size."""
        return self.first + len(self.cases) - 1

    @property
    def where(self) -> str:
        """The range as in a sentence: `up to 32,768 elements`."""
        names, first, last = self.names, self.first, self.last
        if first == 0 and last == len(names) - 1:
            return f"at {names[0]}, the only size" if len(names) == 1 else "at every size"
        if first == last:
            return f"at {names[first]}"
        if first == 0:
            return f"up to {names[last]}"
        if last == len(names) - 1:
            return f"from {names[first]} on"
        return f"from {_bare(names[first])} to {names[last]}"

    @property
    def briefly(self) -> str:
        """The range as in a table: `up to 32,768`."""
        names, first, last = [_bare(name) for name in self.names], self.first, self.last
        if first == last:
            return names[first]
        if first == 0:
            return "all sizes" if last == len(names) - 1 else f"up to {names[last]}"
        return f"from {names[first]}" if last == len(names) - 1 else f"{names[first]} to {names[last]}"

    def singly(self) -> Iterator[Range]:
        """Yield each size as a range of its own."""
        for i, case in enumerate(self.cases):
            yield Range(self.winners, (case,), self.names, self.first + i)


@dataclass(frozen=True)
class Contest:
    """One op under one set of conditions: `keys` are its values of `GROUP`, `ranges` cover its sizes."""

    keys: Mapping[str, str]
    ranges: tuple[Range, ...]


def contests(winners: pd.DataFrame) -> list[Contest]:
    """Return the contests of `winners` (rows of `tables.best`), in their order."""
    return [
        Contest(dict(zip(GROUP, map(str, key), strict=True)), tuple(_ranges(cases)))
        for key, cases in grouped(winners, GROUP, CaseLead).items()
    ]


def _ranges(cases: Sequence[CaseLead]) -> Iterator[Range]:
    ascending = sorted(cases, key=lambda case: case.n_elements)
    names, first = _size_names(ascending), 0
    for winners, group in groupby(ascending, key=_winners):
        found = Range(winners, tuple(group), names, first)
        yield found
        first = found.last + 1


def _winners(case: CaseLead) -> tuple[str, ...]:
    return tuple(sorted(case.names)) if case.tie else (case.fastest,)


def _size_names(cases: Sequence[CaseLead]) -> tuple[str, ...]:
    sizes = [case.n_elements for case in cases]
    if len(set(sizes)) < len(sizes):
        return tuple(f"shape {case.shape}" for case in cases)
    return tuple(quantities.plural(n, "element") for n in sizes)


def _bare(name: str) -> str:
    return name.removesuffix("s").removesuffix(" element")


@dataclass(frozen=True)
class Crossover:
    """A size from which on another backend is clearly the fastest.

    `winner` is fastest at `n_elements`, the first of the sizes measured where it is, and `beaten` was at those
    before. `doubtful` says that the winner there, or its runner-up, has a warning.
    """

    n_elements: int
    winner: str
    beaten: str
    doubtful: bool


def crossovers(winners: pd.DataFrame) -> pd.DataFrame:
    """Return each `Crossover` of `winners` (rows of `tables.best`).

    Ties are left out: a lead that is too close to call is no change.
    """
    found: list[tuple[Key, Crossover]] = []
    for key, cases in grouped(winners, GROUP, CaseLead).items():
        beaten = ""
        sizes = {case.n_elements: case for case in reversed(cases) if not case.tie}
        for n_elements, case in sorted(sizes.items()):
            if beaten and case.fastest != beaten:
                found.append((key, Crossover(n_elements, case.fastest, beaten, case.doubtful)))
            beaten = case.fastest
    return assembled(GROUP, found, Crossover)
