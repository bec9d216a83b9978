"""Surprises: cases that are slower than the other results of the run lead one to expect.

A result surprises where the whole 95 % interval of a ratio lies beyond what these rules allow:

- *Behind NumPy*: it takes more than `BEHIND_BASELINE` times as long as NumPy does.
- *Behind the field*: it takes more than `BEHIND_BEST` times as long as the fastest backend, and as much more again
  as that one has more threads. NumPy itself is exempt: how far it is behind is what speed-ups tell.
- *Dearer when larger*: an element takes more than `DEARER` times as long as at the next smaller size, beyond what
  it takes more with the others (their median): larger arrays leave the caches for everyone.

The first two are judged only where what a call costs by itself cannot be the reason: the case takes at least
`OVERHEAD` times as long as the backend's quickest call in that mode, which bounds that cost from above. Doubtful
results (column `warning`) surprise nobody, nor do peers, which are there to compare with. For each op and mode, a
backend is named once: where it is furthest beyond a rule.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from benchmarks.analysis.ranges import GROUP, Row
from benchmarks.analysis.tables import BASELINE, grouped, measured, telling
from benchmarks.quantities import count, seconds, times
from benchmarks.record.schema import CASE
from benchmarks.stats.ratios import INTERVAL, records_ratio_interval

BEHIND_BASELINE = 1.25
BEHIND_BEST = 4.0
DEARER = 2.0
OVERHEAD = 5.0

_ONCE = ("op", "mode", "dtype", "device", "backend")


@dataclass(frozen=True)
class Surprise:
    """A case that is slower than expected: `excess` times what its rule allows, and `sentence` in plain words."""

    case: Row
    excess: float
    sentence: str


def surprises(records: pd.DataFrame, costs: pd.DataFrame) -> list[Surprise]:
    """Return the surprises of a run, the worst first; `costs` say what a call on one element takes, if known."""
    rows = measured(records[~records["peer"].fillna(value=False).astype(bool)])
    rows = rows[[*CASE, "backend", "threads", "warning", *INTERVAL]]
    steady: list[Row] = [row for row in rows.to_dict("records") if not row["warning"]]
    named = telling(rows, [key for key in GROUP if key != "op"])
    found = [*_slow(steady, _quickest(steady, costs), named), *_dear(steady, named)]
    worst: dict[tuple[object, ...], Surprise] = {}
    for each in sorted(found, key=lambda surprise: -surprise.excess):
        worst.setdefault(tuple(each.case[key] for key in _ONCE), each)
    return list(worst.values())


def _slow(
    rows: Sequence[Row], quickest: Mapping[tuple[str, ...], float], named: Sequence[str]
) -> Iterator[Surprise]:
    """Yield what is far behind the baseline, or the fastest."""
    for group in grouped(rows, CASE).values():
        best = min(group, key=lambda row: float(row["median_s"]))
        baseline = next((row for row in group if row["backend"] == BASELINE), None)
        for row in group:
            if row["backend"] == BASELINE or row["median_s"] < OVERHEAD * quickest[_place(row)]:
                continue
            allowed = BEHIND_BEST * max(1.0, _threads(best) / _threads(row))
            for rival, limit, what in ((baseline, BEHIND_BASELINE, ""), (best, allowed, ", the fastest")):
                low = _least_ratio(row, rival) if rival else 0.0
                if rival and low > limit:
                    ratio = times(float(row["median_s"] / rival["median_s"]))
                    told = f"{ratio} the {seconds(rival['median_s'])} of {rival['backend']}{what}"
                    yield Surprise(row, low / limit, f"{_name(row, named)}: {seconds(row['median_s'])}, {told}")


def _dear(rows: Sequence[Row], named: Sequence[str]) -> Iterator[Surprise]:
    """Yield what takes longer an element at a larger size, beyond what the others do."""
    for group in grouped(rows, GROUP).values():
        rises: defaultdict[tuple[int, int], list[tuple[Row, float, float]]] = defaultdict(list)
        for series in grouped(group, ("backend",)).values():
            for small, large in pairwise(sorted(series, key=lambda row: int(row["n_elements"]))):
                n_small, n_large = int(small["n_elements"]), int(large["n_elements"])
                if n_small < n_large:
                    scale = n_small / n_large
                    ratio = float(large["median_s"] / small["median_s"])
                    rises[n_small, n_large].append((large, scale * ratio, scale * _least_ratio(large, small)))
        for (n_small, _), found in rises.items():
            for row, rise, low in found:
                others = [other for rival, other, _ in found if rival is not row]
                usual = max(1.0, statistics.median(others)) if others else 1.0
                if low > DEARER * usual:
                    aside = f" (the others: {times(usual)})" if others else ""
                    each = seconds(float(row["median_s"]) / int(row["n_elements"]))
                    told = f"{each} an element, {times(rise)} that at {count(n_small)}{aside}"
                    yield Surprise(row, low / DEARER / usual, f"{_name(row, named)}: {told}")


def _quickest(rows: Sequence[Row], costs: pd.DataFrame) -> dict[tuple[str, ...], float]:
    """Return the seconds of each backend's quickest call in each mode."""
    found: dict[tuple[str, ...], float] = {}
    for row in rows:
        found[_place(row)] = min(found.get(_place(row), math.inf), float(row["median_s"]))
    for cost in costs.dropna(subset=["call_s"]).to_dict("records"):
        place = (cost["backend"], cost["device"], "forward")
        if place in found:
            found[place] = min(found[place], float(cost["call_s"]))
    return found


def _place(row: Row) -> tuple[str, ...]:
    return row["backend"], row["device"], row["mode"]


def _threads(row: Row) -> float:
    return 1.0 if pd.isna(row["threads"]) else float(row["threads"])


def _least_ratio(slower: Row, faster: Row) -> float:
    """Return the lower end of the ratio's interval; NaN, which exceeds nothing, where it is not known."""
    return records_ratio_interval(slower, faster)[0]


def _name(row: Row, named: Sequence[str]) -> str:
    told = [row["op"], *(row[key] for key in named)]
    return f"{row['backend']} {' '.join(map(str, told))} at {count(int(row['n_elements']))}"
