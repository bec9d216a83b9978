"""How it was measured: policies, sampling, the order of turns, the limits, and what the time went to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import memory
from benchmarks.analysis.entries import grouped
from benchmarks.analysis.study import Study
from benchmarks.record import teams
from benchmarks.record.schema import POLICIES
from benchmarks.report.table import Cell, Table, of_rows


def policies(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the policies under which measured rows were measured, each with its meaning."""
    found: list[tuple[str, str]] = []
    for name in POLICIES:
        values = [str(value) for value in rows[name].unique() if value]
        found += [(f"{name} = {value}", _meaning(name, value)) for value in values if _matters(name, value, rows)]
    if memory.only(rows) == "retained":
        return [
            (name, f"{meaning}; {_ONE_MEMORY}" if name == "memory = retained" else meaning)
            for name, meaning in found
        ]
    return found


def _matters(policy: str, value: str, rows: pd.DataFrame) -> bool:
    """Tell whether it could have been another one: the CPU launches no graph, a forward pass saves nothing."""
    if (policy, value) == ("launch", "eager"):
        return bool((rows["device"] != "cpu").any())
    return (policy, value) != ("saved", "input") or bool((rows["mode"] != "forward").any())


def sentences(study: Study) -> list[str]:
    """Return what a run says of processes, turns, threads, rounds, why sampling stopped, and its time."""
    rows, run = study.rows, study.run
    return [
        *_processes(rows),
        *_bursts(rows, run.seed),
        *_threads(rows),
        *_rounds(rows),
        *_stop_reasons(rows),
        *_again(rows),
        *_checks(rows),
        *_precision(rows),
        *_time(run.time_s),
    ]


def _processes(rows: pd.DataFrame) -> list[str]:
    counts = sorted(rows["processes"].dropna().unique())
    if not counts:
        return []
    if counts == [1]:
        covered = "its interval covers the turns of that process, not the differences between processes"
        return [f"Each case was measured in one process: {covered} (`--processes N` does)."]
    number = quantities.listing([str(n) for n in counts])
    return [f"Each case was measured in {number} processes: its interval covers the differences between them."]


def _bursts(rows: pd.DataFrame, seed: int | None) -> list[str]:
    found = []
    if rows["bursts"].notna().any():
        found.append(f"Bursts of rounds per case: {_spread(rows['bursts'])}.")
    if seed is not None:
        found.append(f"Backends took turns, a burst each, in an order drawn from seed {seed}.")
    return found


def _threads(rows: pd.DataFrame) -> list[str]:
    threads = rows.dropna(subset=["threads"]).groupby("threads")["backend"].unique()
    each = [f"{n} for {quantities.listing(sorted(map(str, names)), 12)}" for n, names in threads.items()]
    return [f"Threads in effect: {'; '.join(each)}."] if each else []


def _rounds(rows: pd.DataFrame) -> list[str]:
    return [f"Rounds per case: {_spread(rows['rounds'])}."] if rows["rounds"].notna().any() else []


def _spread(counts: pd.Series) -> str:
    known = counts.dropna()
    low, middle, high = int(known.min()), int(known.median()), int(known.max())
    return f"{low} to {high}, with a median of {middle}" if low < high else str(low)


def _stop_reasons(rows: pd.DataFrame) -> list[str]:
    reasons = rows["stop_reason"].dropna().value_counts()
    each = [f"{reason} in {n}" for reason, n in reasons.items()]
    return [f"Why sampling stopped: {quantities.listing(each)} of {len(rows)} cases."] if each else []


def _again(rows: pd.DataFrame) -> list[str]:
    told = rows[rows["again"].notna()]
    if told.empty:
        return []
    again, disturbed = (quantities.count(told[name].sum()) for name in ("again", "disturbed"))
    return [f"Bursts taken again, since something else had the processor: {again}. Still disturbed: {disturbed}."]


def _checks(rows: pd.DataFrame) -> list[str]:
    """Say what cases were checked for beside their results, and how many were not checked for all of it."""
    passed = _passed(rows)
    counts = Counter(check for checks in passed for check in checks)
    every = [check for check, n in counts.items() if n == len(passed)]
    some = [f"{check} in {n} of {len(passed)}" for check, n in counts.items() if n < len(passed)]
    found = [f"Checks that every case passed: {quantities.listing(every, 20)}."] if every else []
    return found + ([f"Checks that were not made everywhere: {quantities.listing(some, 20)}."] if some else [])


