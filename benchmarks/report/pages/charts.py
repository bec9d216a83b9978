"""Charts: throughput against size, as plotly figures; and what all charts are made of.

Figures are plain dictionaries: plotly's own classes check every value, which takes ten seconds for a large run, so
a test does it once. Colours of text, axes and backgrounds are left to the page, which follows the reader's scheme.
"""

from __future__ import annotations

import html
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.ranges import crossovers
from benchmarks.machine.bandwidth import READ_ONLY
from benchmarks.record.schema import POLICIES
from benchmarks.report.pages.command import restated
from benchmarks.report.palette import Style
from benchmarks.report.views import Facets, split

Figure = dict[str, Any]
Row = Mapping[Hashable, Any]
MARGIN = {"l": 44, "r": 10, "t": 8, "b": 38}
_SPEED_HOVER = (
    "<b>%{customdata[0]}</b><br>%{customdata[1]}, %{customdata[2]} moved<br>%{y:.3s} GB/s<br>"
    "median %{customdata[3]}<br>95 % interval %{customdata[4]}%{customdata[5]}<extra></extra>"
)
SPEED_COLUMNS = [
    "op", "mode", "dtype", "backend", "device", "n_elements", "shape", *POLICIES, "bytes_moved", "bytes_written",
    "gigabytes_per_s", "median_s", "ci95_low_s", "ci95_high_s", "warning",
]  # fmt: skip
"""What a line is made of: any other column would be sorted with each, which is most of a large report's time."""


@dataclass(frozen=True)
class Panel:
    """One small chart and its heading, what it shows in words, and the command that measures it again."""

    title: str
    figure: Figure
    note: str = ""
    command: str = ""


@dataclass(frozen=True)
class Board:
    """Panels that share axes and a legend, under a label that says what is shown."""

    label: str
    panels: tuple[Panel, ...]
    facets: Facets = field(default_factory=dict)


def speed_boards(records: pd.DataFrame, bandwidth: pd.DataFrame, styles: Mapping[str, Style]) -> list[Board]:
    """Return throughput against bytes moved: a board per mode, dtype and set of policies, a panel per op.

    `bandwidth` is that of a run; sizes at which it was rejected are left out.
    """
    bandwidth = bandwidth[~bandwidth["rejected"].fillna(value=False).astype(bool)]
    boards, leads = [], crossovers(records)
    for view in split(records, ("mode", "dtype", *POLICIES)):
        rows = tables.measured(view.records)
        rows = rows[rows["gigabytes_per_s"].gt(0) & rows["bytes_moved"].gt(0)][SPEED_COLUMNS]
        shared = axes(rows, bandwidth)
        here = _of_view(leads, view.facets)
        panels = [
            speed_panel(str(op), group, here[here["op"] == op], speed_figure(group, bandwidth, styles, shared))
            for op, group in rows.groupby("op", sort=False)
        ]
        if panels:
            boards.append(Board(view.label, tuple(panels), view.facets))
    return boards


def speed_figure(
    rows: pd.DataFrame, bandwidth: pd.DataFrame, styles: Mapping[str, Style], shared: Figure
) -> Figure:
    """Return one op's throughput in GB/s against bytes moved per call, a line per backend and device.

    The limit that applies is dotted: a copy or, where next to nothing is written, reading.
    """
    devices = [str(device) for device in rows["device"].unique()]
    lines: dict[tuple[object, object], list[Row]] = {}
    for row in rows.to_dict("records"):
        lines.setdefault((row["backend"], row["device"]), []).append(row)
    traces = [_limit_line(bandwidth, device, reads=_only_reads(rows)) for device in devices]
    for backend in tables.backend_order(rows):
        for device in devices:
            if (backend, device) in lines:
                name = tables.label(backend, device, across_devices=len(devices) > 1)
                traces.append(speed_line(lines[backend, device], name, styles[backend], dashed=device != "cpu"))
    return {"data": traces, "layout": {"margin": MARGIN, "hovermode": "closest", "showlegend": False, **shared}}


def speed_panel(op: str, rows: pd.DataFrame, leads: pd.DataFrame, figure: Figure) -> Panel:
    """Return the panel of one op, with a line where the lead changes, and what changes there."""
    several = len(leads["device"].unique()) > 1
    notes, shapes = [], []
    for lead in leads.to_dict("records"):
        at = rows[(rows["n_elements"] == lead["n_elements"]) & (rows["device"] == lead["device"])]
        where = f" on {lead['device']}" if several else ""
        about = ", doubtful" if lead["doubtful"] else ""
        elements = quantities.plural(lead["n_elements"], "element")
        notes.append(f"From {elements} on{where}, {lead['winner']} beats {lead['beaten']}{about}.")
        shapes += [_upright(float(moved)) for moved in at["bytes_moved"].dropna().unique()[:1]]
    figure["layout"]["shapes"] = shapes
    return Panel(op, figure, " ".join(notes), restated(rows.to_dict("records")))


