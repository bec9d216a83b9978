"""Surprises: results that are worth a second look, since they are slower than the rest of the run suggests.

A result surprises where the whole 95 % interval of a ratio (`verdicts`) lies beyond what these rules allow:

- *Slower than NumPy*: it takes more than `BEHIND_BASELINE` times as long as NumPy does.
- *Far behind*: it takes more than `BEHIND_BEST` times as long as the fastest backend. If that one has several
  times as many threads, as much more is allowed. NumPy itself is exempt: speed-ups say how far it is behind.
- *Costlier when larger*: an element takes more than `COSTLIER` times as long as at the next smaller size. If it
  also takes longer with the others (their median), that much is allowed too: larger arrays leave the caches.

The first two apply only where call overhead cannot be the reason: the case takes at least `OVERHEAD` times as long
as the backend's quickest call in that mode, which is more than that overhead. Doubtful comparisons are left out:
for the third rule, which compares turns with none, all results with a warning. So are peers, which are there to
compare with. For each op and mode, a backend is named once: where it is furthest beyond a rule.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import pandas as pd

from benchmarks.analysis.entries import Key, Timed, entries, parted
from benchmarks.analysis.peers import is_peer
from benchmarks.analysis.ranges import GROUP
from benchmarks.analysis.tables import BASELINE, CaseLead, varying
from benchmarks.analysis.verdicts import Verdicts, fastest_first
from benchmarks.quantities import count, seconds, times

BEHIND_BASELINE = 1.25
BEHIND_BEST = 4.0
COSTLIER = 2.0
OVERHEAD = 5.0

_ONCE = ("op", "mode", "dtype", "device", "backend")


@dataclass(frozen=True)
class _Row(Timed):
    group: Annotated[Key, GROUP]
    once: Annotated[Key, _ONCE]
    threads: float


@dataclass(frozen=True)
class Surprise:
    """A result that is slower than expected: `excess` times what its rule allows; `sentence` says it in words."""

    sentence: str
    excess: float
    once: Key


def surprises(
    rows: pd.DataFrame, costs: pd.DataFrame, winners: pd.DataFrame, verdicts: Verdicts
) -> list[Surprise]:
    """Return the surprises among measured rows, the worst first.

    `costs` say what a call on one element takes, if known; `winners` are those of `tables.best`.
    """
    ours = rows[~is_peer(rows)]
    found_ours = entries(ours, _Row)
    named = varying(ours, [key for key in GROUP if key != "op"])
    leads = {lead.case: lead for lead in entries(winners, CaseLead)}
    steady = [row for row in found_ours if not row.warning]
    found = [
        *_slow(found_ours, _quickest(found_ours, costs), named, leads, verdicts),
        *_costlier(steady, named, verdicts),
    ]
    worst: dict[Key, Surprise] = {}
    for each in sorted(found, key=lambda surprise: -surprise.excess):
        worst.setdefault(each.once, each)
    return list(worst.values())


def _slow(
    rows: Sequence[_Row],
    quickest: Mapping[Key, float],
    named: Sequence[str],
    leads: Mapping[Key, CaseLead],
    verdicts: Verdicts,
) -> Iterator[Surprise]:
    """Yield what is far behind the baseline, or the fastest."""
    for case, group in parted(rows, lambda row: row.case).items():
        best = fastest_first(group)[0]
        # A peer may be faster, and others as fast.
        title = ", the fastest" if leads[case].sole and leads[case].fastest == best.backend else ""
        baseline = next((row for row in group if row.backend == BASELINE), None)
        for row in group:
            if row.backend == BASELINE or row.median_s < OVERHEAD * quickest[_place(row)]:
                continue
            allowed = BEHIND_BEST * max(1.0, _threads(best) / _threads(row))
            for rival, limit, what in ((baseline, BEHIND_BASELINE, ""), (best, allowed, title)):
                if rival is None or rival is row:
                    continue
                # The lower end of the ratio's interval: NaN, which exceeds nothing, where it is not known.
                against = verdicts.over(row, rival)
                if against.ahead and against.low > limit and not against.doubtful:
                    told = f"{times(against.ratio)} the {seconds(rival.median_s)} of {rival.backend}{what}"
                    sentence = f"{_name(row, named)}: {seconds(row.median_s)}, {told}"
                    yield Surprise(sentence, against.low / limit, row.once)


def _costlier(rows: Sequence[_Row], named: Sequence[str], verdicts: Verdicts) -> Iterator[Surprise]:
    """Yield what takes longer per element at a larger size, by more than the others do."""
    rises: defaultdict[Key, list[tuple[_Row, float, float]]] = defaultdict(list)
    for line in parted(rows, lambda row: (*row.group, row.backend)).values():
        for small, large in pairwise(sorted(line, key=lambda row: row.n_elements)):
            if small.n_elements < large.n_elements:
                scale = small.n_elements / large.n_elements
                rise = scale * large.median_s / small.median_s
                step = (*large.group, small.n_elements, large.n_elements)
                rises[step].append((large, rise, scale * verdicts.over(large, small).low))
    for (*_, n_small, _n_large), found in rises.items():
        for row, rise, low in found:
            others = [other for rival, other, _ in found if rival is not row]
            usual = max(1.0, statistics.median(others)) if others else 1.0
            if low > COSTLIER * usual:
                aside = f" (the others: {times(usual)})" if others else ""
                each = seconds(row.median_s / row.n_elements)
                told = f"{each} per element, {times(rise)} that at {count(n_small)}{aside}"
                yield Surprise(f"{_name(row, named)}: {told}", low / COSTLIER / usual, row.once)


@dataclass(frozen=True)
class _Cost:
    backend: str
    device: str
    call_s: float


def _quickest(rows: Sequence[_Row], costs: pd.DataFrame) -> dict[Key, float]:
    """Return the seconds of each backend's quickest call in each mode."""
    found: dict[Key, float] = {}
    for row in rows:
        found[_place(row)] = min(found.get(_place(row), math.inf), row.median_s)
    for cost in entries(costs.dropna(subset=["call_s"]), _Cost):
        place = (cost.backend, cost.device, "forward")
        if place in found:
            found[place] = min(found[place], cost.call_s)
    return found


def _place(row: _Row) -> Key:
    return row.backend, row.device, row.mode


def _threads(row: _Row) -> float:
    return 1.0 if math.isnan(row.threads) else row.threads


def _name(row: _Row, named: Sequence[str]) -> str:
    about = dict(zip(GROUP, row.group, strict=True))
    told = [row.op, *(about[key] for key in named)]
    return f"{row.backend} {' '.join(map(str, told))} at {count(row.n_elements)}"
