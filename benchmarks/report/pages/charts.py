"""Charts: throughput against size, as plotly figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import Timed, entries, parted
from benchmarks.analysis.ranges import Crossover
from benchmarks.analysis.study import Study
from benchmarks.machine.limit import READ_ONLY
from benchmarks.record.schema import POLICIES
from benchmarks.report.pages.command import restated
from benchmarks.report.pages.figures import LIMIT_COLOUR, Board, Figure, Panel, figure, number, numbers, safe
from benchmarks.report.palette import Style
from benchmarks.report.views import split

_SPEED_HOVER = (
    "<b>%{customdata[0]}</b><br>%{customdata[1]}, %{customdata[2]} moved<br>%{y:.3s} GB/s<br>"
    "median %{customdata[3]}<br>95 % interval %{customdata[4]}%{customdata[5]}<extra></extra>"
)


@dataclass(frozen=True)
class Speed(Timed):
    """A point of a line of throughput."""

    bytes_moved: float
    bytes_written: float
    gigabytes_per_s: float

    def rate(self, seconds: float) -> float:
        """Return the throughput in GB/s of a call that takes this long."""
        return self.bytes_moved / 1e9 / seconds if seconds else math.inf


def speed_boards(study: Study, styles: Mapping[str, Style]) -> list[Board]:
    """Return throughput against bytes moved: a board per mode, dtype and set of policies, a panel per op.

    Sizes at which the bandwidth was rejected are left out.
    """
    bandwidth = study.run.bandwidth
    bandwidth = bandwidth[~bandwidth["rejected"].fillna(value=False).astype(bool)]
    boards = []
    for view in split(study.rows, ("mode", "dtype", *POLICIES)):
        rows = drawable(view.rows)
        limits = bandwidth[bandwidth["device"].isin(rows["device"].unique())]["gigabytes_per_s"]
        shared = axes(entries(rows, Speed), limits)
        leads = view.part_of(study.crossovers)
        panels = [
            _speed_panel(str(op), group, leads[leads["op"] == op], _speed_figure(group, bandwidth, styles, shared))
            for op, group in rows.groupby("op", sort=False)
        ]
        if panels:
            boards.append(Board(view.label, tuple(panels), view.facets, restated(rows)))
    return boards


def drawable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a throughput."""
    return rows[rows["gigabytes_per_s"].gt(0) & rows["bytes_moved"].gt(0)]


def _speed_figure(
    rows: pd.DataFrame, bandwidth: pd.DataFrame, styles: Mapping[str, Style], shared: Figure
) -> Figure:
    """Return one op's throughput in GB/s against bytes moved per call, a line per backend and device.

    The limit that applies is dotted: a copy or, where next to nothing is written, reading.
    """
    points = entries(rows, Speed)
    devices = list(dict.fromkeys(point.device for point in points))
    lines = parted(points, lambda point: (point.backend, point.device))
    traces = [_limit_line(bandwidth, device, reads=_only_reads(points)) for device in devices]
    for backend in tables.backend_order(rows):
        for device in devices:
            if (backend, device) in lines:
                name = tables.label(backend, device, across_devices=len(devices) > 1)
                traces.append(speed_line(lines[backend, device], name, styles[backend], dashed=device != "cpu"))
    return figure(traces, shared)


@dataclass(frozen=True)
class _Lead(Crossover):
    device: str


def _speed_panel(op: str, rows: pd.DataFrame, leads: pd.DataFrame, drawn: Figure) -> Panel:
    """Return the panel of one op, with a line where the lead changes, and what changes there."""
    several = len(leads["device"].unique()) > 1
    notes, shapes = [], []
    for lead in entries(leads, _Lead):
        at = rows[(rows["n_elements"] == lead.n_elements) & (rows["device"] == lead.device)]
        where = f" on {lead.device}" if several else ""
        about = ", doubtful" if lead.doubtful else ""
        size = quantities.plural(lead.n_elements, "element")
        notes.append(f"From {size} on{where}, {lead.winner} beats {lead.beaten}{about}.")
        shapes += [_upright(float(moved)) for moved in at["bytes_moved"].dropna().unique()[:1]]
    drawn["layout"]["shapes"] = shapes
    notes.append(_quickest(rows))
    return Panel(op, drawn, " ".join(notes))