def _upright(x: float) -> Figure:
    line = {"color": "#8a8a8a", "width": 1, "dash": "4px,4px"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _of_view(rows: pd.DataFrame, facets: Facets) -> pd.DataFrame:
    for name, value in facets.items():
        rows = rows[rows[name] == value]
    return rows


def axes(rows: pd.DataFrame, bandwidth: pd.DataFrame) -> Figure:
    """Return axes that all panels of a board share, so that they can be compared at a glance."""
    if rows.empty:
        return {}
    limits = bandwidth[bandwidth["device"].isin(rows["device"].unique())]["gigabytes_per_s"]
    low = float(rows["gigabytes_per_s"].min())
    high = max([float(rows["gigabytes_per_s"].max()), *limits])
    moved = rows["bytes_moved"].astype("float64")
    x_low, x_high = math.log10(moved.min()) - 0.2, math.log10(moved.max()) + 0.2
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


def _only_reads(rows: pd.DataFrame) -> bool:
    shares = rows["bytes_written"].astype("float64") / rows["bytes_moved"].astype("float64")
    return bool(shares.min() < READ_ONLY)  # at the largest size, where a single number written weighs least


def _limit_line(bandwidth: pd.DataFrame, device: str, *, reads: bool) -> Figure:
    here = bandwidth[bandwidth["device"] == device]
    kind = "read" if reads and (here["kind"] == "read").any() else "copy"
    known = here[here["kind"] == kind].sort_values("n_bytes")
    name = f"{kind} on {html.escape(device, quote=False)}"
    return {
        "type": "scatter",
        "x": numbers(known["n_bytes"]),
        "y": numbers(known["gigabytes_per_s"]),
        "name": name,
        "mode": "lines",
        "line": {"color": "#8a8a8a", "width": 1.5, "dash": "2px,3px"},
        "hovertemplate": f"<b>{name}</b><br>%{{y:.3s}} GB/s<extra></extra>",
    }


def speed_line(rows: Iterable[Row], name: str, style: Style, *, dashed: bool) -> Figure:
    """Return a line of throughput in GB/s against bytes moved, of rows with `SPEED_COLUMNS`.

    It is `name` where one points at it, unless its rows tell more of themselves under `told`.
    """
    points = sorted(rows, key=lambda row: float(row["bytes_moved"]))
    return {
        "type": "scatter",
        "x": [_number(float(row["bytes_moved"])) for row in points],
        "y": [_number(row["gigabytes_per_s"]) for row in points],
        "error_y": {
            "type": "data",
            "array": [_number(_rate(row, "ci95_low_s") - row["gigabytes_per_s"]) for row in points],
            "arrayminus": [_number(row["gigabytes_per_s"] - _rate(row, "ci95_high_s")) for row in points],
            "thickness": 1.2,
            "width": 3,
        },
        "name": html.escape(name, quote=False),
        "mode": "lines+markers",
        "line": {"color": style.colour, "width": 1.8, "dash": "6px,3px" if dashed else "solid"},
        "marker": {"symbol": style.symbol + ("-open" if dashed else ""), "size": 8, "color": style.colour},
        "customdata": [_hover(row, name) for row in points],
        "hovertemplate": _SPEED_HOVER,
    }


def _rate(row: Row, seconds: str) -> float:
    """Return the throughput in GB/s that a call of so many seconds would have."""
    return float(row["bytes_moved"]) / 1e9 / row[seconds] if row[seconds] else math.inf


def _hover(row: Row, name: str) -> list[str]:
    # plotly reads tags in texts, so names are escaped here; the page escapes nothing inside its figures.
    return [
        html.escape(str(row.get("told") or name), quote=False),
        quantities.plural(int(row["n_elements"]), "element"),
        quantities.size(float(row["bytes_moved"])),
        quantities.seconds(float(row["median_s"])),
        quantities.interval(float(row["ci95_low_s"]), float(row["ci95_high_s"])),
        f"<br>doubtful: {html.escape(str(row['warning']), quote=False)}" if row["warning"] else "",
    ]


def numbers(values: pd.Series) -> list[float | None]:
    """Return what a figure holds of numbers: what is not finite leaves a gap."""
    return [_number(value) for value in values.astype("float64")]


def _number(value: float) -> float | None:
    """Return six digits of a number, which is more than a chart shows; what is not finite leaves a gap."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
