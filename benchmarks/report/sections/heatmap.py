"""The speed-up map: which backend wins where, as a table that scrolls, prints and reads aloud."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables, troubles
from benchmarks.analysis.entries import Key, Timed, entries
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import ending, first_line, reason
from benchmarks.analysis.tables import Lead
from benchmarks.report.views import Facets, View
from benchmarks.stats.pairs import CLOSE, EQUAL

FULL_SHADE = 4.0
"""Doublings at which a cell has its full colour: 16 times faster or slower."""

NOISY = 0.1
"""Half a 95 % interval's width over its number, from which on a cell says that this is uncertain."""

Place = tuple[str, str, str]
"""Op, size (or shape) in words and contestant."""


@dataclass(frozen=True)
class Tile:
    """One result. `shade` runs from -1 (slowest) to 1 (fastest); None is no colour. `mark` stars who leads.

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
    """A table of tiles: rows of (op, tiles), a column per size and contestant."""

    label: str
    facets: Facets
    sizes: tuple[str, ...]
    contestants: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Tile, ...]], ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class _Rated(Timed):
    gigabytes_per_s: float
    speedup: float
    speedup_low: float
    speedup_high: float
    speedup_verdict: str
    doubt: str


@dataclass(frozen=True)
class _Failure:
    op: str
    shape: str
    n_elements: float
    backend: str
    device: str
    status: str
    reason: str


@dataclass(frozen=True)
class _Winner(Lead):
    size: Annotated[Key, ("op", "shape", "n_elements")]

    def mark(self, name: str) -> str:
        """Return the star of the fastest, or of one that shares the lead."""
        return "" if name not in self.names else "★" if self.sole else "☆"

    def standing(self, name: str) -> str:
        """Return, in words, how a starred one stands to the leader; of the leader, how it stands to the others."""
        if self.sole:
            return "fastest"
        if name != self.names[0]:
            said = f"{EQUAL} to" if name in self.equal.split(", ") else f"{CLOSE} with"
            return f"{said} {self.names[0]}"
        shared = [f"{EQUAL} to {self.equal}"] * bool(self.equal) + [f"{CLOSE} with {self.open}"] * bool(self.open)
        return f"first: {'; '.join(shared)}"


def build(view: View, study: Study) -> Heatmap:
    """Return the map of a view of one mode."""
    by_shape = bool(view.rows.duplicated(["op", "device", "backend", "n_elements"]).any())
    sizes = dict.fromkeys(_size(*size, by_shape=by_shape) for size in _ascending(view.rows))
    contestants = _contestants(view, study)
    failures = view.silent_part_of(study.run.records)
    tiles = dict(_failed(view, failures, by_shape=by_shape)) | dict(_measured(view, study, by_shape=by_shape))
    nothing = Tile("", "not part of this run", status="none")
    lines = []
    for op in study.run.records["op"].dropna().unique():
        line = tuple(tiles.get((op, size, name), nothing) for size in sizes for name, _ in contestants)
        if any(tile.status != "none" for tile in line):
            lines.append((str(op), line))
    return Heatmap(
        view.label, view.facets, tuple(sizes), contestants, tuple(lines), tuple(_absent(view, failures))
    )


def _ascending(rows: pd.DataFrame) -> Iterator[tuple[str, float]]:
    ordered = rows.sort_values("n_elements", kind="stable")
    return ordered[["shape", "n_elements"]].itertuples(index=False, name=None)


def _size(shape: str, n_elements: float, *, by_shape: bool) -> str:
    """Return a size in words; the shape where one op has several of the same size."""
    return shape if by_shape else "" if math.isnan(n_elements) else quantities.count(n_elements)


def _contestants(view: View, study: Study) -> tuple[tuple[str, str], ...]:
    """Return the names of the contestants, each with its backend."""
    found = view.rows[["backend", "device"]].drop_duplicates().itertuples(index=False, name=None)
    pairs = sorted(found, key=lambda pair: study.backends.index(pair[0]))
    return tuple((tables.label(*pair, across_devices=view.across_devices), pair[0]) for pair in pairs)


def _failed(view: View, failures: pd.DataFrame, *, by_shape: bool) -> Iterator[tuple[Place, Tile]]:
    for row in entries(failures, _Failure):
        name = tables.label(row.backend, row.device, across_devices=view.across_devices)
        lacking = row.status == "unavailable"
        tip = f"{ending(row.status)}: {first_line(row.reason)}"
        tile = Tile("n/a" if lacking else "✕", tip, status="unavailable" if lacking else "failed")
        yield (row.op, _size(row.shape, row.n_elements, by_shape=by_shape), name), tile


def _measured(view: View, study: Study, *, by_shape: bool) -> Iterator[tuple[Place, Tile]]:
    won = view.part_of(study.winners_anywhere if view.across_devices else study.winners)
    winners = {row.size: row for row in entries(won, _Winner)}
    for row in entries(view.part_of(study.rated), _Rated):
        name = tables.label(row.backend, row.device, across_devices=view.across_devices)
        winner = winners[row.op, row.shape, row.n_elements]
        mark = winner.mark(name)
        standing = f"\n{winner.standing(name)}" if mark else ""
        yield (row.op, _size(row.shape, row.n_elements, by_shape=by_shape), name), _tile(row, mark, standing)


def _tile(row: _Rated, mark: str, standing: str) -> Tile:
    low, high = row.ci95_low_s, row.ci95_high_s
    tip = f"median {quantities.seconds(row.median_s)}, 95 % interval {quantities.interval(low, high)}"
    if not math.isnan(row.gigabytes_per_s):
        tip += f"\n{quantities.number(row.gigabytes_per_s)} GB/s"
    warned = f"\nits time is doubtful: {row.warning}" if row.warning else ""
    if math.isnan(row.speedup) or row.backend == tables.BASELINE:
        about = "~" if row.warning or (high - low) / 2 > NOISY * row.median_s else ""
        return Tile(about + quantities.seconds(row.median_s), tip + standing + warned, None, mark)
    # A machine that changed its speed is a doubt about the time, and need be none about the speed-up.
    half_width = (row.speedup_high - row.speedup_low) / 2
    about = "~" if row.doubt or half_width > NOISY * row.speedup else ""
    doubt = warned if row.doubt == "" else f"\ndoubtful: {row.doubt}"
    bounds = quantities.bounds(row.speedup_low, row.speedup_high)
    tip += f"\n{quantities.number(row.speedup)} times {tables.BASELINE} ({bounds})"
    tip += f", {row.speedup_verdict}" * (row.speedup_verdict in (EQUAL, CLOSE))
    return Tile(about + quantities.times(row.speedup), tip + standing + doubt, shade(row.speedup), mark)


def shade(ratio: float) -> float:
    """Return the colour's strength for a speed-up: 0 at 1, ±1 from `FULL_SHADE` doublings on."""
    return max(-1.0, min(1.0, math.log2(ratio) / FULL_SHADE))


def _absent(view: View, failures: pd.DataFrame) -> Iterator[str]:
    """Yield why backends without a single result have no column."""
    for trouble in troubles.problems(failures[~failures["backend"].isin(view.rows["backend"])]):
        yield f"{quantities.listing(trouble.backends)} ({ending(trouble.status)}: {reason(trouble)})"
