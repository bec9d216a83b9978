"""Trends for the terminal, as Markdown and as JSON: a line per case, with a sparkline and its changes in words."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

from rich.console import Console

from benchmarks import quantities
from benchmarks.judge.trend import SERIES_KEYS, Change, Point, Series, superseded, values, varying
from benchmarks.record.journal import plain
from benchmarks.report.table import Cell, Table, of_rows
from benchmarks.report.terminal.console import text_for
from benchmarks.report.terminal.table import print_named
from benchmarks.report.text import markdown
from benchmarks.report.text.markdown import escape
from benchmarks.stats.shifts import logarithms

GAP = "·"
_BLOCKS = "▁▂▃▄▅▆▇█"
_LEAST_SPAN = math.log(1.2)
"""A sparkline's height is at least a factor of 1.2, so that noise of one percent looks like what it is."""
POINTS = 40
"""Runs in the sparkline of a file."""
_WIDE = 120
"""From this width of a terminal on, the changes fit beside the numbers."""


def render(found: Sequence[Series], console: Console) -> None:
    """Print a line per series on `console`, with the changes beside it, or below in a narrow terminal."""
    beside, say = console.width >= _WIDE, partial(text_for, console)
    console.print(say(heading(found), "bold"))
    shown, names = table(found, max(8, console.width // 5)), varying(found)
    if not beside:
        shown = replace(shown, columns=shown.columns[:-1])
    print_named(shown, console, name="case", wraps=beside, styles=list(map(_colour, found)), say=say)
    for series in found if not beside else ():
        for change in series.changes:
            console.print(say(f"{label(series, names)}: {words(series, change)}", _colour(series)))
    for line in (*notes(found), *_nothing(found)):
        console.print(say(line, "dim"))


def to_markdown(found: Sequence[Series]) -> str:
    """Return a line per series as a Markdown table."""
    said = "".join(f"\n{escape(line)}\n" for line in (*notes(found), *_nothing(found)))
    return f"# {escape(heading(found))}\n\n{markdown.grid(table(found, POINTS))}\n{said}"


def table(found: Sequence[Series], points: int) -> Table:
    """Return a line per series: first and last value, a sparkline of at most `points`, and changes in words."""
    names, lines = varying(found), []
    for series in found:
        known, form = series.measured, series.metric.form
        changes = "; ".join(words(series, change) for change in series.changes)
        lines.append(
            (
                Cell(label(series, names)),
                Cell(quantities.count(len(known)), len(known)),
                Cell(form(known[0].value), known[0].value),
                Cell(form(known[-1].value), known[-1].value),
                Cell(percent(series.ratio), series.ratio),
                Cell(sparkline(series.points, points), style="spark"),
                Cell(changes),
            )
        )
    headings = ("case", "runs", "first", "last", "change", "trend", "changes found")
    return of_rows(headings, lines, (False, True, True, True, True, False, False))


def to_json(found: Sequence[Series]) -> str:
    """Return every series with its points and changes as JSON; NaN is null, infinity the string `Infinity`."""
    whole = [
        {
            "case": series.case,
            "device_name": series.device_name,
            "metric": series.metric.name,
            "points": [asdict(point) for point in series.points],
            "changes": [
                {
                    **asdict(change),
                    "ratio": change.ratio,
                    "where": change.where,
                    "versions": change.versions,
                    "words": words(series, change),
                }
                for change in series.changes
            ],
        }
        for series in found
    ]
    return json.dumps(plain(whole), allow_nan=False, ensure_ascii=False, indent=1)


def heading(found: Sequence[Series]) -> str:
    """Return what is shown: the metric, how many runs of how many machines, and over which days."""
    runs = {(series.machine, point.run_id) for series in found for point in series.points}
    days = sorted({point.start[:10] for series in found for point in series.points if point.start})
    machines = {series.machine: series.device_name for series in found if series.case["device"] == "cpu"}
    machines = {series.machine: series.device_name for series in found} | machines
    where = (
        " on " + " ".join(f"{name} ({machine})" for machine, name in machines.items())
        if len(machines) == 1
        else f" on {quantities.plural(len(machines), 'machine')}"
    )
    when = f", {days[0]} to {days[-1]}" if len(days) > 1 else f", {days[0]}" if days else ""
    meaning = found[0].metric.meaning
    return f"{meaning[:1].upper()}{meaning[1:]} over {quantities.plural(len(runs), 'run')}{where}{when}"


def notes(found: Sequence[Series]) -> list[str]:
    """Return what all series share, and what the signs mean."""
    told = (*varying(found), "machine_id", "host")
    shared = [
        _spelled(name, found[0].case[name])
        for name in SERIES_KEYS
        if name not in told and len(values(found, name)) == 1 and found[0].case[name]
    ]
    lines = [f"All: {', '.join(shared)}."] if shared else []
    if any(math.isnan(point.value) for series in found for point in series.points):
        lines.append(f"{GAP} a run without a value: the case failed, or this was not measured.")
    return lines + superseded(found)


def label(series: Series, names: Sequence[str]) -> str:
    """Return the case by the columns `names`, which tell it apart."""
    return " ".join(_spelled(name, series.case[name]) for name in names if series.case[name])


def words(series: Series, change: Change) -> str:
    """Return a change in words: which way, by how much, between which commits, and what changed with it."""
    metric = series.metric
    rises = change.level_after > change.level_before
    parts = [metric.worse if rises == metric.lower_is_better else metric.better]
    if not math.isnan(change.ratio):
        parts.append(percent(change.ratio))
    levels = f"{metric.form(change.level_before)} -> {metric.form(change.level_after)}"
    version = ""
    if change.versions is not None:
        old, new = (name or "unknown" for name in change.versions)
        version = f"; {series.case['backend']} {old} -> {new}"
    return f"{', '.join(parts)} {change.where}: {levels}{version}"


def percent(ratio: float) -> str:
    """Return a ratio as a change, `+32.1 %`; as a factor where it is below a third or above three."""
    if math.isnan(ratio):
        return quantities.MISSING
    if not 1 / 3 <= ratio <= 3:
        return f"×{quantities.number(ratio)}"
    change = round(100 * (ratio - 1), 1)
    return f"{'−' if change < 0 else '+' if change > 0 else '±'}{abs(change):.1f} %"


def sparkline(points: Sequence[Point], most: int) -> str:
    """Return the last `most` points as blocks whose height is the logarithm of the value, and gaps as `·`."""
    shown = points[-most:] if len(points) <= most else points[1 - most :]
    known = [point.value for point in shown if not math.isnan(point.value)]
    logs = iter(logarithms(known).tolist())
    heights = [math.nan if math.isnan(point.value) else next(logs) for point in shown]
    low, high = (min(logarithms(known)), max(logarithms(known))) if known else (0.0, 0.0)
    spare = max(0.0, _LEAST_SPAN - (high - low))
    low, span = low - spare / 2, high - low + spare
    blocks = [
        GAP if math.isnan(height) else _BLOCKS[min(int((height - low) / span * len(_BLOCKS)), len(_BLOCKS) - 1)]
        for height in heights
    ]
    return "…" * (len(points) > most) + "".join(blocks)


def _spelled(name: str, value: str) -> str:
    if name == "threads":
        return f"{value} thread{'s' * (value != '1')}"
    return {"machine_id": f"on {value}", "host": f"host {value[:6]}", "shape": f"shape {value}"}.get(name, value)


def _nothing(found: Sequence[Series]) -> list[str]:
    return [] if any(series.changes for series in found) else ["No change found."]


def _colour(series: Series) -> str:
    return "" if not series.changes else "red" if series.worsening() > 0 else "green"
