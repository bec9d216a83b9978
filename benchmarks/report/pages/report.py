"""The web page: one file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import gzip
import math
from dataclasses import dataclass

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import first_line
from benchmarks.record.run import Run
from benchmarks.report.pages import charts, frontier, gallery, shell
from benchmarks.report.palette import Style, styles
from benchmarks.report.sections import accuracy, costs, devices, heatmap, machine, method, results
from benchmarks.report.text import csv
from benchmarks.report.views import by_device

_PLAIN_CSV_BYTES = 1_000_000
"""A larger CSV is embedded compressed, about a tenth of its size."""


@dataclass(frozen=True)
class Download:
    """A table as a link that needs no file, and the name to keep it under."""

    href: str
    name: str


def render(study: Study) -> str:
    """Return the report of a run as a web page."""
    run, looks = study.run, looks_of(study.run)
    speed = charts.speed_boards(study, looks)
    fronts = frontier.boards(study.erring, looks)
    functions = gallery.boards(run.curves, run.curve_errors, looks)
    measured = set(study.rows["backend"])
    return shell.fill(
        "report.html.j2",
        {"speed": speed, "front": fronts, "curve": functions},
        title=run.saved_as or "unnamed run",
        subtitle=subtitle(run.records),
        warnings=run.warnings,
        machine_line=machine.line(run.machine),
        summary=study.summary,
        backends=[name for name in study.backends if name in measured],
        looks=looks,
        devices=sorted(study.rows["device"].unique(), key=lambda device: device != "cpu"),
        baseline=tables.BASELINE,
        heatmaps=[heatmap.build(view, study) for view in by_device(study.rows, "mode")],
        full_shade=f"{2**heatmap.FULL_SHADE:.0f}",
        noisy_percent=f"{100 * heatmap.NOISY:.0f}",
        speed=speed,
        break_even=devices.break_even(study.pays_from).cut(),
        beside_host=devices.beside_host(study.beside_host).cut(),
        no_device=_no_device(run.records),
        fronts=fronts,
        open_dots=frontier.legend(fronts),
        prices=accuracy.prices(study.prices).cut(),
        accuracy=accuracy.errors(run.accuracy),
        known=accuracy.known_deviations(run.accuracy),
        doubts=results.doubts(study),
        overheads=costs.overheads(run.costs),
        first_calls=costs.first_calls(study.first_calls),
        memory=costs.memory(study.peaks),
        policies=results.policies(study).cut(),
        shares=results.limits(study).cut(),
        share_sentences=study.share_sentences,
        peers=results.peers(study).cut(),
        peer_lead="" if math.isnan(study.lead_over_peers) else quantities.times(study.lead_over_peers),
        limits=method.limits(run.bandwidth),
        functions=functions,
        problems=results.problems(study),
        meanings=method.policies(study.rows),
        sampling=method.sentences(study),
        command=run.command,
        machine=machine.entries(run.machine),
        results=results.results(study).cut(),
        download=download(run.records, run.saved_as or "records"),
    )


def looks_of(run: Run) -> dict[str, Style]:
    """Return the style of each backend that a run timed or checked."""
    return styles(tables.backend_order(pd.concat([run.records[["backend"]], run.accuracy[["backend"]]])))


def _no_device(records: pd.DataFrame) -> str:
    """Return why there is nothing beside the CPU."""
    elsewhere = records[records["device"].ne("cpu") & records["status"].ne("ok")]
    reasons = [first_line(str(reason)) for reason in elsewhere["reason"].dropna().unique()]
    return quantities.listing(reasons, 3) if reasons else "this run measured the CPU alone"


def download(records: pd.DataFrame, name: str) -> Download:
    """Return a table to download."""
    data, kind, ending = csv.page(records).encode(), "text/csv", "csv"
    if len(data) > _PLAIN_CSV_BYTES:
        data, kind, ending = gzip.compress(data, mtime=0), "application/gzip", "csv.gz"
    return Download(f"data:{kind};base64,{base64.b64encode(data).decode()}", f"{name}.{ending}")


def subtitle(records: pd.DataFrame) -> list[str]:
    """Return the date, the commit and what was measured."""
    parts = []
    times = sorted(records["timestamp"].dropna())
    if times:
        parts.append(str(times[0])[:16].replace("T", " ") + " UTC")
    commits = records["git_commit"].dropna().unique()
    if len(commits):
        dirty = bool(records["git_dirty"].any())
        parts.append(f"commit {str(commits[0])[:12]}{' with uncommitted changes' if dirty else ''}")
    n_ok = int((records["status"] == "ok").sum())
    parts.append(f"{quantities.count(n_ok)} of {quantities.plural(len(records), 'case')} measured")
    devices = records.loc[records["device"] != "cpu", "device_name"].dropna().unique()
    return [*parts, *map(str, devices)]
