"""Tables of costs: before a backend computes, at its first call, and in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import entries, grouped
from benchmarks.analysis.memory import Price
from benchmarks.record.schema import POLICIES
from benchmarks.report.table import Cell, Column, Table, keys, number, numbers, of_rows, texts

_PLACE = ("backend", "device")


def overheads(rows: pd.DataFrame) -> Table:
    """Return what a backend costs before it computes anything; `rows` follow `COST_COLUMNS`."""
    call = [quantities.interval(*ends) for ends in zip(rows["call_low_s"], rows["call_high_s"], strict=True)]
    floor = [quantities.interval(*ends) for ends in zip(rows["floor_low_s"], rows["floor_high_s"], strict=True)]
    widths = rows["call_high_s"] - rows["call_low_s"]
    return Table(
        (
            *keys(rows, _PLACE),
            _seconds("start of a process", rows["start_s"]),
            _seconds("import, of that", rows["import_s"]),
            _seconds("a call that does nothing", rows["floor_s"], floor),
            _seconds("a call on one element", rows["call_s"], call),
            Column("95 % interval", tuple(map(Cell, call, widths))),
            texts("of", rows["call_op"]),
            _seconds("its first call", rows["first_call_s"]),
        )
    )


def first_calls(found: pd.DataFrame) -> Table:
    """Return how long first calls took, compilation included, and when they are paid back."""
    ranges = zip(found["break_even_min"], found["break_even_max"], strict=True)
    never = zip(found["n_never"], found["n_compared"], strict=True)
    return Table(
        (
            *keys(found, _PLACE),
            numbers("cases", found["n_cases"], quantities.count),
            _seconds("median first call", found["median_first_call_s"]),
            _seconds("slowest first call", found["max_first_call_s"]),
            texts("which was", found["slowest"]),
            numbers("paid back after", found["break_even_median"], _calls),
            Column(
                "range", tuple(Cell("" if math.isnan(high) else _range(low, high), high) for low, high in ranges)
            ),
            Column("never in", tuple(Cell(f"{_count(n)} of {_count(of)}" if of else "", n) for n, of in never)),
        )
    )


def system_default(found: pd.DataFrame) -> Table:
    """Return what the system's default of memory costs each backend with large outputs (`memory.prices`)."""
    prices = entries(found, Price)
    verdicts = ("slower", "equal", "too close to call", "faster")
    counts = [(each.n_slower, each.n_equal, each.n_open, each.n_faster) for each in prices]
    ranges = [f"{quantities.times(each.least)} to {quantities.times(each.most)}" for each in prices]
    return Table(
        (
            *keys(found, _PLACE),
            numbers("cases", found["n_cases"], quantities.count),
            numbers("its time over retained", found["ratio"], quantities.times),
            texts("range", ranges),
            *(numbers(name, [own[i] for own in counts], quantities.count) for i, name in enumerate(verdicts)),
            numbers("page faults a call", found["released_faults"]),
            numbers("retained", found["retained_faults"]),
        ),
        "What the system's default costs with large outputs",
    )


@dataclass(frozen=True)
class _Peak:
    backend: str
    peak_bytes: float
    ratio: float


def memory(peaks: pd.DataFrame) -> Table:
    """Return the peak extra memory of a call at the largest size of each op, a column per backend."""
    backends = tables.backend_order(peaks)
    named = ["op", "mode", *tables.varying(peaks, ("dtype", "device", "shape", *POLICIES))]
    cases = grouped(peaks, [*named, "n_elements", "input_bytes"], _Peak)
    lines = []
    for (*names, n_elements, input_bytes), found in cases.items():
        cells = {peak.backend: _peak(peak) for peak in found}
        lines.append(
            (
                *map(Cell, names),
                number(n_elements, quantities.count),
                number(input_bytes, quantities.size),
                *(cells.get(backend, Cell()) for backend in backends),
            )
        )
    numeric = [name not in named for name in (*named, "elements", "first input", *backends)]
    return of_rows((*named, "elements", "first input", *backends), lines, numeric)


def _peak(peak: _Peak) -> Cell:
    size = quantities.size(peak.peak_bytes)
    if math.isnan(peak.ratio):
        return Cell(size, peak.peak_bytes)
    # A reduction's output, say, is next to nothing, but not nothing.
    shown = "0" if peak.peak_bytes == 0 else "< 0.01×" if peak.ratio < 0.01 else quantities.times(peak.ratio)
    return Cell(shown, peak.ratio, tip=size)


def _seconds(name: str, values: pd.Series, intervals: Iterable[str] = ()) -> Column:
    return numbers(name, values, quantities.seconds, tips=[f"95 % interval {each}" for each in intervals])


def _calls(n: float) -> str:
    return "never" if math.isinf(n) else quantities.plural(math.ceil(n), "call")


def _range(low: float, high: float) -> str:
    return quantities.count(round(high)) if low == high else f"{_count(low)} to {_count(high)}"


def _count(n: float) -> str:
    return quantities.count(math.ceil(n))
