"""Accuracy beside speed: a dot for each backend, and what the accurate one costs where the fastest is not."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.errors import accurate, front, prices
from benchmarks.record.schema import POLICIES
from benchmarks.report.cells import MAX_ROWS, Cell, Column, Row, Table, fill, measure, named, text, whole
from benchmarks.report.pages.charts import MARGIN, Board, Figure, Panel
from benchmarks.report.pages.command import restated
from benchmarks.report.palette import Style

LEAST_ULP, MOST_ULP = 0.1, 1e8
"""The ends of the axis of errors: smaller ones, down to none, and larger ones, up to infinite, are drawn there."""
_FACETS = ("mode", "dtype", "device", *POLICIES)
_HOVER = (
    "<b>%{customdata[0]}</b><br>largest error %{customdata[1]} ULP%{customdata[3]}<br>"
    "%{customdata[2]}<extra></extra>"
)


def boards(rows: pd.DataFrame, styles: Mapping[str, Style]) -> list[Board]:
    """Return error against throughput at each op's largest size; `rows` are those of `errors.with_errors`.

    There is a board per mode, dtype, device and set of policies, and a panel per op.
    """
    rows = rows[rows["error_ulp"].notna() & rows["elements_per_s"].gt(0)]
    largest = rows[rows["n_elements"] == rows.groupby(["op", *_FACETS])["n_elements"].transform("max")]
    largest = largest.assign(accurate=accurate(largest))
    found = []
    for values, group in tables.grouped(largest.to_dict("records"), _FACETS).items():
        facets = dict(zip(_FACETS, map(str, values), strict=True))
        axes = _axes(group)
        panels = [_panel(str(op), of_op, styles, axes) for (op,), of_op in tables.grouped(group, ("op",)).items()]
        found.append(Board(", ".join(facets[name] for name in _FACETS[:3]), tuple(panels), facets))
    return found


def price_table(rows: pd.DataFrame) -> Table:
    """Return the cases whose fastest backend errs by more than its budget, and the fastest that does not."""
    found = prices(rows)
    told = ("op", "mode", *tables.telling(found, ("dtype", "device", *POLICIES, "shape")))
    columns = [
        *map(named, told),
        Column("elements", lambda row: whole(row["n_elements"])),
        Column("fastest", lambda row: Cell(text(row["fastest"])), numeric=False),
        Column("its error, ULP", partial(_ulp, "fastest_ulp")),
        Column("allowed", partial(_ulp, "budget_ulp")),
        Column("fastest within", lambda row: Cell(text(row["accurate"]) or "none"), numeric=False),
        Column("its error, ULP", partial(_ulp, "accurate_ulp")),
        Column("takes", lambda row: measure(row["price"], quantities.times)),
    ]
    return fill(columns, found.head(MAX_ROWS), "Where the fastest backend is not accurate everywhere")


def _ulp(name: str, row: Row) -> Cell:
    return measure(row[name], quantities.number)


def _panel(op: str, rows: list[Row], styles: Mapping[str, Style], axes: Figure) -> Panel:
    best = front(rows)
    if len(best) == 1:
        note = f"{best[0]['backend']} is the fastest and the most accurate."
    else:
        names = quantities.listing([str(row["backend"]) for row in best], 8)
        note = f"From the fastest to the most accurate: {names}."
    traces = [_line(best), *(_dot(row, styles[row["backend"]]) for row in rows)]
    layout = {"margin": {**MARGIN, "l": 58}, "hovermode": "closest", "showlegend": False, **axes}
    return Panel(op, {"data": traces, "layout": layout}, note, restated(rows))


def _line(best: list[Row]) -> Figure:
    """Return the front as steps: what lies above and to the left of it is beaten."""
    return {
        "type": "scatter",
        "x": [_rate(row) for row in best],
        "y": [_drawn(row["error_ulp"]) for row in best],
        "mode": "lines",
        "line": {"color": "#8a8a8a", "width": 1.2, "dash": "2px,3px", "shape": "hv"},
        "hoverinfo": "skip",
    }


def _dot(row: Row, style: Style) -> Figure:
    error, within = float(row["error_ulp"]), bool(row["accurate"])
    over = "" if within else f", beyond its budget of {quantities.number(row['budget_ulp'])}"
    name = html.escape(str(row["backend"]), quote=False)
    speed = (
        f"{quantities.seconds(row['median_s'])}, {quantities.number(row['elements_per_s'] / 1e9)} elements a ns"
    )
    return {
        "type": "scatter",
        "x": [_rate(row)],
        "y": [_drawn(error)],
        "name": name,
        "mode": "markers",
        "marker": {"symbol": style.symbol + ("" if within else "-open"), "size": 11, "color": style.colour},
        "customdata": [[name, quantities.number(error), speed, over]],
        "hovertemplate": _HOVER,
    }


def _rate(row: Row) -> float:
    return float(f"{row['elements_per_s'] / 1e9:.6g}")


def _drawn(error: float) -> float:
    return min(max(error, LEAST_ULP), MOST_ULP)


def _axes(rows: list[Row]) -> Figure:
    rates = [_rate(row) for row in rows]
    errors = [_drawn(row["error_ulp"]) for row in rows]
    low, high = math.log10(min(errors)), math.log10(max(errors))
    step = 2 if high - low > 4 else 1
    ticks = [10.0**k for k in range(math.floor(low), math.ceil(high) + 1, step)]
    return {
        "xaxis": {
            "type": "log",
            "range": [math.log10(min(rates)) - 0.15, math.log10(max(rates)) + 0.15],
            "dtick": 1,
            "title": {"text": "elements a nanosecond", "standoff": 6},
        },
        "yaxis": {
            "type": "log",
            "range": [low - 0.3, high + 0.3],
            "tickvals": ticks,
            "ticktext": [_tick(tick) for tick in ticks],
            "title": {"text": "largest error, ULP", "standoff": 4},
        },
    }


def _tick(error: float) -> str:
    if error <= LEAST_ULP:
        return "≤ 0.1"
    power = round(math.log10(error))
    written = f"{error:g}" if power < 3 else f"10{'⁰¹²³⁴⁵⁶⁷⁸'[power]}"
    return f"≥ {written}" if error >= MOST_ULP else written


def legend(found: Sequence[Board]) -> bool:
    """Return whether any dot is drawn open, which the page then explains."""
    return any(
        trace.get("marker", {}).get("symbol", "").endswith("-open")
        for board in found
        for panel in board.panels
        for trace in panel.figure["data"]
    )
