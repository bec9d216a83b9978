"""Several runs side by side, as one web page, as Markdown and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import runs_summary, tables
from benchmarks.analysis.entries import entries, parted
from benchmarks.analysis.runs import (
    MOST_BESIDE,
    Compared,
    Fastest,
    Labelled,
    OfRun,
    fastest,
    flat,
    gather,
)
from benchmarks.record import atomic
from benchmarks.record.run import Run
from benchmarks.record.schema import POLICIES
from benchmarks.report.pages import charts, report, shell
from benchmarks.report.pages.figures import Board, Figure, Panel, figure
from benchmarks.report.palette import Style, in_turn
from benchmarks.report.sections import machine as fingerprint
from benchmarks.report.sections import runs as runs_tables
from benchmarks.report.table import Table
from benchmarks.report.text import csv as csv_text
from benchmarks.report.text import markdown
from benchmarks.report.views import Facets, choose

FILES = ("runs.html", "runs.md", "runs.csv")
SPEED_BY = ("backend", "mode", "dtype", *POLICIES)
"""What a chart is chosen by; a line per run and device is in it."""
_FASTEST = "the fastest of each run"


@dataclass(frozen=True, eq=False)
class Beside:
    """Runs side by side: what all representations show.

    `rows` are of `runs.gather`, `fastest` of `runs.fastest`; `differing` and `same` of `runs_tables.differences`.
    """

    runs: tuple[Labelled, ...]
    rows: pd.DataFrame
    fastest: pd.DataFrame
    differing: Table
    same: Table
    missing: Table
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """What the runs are called."""
        return [each.label for each in self.runs]


def beside(runs: Sequence[Labelled]) -> Beside:
    """Return runs side by side; the first is what the others are compared with."""
    rows, won = gather(runs), fastest(runs)
    differing, same = runs_tables.differences(runs)
    found = runs_summary.summarise(rows, won, [each.label for each in runs])
    return Beside(
        runs=tuple(runs),
        rows=rows,
        fastest=won,
        differing=differing,
        same=same,
        missing=runs_tables.missing(runs),
        sentences=(*found, *_contrast(differing)),
        warnings=tuple(f"{each.label}: {text}" for each in runs for text in _warnings(each.run)),
    )


def _contrast(differing: Table) -> list[str]:
    terms = [term for term in runs_tables.terms(differing) if term not in runs_tables.NO_NEWS]
    return [f"The runs differ in {quantities.listing(terms, 8)}."] if terms else []


def _warnings(run: Run) -> Iterator[str]:
    """Yield what makes a run doubtful as a whole."""
    if run.shortfall:
        yield run.shortfall
    if run.regression:
        yield f"It failed a comparison: {run.regression}."
    yield from map(str, run.warnings)


def write(found: Beside, directory: Path) -> list[Path]:
    """Write `FILES` into `directory`, each as a whole, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    csv = flat(found.runs, found.rows)
    contents = (render(found, csv), to_markdown(found), csv_text.page(csv))
    return [atomic.replace(directory / name, text) for name, text in zip(FILES, contents, strict=True)]


@dataclass(frozen=True)
class _Choice:
    """One of several tables or boards to choose from, by its facets."""

    facets: Facets
    label: str
    table: Table


def render(found: Beside, csv: pd.DataFrame) -> str:
    """Return the web page, with `csv` to download."""
    labels, rows, won = found.labels, found.rows, found.fastest
    looks = in_turn(labels)
    drawn = _drawable(rows, won)
    if len(labels) > MOST_BESIDE:  # a chart of each backend on each of many machines is more than a page can hold
        drawn = drawn[drawn["backend"] == _FASTEST]
    speed = [_board(part, looks) for part in _parts(drawn, SPEED_BY, labels, _Point)]
    return shell.fill(
        "runs.html.j2",
        {"speed": speed},
        title=quantities.listing(labels),
        runs=[(each.label, looks[each.label], _about(each.run)) for each in found.runs],
        first=labels[0],
        most_beside=MOST_BESIDE,
        sentences=found.sentences,
        warnings=found.warnings,
        fastest=_fastest(won, labels),
        cases=_cases(rows, labels),
        speed=speed,
        devices=sorted(map(str, drawn["device"].unique()), key=lambda device: device != "cpu"),
        differing=found.differing,
        same=found.same,
        missing=found.missing,
        download=report.download(csv, "runs"),
    )


def to_markdown(found: Beside) -> str:
    """Return the same as Markdown: the answer, then the tables, each in one."""
    sections = _side_by_side(found) if len(found.labels) <= MOST_BESIDE else {}  # which runs.csv has
    sections |= {"What differs": found.differing, "Not measured in every run": found.missing}
    answer = "\n".join(f"- {markdown.escape(sentence)}" for sentence in (*found.sentences, *found.warnings))
    key = markdown.escape(f"×: times as fast as {found.labels[0]}. {_MARKS}")
    shown = [replace(table, title=title) for title, table in sections.items() if table.rows]
    return markdown.document(quantities.listing(found.labels), [answer, key], shown)