def _quickest(rows: pd.DataFrame) -> str:
    """Return the smallest time at the largest size, beside its throughput."""
    largest = entries(rows[rows["n_elements"] == rows["n_elements"].max()], Speed)
    first = min(largest, key=lambda point: point.median_s)
    size, time = quantities.plural(first.n_elements, "element"), quantities.seconds(first.median_s)
    return f"{size}: {first.backend} {time}, {quantities.number(first.gigabytes_per_s)} GB/s."


def _upright(x: float) -> Figure:
    line = {"color": LIMIT_COLOUR, "width": 1, "dash": "4px,4px"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def axes(points: Sequence[Speed], limits: Iterable[float] = ()) -> Figure:
    """Return axes that all panels of a board share, so that they can be compared at a glance.

    They hold all points, and the `limits` in GB/s.
    """
    if not points:
        return {}
    rates, moved = [point.gigabytes_per_s for point in points], [point.bytes_moved for point in points]
    low, high = min(rates), max([*rates, *limits])
    x_low, x_high = math.log10(min(moved)) - 0.2, math.log10(max(moved)) + 0.2
    step = 4 if x_high - x_low > 3 else 2
    ticks = [2**k for k in range(0, 60, 2 * step // 2) if x_low <= math.log10(2**k) <= x_high]
    return {
        "xaxis": {
            "type": "log",
            "range": [x_low, x_high],
            "tickvals": ticks,
            "ticktext": [quantities.size(tick) for tick in ticks],
            "title": {"text": "bytes moved per call", "standoff": 6},
        },
        "yaxis": {
            "type": "log",
            "range": [math.log10(low) - 0.12, math.log10(high) + 0.12],
            "dtick": 1,
            "exponentformat": "none",
            "title": {"text": "GB/s", "standoff": 4},
        },
    }


def _only_reads(points: Sequence[Speed]) -> bool:
    # At the largest size, where a single number written weighs least.
    return min(point.bytes_written / point.bytes_moved for point in points) < READ_ONLY


def _limit_line(bandwidth: pd.DataFrame, device: str, *, reads: bool) -> Figure:
    here = bandwidth[bandwidth["device"] == device]
    kind = "read" if reads and (here["kind"] == "read").any() else "copy"
    known = here[here["kind"] == kind].sort_values("n_bytes")
    name = f"{kind} on {safe(device)}"
    return {
        "type": "scatter",
        "x": numbers(known["n_bytes"]),
        "y": numbers(known["gigabytes_per_s"]),
        "name": name,
        "mode": "lines",
        "line": {"color": LIMIT_COLOUR, "width": 1.5, "dash": "2px,3px"},
        "hovertemplate": f"<b>{name}</b><br>%{{y:.3s}} GB/s<extra></extra>",
    }


def speed_line(
    points: Iterable[Speed], name: str, style: Style, *, dashed: bool, told: Sequence[str] = ()
) -> Figure:
    """Return a line of throughput in GB/s against bytes moved.

    It is `name` where one points at it, unless `told` has another name for each point.
    """
    found = sorted(zip(points, told or repeat(name)), key=lambda pair: pair[0].bytes_moved)  # noqa: B905 - endless
    ascending = [point for point, _ in found]
    return {
        "type": "scatter",
        "x": [number(point.bytes_moved) for point in ascending],
        "y": [number(point.gigabytes_per_s) for point in ascending],
        "error_y": {
            "type": "data",
            "array": [number(point.rate(point.ci95_low_s) - point.gigabytes_per_s) for point in ascending],
            "arrayminus": [number(point.gigabytes_per_s - point.rate(point.ci95_high_s)) for point in ascending],
            "thickness": 1.2,
            "width": 3,
        },
        "name": safe(name),
        "mode": "lines+markers",
        "line": {"color": style.colour, "width": 1.8, "dash": "6px,3px" if dashed else "solid"},
        "marker": {"symbol": style.symbol + ("-open" if dashed else ""), "size": 8, "color": style.colour},
        "customdata": [_hover(point, title) for point, title in found],
        "hovertemplate": _SPEED_HOVER,
    }


def _hover(point: Speed, name: str) -> list[str]:
    return [
        safe(name),
        quantities.plural(point.n_elements, "element"),
        quantities.size(point.bytes_moved),
        quantities.seconds(point.median_s),
        quantities.interval(point.ci95_low_s, point.ci95_high_s),
        f"<br>doubtful: {safe(point.warning)}" if point.warning else "",
    ]
