"""Ranges of sizes: over which neighbouring sizes the same backend, or the same tie of several, is the fastest."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.record.schema import POLICIES

GROUP: tuple[str, ...] = ("op", "mode", "dtype", "device", *POLICIES)
"""What the sizes of one op share."""

Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Range:
    """Neighbouring sizes with the same winners.

    `names` are all sizes of the op in words, of which this range has those from `first` to `last`; `cases` are its
    rows of `tables.best`, the smallest size first.
    """

    winners: tuple[str, ...]
    cases: tuple[Row, ...]
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


def by_group(records: pd.DataFrame, winners: pd.DataFrame) -> Iterator[tuple[dict[str, str], list[Range]]]:
    """Yield what each group of `winners` (rows of `tables.best`) shares, and its ranges, in the records' order."""
    ascending = winners.sort_values(["n_elements"], kind="stable")
    grouped: dict[tuple[str, ...], list[Row]] = {
        tuple(map(str, values)): list(group.to_dict("records"))
        for values, group in ascending.groupby(list(GROUP), sort=False)
    }
    for values in tables.measured(records)[list(GROUP)].drop_duplicates().itertuples(index=False):
        key = tuple(map(str, values))
        yield dict(zip(GROUP, key, strict=True)), ranges(grouped[key])


def ranges(cases: Sequence[Row]) -> list[Range]:
    """Return the ranges of one op's cases (rows of `tables.best`), which ascend in size."""
    names = _size_names(cases)
    found, first = [], 0
    for winners, group in groupby(cases, key=_winners):
        run = tuple(group)
        found.append(Range(winners, run, names, first))
        first += len(run)
    return found


def _winners(case: Row) -> tuple[str, ...]:
    return tuple(sorted(case["contenders"].split(", "))) if case["tie"] else (case["fastest"],)


def _size_names(cases: Sequence[Row]) -> tuple[str, ...]:
    sizes = [int(case["n_elements"]) for case in cases]
    if len(set(sizes)) < len(sizes):
        return tuple(f"shape {case['shape']}" for case in cases)
    return tuple(quantities.plural(n, "element") for n in sizes)


def _bare(name: str) -> str:
    return name.removesuffix("s").removesuffix(" element")


def crossovers(records: pd.DataFrame) -> pd.DataFrame:
    """Return where the lead changes: a row for each size at which another backend is clearly the fastest.

    `winner` is fastest at `n_elements`, the first of the sizes measured where it is, and `beaten` was at those
    before. Ties are left out: a lead that cannot be told is no change. `doubtful` says that the winner or its
    runner-up there has a warning.
    """
    best = tables.best(records).sort_values("n_elements", kind="stable")
    found = []
    for case, group in best.groupby(list(GROUP), sort=False):
        clear = group[~group["tie"].astype(bool)].drop_duplicates("n_elements")
        before = clear["fastest"].shift()
        for row, beaten in zip(clear.to_dict("records"), before, strict=True):
            if not pd.isna(beaten) and row["fastest"] != beaten:
                found.append(
                    dict(zip(GROUP, case, strict=True))
                    | {
                        "n_elements": int(row["n_elements"]),
                        "winner": row["fastest"],
                        "beaten": beaten,
                        "doubtful": bool(row["doubtful"]),
                    }
                )
    return pd.DataFrame(found, columns=[*GROUP, "n_elements", "winner", "beaten", "doubtful"])
