"""The trends as one web page: a chart for each case that changed, the others to choose from, and a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from benchmarks import quantities
from benchmarks.judge.trend import Change, Metric, Point, Series, varying
from benchmarks.report.pages import figures, shell
from benchmarks.report.pages.figures import LIMIT_COLOUR, MARGIN, Board, Figure, Panel, number, safe
from benchmarks.report.palette import Style, styles
from benchmarks.report.table import Cell, Table, numbers, of_rows, texts
from benchmarks.report.text import trend

_AXES = {
    "median_s": (".3~s", "s"),
    "first_call_s": (".3~s", "s"),
    "gigabytes_per_s": (".3~g", " GB/s"),
    "fraction_of_bandwidth": (".3~p", ""),
    "max_ulp": (".3~g", " ULP"),
    "peak_bytes": (".3~s", "B"),
}
"""How a metric's axis reads: plotly's format and what follows the number."""
_MOST_TICKS = 5
_CHANGE_COLOUR = "#D55E00"
_HOVER = (
    "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>95 % interval %{customdata[2]}<br>%{customdata[3]}"
    "<extra></extra>"
)


def render(found: Sequence[Series], threshold: float) -> str:
    """Return the page for `found`, whose changes are at least `threshold`, a share."""
    names = varying(found)
    looks = styles(list(dict.fromkeys(series.case["backend"] for series in found)))
    changed, steady = (
        tuple(_panel(series, names, looks) for series in found if bool(series.changes) is changes)
        for changes in (True, False)
    )
    return shell.fill(
        "trend.html.j2",
        {"changed": [Board("changed", changed)], "steady": [Board("steady", steady)]},
        title="Trend",
        heading=trend.heading(found),
        notes=trend.notes(found),
        changed=changed,
        steady=steady,
        changes=_changes(found, names),
        series=_table(found),
        threshold=f"{100 * threshold:g} %",
    )


def figure(series: Series, style: Style) -> Figure:
    """Return one series over its runs: values, their intervals as a band, levels, and where these change."""
    points, x = series.points, {point.run_id: i for i, point in enumerate(series.points)}
    middles = [(change, (x[change.before.run_id] + x[change.after.run_id]) / 2) for change in series.changes]
    step = max(1, math.ceil(len(points) / _MOST_TICKS))
    ticks = list(range(0, len(points), step))
    tickformat, suffix = _AXES[series.metric.name]
    layout = {
        "margin": {**MARGIN, "l": 66, "t": 20, "b": 30},
        "xaxis": {
            "range": [-0.5, len(points) - 0.5],
            "tickvals": ticks,
            "ticktext": [safe(points[i].label) for i in ticks],
            "zeroline": False,
        },
        "yaxis": {"tickformat": tickformat, "ticksuffix": suffix, "nticks": 6, "zeroline": False},
        "shapes": [_line(at) for _, at in middles],
        "annotations": [_note(change, at) for change, at in middles],
    }
    traces = [_band(points, style), _levels(series, x), _values(series, style), _gaps(series)]
    return figures.figure([trace for trace in traces if trace["x"]], layout)


def _panel(series: Series, names: Sequence[str], looks: dict[str, Style]) -> Panel:
    return Panel(trend.label(series, names), figure(series, looks[series.case["backend"]]))


def _values(series: Series, style: Style) -> Figure:
    return {
        "type": "scatter",
        "x": list(range(len(series.points))),
        "y": [number(point.value) for point in series.points],
        "mode": "lines+markers",
        "line": {"color": style.colour, "width": 1.8},
        "marker": {"symbol": style.symbol, "size": 7, "color": style.colour},
        "customdata": [_hover(point, series.metric) for point in series.points],
        "hovertemplate": _HOVER,
    }


def _band(points: Sequence[Point], style: Style) -> Figure:
    """Return the intervals as polygons, one per stretch of neighbouring points that have one."""
    x: list[float | None] = []
    y: list[float | None] = []
    for known, stretch in groupby(enumerate(points), key=lambda item: _has_interval(item[1])):
        if known:
            inside = list(stretch)
            x += [*(i for i, _ in inside), *(i for i, _ in reversed(inside)), None]
            y += [*(number(p.low) for _, p in inside), *(number(p.high) for _, p in reversed(inside)), None]
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "mode": "lines",
        "fill": "toself",
        "opacity": 0.25,
        "fillcolor": style.colour,
        "line": {"color": style.colour, "width": 1},
        "hoverinfo": "skip",
    }


def _levels(series: Series, x: dict[str, int]) -> Figure:
    """Return the level of each stretch between changes; nothing for a series without any."""
    levels = series.levels if series.changes else []
    return {
        "type": "scatter",
        "x": [at for first, last, _ in levels for at in (x[first.run_id] - 0.4, x[last.run_id] + 0.4, None)],
        "y": [at for *_, level in levels for at in (number(level), number(level), None)],
        "mode": "lines",
        "line": {"color": LIMIT_COLOUR, "width": 1.5, "dash": "2px,3px"},
        "hoverinfo": "skip",
    }


def _gaps(series: Series) -> Figure:
    """Return a cross at the foot of the chart for each run without a value."""
    usual = [point.value for point in series.measured if math.isfinite(point.value)]
    gaps = [i for i, point in enumerate(series.points) if not math.isfinite(point.value)]
    return {
        "type": "scatter",
        "x": gaps,
        "y": [number(min(usual, default=0.0))] * len(gaps),
        "mode": "markers",
        "marker": {"symbol": "x-thin-open", "size": 9, "color": _CHANGE_COLOUR},
        "customdata": [_hover(series.points[i], series.metric) for i in gaps],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[3]}<extra></extra>",
    }


def _line(at: float) -> Figure:
    line = {"color": _CHANGE_COLOUR, "width": 1.5, "dash": "dash"}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _note(change: Change, at: float) -> Figure:
    text = trend.percent(change.ratio)
    place = {"x": at, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
    return {**place, "text": safe(text), "font": {"size": 11}}


def _hover(point: Point, metric: Metric) -> list[str]:
    value = point.status.replace("_", " ") if math.isnan(point.value) else metric.form(point.value)
    interval = f"{metric.form(point.low)} to {metric.form(point.high)}" if _has_interval(point) else "not known"
    about = [
        point.start,
        point.saved_as and f"saved as {point.saved_as}",
        point.version and f"version {point.version}",
    ]
    return [*map(safe, (point.label, value, interval)), "<br>".join(safe(line) for line in about if line)]


def _changes(found: Sequence[Series], names: Sequence[str]) -> Table:
    headings = ("case", "change", "commits", "levels", "version of the backend", "machine")
    rows = []
    for series in found:
        for change in series.changes:
            worse = (change.level_after > change.level_before) == series.metric.lower_is_better
            way = series.metric.worse if worse else series.metric.better
            levels = " -> ".join(series.metric.form(level) for level in (change.level_before, change.level_after))
            texts = (change.where, levels, " -> ".join(change.versions or ()) or "the same", _machine(series))
            size = "" if math.isnan(change.ratio) else f" {trend.percent(change.ratio)}"
            shown = Cell(f"{way}{size}", style="bad" if worse else "good")
            rows.append((Cell(trend.label(series, names)), shown, *map(Cell, texts)))
    return of_rows(headings, rows, (False,) * len(headings))


def _table(found: Sequence[Series]) -> Table:
    counts = [float(len(series.changes)) for series in found]
    changes = numbers("changes", counts, quantities.count)
    return Table((*trend.table(found, trend.POINTS).columns[:-1], changes, texts("machine", map(_machine, found))))


def _machine(series: Series) -> str:
    return f"{series.device_name} ({series.machine})"


def _has_interval(point: Point) -> bool:
    return math.isfinite(point.low) and math.isfinite(point.high)
