"""The tables of several runs side by side: case by case, the fastest of each, what differs, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.runs import KEYS, MEASURED, OPEN_KEYS, Labelled, gaps, started
from benchmarks.record.schema import POLICIES
from benchmarks.report.cells import Cell, Column, Row, Table, doubted, fill, measure, named, text, whole
from benchmarks.report.sections import machine as fingerprint

CASES_BY = ("mode", "dtype", "device", *POLICIES, "backend")
"""What a table of cases is chosen by: the rest, op and size, are its rows."""
FASTEST_BY = ("mode", "dtype", *POLICIES)
"""The same where each run answers with the fastest of its backends and devices."""
NO_NEWS = ("started (UTC)", "command", "run", "measured cases")
"""What nearly always differs between two runs."""
_UNKNOWN = "unknown"
_OVERLAP = "the 95 % intervals overlap: no claim"


def cases(rows: pd.DataFrame, labels: Sequence[str], told: Sequence[str] = ()) -> Table:
    """Return a line per case of `runs.gather`, with each run's median and interval, and its ratio to the first.

    `told` are the keys beside op and size that the lines differ in.
    """
    columns = _case_columns(rows, told)
    for label in labels:
        columns.append(Column(label, partial(_median, label)))
        columns.append(Column(f"{label}, 95 %", partial(_interval, label)))
        columns += _ratio_columns(label, labels[0])
    return fill(columns, _lines(rows, KEYS))


def fastest(rows: pd.DataFrame, labels: Sequence[str], told: Sequence[str] = ()) -> Table:
    """Return a line per case of `runs.fastest`, with each run's fastest backend and time, and its ratio.

    Backends are told with their device where there are several.
    """
    columns = _case_columns(rows, told)
    across = len(rows["device"].unique()) > 1
    for label in labels:
        columns.append(Column(label, partial(_winner, label, across), numeric=False))
        columns.append(Column(f"{label}, its time", partial(_median, label)))
        columns += _ratio_columns(label, labels[0])
    columns.append(Column("agree", partial(_agree, labels), numeric=False))
    return fill(columns, _lines(rows, OPEN_KEYS))


def missing(runs: Sequence[Labelled]) -> Table:
    """Return what is not measured in every run, each combination of reasons once."""
    columns = [
        Column("backend", lambda row: Cell(quantities.listing(row["backends"])), numeric=False),
        Column("device", lambda row: Cell(quantities.listing(row["devices"])), numeric=False),
        Column("op", lambda row: Cell(quantities.listing(row["ops"], 5)), numeric=False),
        Column("cases", lambda row: whole(row["n_cases"])),
        *(Column(each.label, partial(_fate, i), numeric=False) for i, each in enumerate(runs)),
    ]
    return fill(columns, gaps(runs))


def differences(runs: Sequence[Labelled]) -> tuple[Table, Table]:
    """Return what is known of the runs, their machines and versions: what differs, and what is the same."""
    places = [_by_place(each.run.records) for each in runs]
    absent = dict.fromkeys((place for known in places for place in known), "not measured")
    facts = [_facts(each, absent | known) for each, known in zip(runs, places, strict=True)]
    lines: dict[bool, list[tuple[Cell, ...]]] = {True: [], False: []}
    for term in dict.fromkeys(term for known in facts for term in known):
        values = [known.get(term) or _UNKNOWN for known in facts]
        # What one run does not know may yet be the same.
        lines[len(set(values) - {_UNKNOWN}) > 1].append((Cell(term), *map(Cell, values)))
    headings = ("what", *(each.label for each in runs))
    numeric = (False,) * len(headings)
    return Table(headings, tuple(lines[True]), numeric), Table(headings, tuple(lines[False]), numeric)


def _case_columns(rows: pd.DataFrame, told: Sequence[str]) -> list[Column]:
    names = ("op", *told, *tables.telling(rows, ("shape",)))
    return [*map(named, names), Column("elements", lambda row: whole(row["n_elements"]))]


def _ratio_columns(label: str, first: str) -> list[Column]:
    return [] if label == first else [Column(f"{label} × {first}", partial(_ratio, label, first))]


def _lines(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return a row per case with its keys, and `results`: each run's row by its label."""
    found: dict[tuple[object, ...], dict[str, Row]] = {}
    for row in rows.to_dict("records"):
        found.setdefault(tuple(row[key] for key in keys), {})[row["run"]] = row
    lines = [dict(zip(keys, case, strict=True)) | {"results": results} for case, results in found.items()]
    return pd.DataFrame(lines, columns=[*keys, "results"])


