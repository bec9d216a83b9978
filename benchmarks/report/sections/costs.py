"""The page's tables of costs: before a backend computes, at its first call, and in memory."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import costs, tables
from benchmarks.record.schema import POLICIES
from benchmarks.report.cells import Cell, Column, Row, Table, fill, measure, text, whole


def overheads(rows: pd.DataFrame) -> Table:
    """Return what a backend costs before it computes anything; `rows` follow `COST_COLUMNS`."""
    return fill(
        [
            *_PLACE,
            _seconds("start of a process", "start_s"),
            _seconds("import, of that", "import_s"),
            _seconds("a call that does nothing", "floor_s", "floor_low_s", "floor_high_s"),
            _seconds("a call on one element", "call_s", "call_low_s", "call_high_s"),
            Column("95 % interval", partial(_interval, "call_low_s", "call_high_s")),
            Column("of", lambda row: Cell(text(row["call_op"])), numeric=False),
            _seconds("its first call", "first_call_s"),
        ],
        rows,
    )


def first_calls(records: pd.DataFrame) -> Table:
    """Return how long first calls took, compilation included, and when they are paid back."""
    return fill(
        [
            *_PLACE,
            Column("cases", lambda row: whole(row["n_cases"])),
            _seconds("median first call", "median_first_call_s"),
            _seconds("slowest first call", "max_first_call_s"),
            Column("which was", lambda row: Cell(row["slowest"]), numeric=False),
            Column("paid back after", _paid_back),
            Column("range", _range),
            Column("never in", _never),
        ],
        costs.first_calls(records),
    )


def memory(records: pd.DataFrame) -> Table:
    """Return the peak extra memory of a call at the largest size of each op, a column per backend."""
    rows = costs.peaks(records)
    backends = tables.backend_order(rows)
    varied = tables.telling(rows, ("dtype", "device", "shape", *POLICIES))
    keys = ["op", "mode", *varied, "n_elements", "input_bytes"]
    lines = []
    for _, group in rows.groupby(keys, sort=False, dropna=False):
        by_backend = {row["backend"]: row for row in group.to_dict("records")}
        case = next(iter(by_backend.values()))
        lines.append(
            (
                *(Cell(text(case[key])) for key in keys[:-2]),
                whole(case["n_elements"]),
                measure(case["input_bytes"], quantities.size),
                *(_peak(by_backend[backend]) if backend in by_backend else Cell("") for backend in backends),
            )
        )
    headings = ("op", "mode", *varied, "elements", "first input", *backends)
    numeric = (*(False,) * (2 + len(varied)), *(True,) * (2 + len(backends)))
    return Table(headings, tuple(lines), numeric)


def _peak(row: Row) -> Cell:
    peak, ratio = float(row["peak_bytes"]), float(row["ratio"])
    if math.isnan(ratio):
        return Cell(quantities.size(peak), peak)
    # A reduction's output, say, is next to nothing, but not nothing.
    shown = "0" if peak == 0 else "< 0.01×" if ratio < 0.01 else quantities.times(ratio)
    return Cell(shown, ratio, tip=quantities.size(peak))


def _paid_back(row: Row) -> Cell:
    calls = float(row["break_even_median"])
    return measure(calls, lambda n: "never" if math.isinf(n) else _calls(n))


def _range(row: Row) -> Cell:
    low, high = float(row["break_even_min"]), float(row["break_even_max"])
    return measure(
        high, lambda _: quantities.count(round(high)) if low == high else f"{_count(low)} to {_count(high)}"
    )


def _never(row: Row) -> Cell:
    n, of = int(row["n_never"]), int(row["n_compared"])
    return Cell(f"{quantities.count(n)} of {quantities.count(of)}" if of else "", float(n))


def _calls(n: float) -> str:
    return quantities.plural(math.ceil(n), "call")


def _count(n: float) -> str:
    return quantities.count(math.ceil(n))


def _seconds(heading: str, name: str, *bounds: str) -> Column:
    """Return a column of seconds; the interval, if any, is its tip."""

    def cell(row: Row) -> Cell:
        found = measure(row[name], quantities.seconds)
        return found if not bounds else Cell(found.text, found.sort, tip=_tip(row, *bounds))

    return Column(heading, cell)


def _tip(row: Row, low: str, high: str) -> str:
    return f"95 % interval {quantities.interval(float(row[low]), float(row[high]))}"


def _interval(low: str, high: str, row: Row) -> Cell:
    ends = float(row[low]), float(row[high])
    return Cell(quantities.interval(*ends), ends[1] - ends[0])


_PLACE = (
    Column("backend", lambda row: Cell(text(row["backend"])), numeric=False),
    Column("device", lambda row: Cell(text(row["device"])), numeric=False),
)