def unchecked(records: pd.DataFrame) -> list[str]:
    """Return for each record the checks that others have passed and it has not; none for those of older runs."""
    passed = _passed(records)
    every = dict.fromkeys(check for checks in passed for check in checks)
    return [", ".join(check for check in every if check not in checks) * bool(checks) for checks in passed]


def _passed(records: pd.DataFrame) -> list[list[str]]:
    return [checks.split(", ") if checks else [] for checks in records["checks"].fillna("")]


def _precision(rows: pd.DataFrame) -> list[str]:
    half = ((rows["ci95_high_s"] - rows["ci95_low_s"]) / 2 / rows["median_s"]).dropna()
    if half.empty:
        return []
    worst = "unbounded" if math.isinf(half.max()) else f"±{quantities.number(100 * half.max())} %"
    typical = f"±{quantities.number(100 * half.median())} %"
    return [f"The 95 % intervals reach {typical} around the median in a typical case, {worst} in the worst."]


def _time(time_s: Mapping[str, float]) -> list[str]:
    total = sum(time_s.values())
    if not total > 0:
        return []
    phases = sorted(time_s.items(), key=lambda phase: -phase[1])
    each = [f"{name} {100 * seconds / total:.0f} %" for name, seconds in phases]
    return [f"The run took {quantities.seconds(total)}: {quantities.listing(each, 20)}."]


@dataclass(frozen=True)
class _Level:
    kind: str
    stores: str
    gigabytes_per_s: float
    moved: float
    rejected: bool


def limits(bandwidth: pd.DataFrame) -> list[Table]:
    """Return, for each device, how fast bytes are copied and read, a row for each number of them."""
    found = []
    for device, rows in bandwidth.groupby("device", sort=False):
        kinds = ("copy", "read") if (rows["kind"] == "read").any() else ("copy",)
        lines = []
        for (n_bytes,), levels in sorted(grouped(rows, ("n_bytes",), _Level).items()):
            by_kind = {level.kind: level for level in levels}
            stores = by_kind["copy"].stores if "copy" in by_kind else ""
            cells = [cell for kind in kinds for cell in _cells(by_kind.get(kind))]
            lines.append((Cell(quantities.size(n_bytes), n_bytes), Cell(stores), *cells))
        headings = ("bytes moved", "stores", *(name for kind in kinds for name in (f"{kind}, GB/s", "changed by")))
        numeric = (True, False, *(True,) * 2 * len(kinds))
        table = of_rows(headings, lines, numeric, f"Bandwidth by bytes moved, {device}")
        found.append(replace(table, facets={"device": str(device)}))
    return found


def _cells(level: _Level | None) -> Iterator[Cell]:
    """Yield a bandwidth and how far it moved during the run; marked where that was too far."""
    if level is None:
        yield from (Cell(), Cell())
        return
    style = "bad" if level.rejected else ""
    share = "" if math.isnan(level.moved) else f"{100 * level.moved:.0f} %"
    yield Cell(quantities.number(level.gigabytes_per_s), level.gigabytes_per_s, style=style)
    yield Cell(f"{share} rejected".strip() if level.rejected else share, level.moved, style=style)


def _meaning(policy: str, value: str) -> str:
    if policy == "team" and (n := teams.size_of(value)):
        return f"a backend on the CPU may compute with {quantities.plural(n, 'thread')}"
    return _MEANINGS.get((policy, value), "")


_ONE_MEMORY = "what the system's default costs was not measured (`--memory retained released` does)"
_MEANINGS = {
    ("allocation", "fresh"): "every call returns a new output, as in users' code",
    ("allocation", "reuse"): "the output is allocated once, so that the kernel itself is timed",
    ("allocation", "inplace"): "the input is overwritten",
    ("cache", "hot"): "the same inputs every call, left in the cache as far as they fit",
    ("cache", "cold"): "inputs rotate through more memory than the last-level cache holds",
    ("launch", "eager"): "each call launches its kernels one by one, as users' code does",
    ("launch", "graph"): "a call replays its kernels on the device, captured once with inputs and output in place",
    ("memory", "retained"): "the process keeps what is freed, so that a fresh output costs no new pages",
    ("memory", "released"): "what is freed goes back to the system as its allocator decides, the default of most",
    ("saved", "input"): "a backward pass starts from what each backend saves of its inputs",
    ("saved", "output"): "a backward pass starts from the op's output, and has nothing else",
    ("team", "usual"): "a backend on the CPU may compute with as many threads as the run was given, one number",
    ("timing", "latency"): "the device is synchronised after every call",
    ("timing", "throughput"): "calls are queued, and the device is synchronised once at the end of a round",
}
