"""Tables of results: every case, what is missing or doubtful, and backends beside limits, peers and policies."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.limits import LARGE, NEAR, shared_by
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import ending, first_line
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES
from benchmarks.report.table import (
    Cell,
    Column,
    Table,
    cases,
    explained,
    listings,
    numbers,
    of_rows,
    text,
    texts,
)

_LIMITS_KEY = (
    "Shares of the bandwidth that copies of as many bytes reach in this run, or reading alone for what writes "
    "next to nothing. An op that computes much stays below. In the caches more than 100 % can be real: what a "
    "copy measures there is its own loop, too."
)
_PEERS_KEY = (
    "The fastest backend, and the fastest of the other libraries whose result passed the cross-check; above 1 the "
    "backend is faster. What is inaccurate was not timed."
)


def problems(study: Study) -> Table:
    """Return what failed or was unavailable, each reason once, of timing and of accuracy."""
    lines = [
        (
            Cell(ending(each.status), style="bad" if each.status != "unavailable" else ""),
            Cell(what),
            Cell(quantities.listing(each.backends)),
            Cell(quantities.listing(each.devices)),
            Cell(quantities.listing(each.ops, 5)),
            Cell(quantities.count(each.n_cases), each.n_cases),
            Cell(each.reason.strip() or "no reason given", style="reason"),
        )
        for what, troubles in (("timing", study.problems), ("accuracy", study.failed_checks))
        for each in troubles
    ]
    headings = ("what", "of", "backend", "device", "op", "cases", "why")
    numeric = (False, False, False, False, False, True, False)
    return of_rows(headings, lines, numeric, "Cases without a result, each reason once")


def doubts(study: Study) -> Table:
    """Return what makes results doubtful, each reason once."""
    found = study.doubts
    columns = (
        texts("why", [each.reason for each in found], "reason"),
        listings("backend", [each.backends for each in found]),
        listings("device", [each.devices for each in found]),
        listings("op", [each.ops for each in found], 5),
        numbers("results", [each.n_cases for each in found], quantities.count),
    )
    return Table(columns, "What makes results doubtful, each reason once, with typical numbers")


def policies(study: Study) -> Table:
    """Return each backend's medians under several policies side by side.

    It has no rows where there is only one set of policies.
    """
    rows, labels = study.side_by_side, study.combinations
    columns = cases(rows, first=("op", "mode", "backend"), perhaps=("dtype", "device", "shape"))
    for label in labels:
        columns.append(numbers(label, rows[f"{label}_s"], quantities.seconds, doubts=rows[f"{label}_warning"]))
        if label != labels[0]:
            columns.append(numbers(f"× {labels[0]}", rows[f"{label}_ratio"], quantities.times))
    title = f"Median time per call under {quantities.listing(labels)}"
    title += f", and how many times as fast as under {labels[0]}" if labels else ""
    return explained(Table(tuple(columns), title))


def limits(study: Study) -> Table:
    """Return how close each backend comes to the limit."""
    shares = study.shares
    firsts = zip(shares["first"], shares["doubtful"], strict=True)
    sure = zip(shares["share_low"], shares["share_high"], shares["share"], strict=True)
    leads = zip(shares["tie"], shares["ratio"], strict=True)
    columns = (
        *cases(shares),
        numbers("limit", shares["limit_gigabytes_per_s"], unit="GB/s"),
        Column("first", tuple(Cell(name, doubt="warned" * bool(doubt)) for name, doubt in firsts), numeric=False),
        Column(
            "its share",
            tuple(Cell(quantities.percents(*ends), share) for *ends, share in sure),
            unit="95 % interval",
        ),
        Column("lead over runner-up", tuple(_lead(bool(tie), ratio) for tie, ratio in leads)),
        numbers("ns per element", shares["ns_per_element"]),
        *(Column(name, tuple(map(_share, shares[name]))) for name in shared_by(shares)),
    )
    notes = (_LIMITS_KEY, *study.share_sentences, *_mean_shares(study))
    return explained(Table(columns, "How close to the limit", notes))


def _lead(tie: bool, ratio: float) -> Cell:  # noqa: FBT001 - a cell's two facts, in this file alone
    return Cell("tie", 1.0) if tie else Cell("" if math.isnan(ratio) else quantities.times(ratio), ratio)


def _share(share: float) -> Cell:
    return Cell() if pd.isna(share) else Cell(quantities.percent(share), share, style="good" * (share >= NEAR))


def _mean_shares(study: Study) -> Iterator[str]:
    for case, group in study.mean_shares.groupby(["dtype", "device", *POLICIES], sort=False):
        each = [
            f"{name} {quantities.percent(share)}"
            for name, share in zip(group["backend"], group["share"], strict=True)
        ]
        n_cases = quantities.plural(int(group["n_cases"].iloc[0]), "case")
        where = " ".join(str(value) for value in case if value)
        yield f"Geometric mean over {n_cases} of {LARGE:,} elements or more ({where}): {', '.join(each)}."


def peers(study: Study) -> Table:
    """Return the fastest backends beside the fastest peers."""
    found = study.beside_peers
    ends = zip(found["ratio_low"], found["ratio_high"], strict=True)
    columns = (
        *cases(found),
        texts("fastest", found["backend"]),
        numbers("its time", found["median_s"], quantities.seconds),
        texts("fastest peer", found["peer"]),
        numbers("peer's time", found["peer_median_s"], quantities.seconds),
        numbers("peer / fastest", found["ratio"], quantities.times),
        texts("95 % interval", ["" if pd.isna(low) else quantities.bounds(low, high) for low, high in ends]),
        texts("inaccurate, not timed", found["inaccurate"]),
    )
    mean = study.lead_over_peers
    said = () if math.isnan(mean) else (f"Geometric mean of peer / fastest: {quantities.times(mean)}.",)
    return explained(Table(columns, "Against other libraries", (_PEERS_KEY, *said)))


def results(study: Study) -> Table:
    """Return every case with its result; what all cases share moves to the title."""
    records = study.run.records
    ok = (records["status"] == "ok").fillna(value=False)
    varied = tables.varying(records, ("device", "dtype", *POLICIES, "shape"))
    shared = [text(records[name].iloc[0]) for name in ("dtype", "device") if name not in varied and len(records)]
    key = [*schema.CASE, "backend"]
    rated = tables.keyed(records)[key].merge(study.rated[[*key, "speedup", "doubt"]], on=key, how="left")
    spread = zip(ok, records["ci95_low_s"], records["ci95_high_s"], strict=True)
    ends = zip(records["status"], records["reason"], strict=True)
    columns = (
        *cases(records, first=("op", "mode", "backend"), perhaps=varied),
        numbers("median", records["median_s"], quantities.seconds, doubts=records["warning"]),
        Column(
            "95 % interval",
            tuple(Cell(quantities.interval(*e) if good else "", e[1] - e[0]) for good, *e in spread),
        ),
        *([_on_device(records)] if records["device_s"].notna().any() else []),
        numbers("GB/s", records["gigabytes_per_s"]),
        numbers("of limit", records["fraction_of_bandwidth"], quantities.percent),
        numbers(f"× {tables.BASELINE}", rated["speedup"].where(ok.to_numpy()), doubts=rated["doubt"]),
        numbers("max ULP", records["max_ulp"]),
        numbers("rounds", records["rounds"], quantities.count),
        Column("status", tuple(_status(*end) for end in ends), numeric=False),
        *([texts("warning", records["warning"])] if records["warning"].notna().any() else []),
    )
    return Table(columns, ", ".join(["Every case", *shared]))


def _on_device(records: pd.DataFrame) -> Column:
    return numbers("on-device part", records["device_s"], quantities.seconds)


def _status(status: object, reason: object) -> Cell:
    return Cell("ok") if text(status) == "ok" else Cell(text(status), style="bad", tip=first_line(text(reason)))
