"""The tables of several runs side by side: case by case, the fastest of each, what differs, what is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import grouped
from benchmarks.analysis.runs import (
    KEYS,
    MEASURED,
    MOST_BESIDE,
    OPEN_KEYS,
    Compared,
    Fastest,
    Labelled,
    gaps,
    started,
)
from benchmarks.record.schema import POLICIES
from benchmarks.report.sections import machine as fingerprint
from benchmarks.report.table import Cell, Column, Table, elements, keys, listings, number, numbers, of_rows, text
from benchmarks.stats.pairs import FASTER

CASES_BY = ("mode", "dtype", "device", *POLICIES, "backend")
"""What a table of cases is chosen by: the rest, op and size, are its rows."""
FASTEST_BY = ("mode", "dtype", *POLICIES)
"""The same where each run answers with the fastest of its backends and devices."""
NO_NEWS = ("started (UTC)", "command", "run", "measured cases")
"""What nearly always differs between two runs."""
_UNKNOWN = "unknown"


def cases(rows: pd.DataFrame, labels: Sequence[str], named: Sequence[str] = ()) -> Table:
    """Return a line per case of `runs.gather`, with each run's median and interval, and its ratio to the first.

    `named` are the keys beside op and size that the lines differ in.
    """
    by_case = grouped(rows, KEYS, Compared).values()
    lines = [{row.run: row for row in line} for line in by_case]
    columns = _case_columns(rows, KEYS, named)
    for label in labels:
        found = [line.get(label) for line in lines]
        columns.append(Column(label, tuple(map(_median, found))))
        columns.append(Column(f"{label}, 95 %", tuple(map(_interval, found))))
        columns += _ratio_columns(label, labels[0], found)
    return Table(tuple(columns))


def fastest(rows: pd.DataFrame, labels: Sequence[str], named: Sequence[str] = ()) -> Table:
    """Return a line per case of `runs.fastest`, with each run's fastest backend and time, and its ratio.

    Backends are named with their device where there are several.
    """
    lines = [{row.run: row for row in line} for line in grouped(rows, OPEN_KEYS, Fastest).values()]
    columns = _case_columns(rows, OPEN_KEYS, named)
    across = len(rows["device"].unique()) > 1
    for label in labels:
        found = [line.get(label) for line in lines]
        columns.append(Column(label, tuple(_winner(row, across_devices=across) for row in found), numeric=False))
        columns.append(Column(f"{label}, its time", tuple(map(_median, found))))
        columns += _ratio_columns(label, labels[0], found)
    agree = tuple(_agree(line.values(), len(labels)) for line in lines)
    return Table((*columns, Column("agree", agree, numeric=False)))


def missing(runs: Sequence[Labelled]) -> Table:
    """Return what is not measured in every run, each combination of reasons once."""
    found = gaps(runs)
    columns = [
        listings("backend", [each.backends for each in found]),
        listings("device", [each.devices for each in found]),
        listings("op", [each.ops for each in found], 5),
        numbers("cases", [each.n_cases for each in found], quantities.count),
    ]
    for run, fates in zip(runs, zip(*(each.fates for each in found), strict=True), strict=False):
        if len(runs) > MOST_BESIDE and set(fates) == {MEASURED}:
            continue
        cells = tuple(Cell(fate, style="good" if fate == MEASURED else "reason") for fate in fates)
        columns.append(Column(run.label, cells, numeric=False))
    return Table(tuple(columns))


def differences(runs: Sequence[Labelled]) -> tuple[Table, Table]:
    """Return what is known of the runs, their machines and versions: what differs, and what is the same.

    A line is a fact, with a column for each run; of more than `MOST_BESIDE` runs, a line is a run.
    """
    places = [_by_place(each.study.rows) for each in runs]
    absent = dict.fromkeys((place for known in places for place in known), "not measured")
    facts = [_facts(each, absent | known) for each, known in zip(runs, places, strict=True)]
    lines: dict[bool, list[tuple[Cell, ...]]] = {True: [], False: []}
    for term in dict.fromkeys(term for known in facts for term in known):
        values = [known.get(term) or _UNKNOWN for known in facts]
        # What one run does not know may yet be the same.
        lines[len(set(values) - {_UNKNOWN}) > 1].append((Cell(term), *map(Cell, values)))
    headings = [each.label for each in runs]
    return _facts_table(headings, lines[True]), _facts_table(headings, lines[False])


def terms(facts: Table) -> list[str]:
    """Return what a table of `differences` is about."""
    return list(facts.headings[1:]) if facts.headings[0] == _RUN else [row[0].text for row in facts.rows]


_WHAT, _RUN = "what", "run"


def _facts_table(labels: Sequence[str], lines: Sequence[tuple[Cell, ...]]) -> Table:
    if len(labels) <= MOST_BESIDE or not lines:
        return of_rows((_WHAT, *labels), lines, (False,) * (1 + len(labels)))
    headings = (_RUN, *(line[0].text for line in lines))
    rows = zip(map(Cell, labels), *(line[1:] for line in lines), strict=True)
    return of_rows(headings, rows, (False,) * len(headings))


def _case_columns(rows: pd.DataFrame, names: Sequence[str], named: Sequence[str]) -> list[Column]:
    first = rows.drop_duplicates(list(names))
    return [*keys(first, ("op", *named, *tables.varying(rows, ("shape",)))), elements(first)]


def _ratio_columns(label: str, first: str, found: Sequence[Compared | None]) -> list[Column]:
    if label == first:
        return []
    return [Column(f"{label} × {first}", tuple(_ratio(row, first) for row in found))]


def _median(row: Compared | None) -> Cell:
    if row is None:
        return Cell(quantities.MISSING)
    return number(row.median_s, quantities.seconds, doubt=row.warning)


def _interval(row: Compared | None) -> Cell:
    if row is None:
        return Cell()
    return Cell(quantities.interval(row.ci95_low_s, row.ci95_high_s), row.ci95_high_s - row.ci95_low_s)


def _ratio(row: Compared | None, first: str) -> Cell:
    if row is None or pd.isna(row.ratio):
        return Cell()
    interval = quantities.bounds(row.ratio_low, row.ratio_high)
    tip = [f"{quantities.number(row.ratio)} times as fast as {first} ({interval})"]
    tip += [f"doubtful: {row.doubt}"] * bool(row.doubt)
    sure = row.verdict == FASTER
    said = f"{'~' * bool(row.doubt)}{quantities.times(row.ratio)}{'' if sure else f', {row.verdict}'}"
    style = "" if not sure else "good" if row.ratio > 1 else "known"
    return Cell(said, row.ratio, style=style, tip="; ".join(tip))


def _winner(row: Fastest | None, *, across_devices: bool) -> Cell:
    if row is None:
        return Cell(quantities.MISSING)
    name = tables.label(row.backend, row.device, across_devices=across_devices)
    n_others = len(row.names) - 1
    tip = f"equal or too close to call within this run: {row.contenders}" if n_others else ""
    return Cell(f"{name}, shared with {quantities.plural(n_others, 'other')}" if n_others else name, tip=tip)


def _agree(results: Collection[Fastest], n_runs: int) -> Cell:
    if len(results) < n_runs:
        return Cell()
    return Cell("yes" if set.intersection(*(set(row.names) for row in results)) else "no")


_FIRST = ("machine_id", "cpu", "architecture", "cores", "logical_cpus", "memory_gib", "gpus", "threads")
"""What tells machines apart, and so comes first of what is known of them."""


def _facts(each: Labelled, places: Mapping[str, str]) -> dict[str, str]:
    """Return what is known of a run by its terms, what matters most first."""
    records, machine = each.run.records, each.run.machine
    packages = machine.get("packages")
    first = {key: machine[key] for key in _FIRST if key in machine}
    rest = {key: value for key, value in machine.items() if key not in first and key != "packages"}
    return {
        **_flat(fingerprint.entries(first)),
        **places,
        **_packages(records, packages if isinstance(packages, Mapping) else {}),
        **{key: _distinct(records[key]) for key in (*POLICIES, "dtype", "processes")},
        "commit": _commit(records),
        **_flat(fingerprint.entries(rest)),
        "started (UTC)": started(each.run),
        "command": each.run.command,
        "run": each.run.run_id,
        "measured cases": quantities.count(len(each.study.rows)),
    }


def _flat(entries: Sequence[fingerprint.Entry], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        term = f"{above}{entry.term}"
        found |= _flat(entry.below, f"{term}, ") if entry.below else {term: entry.value}
    return found


def _by_place(rows: pd.DataFrame) -> dict[str, str]:
    """Return devices by name; versions, threads and settings by backend and device."""
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
    named = set(records["backend"].dropna())  # with its version, in a line of its own
    return {f"package {name}": str(version) for name, version in packages.items() if name not in named}


def _distinct(values: pd.Series) -> str:
    return quantities.listing(sorted({text(value) for value in values} - {""}))


def _commit(records: pd.DataFrame) -> str:
    commits = [str(commit)[:12] for commit in records["git_commit"].dropna().unique()]
    dirty = " with uncommitted changes" if records["git_dirty"].any() else ""
    return f"{quantities.listing(commits)}{dirty}" if commits else ""
