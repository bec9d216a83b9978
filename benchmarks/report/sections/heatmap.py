"""The speed-up map: who wins where, as a table that scrolls, prints and reads aloud."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables, troubles
from benchmarks.analysis.summary import ENDINGS, first_line
from benchmarks.record import schema
from benchmarks.report.views import Facets, View

FULL_SHADE = 4.0
"""Doublings at which a cell has its full colour: 16 times faster or slower."""

NOISY = 0.1
"""Half a 95 % interval's width over the median, from which on a cell says that its number is uncertain."""

Row = Mapping[Hashable, Any]
Place = tuple[str, object, str]
"""Op, size and contestant."""


@dataclass(frozen=True)
class Cell:
    """One result. `shade` runs from -1 (slowest) to 1 (fastest); None is no colour. `mark` stars winners.

    `tip` leaves out what the headings of its row and column say; the page puts that in front.
    """

    text: str
    tip: str
    shade: float | None = None
    mark: str = ""
    status: str = "ok"

    @property
    def percent(self) -> int:
        """Strength of the colour in percent."""
        return round(100 * abs(self.shade or 0))


@dataclass(frozen=True)
class Heatmap:
    """A table of cells: rows of (op, cells), a column per size and contestant."""

    label: str
    facets: Facets
    sizes: tuple[str, ...]
    contestants: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    absent: tuple[str, ...]


def build(view: View, rated: pd.DataFrame) -> Heatmap:
    """Return the map of a view of one mode; `rated` are all rows with their speed-ups (`tables.rate`)."""
    rows = tables.measured(view.records)
    sizes = _sizes(rows)
    contestants = _contestants(view, rows)
    ops = list(view.records["op"].dropna().unique())
    cells = _cells(view, rated, "shape" if isinstance(sizes[0][0], str) else "n_elements")
    lines = []
    for op in ops:
        places = [(op, size, name) for size, _ in sizes for name, _ in contestants]
        line = tuple(cells.get(place, Cell("", "not part of this run", status="none")) for place in places)
        if any(cell.status != "none" for cell in line):
            lines.append((op, line))
    return Heatmap(
        view.label,
        view.facets,
        tuple(name for _, name in sizes),
        tuple(contestants),
        tuple(lines),
        tuple(_absent(view.records, rows)),
    )


def _sizes(rows: pd.DataFrame) -> list[tuple[object, str]]:
    """Return sizes and their names; shapes where one op has several of the same size."""
    if rows.duplicated(["op", "device", "backend", "n_elements"]).any():
        shapes = rows.sort_values("n_elements", kind="stable")["shape"].unique()
        return [(str(shape), str(shape)) for shape in shapes]
    return [(int(n), quantities.count(int(n))) for n in sorted(rows["n_elements"].unique())]


def _contestants(view: View, rows: pd.DataFrame) -> list[tuple[str, str]]:
    found = rows[["backend", "device"]].drop_duplicates()
    order = tables.backend_order(view.records)
    pairs = sorted(found.itertuples(index=False), key=lambda pair: order.index(str(pair.backend)))
    return [(tables.label(b, d, across_devices=view.across_devices), str(b)) for b, d in pairs]


def _cells(view: View, rated: pd.DataFrame, size: str) -> dict[Place, Cell]:
    across = view.across_devices

    def place(row: Row) -> Place:
        name = tables.label(str(row["backend"]), str(row["device"]), across_devices=across)
        return str(row["op"]), _plain(row[size]), name

    cells = {
        place(row): Cell(
            "✕" if row["status"] != "unavailable" else "n/a",
            f"{ENDINGS.get(str(row['status']), row['status'])}: {first_line(str(row['reason']))}",
            status="unavailable" if row["status"] == "unavailable" else "failed",
        )
        for row in view.records[view.records["status"] != "ok"].to_dict("records")
    }
    winners = {}
    for row in tables.best(view.records, across_devices=across).to_dict("records"):
        winners[(row["op"], row[size])] = (set(row["contenders"].split(", ")), bool(row["tie"]))
    keys = [*schema.CASE, "backend"]
    shown = tables.measured(view.records)[keys].merge(rated, on=keys, how="left")
    for row in shown.to_dict("records"):
        where = place(row)
        contenders, tie = winners[where[:2]]
        mark = "" if where[2] not in contenders else "☆" if tie else "★"
        cells[where] = _measured_cell(row, mark)
    return cells


def _plain(size: object) -> object:
    return size if isinstance(size, str) or pd.isna(size) else int(size)  # type: ignore[call-overload]


def _measured_cell(row: Row, mark: str) -> Cell:
    ratio, rate = float(row["speedup"]), float(row["gigabytes_per_s"])
    low, high = float(row["ci95_low_s"]), float(row["ci95_high_s"])
    tip = f"median {quantities.seconds(row['median_s'])}, 95 % interval {quantities.interval(low, high)}"
    if not math.isnan(rate):
        tip += f"\n{quantities.number(rate)} GB/s"
    standing = {"★": "\nfastest", "☆": "\nnot distinguishable from the fastest"}.get(mark, "")
    about = "~" if row["doubt"] or (high - low) / 2 > NOISY * float(row["median_s"]) else ""
    doubt = f"\ndoubtful: {row['doubt']}" if row["doubt"] else ""
    if math.isnan(ratio) or row["backend"] == tables.BASELINE:
        return Cell(about + quantities.seconds(row["median_s"]), tip + standing + doubt, None, mark)
    bounds = quantities.bounds(float(row["speedup_low"]), float(row["speedup_high"]))
    tip += f"\n{quantities.number(ratio)} times {tables.BASELINE} ({bounds})"
    return Cell(about + quantities.times(ratio), tip + standing + doubt, shade(ratio), mark)


def shade(ratio: float) -> float:
    """Return the colour's strength for a speed-up: 0 at 1, ±1 from `FULL_SHADE` doublings on."""
    return max(-1.0, min(1.0, math.log2(ratio) / FULL_SHADE))


def _absent(records: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Return why backends without a single result have no column."""
    bad = records[(records["status"] != "ok") & ~records["backend"].isin(rows["backend"])]
    return [
        f"{quantities.listing(row['backends'])} ({ENDINGS.get(row['status'], row['status'])}: "
        f"{first_line(row['reason']) or 'no reason given'})"
        for row in troubles.problems(bad).to_dict("records")
    ]