def _side_by_side(found: Beside) -> dict[str, Table]:
    """Return the tables in which each run has columns of its own, each in one."""
    fastest_told = tables.varying(found.fastest, runs_tables.FASTEST_BY[1:])
    cases_told = tables.varying(found.rows, runs_tables.CASES_BY[1:-1])
    return {
        "The fastest backend of each run": runs_tables.fastest(
            entries(found.fastest, Fastest), found.labels, ("mode", *fastest_told)
        ),
        "Case by case": runs_tables.cases(
            entries(found.rows, Compared), found.labels, ("mode", *cases_told, "backend")
        ),
    }


_MARKS = (
    "Equal, or too close to call: not surely faster or slower by more than 5 %. ~: doubtful; see `warning` in "
    "runs.csv. –: not measured."
)


_Result = TypeVar("_Result", bound=OfRun)
_RUN = "run"
"""What a reader chooses where there are more runs than have room beside each other."""


@dataclass(frozen=True)
class _Part(Generic[_Result]):
    """What one table or board shows: results of the runs in `labels`, by what it is chosen."""

    label: str
    facets: Facets
    labels: Sequence[str]
    results: Sequence[_Result]


def _parts(
    rows: pd.DataFrame, keys: Sequence[str], labels: Sequence[str], kind: type[_Result]
) -> Iterator[_Part[_Result]]:
    """Yield a part for each combination of those `keys` that vary; of many runs, the first beside each other.

    Rows become entries once: a frame for each of many runs would take longer than all else of the page.
    """
    for view in choose(rows, keys) if len(rows) else ():
        results = entries(view.rows, kind)
        if len(labels) <= MOST_BESIDE:
            yield _Part(view.label, view.facets, labels, results)
            continue
        by_run = parted(results, lambda result: result.run)
        first = by_run.pop(labels[0], [])
        for name, others in by_run.items():
            label = ", ".join(filter(None, (view.label, name)))
            yield _Part(label, {**view.facets, _RUN: name}, (labels[0], name), [*first, *others])


def _fastest(won: pd.DataFrame, labels: Sequence[str]) -> list[_Choice]:
    """Return the tables of the fastest of each run."""
    return [
        _Choice(part.facets, part.label, runs_tables.fastest(part.results, part.labels))
        for part in _parts(won, runs_tables.FASTEST_BY, labels, Fastest)
    ]


def _cases(rows: pd.DataFrame, labels: Sequence[str]) -> list[_Choice]:
    """Return the tables of cases, a backend each; where a run is chosen instead, all backends are in its table."""
    *keys, last = runs_tables.CASES_BY
    keys, named = ([*keys, last], ()) if len(labels) <= MOST_BESIDE else (keys, (last,))
    return [
        _Choice(part.facets, part.label, runs_tables.cases(part.results, part.labels, named))
        for part in _parts(rows, keys, labels, Compared)
    ]


def _about(run: Run) -> list[str]:
    """Return the machine, and what was measured on it and when."""
    machine = fingerprint.line(run.machine)
    cpus = run.records.loc[run.records["device"] == "cpu", "device_name"].dropna().unique()
    return [machine or quantities.listing(list(map(str, cpus))), *report.subtitle(run.records)]


@dataclass(frozen=True)
class _Point(charts.Speed, OfRun):
    told: str


def _drawable(rows: pd.DataFrame, won: pd.DataFrame) -> pd.DataFrame:
    """Return what has a throughput: the fastest of each run, as if it were a backend, and then every backend."""
    told = won["run"] + ": " + won["backend"] + " on " + won["device"]
    # Its lines may change their device from point to point, which only pointing at them tells.
    both = pd.concat([won.assign(backend=_FASTEST, device="cpu", told=told), rows.assign(told="")])
    return charts.drawable(both)


def _board(part: _Part[_Point], looks: Mapping[str, Style]) -> Board:
    shared = charts.axes(part.results)
    panels = [
        Panel(op, _figure(points, looks, shared))
        for op, points in parted(part.results, lambda point: point.op).items()
    ]
    return Board(part.label, tuple(panels), part.facets)


def _figure(points: Sequence[_Point], looks: Mapping[str, Style], shared: Figure) -> Figure:
    """Return one op's throughput, a line per run and device."""
    several = len({point.device for point in points}) > 1
    traces = []
    for (run, device), line in parted(points, lambda point: (point.run, point.device)).items():
        name = tables.label(run, device, across_devices=several)
        told = [point.told or name for point in line]
        traces.append(charts.speed_line(line, name, looks[run], dashed=device != "cpu", told=told))
    return figure(traces, shared)
