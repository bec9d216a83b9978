"""The web page: one file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import dtypes, memory, noise, tables, threads
from benchmarks.analysis.study import Study
from benchmarks.record.run import Run
from benchmarks.report.pages import charts, frontier, gallery, shell
from benchmarks.report.pages.figures import Board
from benchmarks.report.palette import Style, styles
from benchmarks.report.sections import (
    accuracy,
    calling,
    costs,
    devices,
    first,
    heatmap,
    machine,
    method,
    results,
    spread,
)
from benchmarks.report.sections import threads as threads_tables
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
    boards = boards_of(study, looks)
    speed, fronts, functions = boards.values()
    measured = set(study.rows["backend"])
    return shell.fill(
        "report.html.j2",
        boards,
        title=first.title(run),
        saved_as=run.saved_as,
        shortfall=run.shortfall,
        unmeasured=run.unmeasured,
        n_groups=run.n_groups,
        subtitle=subtitle(run.records),
        pictures=first.pictures(study),
        noise=study.noise,
        about=first.KNOWN,
        machine_line=machine.line(run.machine),
        summary=study.summary,
        calls=calling.calls(study),
        backends=[name for name in study.backends if name in measured],
        looks=looks,
        devices=sorted(study.rows["device"].unique(), key=lambda device: device != "cpu"),
        baseline=tables.BASELINE,
        heatmaps=[heatmap.build(view, study) for view in by_device(study.rows, "mode")],
        full_shade=f"{2**heatmap.FULL_SHADE:.0f}",
        noisy_percent=f"{100 * heatmap.NOISY:.0f}",
        margin_px=spread.half_band(study.verdicts.margin),
        reach=f"1/{spread.REACH:g} to {spread.REACH:g}",
        margin_percent=f"{100 * study.verdicts.margin:g}",
        speed=speed,
        break_even=devices.break_even(study.pays_from).cut(),
        beside_host=devices.beside_host(study.beside_host).cut(),
        fronts=fronts,
        open_dots=frontier.legend(fronts),
        prices=accuracy.prices(study.prices).cut(),
        accuracy=accuracy.errors(run.accuracy),
        known=accuracy.known_deviations(run.accuracy),
        doubts=results.doubts(study),
        limit_warnings=noise.of_the_limit(run),
        overheads=costs.overheads(run.costs),
        first_calls=costs.first_calls(study.first_calls),
        peaks=costs.memory(study.peaks),
        system_default=costs.system_default(study.memory_prices),
        has_memory=len(study.peaks) > 0 or len(study.memory_prices) > 0,
        memory_sentences=[*memory.sentences(study.memory_prices), *memory.not_kept(study.rows)],
        policies=results.policies(study).cut(),
        thread_sentences=threads.sentences(study.thread_gains, study.thread_payoffs),
        thread_payoffs=threads_tables.payoffs(study.thread_payoffs).cut(),
        thread_gains=threads_tables.gains(study.thread_gains).cut(),
        type_sentences=dtypes.sentences(study.type_gains),
        types=results.types(study).cut(),
        fusions=results.fusions(study).cut(),
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


def boards_of(study: Study, looks: Mapping[str, Style]) -> dict[str, list[Board]]:
    """Return all charts: `speed` against size, `front` of accuracy beside speed, and `curve` of each function."""
    run = study.run
    curves, curve_errors = (_of_ops(found, run.records) for found in (run.curves, run.curve_errors))
    return {
        "speed": charts.speed_boards(study, looks),
        "front": frontier.boards(study.erring, looks),
        "curve": gallery.boards(curves, curve_errors, looks),
    }


def looks_of(run: Run) -> dict[str, Style]:
    """Return the style of each backend that a run timed or checked."""
    return styles(tables.backend_order(pd.concat([run.records[["backend"]], run.accuracy[["backend"]]])))


def _of_ops(found: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the ops that a run measured; all of them where it only checked."""
    return found[found["op"].isin(records["op"])] if len(records) else found


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
