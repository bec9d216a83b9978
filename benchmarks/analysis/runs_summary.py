"""What several runs show side by side, in plain words: which is fastest, where they are furthest apart."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.runs import KEYS, OPEN_KEYS, geometric_mean, shared_times
from benchmarks.quantities import count, listing, number, plural
from benchmarks.record.schema import POLICIES
from benchmarks.stats.effects import Criteria

_LEAST_LEAD = 1 + Criteria.threshold
"""Runs whose means differ by less are said to be about as fast."""


def summarise(rows: pd.DataFrame, fastest: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Return a sentence per finding, from `runs.gather` and `runs.fastest`; the first is the answer."""
    return [
        _leader(rows, KEYS, labels) or _nothing_shared(labels),
        *(sentence for other in labels[1:] for sentence in _against_first(rows, labels[0], other)),
        *_best_of_each(fastest, labels),
        *_doubts(rows, labels),
    ]


def describe(row: Mapping[Hashable, Any], rows: pd.DataFrame) -> str:
    """Return a case and backend in words, with what differs between `rows`."""
    varied = [str(row[key]) for key in tables.telling(rows, ("dtype", *POLICIES)) if row[key]]
    size = count(int(row["n_elements"]))
    shape = f" ({row['shape']})" if row["shape"] not in ("", str(row["n_elements"])) else ""
    what = " ".join([str(row["op"]), str(row["mode"]), *varied])
    return f"{what}, {size} elements{shape}, {row['backend']} on {row['device']}"


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
    who = "both runs" if len(labels) == 2 else f"all {len(labels)} runs"
    return f"Over the {plural(len(times), 'case')} that {who} measured, {said} (geometric mean)."


def _nothing_shared(labels: Sequence[str]) -> str:
    who = "both runs" if len(labels) == 2 else f"all {len(labels)} runs"
    return f"No case was measured in {who}, so no run is said to be fastest."


def _against_first(rows: pd.DataFrame, first: str, other: str) -> list[str]:
    """Say how one run compares with the first: in how many cases, backend by backend, and at most."""
    both = rows[(rows["run"] == other) & rows["ratio"].notna()]
    if both.empty:
        return [f"{other} has no case in common with {first}."]
    clear = both[~both["overlap"]]
    faster, slower = clear[clear["ratio"] > 1], clear[clear["ratio"] < 1]
    n_level = len(both) - len(faster) - len(slower)
    tally = (
        f"{other} against {first}, in {plural(len(both), 'case')}: faster in {count(len(faster))}, slower in "
        f"{count(len(slower))}; no claim in {count(n_level)}, where the 95 % intervals overlap."
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
    ahead = faster.nlargest(1, "ratio").to_dict("records")
    behind = slower.nsmallest(1, "ratio").to_dict("records")
    found = [
        *(f"{other} is {number(row['ratio'])} times as fast as {first} in {describe(row, rows)}" for row in ahead),
        *(
            f"{first} is {number(1 / row['ratio'])} times as fast as {other} in {describe(row, rows)}"
            for row in behind
        ),
    ]
    return [f"At most, {'; and '.join(found)}."] if found else []


def _best_of_each(fastest: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Say which run is fastest where each takes the fastest of its backends and devices, and who that is."""
    sentence = _leader(fastest, OPEN_KEYS, labels)
    if not sentence:
        return []
    winners = winners_by_case(fastest)
    common = [by_run for by_run in winners.values() if len(by_run) == len(labels)]
    differ = sum(not set.intersection(*by_run.values()) for by_run in common)
    cases = plural(len(common), "case")
    return [
        f"With the fastest backend of each run, on any device: {sentence[0].lower()}{sentence[1:]}",
        f"Which backend that is, or on which device, differs in {count(differ)} of these {cases}.",
    ]


def winners_by_case(fastest: pd.DataFrame) -> dict[tuple[object, ...], dict[str, set[str]]]:
    """Return for each case and run the backends, with their devices, that are fastest or tie with it."""
    found: dict[tuple[object, ...], dict[str, set[str]]] = {}
    for *case, run, contenders in fastest[[*OPEN_KEYS, "run", "contenders"]].itertuples(index=False, name=None):
        found.setdefault(tuple(case), {})[run] = set(contenders.split(", "))
    return found


def _doubts(rows: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    counts = rows[rows["warning"] != ""]["run"].value_counts()
    each = [f"{count(int(counts[name]))} of {name}" for name in labels if name in counts]
    return [f"Doubtful results, marked ~: {listing(each, 12)}."] if each else []
