"""Runs of the same plan: how much each decides, and how often two of them contradict each other.

Two runs contradict each other about a group where both have a winner that is surely `faster`, and not the same
one; or where one of them calls its leader `faster` than another backend, and the other calls the two `equal`, by
intervals that have nothing in common.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.entries import Key, parted
from benchmarks.analysis.verdicts import Paired, Place, paired
from benchmarks.record.run import Run
from benchmarks.stats import pairs
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER, Comparison


@dataclass(frozen=True)
class Group:
    """Who leads a group, and how its backends compare: by (slower, faster), and the other way round."""

    leader: Place
    found: Mapping[tuple[Place, Place], Comparison]

    @property
    def decided(self) -> bool:
        """Whether no backend is too close to call with the leader."""
        return all(each.verdict != CLOSE for (_, faster), each in self.found.items() if faster == self.leader)

    def beaten(self) -> Iterator[tuple[Place, Comparison]]:
        """Yield who is surely slower than the leader."""
        for (slower, faster), each in self.found.items():
            if faster == self.leader and each.verdict == FASTER:
                yield slower, each


def groups(run: Run) -> dict[Key, Group]:
    """Return the groups of a run, by op, mode, type, shape and policies, from its pairs."""
    found = parted(paired(run.at_hand("pairs")), lambda pair: pair.group)
    return {key: _group(each) for key, each in found.items()}


def _group(found: Sequence[Paired]) -> Group:
    of: dict[tuple[Place, Place], Comparison] = {}
    for pair in found:
        faster, slower = pair.places
        of[slower, faster], of[faster, slower] = pair.comparison, pairs.inverse(pair.comparison)
    (leader,) = {faster for _, faster in of} - {pair.places[1] for pair in found}
    return Group(leader, of)


def contradict(one: Group, other: Group) -> bool:
    """Tell whether what two runs say of a group cannot both be true."""
    return _denies(one, other) or _denies(other, one)


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return of each run its seconds and what it decided, and how often others contradict it.

    Raises ValueError where there are fewer than two runs, or two that have no group in common.
    """
    if len(runs) < 2:
        raise ValueError("repeats: name two runs or more of the same plan")
    each = [groups(run) for run in runs]
    common, against = [[0] * len(runs) for _ in range(2)]
    for i, j in itertools.combinations(range(len(runs)), 2):
        both = each[i].keys() & each[j].keys()
        if not both:
            raise ValueError(f"repeats: {_name(runs[i])} and {_name(runs[j])} have no group in common")
        found = sum(contradict(each[i][key], each[j][key]) for key in both)
        for k in (i, j):
            common[k] += len(both)
            against[k] += found
    rows = [
        (
            _name(run),
            f"{run.elapsed_s:.0f}" if run.elapsed_s else "",
            f"{sum(group.decided for group in of.values())} of {len(of)}",
            f"{n_against} of {n_common}",
        )
        for run, of, n_common, n_against in zip(runs, each, common, against, strict=True)
    ]
    total = f"{sum(against) // 2} of {sum(common) // 2} ({100 * sum(against) / sum(common):.1f} %)"
    rows.append(("all of them, two by two", "", "", total))
    return pd.DataFrame(rows, columns=["run", "seconds", "groups decided", "contradictions"])


def _denies(one: Group, other: Group) -> bool:
    """Tell whether `other` says that a backend is not slower, and `one` that it surely is."""
    for slower, here in one.beaten():
        there, reverse = other.found.get((slower, one.leader)), other.found.get((one.leader, slower))
        if there is None or reverse is None:
            continue
        if slower == other.leader and reverse.verdict == FASTER:
            return True
        if there.verdict == EQUAL and (there.high < here.low or there.low > here.high):
            return True
    return False


def _name(run: Run) -> str:
    return run.saved_as or run.run_id