def _median(label: str, line: Row) -> Cell:
    row = line["results"].get(label)
    if row is None:
        return Cell(quantities.MISSING)
    return doubted(measure(row["median_s"], quantities.seconds), row["warning"])


def _interval(label: str, line: Row) -> Cell:
    row = line["results"].get(label)
    if row is None:
        return Cell("")
    low, high = float(row["ci95_low_s"]), float(row["ci95_high_s"])
    return Cell(quantities.interval(low, high), high - low)


def _ratio(label: str, first: str, line: Row) -> Cell:
    row = line["results"].get(label)
    if row is None or pd.isna(row["ratio"]):
        return Cell("")
    ratio, overlap = float(row["ratio"]), bool(row["overlap"])
    interval = quantities.bounds(row["ratio_low"], row["ratio_high"])
    tip = [f"{quantities.number(ratio)} times as fast as {first} ({interval})"]
    tip += [_OVERLAP] * overlap + [f"doubtful: {row['doubt']}"] * bool(row["doubt"])
    said = f"{'≈ ' * overlap}{'~' * bool(row['doubt'])}{quantities.times(ratio)}"
    return Cell(said, ratio, "" if overlap else "good" if ratio > 1 else "known", "; ".join(tip))


def _winner(label: str, across: bool, line: Row) -> Cell:  # noqa: FBT001 - bound by `partial`, in this file alone
    row = line["results"].get(label)
    if row is None:
        return Cell(quantities.MISSING)
    who = tables.label(row["backend"], row["device"], across_devices=across)
    n_others = row["contenders"].count(", ")
    tip = f"tie within this run: {row['contenders']}" if n_others else ""
    return Cell(f"{who} ≈ {quantities.plural(n_others, 'other')}" if n_others else who, tip=tip)


def _agree(labels: Sequence[str], line: Row) -> Cell:
    results = line["results"]
    if len(results) < len(labels):
        return Cell("")
    level = [set(row["contenders"].split(", ")) for row in results.values()]
    return Cell("yes" if set.intersection(*level) else "no")


def _fate(place: int, row: Row) -> Cell:
    fate = row["fates"][place]
    return Cell(fate, style="good" if fate == MEASURED else "reason")


_FIRST = ("machine_id", "cpu", "architecture", "cores", "logical_cpus", "memory_gib", "gpus", "threads")
"""What tells machines apart, and so comes first of what is known of them."""


def _facts(each: Labelled, places: Mapping[str, str]) -> dict[str, str]:
    """Return what is known of a run by its terms, what matters most first."""
    records, machine = each.run.records, each.run.machine
    first = {key: machine[key] for key in _FIRST if key in machine}
    rest = {key: value for key, value in machine.items() if key not in first and key != "packages"}
    return {
        **_flat(fingerprint.entries(first)),
        **places,
        **_packages(records, machine.get("packages") or {}),
        **{key: _distinct(records[key]) for key in (*POLICIES, "dtype", "processes")},
        "commit": _commit(records),
        **_flat(fingerprint.entries(rest)),
        "started (UTC)": started(each.run),
        "command": each.run.command,
        "run": each.run.run_id,
        "measured cases": quantities.count(len(tables.measured(records))),
    }


def _flat(entries: Sequence[fingerprint.Entry], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        term = f"{above}{entry.term}"
        found |= _flat(entry.below, f"{term}, ") if entry.below else {term: entry.value}
    return found


def _by_place(records: pd.DataFrame) -> dict[str, str]:
    """Return devices by name; versions, threads and settings by backend and device."""
    rows = tables.measured(records)
    found = {
        f"device {device}": _distinct(group["device_name"]) or "of unknown model"
        for device, group in rows.groupby("device", sort=False)
    }
    for (backend, device), group in rows.groupby(["backend", "device"], sort=False):
        found[f"{backend} on {device}"] = "; ".join(
            f"{name}{_distinct(group[column])}"
            for column, name in (("backend_version", ""), ("threads", "threads "), ("settings", ""))
            if _distinct(group[column])
        )
    return found


def _packages(records: pd.DataFrame, packages: Mapping[str, object]) -> dict[str, str]:
    told = set(records["backend"].dropna())  # with its version, in a line of its own
    return {f"package {name}": str(version) for name, version in packages.items() if name not in told}


def _distinct(values: pd.Series) -> str:
    return quantities.listing(sorted({text(value) for value in values} - {""}))


def _commit(records: pd.DataFrame) -> str:
    commits = [str(commit)[:12] for commit in records["git_commit"].dropna().unique()]
    dirty = " with uncommitted changes" if records["git_dirty"].any() else ""
    return f"{quantities.listing(commits)}{dirty}" if commits else ""
