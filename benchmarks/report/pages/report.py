"""The web page: one file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables as facts
from benchmarks.analysis.devices import against_host
from benchmarks.analysis.errors import with_errors
from benchmarks.analysis.limits import closeness, sentences
from benchmarks.analysis.peers import against_peers, mean_lead
from benchmarks.analysis.policies import side_by_side
from benchmarks.analysis.summary import first_line, summarise
from benchmarks.record.run import Run
from benchmarks.report.pages import charts, frontier, gallery, shell
from benchmarks.report.palette import Style, styles
from benchmarks.report.sections import costs, devices, heatmap, machine, method, results
from benchmarks.report.views import by_device

_PLAIN_CSV_BYTES = 1_000_000
"""A larger CSV is embedded compressed, about a tenth of its size."""


def render(run: Run) -> str:
    """Return the report of `run` as a web page."""
    speed = charts.speed_boards(run.records, run.bandwidth, _looks(run))
    judged = with_errors(run.records, run.accuracy)
    fronts = frontier.boards(judged, _looks(run))
    functions = gallery.boards(run.curves, run.curve_errors, _looks(run))
    figures = _figures({"speed": speed, "front": fronts, "curve": functions})
    return shell.fill("report.html.j2", context(run, judged, speed, fronts, functions), figures)


def context(
    run: Run,
    judged: pd.DataFrame,
    speed: list[charts.Board],
    fronts: list[charts.Board],
    functions: list[charts.Board],
) -> dict[str, Any]:
    """Return what the template lays out; `judged` are the measured rows with their errors."""
    records, accuracy = run.records, run.accuracy
    beside = against_host(records)
    shares, beside_peers = closeness(records), against_peers(records)
    rated = facts.rate(records, baseline_device="cpu")
    names = facts.backend_order(records)
    return {
        "title": run.saved_as or "unnamed run",
        "subtitle": subtitle(records),
        "warnings": run.warnings,
        "machine_line": machine.line(run.machine),
        "summary": summarise(records, accuracy),
        "backends": [name for name in names if name in set(rated["backend"])],
        "looks": _looks(run),
        "devices": sorted(rated["device"].unique(), key=lambda device: device != "cpu"),
        "baseline": facts.BASELINE,
        "heatmaps": [heatmap.build(view, rated) for view in by_device(records, "mode")],
        "full_shade": f"{2**heatmap.FULL_SHADE:.0f}",
        "noisy_percent": f"{100 * heatmap.NOISY:.0f}",
        "speed": speed,
        "break_even": devices.break_even(beside),
        "beside_host": devices.beside_host(beside),
        "no_device": _no_device(records),
        "fronts": fronts,
        "open_dots": frontier.legend(fronts),
        "prices": frontier.price_table(judged),
        "accuracy": results.accuracy(accuracy),
        "known": results.known_deviations(accuracy),
        "doubts": results.doubts(records),
        "overheads": costs.overheads(run.costs),
        "first_calls": costs.first_calls(records),
        "memory": costs.memory(records),
        "side": results.side(records),
        "n_side": len(side_by_side(records)),
        "shares": results.limits(shares),
        "n_shares": len(shares),
        "share_sentences": sentences(shares),
        "peers": results.peers(beside_peers),
        "peer_lead": quantities.times(mean_lead(beside_peers)) if beside_peers["ratio"].notna().any() else "",
        "limits": method.limits(run.bandwidth),
        "functions": functions,
        "problems": results.problems(records, accuracy),
        "policies": method.policies(records),
        "sampling": method.sentences(run),
        "command": run.command,
        "machine": machine.entries(run.machine),
        "results": results.results(records, rated),
        "n_records": len(records),
        "download": download(records, run.saved_as or "records"),
    }


def _looks(run: Run) -> dict[str, Style]:
    return styles(facts.backend_order(pd.concat([run.records[["backend"]], run.accuracy[["backend"]]])))


def _figures(boards: Mapping[str, list[charts.Board]]) -> dict[str, charts.Figure]:
    return {
        f"{name}-{i}-{j}": panel.figure
        for name, several in boards.items()
        for i, board in enumerate(several)
        for j, panel in enumerate(board.panels)
    }


def _no_device(records: pd.DataFrame) -> str:
    """Return why there is nothing beside the CPU."""
    elsewhere = records[records["device"].ne("cpu") & records["status"].ne("ok")]
    reasons = [first_line(str(reason)) for reason in elsewhere["reason"].dropna().unique()]
    return quantities.listing(reasons, 3) if reasons else "this run measured the CPU alone"


def download(records: pd.DataFrame, name: str) -> dict[str, str]:
    """Return a table as a link that needs no file, and the name to keep it under."""
    data, kind, ending = records.to_csv(index=False, lineterminator="\n").encode(), "text/csv", "csv"
    if len(data) > _PLAIN_CSV_BYTES:
        data, kind, ending = gzip.compress(data, mtime=0), "application/gzip", "csv.gz"
    return {
        "href": f"data:{kind};base64,{base64.b64encode(data).decode()}",
        "name": f"{name}.{ending}",
    }


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
