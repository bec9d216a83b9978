"""Tables of results: every case, what is missing or doubtful, and backends beside limits, peers and policies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.dtypes import BEST
from benchmarks.analysis.entries import Key, Timed, entries
from benchmarks.analysis.limits import LARGE, NEAR, shared_by
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import ending, first_line
from benchmarks.analysis.tables import CaseLead
from benchmarks.analysis.verdicts import Standing
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES
from benchmarks.report.sections import method, spread
from benchmarks.report.table import (
    Cell,
    Column,
    Table,
    cases,
    explained,
    listings,
    numbers,
    of_rows,
    ratios,
    text,
    texts,
)
from benchmarks.stats.pairs import FASTER

_LIMITS_KEY = (
    "100 % is the bandwidth that copies of as many bytes reach in this run, or reading alone if the op writes "
    "next to nothing. An op that computes much stays below. In the caches more than 100 % can be real: there the "
    "copy's own loop takes time too."
)
_PEERS_KEY = (
    "The first of the backends beside the first of the other libraries whose result passed the cross-check; above "
    "1 the backend took less time. Inaccurate results were not timed."
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
            columns.append(ratios(f"× {labels[0]}", rows, f"{label}_ratio", f"{label}_verdict"))
    title = f"Median time per call under {quantities.listing(labels)}"
    title += f", and how many times as fast as under {labels[0]}" if labels else ""
    return explained(Table(tuple(columns), title))


def types(study: Study) -> Table:
    """Return what another type gains and costs, case by case; no rows where there is one type alone."""
    found = study.type_gains
    columns = (
        *cases(found, perhaps=("device", *POLICIES, "shape"), last=["other_dtype"]),
        texts("backend", _chosen(found, "usual", "other")),
        numbers("usual type", found["usual_s"], quantities.seconds, doubts=found["usual_warning"]),
        numbers("its time", found["other_s"], quantities.seconds, doubts=found["other_warning"]),
        ratios("times as fast", found, "ratio", "verdict"),
        numbers("usual error", found["usual_error"]),
        numbers("its error", found["other_error"]),
    )
    usual = quantities.listing(list(found["usual_dtype"].unique()))
    title = f"What another type than {usual} gains and costs; errors are shares of the exact result"
    return explained(Table(columns, title))


def fusions(study: Study) -> Table:
    """Return fused ops beside their parts; no rows where no op was measured with its parts."""
    found = study.fusions
    columns = (
        *cases(found),
        texts("parts", found["parts"]),
        texts("backend", _chosen(found, "fused", "apart")),
        numbers("fused", found["fused_s"], quantities.seconds, doubts=found["fused_warning"]),
        numbers("parts", found["parts_s"], quantities.seconds, doubts=found["parts_warning"]),
        ratios("times as fast", found, "ratio", "verdict"),
    )
    return explained(Table(columns, "Ops that do at once what others do one after the other"))


def _chosen(found: pd.DataFrame, first: str, then: str) -> Iterator[str]:
    """Yield the backend of each row, or which are recommended: one, or two with a comma."""
    for name, one, other in zip(found["backend"], found[first], found[then], strict=True):
        both = one if one == other else f"{one}, {other}"
        yield f"{name}: {both}" if name == BEST else name


def limits(study: Study) -> Table:
    """Return how close each backend comes to the limit."""
    shares = study.shares
    firsts = zip(shares["first"], shares["time_doubtful"], strict=True)
    sure = zip(shares["share_low"], shares["share_high"], shares["share"], strict=True)
    columns = (
        *cases(shares),
        numbers("limit", shares["limit_gigabytes_per_s"], unit="GB/s"),
        Column("first", tuple(Cell(name, doubt="warned" * bool(doubt)) for name, doubt in firsts), numeric=False),
        numbers("its time", 1e-9 * shares["ns_per_element"] * shares["n_elements"], quantities.seconds),
        Column(
            "its share",
            tuple(Cell(quantities.percents(*ends), share) for *ends, share in sure),
            unit="95 % interval",
        ),
        ratios("lead over runner-up", shares, "ratio", "outcome"),
        *(Column(name, tuple(map(_share, shares[name]))) for name in shared_by(shares)),
    )
    notes = (_LIMITS_KEY, *study.share_sentences, *_mean_shares(study))
    return explained(Table(columns, "How close to the limit", notes))


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
    doubts = ["a result has a warning" * bool(doubtful) for doubtful in found["doubtful"]]
    columns = (
        *cases(found),
        texts("first", found["backend"]),
        numbers("its time", found["median_s"], quantities.seconds),
        texts("first peer", found["peer"]),
        numbers("peer's time", found["peer_median_s"], quantities.seconds),
        ratios("peer / first", found, "ratio", "verdict", doubts),
        texts("95 % interval", ["" if pd.isna(low) else quantities.bounds(low, high) for low, high in ends]),
        texts("inaccurate, not timed", found["inaccurate"]),
    )
    mean = study.lead_over_peers
    said = () if math.isnan(mean) else (f"Geometric mean of peer / first: {quantities.times(mean)}.",)
    return explained(Table(columns, "Against other libraries", (_PEERS_KEY, *said)))


def results(study: Study) -> Table:
    """Return every case with its result; what all cases share moves to the title."""
    records = study.run.records
    ok = (records["status"] == "ok").fillna(value=False)
    varied = tables.varying(records, ("device", "dtype", *POLICIES, "shape"))
    shared = [text(records[name].iloc[0]) for name in ("dtype", "device") if name not in varied and len(records)]
    key = [*schema.CASE, "backend"]
    rated = tables.keyed(records)[key].merge(study.rated[[*key, "speedup", "doubt"]], on=key, how="left")
    bounds = zip(ok, records["ci95_low_s"], records["ci95_high_s"], strict=True)
    intervals = [f"95 % interval {quantities.interval(*ends)}" if good else "" for good, *ends in bounds]
    tips = [
        said + f"; not checked: {lacking}" * bool(said and lacking)
        for said, lacking in zip(intervals, method.unchecked(records), strict=True)
    ]
    columns = (
        *cases(records, first=("op", "mode", "backend"), perhaps=varied),
        numbers("median", records["median_s"], quantities.seconds, doubts=records["warning"], tips=tips),
        Column("turns", tuple(spread.cells(records, study.run.bursts))),
        Column("verdict", tuple(_verdicts(study)), numeric=False),
        *([_on_device(records)] if records["device_s"].notna().any() else []),
        numbers("GB/s", records["gigabytes_per_s"]),
        numbers("of limit", records["fraction_of_bandwidth"], quantities.percent),
        numbers(f"× {tables.BASELINE}", rated["speedup"].where(ok.to_numpy()), doubts=rated["doubt"]),
        numbers("max ULP", records["max_ulp"]),
    )
    return Table(columns, ", ".join(["Every case", *shared]))


@dataclass(frozen=True)
class _End:
    case: Annotated[Key, schema.CASE]
    backend: str
    status: str
    reason: str


def _verdicts(study: Study) -> Iterator[Cell]:
    """Yield how each record stands to the leader of its case, or how it ended."""
    leads = {lead.case: lead for lead in entries(study.winners, CaseLead)}
    timed = {(row.case, row.backend): row for row in entries(study.rows, Timed)}
    for end in entries(tables.keyed(study.run.records), _End):
        lead = leads.get(end.case)
        if end.status != "ok":
            yield Cell(ending(end.status), style="bad", tip=first_line(end.reason))
        elif lead is None or not lead.runner_up or (end.case, end.backend) not in timed:
            yield Cell()
        elif end.backend == lead.fastest:
            yield Cell("fastest" if lead.sole else "first", style="good" * lead.sole)
        else:
            yield _behind(study.verdicts.over(timed[end.case, end.backend], timed[end.case, lead.fastest]), lead)


def _behind(found: Standing, lead: CaseLead) -> Cell:
    """Return how a result that does not lead stands to the leader."""
    bounds = quantities.bounds(found.low, found.high)
    tip = f"{quantities.number(found.ratio)} times as long as {lead.fastest} ({bounds})"
    said = f"{quantities.times(found.ratio)} as long" if found.verdict == FASTER else found.verdict
    return Cell(said, tip=tip)


def _on_device(records: pd.DataFrame) -> Column:
    return numbers("on-device part", records["device_s"], quantities.seconds)
