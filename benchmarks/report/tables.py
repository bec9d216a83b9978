"""The page's tables: frames turned into texts, numbers and marks, ready to be laid out."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.analysis import quantities, tables
from benchmarks.analysis.summary import ENDINGS, POLICIES, first_line

MAX_ROWS = 1000
"""Rows of the full table in the page; its CSV always holds all."""

Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Cell:
    """One text, the number that it sorts by, and a class that styles it."""

    text: str
    sort: float | None = None
    style: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Table:
    """Headings and rows of cells; `numeric` says which columns hold numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[bool, ...] = ()
    label: str = ""


def accuracy(rows: pd.DataFrame) -> list[Table]:
    """Return a table per dtype and device: op and mode down, backends across, largest errors in ULP."""
    found = []
    for (dtype, device), group in rows.groupby(["dtype", "device"], sort=False, dropna=False):
        judged = group[group["status"] != "unavailable"]
        backends = tables.backend_order(judged)
        lines = []
        for (op, mode), case in judged.groupby(["op", "mode"], sort=False):
            by_backend = {row["backend"]: row for row in case.to_dict("records")}
            cells = [_accuracy_cell(by_backend[b]) if b in by_backend else Cell("") for b in backends]
            budget = case["budget_ulp"].max()
            lines.append((Cell(str(op)), Cell(str(mode)), Cell(quantities.number(budget), budget), *cells))
        if lines:
            numeric = (False, False, *(True for _ in range(len(backends) + 1)))
            headings = ("op", "mode", "budget", *backends)
            found.append(Table(headings, tuple(lines), numeric, f"{_text(dtype)} on {_text(device)}"))
    return found


def _accuracy_cell(row: Row) -> Cell:
    error = float(row["max_ulp"])
    status = str(row["status"])
    mark, style = {"ok": ("✓", "good"), "known_deviation": ("!", "known")}.get(status, ("✕", "bad"))
    number = "" if math.isnan(error) and style == "bad" else quantities.number(error)
    if style == "known":
        number, mark = quantities.number(row["max_ulp_elsewhere"]), f"! {number}"
    points: str = "" if pd.isna(row["n_points"]) else f"{quantities.plural(int(row['n_points']), 'point')}, "
    tip = (
        f"{row['backend']} {row['op']} {row['mode']}: {points}mean {quantities.number(row['mean_ulp'])} ULP, "
        f"worst at x = {quantities.number(row['worst_input'])}"
    )
    reason = "" if status == "ok" else f"; {ENDINGS.get(status, status.replace('_', ' '))}: {_text(row['reason'])}"
    return Cell(f"{number} {mark}".strip(), error, style, tip + reason)


def known_deviations(rows: pd.DataFrame) -> Table:
    """Return the known deviations, one line per reason."""
    known = rows[rows["status"] == "known_deviation"]
    lines = []
    for reason, group in known.groupby("reason", sort=False, dropna=False):
        worst = group.sort_values("max_ulp", na_position="first").iloc[-1]
        where = sorted({f"{row['op']} {row['mode']}" for row in group.to_dict("records")})
        dtypes = ", ".join(group["dtype"].dropna().unique())
        lines.append(
            (
                Cell(quantities.listing(tables.backend_order(group))),
                Cell(quantities.listing(where, 8)),
                Cell(dtypes),
                Cell(f"{quantities.number(worst['max_ulp'])} ULP", float(worst["max_ulp"])),
                Cell(quantities.number(worst["worst_input"])),
                Cell(_text(reason)),
            )
        )
    headings = ("backend", "op", "dtype", "largest error", "at x =", "why")
    return Table(headings, tuple(lines), (False, False, False, True, True, False))


def first_calls(records: pd.DataFrame) -> Table:
    """Return how long first calls took, compilation included."""
    lines = [
        (
            Cell(row["backend"]),
            Cell(row["device"]),
            Cell(quantities.count(row["n_cases"]), row["n_cases"]),
            Cell(quantities.seconds(row["median_first_call_s"]), row["median_first_call_s"]),
            Cell(quantities.seconds(row["max_first_call_s"]), row["max_first_call_s"]),
            Cell(row["slowest"]),
        )
        for row in tables.first_calls(records).to_dict("records")
    ]
    headings = ("backend", "device", "cases", "median first call", "slowest first call", "which was")
    return Table(headings, tuple(lines), (False, False, True, True, True, False))


def problems(records: pd.DataFrame, checks: pd.DataFrame) -> Table:
    """Return what failed or was unavailable, each reason once, of timing and of accuracy."""
    lines = [
        (
            Cell(
                ENDINGS.get(row["status"], row["status"]),
                style="bad" if row["status"] != "unavailable" else "",
            ),
            Cell(what),
            Cell(quantities.listing(row["backends"])),
            Cell(quantities.listing(row["devices"])),
            Cell(quantities.listing(row["ops"], 5)),
            Cell(quantities.count(row["n_cases"]), row["n_cases"]),
            Cell(row["reason"].strip() or "no reason given", style="reason"),
        )
        for what, rows in (("timing", records), ("accuracy", checks))
        for row in tables.problems(rows).to_dict("records")
    ]
    headings = ("what", "of", "backend", "device", "op", "cases", "why")
    return Table(headings, tuple(lines), (False, False, False, False, False, True, False))


