"""The page's tables: frames turned into texts, numbers and marks, ready to be laid out."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables, troubles
from benchmarks.analysis.limits import FACTS, NEAR
from benchmarks.analysis.policies import combinations, side_by_side
from benchmarks.analysis.summary import ENDINGS, first_line
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES
from benchmarks.report.cells import MAX_ROWS, Cell, Column, Row, Table, doubted, fill, measure, named, text, whole


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
            facets = {"dtype": text(dtype), "device": text(device)}
            found.append(Table(headings, tuple(lines), numeric, f"{text(dtype)} on {text(device)}", facets))
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
    reason = "" if status == "ok" else f"; {ENDINGS.get(status, status.replace('_', ' '))}: {text(row['reason'])}"
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
                Cell(text(reason)),
            )
        )
    headings = ("backend", "op", "dtype", "largest error", "at x =", "why")
    return Table(headings, tuple(lines), (False, False, False, True, True, False))


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
        for row in troubles.problems(rows).to_dict("records")
    ]
    headings = ("what", "of", "backend", "device", "op", "cases", "why")
    return Table(headings, tuple(lines), (False, False, False, False, False, True, False))


def doubts(records: pd.DataFrame) -> Table:
    """Return what makes results doubtful, each reason once."""
    columns = [
        Column("why", lambda row: Cell(row["warning"], style="reason"), numeric=False),
        Column("backend", lambda row: Cell(quantities.listing(row["backends"])), numeric=False),
        Column("device", lambda row: Cell(quantities.listing(row["devices"])), numeric=False),
        Column("op", lambda row: Cell(quantities.listing(row["ops"], 5)), numeric=False),
        Column("results", lambda row: whole(row["n_cases"])),
    ]
    return fill(columns, troubles.doubts(records))


def side(records: pd.DataFrame) -> Table:
    """Return each backend's medians under several policies side by side, up to `MAX_ROWS`.

    It has no rows where there is only one set of policies.
    """
    rows, labels = side_by_side(records), combinations(records)
    names = ("op", "mode", "backend", *tables.telling(rows, ("dtype", "device", "shape")))
    columns = [*map(named, names), Column("elements", lambda row: whole(row["n_elements"]))]
    for i, label in enumerate(labels):
        columns.append(Column(label, partial(_combination, label)))
        if i > 0:
            columns.append(Column(f"× {labels[0]}", partial(_ratio, label)))
    return fill(columns, rows.head(MAX_ROWS), f"Median time per call under {quantities.listing(labels)}")


def limits(shares: pd.DataFrame) -> Table:
    """Return how close each backend comes to the limit, of `limits.closeness`, up to `MAX_ROWS`."""
    told = ("op", "mode", *tables.telling(shares, ("dtype", "device", *POLICIES, "shape")))
    names = [name for name in shares.columns if name not in {*schema.CASE, *FACTS}]
    columns = [
        *map(named, told),
        Column("elements", lambda row: whole(row["n_elements"])),
        Column("limit, GB/s", lambda row: measure(row["limit_gigabytes_per_s"], quantities.number)),
        Column("first", lambda row: doubted(Cell(text(row["first"])), "warned" * row["doubtful"]), numeric=False),
        Column("its share, 95 % interval", _sure_share),
        Column("ahead of the next", _ahead),
        Column("ns an element", lambda row: measure(row["ns_per_element"], quantities.number)),
        *(Column(name, partial(_share, name)) for name in names),
    ]
    return fill(columns, shares.head(MAX_ROWS), "Share of the limit that each backend reaches")


def peers(table: pd.DataFrame) -> Table:
    """Return the fastest backends beside the fastest peers, of `peers.against_peers`, up to `MAX_ROWS`."""
    told = ("op", "mode", *tables.telling(table, ("dtype", "device", *POLICIES, "shape")))
    columns = [
        *map(named, told),
        Column("elements", lambda row: whole(row["n_elements"])),
        Column("fastest", lambda row: Cell(text(row["backend"])), numeric=False),
        Column("its time", lambda row: measure(row["median_s"], quantities.seconds)),
        Column("fastest peer", lambda row: Cell(text(row["peer"])), numeric=False),
        Column("peer's time", lambda row: measure(row["peer_median_s"], quantities.seconds)),
        Column("peer / fastest", lambda row: measure(row["ratio"], quantities.times)),
        Column("inaccurate, not timed", lambda row: Cell(text(row["inaccurate"])), numeric=False),
    ]
    return fill(columns, table.head(MAX_ROWS), "The fastest backend and the fastest other library")


def _ahead(row: Row) -> Cell:
    return Cell("tie", 1.0) if row["tie"] else measure(row["ratio"], quantities.times)


def _sure_share(row: Row) -> Cell:
    return Cell(quantities.percents(row["share_low"], row["share_high"]), float(row["share"]))


def _share(name: str, row: Row) -> Cell:
    share = float(row[name])
    return Cell("") if math.isnan(share) else Cell(quantities.percent(share), share, "good" * (share >= NEAR))


def _combination(label: str, row: Row) -> Cell:
    return doubted(measure(row[f"{label}_s"], quantities.seconds), row[f"{label}_warning"])


def _ratio(label: str, row: Row) -> Cell:
    return measure(row[f"{label}_ratio"], quantities.times)


def results(records: pd.DataFrame, rated: pd.DataFrame) -> Table:
    """Return every case with its result, up to `MAX_ROWS`; what all cases share moves to the label."""
    keys = [*schema.CASE, "backend"]
    by_case = {tuple(row[k] for k in keys): row for row in rated[[*keys, "speedup", "doubt"]].to_dict("records")}
    varied = tables.telling(records, ("device", "dtype", *POLICIES, "shape"))
    shared = [text(records[name].iloc[0]) for name in ("dtype", "device") if name not in varied and len(records)]

    def speedup(row: Row) -> Cell:
        rating = by_case.get(tuple("" if pd.isna(row[k]) else row[k] for k in keys))
        if rating is None or row["status"] != "ok":
            return Cell("")
        return doubted(measure(rating["speedup"], quantities.number), rating["doubt"])

    columns = [
        *map(named, ("op", "mode", "backend", *varied)),
        Column("elements", lambda row: whole(row["n_elements"])),
        Column("median", lambda row: doubted(measure(row["median_s"], quantities.seconds), row["warning"])),
        Column("95 % interval", _interval),
        *([_ON_DEVICE] if records["device_s"].notna().any() else []),
        Column("GB/s", lambda row: measure(row["gigabytes_per_s"], quantities.number)),
        Column("of limit", lambda row: measure(row["fraction_of_bandwidth"], quantities.percent)),
        Column(f"× {tables.BASELINE}", speedup),
        Column("max ULP", lambda row: measure(row["max_ulp"], quantities.number)),
        Column("rounds", lambda row: whole(row["rounds"])),
        Column("status", _status, numeric=False),
        *([named("warning")] if records["warning"].notna().any() else []),
    ]
    return fill(columns, records.head(MAX_ROWS), ", ".join(["Every case", *shared]))


_ON_DEVICE = Column("of it on the device", lambda row: measure(row["device_s"], quantities.seconds))


def _interval(row: Row) -> Cell:
    low, high = float(row["ci95_low_s"]), float(row["ci95_high_s"])
    return Cell(quantities.interval(low, high) if row["status"] == "ok" else "", high - low)


def _status(row: Row) -> Cell:
    if row["status"] == "ok":
        return Cell("ok")
    return Cell(text(row["status"]), style="bad", tip=first_line(text(row["reason"])))
