"""What several runs show side by side, in plain words: which is fastest, where they are furthest apart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, entries
from benchmarks.analysis.runs import KEYS, MOST_BESIDE, OPEN_KEYS, Compared, Fastest, shared_times
from benchmarks.analysis.tables import geometric_mean
from benchmarks.quantities import count, listing, number, plural
from benchmarks.record.schema import CASE, POLICIES
from benchmarks.stats.effects import Criteria
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

_LEAST_LEAD = 1 + Criteria.threshold
"""Runs whose means differ by less count as about as fast."""


def summarise(rows: pd.DataFrame, fastest: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Return a sentence per finding, from `runs.gather` and `runs.fastest`; the first is the answer.

    Of more than `MOST_BESIDE` runs, not each is compared with the first in words.
    """
    others = labels[1:] if len(labels) <= MOST_BESIDE else ()
    return [
        _leader(rows, KEYS, labels) or _nothing_shared(labels),
        *(sentence for other in others for sentence in _against_first(rows, labels[0], other)),
        *_best_of_each(fastest, labels),
        *_doubts(rows, labels),
    ]


def _described(row: Compared, rows: pd.DataFrame) -> str:
    """Return a case and backend in words, with what differs between `rows`."""
    about = dict(zip(CASE, row.case, strict=True))
    varied = [str(about[key]) for key in tables.varying(rows, ("dtype", *POLICIES)) if about[key]]
    shape = f" ({row.shape})" if row.shape not in ("", str(row.n_elements)) else ""
    what = " ".join([row.op, row.mode, *varied])
    return f"{what}, {count(row.n_elements)} elements{shape}, {row.backend} on {row.device}"


def _leader(rows: pd.DataFrame, keys: Sequence[str], labels: Sequence[str]) -> str:
    """Say which run is fastest on the cases that all have; nothing where there are none."""
    times = shared_times(rows, keys, labels)
    if times.empty:
        return ""
    means = times.apply(geometric_mean).sort_values()
    level = [str(name) for name, mean in means.items() if mean / means.iloc[0] < _LEAST_LEAD]
    others = [
        f"{number(mean / means.iloc[0])} times as fast as {name}"
        for name, mean in means.items()
        if name not in level
    ]
    if len(level) == 1:
        said = f"{level[0]} is fastest: {listing(others, 12)}"
    else:
        said = f"{listing(level, 12)} are about as fast, within {100 * Criteria.threshold:g} %"
        said += f", and {listing(others, 12)}" if others else ""
    return f"Over the {plural(len(times), 'case')} that {_every(labels)} measured, {said} (geometric mean)."


def _nothing_shared(labels: Sequence[str]) -> str:
    return f"No case was measured in {_every(labels)}, so none of the runs is the fastest."


def _every(labels: Sequence[str]) -> str:
    return "both runs" if len(labels) == 2 else f"all {len(labels)} runs"


def _against_first(rows: pd.DataFrame, first: str, other: str) -> list[str]:
    """Say how one run compares with the first: in how many cases, backend by backend, and where most."""
    both = rows[(rows["run"] == other) & rows["ratio"].notna()]
    if both.empty:
        return [f"{other} has no case in common with {first}."]
    clear = both[both["verdict"] == FASTER]
    faster, slower = clear[clear["ratio"] > 1], clear[clear["ratio"] < 1]
    n_equal, n_open = (int((both["verdict"] == verdict).sum()) for verdict in (EQUAL, CLOSE))
    tally = (
        f"{other} against {first}, in {plural(len(both), 'case')}: faster in {count(len(faster))}, slower in "
        f"{count(len(slower))}; equal in {count(n_equal)}; too close to call in {count(n_open)}."
    )
    return [tally, *_by_backend(both, first, other), *_furthest(faster, slower, rows, first, other)]


def _by_backend(both: pd.DataFrame, first: str, other: str) -> list[str]:
    places = both.groupby(["backend", "device"], sort=False)["ratio"]
    several = len(both["device"].unique()) > 1
    each = [
        f"{tables.label(str(backend), str(device), across_devices=several)} {number(geometric_mean(ratios))}"
        for (backend, device), ratios in places
    ]
    if len(each) < 2:
        return []
    return [f"Times as fast on {other} as on {first} (geometric means): {listing(each, 12)}."]


def _furthest(faster: pd.DataFrame, slower: pd.DataFrame, rows: pd.DataFrame, first: str, other: str) -> list[str]:
    ahead = entries(faster.nlargest(1, "ratio"), Compared)
    behind = entries(slower.nsmallest(1, "ratio"), Compared)
    leads = [(row, other, first, row.ratio) for row in ahead] + [
        (row, first, other, 1 / row.ratio) for row in behind
    ]
    found = [
        f"{winner} is {number(ratio)} times as fast as {loser} in {_described(row, rows)}"
        for row, winner, loser, ratio in leads
    ]
    return [f"The largest differences: {'; and '.join(found)}."] if found else []


def _best_of_each(fastest: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Say which run is fastest where each takes its fastest backend and device, and how often these differ."""
    sentence = _leader(fastest, OPEN_KEYS, labels)
    if not sentence:
        return []
    winners: dict[Key, list[set[str]]] = {}
    for row in entries(fastest, Fastest):
        winners.setdefault(row.open_case, []).append(set(row.names))
    common = [names for names in winners.values() if len(names) == len(labels)]
    differ = sum(not set.intersection(*names) for names in common)
    cases = plural(len(common), "case")
    return [
        f"With the fastest backend of each run, on any device: {sentence[0].lower()}{sentence[1:]}",
        f"In {count(differ)} of these {cases}, the runs differ in which backend, or device, is fastest.",
    ]


def _doubts(rows: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    counts = rows[rows["warning"] != ""]["run"].value_counts()
    each = [f"{count(int(counts[name]))} of {name}" for name in labels if name in counts]
    return [f"Doubtful results, marked ~: {listing(each, 12)}."] if each else []