def results(records: pd.DataFrame, rated: pd.DataFrame) -> Table:
    """Return every case with its result, up to `MAX_ROWS`; what all cases share moves to the label."""
    keys = [*tables.CASE, "backend"]
    ratios = {tuple(row[k] for k in keys): row["speedup"] for row in rated[[*keys, "speedup"]].to_dict("records")}
    varied = [name for name in ("device", "dtype", *POLICIES) if len(records[name].unique()) > 1]
    if (records["shape"] != records["n_elements"].astype("string")).any():
        varied.append("shape")
    shared = [_text(records[name].iloc[0]) for name in ("dtype", "device") if name not in varied and len(records)]
    names = ("op", "mode", "backend", *varied)
    lines = []
    for row in records.head(MAX_ROWS).to_dict("records"):
        case = tuple(("" if pd.isna(row[k]) else row[k]) for k in keys)
        texts = tuple(Cell(_text(row[name])) for name in names)
        lines.append((*texts, *_result(row, float(ratios.get(case, math.nan)))))
    headings = (
        *names, "elements", "median", "95 % interval", "GB/s", "of copy", f"× {tables.BASELINE}", "max ULP",
        "rounds", "status",
    )  # fmt: skip
    numeric = (*(False,) * len(names), *(True,) * 8, False)
    return Table(headings, tuple(lines), numeric, ", ".join(["Every case", *shared]))


def _result(row: Row, speedup: float) -> tuple[Cell, ...]:
    share, ok = float(row["fraction_of_copy_bandwidth"]), row["status"] == "ok"
    low, high = float(row["ci95_low_s"]), float(row["ci95_high_s"])
    return (
        _whole(row["n_elements"]),
        _measure(row["median_s"], quantities.seconds),
        Cell(quantities.interval(low, high) if ok else "", high - low),
        _measure(row["gigabytes_per_s"], quantities.number),
        Cell("" if math.isnan(share) else f"{100 * share:.0f} %", share),
        _measure(speedup if ok else math.nan, quantities.number),
        _measure(row["max_ulp"], quantities.number),
        _whole(row["rounds"]),
        Cell(_text(row["status"]), style="" if ok else "bad", tip="" if ok else first_line(_text(row["reason"]))),
    )


def _measure(value: float, form: Any) -> Cell:
    return Cell("" if math.isnan(value) else form(value), float(value))


def _whole(value: Any) -> Cell:
    return Cell("") if pd.isna(value) else Cell(quantities.count(int(value)), float(value))


def _text(value: object) -> str:
    return "" if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]


def policies(records: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the policies under which the cases were measured, each with its meaning."""
    rows = tables.measured(records)
    found: list[tuple[str, str]] = []
    for name in POLICIES:
        values = [str(value) for value in rows[name].unique() if value]
        found += [(f"{name} = {value}", _POLICIES.get((name, value), "")) for value in values]
    return found


def sampling(records: pd.DataFrame) -> list[str]:
    """Return what the records say of threads, rounds, and why sampling stopped."""
    rows = tables.measured(records)
    sentences = []
    threads = rows.dropna(subset=["threads"]).groupby("threads")["backend"].unique()
    if len(threads):
        each = [f"{n} for {quantities.listing(sorted(map(str, names)), 12)}" for n, names in threads.items()]
        sentences.append(f"Threads in effect: {'; '.join(each)}.")
    rounds = rows["rounds"].dropna()
    if len(rounds):
        low, middle, high = int(rounds.min()), int(rounds.median()), int(rounds.max())
        sentences.append(f"Rounds per case: {low} to {high}, with a median of {middle}.")
    reasons = rows["stop_reason"].dropna().value_counts()
    if len(reasons):
        each = [f"{reason} in {n}" for reason, n in reasons.items()]
        sentences.append(f"Sampling stopped because of: {quantities.listing(each)} of {len(rows)} cases.")
    half = ((rows["ci95_high_s"] - rows["ci95_low_s"]) / 2 / rows["median_s"]).dropna()
    if len(half):
        worst = "unbounded" if math.isinf(half.max()) else f"±{quantities.number(100 * half.max())} %"
        sentences.append(
            f"The 95 % intervals reach ±{quantities.number(100 * half.median())} % around the median in a typical "
            f"case, {worst} in the worst."
        )
    return sentences


_POLICIES = {
    ("allocation", "fresh"): "every call returns a new output, as in users' code",
    ("allocation", "reuse"): "the output is allocated once, so that the kernel itself is timed",
    ("allocation", "inplace"): "the input is overwritten",
    ("cache", "hot"): "the same inputs every call, left in the cache as far as they fit",
    ("cache", "cold"): "inputs rotate through more memory than the last-level cache holds",
    ("timing", "latency"): "the device is synchronised after every call",
    ("timing", "throughput"): "calls are queued, and the device is synchronised once at the end of a round",
}
