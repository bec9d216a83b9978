"""The web page: one file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from benchmarks.analysis import quantities
from benchmarks.analysis import tables as facts
from benchmarks.analysis.policies import side_by_side
from benchmarks.analysis.store import Run
from benchmarks.analysis.summary import summarise
from benchmarks.report import charts, costs, fingerprint, heatmap, method, tables
from benchmarks.report.palette import styles
from benchmarks.report.views import by_device

_PLAIN_CSV_BYTES = 1_000_000
"""A larger CSV is embedded compressed, about a tenth of its size."""


def render(run: Run) -> str:
    """Return the report of `run` as a web page."""
    # Escaping is on for every name and value; what is trusted is wrapped in Markup, here and in sight.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmarks.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"breakable": _breakable, "coded": _coded}
    return environment.get_template("report.html.j2").render(context(run))


def context(run: Run) -> dict[str, Any]:
    """Return what the template lays out."""
    records, accuracy = run.records, run.accuracy
    rated = facts.rate(records, baseline_device="cpu")
    names = facts.backend_order(records)
    looks = styles(facts.backend_order(pd.concat([records[["backend"]], accuracy[["backend"]]])))
    speed = charts.speed_boards(records, run.bandwidth, looks)
    gallery = charts.curve_board(run.curves)
    return {
        "title": run.saved_as or "unnamed run",
        "subtitle": _subtitle(records),
        "warnings": run.warnings,
        "machine_line": fingerprint.line(run.machine),
        "summary": summarise(records, accuracy),
        "backends": [name for name in names if name in set(rated["backend"])],
        "looks": looks,
        "devices": sorted(rated["device"].unique(), key=lambda device: device != "cpu"),
        "baseline": facts.BASELINE,
        "heatmaps": [heatmap.build(view, rated) for view in by_device(records)],
        "full_shade": f"{2**heatmap.FULL_SHADE:.0f}",
        "noisy_percent": f"{100 * heatmap.NOISY:.0f}",
        "speed": speed,
        "accuracy": tables.accuracy(accuracy),
        "known": tables.known_deviations(accuracy),
        "doubts": tables.doubts(records),
        "overheads": costs.overheads(run.costs),
        "first_calls": costs.first_calls(records),
        "memory": costs.memory(records),
        "side": tables.side(records),
        "n_side": len(side_by_side(records)),
        "limits": method.limits(run.bandwidth),
        "gallery": gallery,
        "problems": tables.problems(records, accuracy),
        "policies": method.policies(records),
        "sampling": method.sentences(run),
        "command": run.command,
        "machine": fingerprint.entries(run.machine),
        "results": tables.results(records, rated),
        "n_records": len(records),
        "download": _download(records, run.saved_as or "records"),
        "figures": _packed(json.dumps(_figures(speed, gallery), allow_nan=False, separators=(",", ":"))),
        "css": _source("report.css"),
        "script": _source("report.js"),
        "plotly": _packed_plotly(),
    }


def _figures(speed: list[charts.Board], gallery: charts.Board) -> dict[str, charts.Figure]:
    figures = {
        f"speed-{i}-{j}": panel.figure for i, board in enumerate(speed) for j, panel in enumerate(board.panels)
    }
    return figures | {f"curve-{i}": panel.figure for i, panel in enumerate(gallery.panels)}


def _breakable(name: str) -> Markup:
    """Return a name that may break after its underscores, where a column is narrow."""
    return Markup("_<wbr>").join(name.split("_"))


def _coded(sentence: str) -> Markup:
    """Return a sentence in which what stands between backticks is code."""
    parts = (
        Markup("<code>{}</code>" if i % 2 else "{}").format(part) for i, part in enumerate(sentence.split("`"))
    )
    return Markup("").join(parts)


@cache
def _packed_plotly() -> str:
    return _packed(get_plotlyjs())


def _packed(text: str) -> str:
    """Return `text` compressed, as base64: a third of plotly's 4.8 MB, and nothing that could end its element."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _source(name: str) -> Markup:
    text = files("benchmarks.report").joinpath("templates", name).read_text(encoding="utf-8")
    return Markup(text)  # a file of ours


def _download(records: pd.DataFrame, name: str) -> dict[str, str]:
    data, kind, ending = records.to_csv(index=False, lineterminator="\n").encode(), "text/csv", "csv"
    if len(data) > _PLAIN_CSV_BYTES:
        data, kind, ending = gzip.compress(data, mtime=0), "application/gzip", "csv.gz"
    return {
        "href": f"data:{kind};base64,{base64.b64encode(data).decode()}",
        "name": f"{name}.{ending}",
    }


def _subtitle(records: pd.DataFrame) -> list[str]:
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
