"""Ranges of sizes: over which neighbouring sizes the same backend leads, alone or with the same others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis.entries import Key, Timed, assembled, grouped, parted
from benchmarks.analysis.tables import CaseLead
from benchmarks.analysis.verdicts import UNKNOWN, Standing, Verdicts
from benchmarks.record.schema import POLICIES
from benchmarks.stats.pairs import FASTER

GROUP: tuple[str, ...] = ("op", "mode", "dtype", "device", *POLICIES)
"""What the sizes of one op share."""
NEARLY = 0.9
"""Sizes of which the smaller one is at least this share of the larger are told as one."""


@dataclass(frozen=True)
class Range:
    """Neighbouring sizes with the same leader, outcome and contenders: these are `winners`, the leader first.

    `names` are all sizes of the op in words, of which this range has those from `first` to `last`; `cases` are its
    rows of `tables.best`, the smallest size first.
    """

    winners: tuple[str, ...]
    cases: tuple[CaseLead, ...]
    names: tuple[str, ...]
    first: int

    @property
    def outcome(self) -> str:
        """The weakest verdict of the leader against every other, the same at all sizes."""
        return self.cases[-1].outcome

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
    for _, group in groupby(ascending, key=_standings):
        of_range = tuple(group)
        found = Range(tuple(of_range[-1].names), of_range, names, first)
        yield found
        first = found.last + 1


def size_classes(sizes: Iterable[int]) -> dict[int, int]:
    """Return the size that each stands for: a little larger ones, since ops along an axis take whole rows only."""
    found: dict[int, int] = {}
    largest = 0
    for size in sorted(set(map(int, sizes)), reverse=True):
        largest = largest if found and size >= NEARLY * largest else size
        found[size] = largest
    return found


def from_on(sizes: pd.Series, ratios: pd.Series, verdicts: pd.Series) -> float:
    """Return the least of ascending sizes from which on all ratios are above 1, and surely so.

    Infinite where that of the largest is not, NaN where it is not known.
    """
    if math.isnan(ratios.iloc[-1]):
        return math.nan
    other = sizes[~((ratios > 1) & (verdicts == FASTER))]
    larger = sizes[sizes > other.max()] if len(other) else sizes
    return float(larger.iloc[0]) if len(larger) else math.inf


def _standings(case: CaseLead) -> tuple[str, str, str, str]:
    """Return what the sizes of a range share: the leader, and who is equal or open, in any order."""
    equal, undecided = (", ".join(sorted(names.split(", "))) for names in (case.equal, case.open))
    return case.fastest, case.outcome, equal, undecided


def _size_names(cases: Sequence[CaseLead]) -> tuple[str, ...]:
    sizes = [case.n_elements for case in cases]
    if len(set(sizes)) < len(sizes):
        return tuple(f"shape {case.shape}" for case in cases)
    return tuple(quantities.plural(n, "element") for n in sizes)


def _bare(name: str) -> str:
    return name.removesuffix("s").removesuffix(" element")


@dataclass(frozen=True)
class Crossover:
    """A size from which on one backend beats another that was the fastest before.

    `winner` is the fastest at `n_elements`, and surely faster than `beaten` there and at every larger size that
    was measured; `beaten` was the fastest at the last size before where any was. `doubtful` says that something
    makes one of these comparisons doubtful.
    """

    n_elements: int
    winner: str
    beaten: str
    doubtful: bool


def crossovers(winners: pd.DataFrame, rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return each `Crossover` of `winners` (of `tables.best`), from the measured rows and their verdicts.

    Sizes without a fastest backend are left out, and so is a lead that is lost again.
    """
    measured = grouped(rows, GROUP, Timed)
    found: list[tuple[Key, Crossover]] = []
    for key, cases in grouped(winners, GROUP, CaseLead).items():
        ascending = sorted((case for case in cases if case.sole), key=lambda case: case.n_elements)
        for before, case in pairwise(ascending):
            if before.fastest == case.fastest or before.n_elements == case.n_elements:
                continue
            larger = [row for row in measured[key] if row.n_elements >= case.n_elements]
            beside = _beside(larger, case.fastest, before.fastest, verdicts)
            if beside and all(standing.ahead for standing in beside):
                doubtful = any(standing.doubtful for standing in beside)
                found.append((key, Crossover(case.n_elements, case.fastest, before.fastest, doubtful)))
    return assembled(GROUP, found, Crossover)


def _beside(rows: Sequence[Timed], winner: str, beaten: str, verdicts: Verdicts) -> list[Standing]:
    """Return how `beaten` compares with `winner` in each case; where that has no result, this is unknown."""
    found = []
    for group in parted(rows, lambda row: row.case).values():
        by_name = {row.backend: row for row in group}
        if winner not in by_name:
            found.append(UNKNOWN)
        elif beaten in by_name:
            found.append(verdicts.over(by_name[beaten], by_name[winner]))
    return found
