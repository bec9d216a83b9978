"""How it was measured: policies, sampling, the order of turns, the limits, and what the time went to."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.record.run import Run
from benchmarks.record.schema import POLICIES
from benchmarks.report.cells import Cell, Row, Table, text


def policies(records: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the policies under which the cases were measured, each with its meaning."""
    rows = tables.measured(records)
    found: list[tuple[str, str]] = []
    for name in POLICIES:
        values = [str(value) for value in rows[name].unique() if value]
        found += [(f"{name} = {value}", _MEANINGS.get((name, value), "")) for value in values]
    return found


def sentences(run: Run) -> list[str]:
    """Return what a run says of processes, turns, threads, rounds, why sampling stopped, and its time."""
    rows = tables.measured(run.records)
    return [
        *_processes(rows),
        *_bursts(rows, run.seed),
        *_threads(rows),
        *_rounds(rows),
        *_stop_reasons(rows),
        *_precision(rows),
        *_time(run.time_s),
    ]


def _processes(rows: pd.DataFrame) -> list[str]:
    counts = sorted(rows["processes"].dropna().unique())
    if not counts:
        return []
    if counts == [1]:
        covered = "its interval covers the rounds of that process, not the differences between processes"
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


def limits(bandwidth: pd.DataFrame) -> list[Table]:
    """Return, for each device, how fast bytes are copied and read, a row for each number of them."""
    found = []
    for device, rows in bandwidth.groupby("device", sort=False):
        kinds = ("copy", "read") if (rows["kind"] == "read").any() else ("copy",)
        by_level = {(row["kind"], row["n_bytes"]): row for row in rows.to_dict("records")}
        lines = []
        for n_bytes in sorted(rows["n_bytes"].unique()):
            levels = [by_level.get((kind, n_bytes)) for kind in kinds]
            cells = [cell for level in levels for cell in _level(level)]
            stores = text(levels[0]["stores"]) if levels[0] else ""
            lines.append((Cell(quantities.size(n_bytes), n_bytes), Cell(stores), *cells))
        headings = ("bytes moved", "stores", *(name for kind in kinds for name in (f"{kind}, GB/s", "changed by")))
        numeric = (True, False, *(True,) * 2 * len(kinds))
        found.append(Table(headings, tuple(lines), numeric, str(device), {"device": str(device)}))
    return found


def _level(row: Row | None) -> tuple[Cell, Cell]:
    """Return a bandwidth and how far it moved during the run; marked where that was too far."""
    if row is None:
        return Cell(""), Cell("")
    rejected, moved = bool(row["rejected"]), float(row["moved"])
    share = "" if math.isnan(moved) else f"{100 * moved:.0f} %"
    style = "bad" if rejected else ""
    change = Cell(f"{share} rejected".strip() if rejected else share, moved, style)
    return Cell(quantities.number(row["gigabytes_per_s"]), float(row["gigabytes_per_s"]), style), change


_MEANINGS = {
    ("allocation", "fresh"): "every call returns a new output, as in users' code",
    ("allocation", "reuse"): "the output is allocated once, so that the kernel itself is timed",
    ("allocation", "inplace"): "the input is overwritten",
    ("cache", "hot"): "the same inputs every call, left in the cache as far as they fit",
    ("cache", "cold"): "inputs rotate through more memory than the last-level cache holds",
    ("timing", "latency"): "the device is synchronised after every call",
    ("timing", "throughput"): "calls are queued, and the device is synchronised once at the end of a round",
}
