"""The tables of several runs side by side: case by case, the fastest of each, what differs, what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, entries, parted
from benchmarks.analysis.runs import (
    KEYS,
    MEASURED,
    MOST_BESIDE,
    Compared,
    Fastest,
    Labelled,
    gaps,
    measured,
    started,
)
from benchmarks.record.schema import POLICIES
from benchmarks.report.sections import machine as fingerprint
from benchmarks.report.table import Cell, Column, Table, listings, number, numbers, of_rows, text, texts
from benchmarks.stats.pairs import FASTER

CASES_BY = ("mode", "dtype", "device", *POLICIES, "backend")
"""What a table of cases is chosen by: the rest, op and size, are its rows."""
FASTEST_BY = ("mode", "dtype", *POLICIES)
"""The same where each run answers with the fastest of its backends and devices."""
_N_CASES = "measured cases"
NO_NEWS = ("started (UTC)", "command", "run", _N_CASES)
"""What nearly always differs between two runs."""
_UNKNOWN = "unknown"


def cases(rows: Sequence[Compared], labels: Sequence[str], named: Sequence[str] = ()) -> Table:
    """Return a line per case of `runs.gather`, with each run's median and interval, and its ratio to the first.

    `named` are the keys beside op and size that the lines differ in.
    """
    lines = [{row.run: row for row in line} for line in parted(rows, _key).values()]
    columns = _case_columns(lines, named)
    for label in labels:
        found = [line.get(label) for line in lines]
        columns.append(Column(label, tuple(map(_median, found))))
        columns.append(Column(f"{label}, 95 %", tuple(map(_interval, found))))
        columns += _ratio_columns(label, labels[0], found)
    return Table(tuple(columns))


def fastest(rows: Sequence[Fastest], labels: Sequence[str], named: Sequence[str] = ()) -> Table:
    """Return a line per case of `runs.fastest`, with each run's fastest backend and time, and its ratio.

    Backends are named with their device where there are several.
    """
    lines = [{row.run: row for row in line} for line in parted(rows, lambda row: row.open_case).values()]
    columns = _case_columns(lines, named)
    across = len({row.device for row in rows}) > 1
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
    results = parted(entries(measured(runs), _Placed), lambda row: row.run)
    places = {each.label: _by_place(results.get(each.label, ())) for each in runs}
    absent = dict.fromkeys((place for known in places.values() for place in known), "not measured")
    facts = [
        _facts(each, absent | places[each.label]) | {_N_CASES: quantities.count(len(results.get(each.label, ())))}
        for each in runs
    ]
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


def _key(row: Compared) -> Key:
    """Return the values of KEYS."""
    return (*row.case, row.backend)


def _case_columns(lines: Sequence[Mapping[str, Compared]], named: Sequence[str]) -> list[Column]:
    """Return what the lines are about: op, the keys `named`, the shape where it is not the size, and the size."""
    firsts = [next(iter(line.values())) for line in lines]
    about = [dict(zip(KEYS, _key(row), strict=True)) for row in firsts]
    told = len({row.shape for row in firsts}) > 1 and any(row.shape != str(row.n_elements) for row in firsts)
    names = ("op", *named, *["shape"] * told)
    sizes = numbers("elements", [row.n_elements for row in firsts], quantities.count)
    return [*(texts(name, [each[name] for each in about]) for name in names), sizes]


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
    }


def _flat(entries: Sequence[fingerprint.Entry], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        term = f"{above}{entry.term}"
        found |= _flat(entry.below, f"{term}, ") if entry.below else {term: entry.value}
    return found


@dataclass(frozen=True)
class _Placed:
    """Where and with what a result of one of several runs was measured."""

    run: str
    backend: str
    device: str
    device_name: str
    backend_version: str
    threads: str
    settings: str


def _by_place(rows: Sequence[_Placed]) -> dict[str, str]:
    """Return devices by name; versions, threads and settings by backend and device."""
    found = {
        f"device {device}": _distinct(row.device_name for row in group) or "of unknown model"
        for device, group in parted(rows, lambda row: row.device).items()
    }
    for (backend, device), group in parted(rows, lambda row: (row.backend, row.device)).items():
        told = (
            ("", _distinct(row.backend_version for row in group)),
            ("threads ", _distinct(row.threads for row in group)),
            ("", _distinct(row.settings for row in group)),
        )
        found[f"{backend} on {device}"] = "; ".join(f"{name}{said}" for name, said in told if said)
    return found


def _packages(records: pd.DataFrame, packages: Mapping[str, object]) -> dict[str, str]:
    named = set(records["backend"].dropna())  # with its version, in a line of its own
    return {f"package {name}": str(version) for name, version in packages.items() if name not in named}


def _distinct(values: Iterable[object]) -> str:
    return quantities.listing(sorted({text(value) for value in set(values)} - {""}))


def _commit(records: pd.DataFrame) -> str:
    commits = [str(commit)[:12] for commit in records["git_commit"].dropna().unique()]
    dirty = " with uncommitted changes" if records["git_dirty"].any() else ""
    return f"{quantities.listing(commits)}{dirty}" if commits else ""
