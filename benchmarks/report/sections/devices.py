"""The page's tables of devices: from which size on one pays, and how it compares case by case."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.devices import pays_from
from benchmarks.record.schema import POLICIES
from benchmarks.report.cells import MAX_ROWS, Cell, Column, Row, Table, doubted, fill, measure, named, text, whole


def break_even(beside: pd.DataFrame) -> Table:
    """Return from how many elements on a device pays, by op; `beside` is that of `devices.against_host`."""
    found = pays_from(beside)
    told = ("op", "mode", *tables.telling(found.assign(shape="", n_elements=0), ("dtype", *POLICIES)), "device")
    columns = [
        *map(named, told),
        Column("data there already", partial(_from, "elements")),
        Column("with transfers", partial(_from, "elements_with_transfers")),
        Column("largest measured", lambda row: whole(row["largest"])),
    ]
    return fill(columns, found.head(MAX_ROWS), "Elements from which on the device is faster than the CPU")


def beside_host(beside: pd.DataFrame) -> Table:
    """Return the fastest on each device beside the fastest on the CPU, case by case."""
    told = ("op", "mode", *tables.telling(beside, ("dtype", *POLICIES, "shape")), "device")
    columns = [
        *map(named, told),
        Column("elements", lambda row: whole(row["n_elements"])),
        Column("fastest on the CPU", lambda row: Cell(text(row["host_backend"])), numeric=False),
        Column("its time", lambda row: _time("host_s", row)),
        Column("fastest there", lambda row: Cell(text(row["backend"])), numeric=False),
        Column("its time", lambda row: _time("median_s", row)),
        Column("transfers", lambda row: _time("transfer_s", row)),
        Column("CPU / device", _ratio),
        Column("with transfers", lambda row: measure(row["ratio_with_transfers"], quantities.times)),
    ]
    return fill(columns, beside.head(MAX_ROWS), "The fastest on each device and on the CPU")


def _from(name: str, row: Row) -> Cell:
    elements = float(row[name])
    if math.isnan(elements):
        return Cell("not measured")
    return Cell("never" if math.isinf(elements) else quantities.count(int(elements)), elements)


def _time(name: str, row: Row) -> Cell:
    return measure(row[name], quantities.seconds)


def _ratio(row: Row) -> Cell:
    cell = measure(row["ratio"], quantities.times)
    tip = f"95 % interval {quantities.bounds(float(row['ratio_low']), float(row['ratio_high']))}"
    cell = Cell(cell.text, cell.sort, tip=tip)
    return doubted(cell, "the machine was disturbed") if row["doubtful"] else cell
