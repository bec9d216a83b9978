"""Tables of devices: from which size on one pays, and how it compares case by case."""

from __future__ import annotations

import math

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.record.schema import POLICIES
from benchmarks.report.table import Cell, Column, Table, cases, keys, numbers, ratios, texts


def break_even(found: pd.DataFrame) -> Table:
    """Return from how many elements on a device pays, by op; `found` is that of `devices.pays_from`."""
    names = ("op", "mode", *tables.varying(found, ("dtype", *POLICIES)), "device")
    columns = (
        *keys(found, names),
        Column("data there already", tuple(map(_from, found["elements"]))),
        Column("with transfers", tuple(map(_from, found["elements_with_transfers"]))),
        *_if_known(
            found["elements_when_pinned"],
            Column("from pinned memory", tuple(map(_from, found["elements_when_pinned"]))),
        ),
        numbers("largest measured", found["largest"], quantities.count),
    )
    return Table(columns, "Elements from which on the device is faster than the CPU")


def beside_host(beside: pd.DataFrame) -> Table:
    """Return the fastest on each device beside the fastest on the CPU, case by case (`devices.against_host`)."""
    doubts = ["a result has a warning" * bool(doubtful) for doubtful in beside["doubtful"]]
    columns = (
        *cases(beside, perhaps=("dtype", *POLICIES, "shape"), last=["device"]),
        texts("on the CPU", beside["host_backend"]),
        numbers("its time", beside["host_s"], quantities.seconds),
        texts("there", beside["backend"]),
        numbers("its time", beside["median_s"], quantities.seconds),
        numbers("transfers", beside["transfer_s"], quantities.seconds),
        ratios("CPU / device", beside, "ratio", "verdict", doubts),
        ratios("with transfers", beside, "ratio_with_transfers", "verdict_with_transfers"),
        *_if_known(
            beside["pinned_s"],
            numbers("transfers, pinned", beside["pinned_s"], quantities.seconds),
            ratios("with these", beside, "ratio_when_pinned", "verdict_when_pinned"),
        ),
    )
    return Table(columns, "The fastest on each device and on the CPU")


def _if_known(values: pd.Series[float], *columns: Column) -> tuple[Column, ...]:
    """Return columns that rest on values, unless none of these was measured."""
    return () if values.isna().all() else columns


def _from(elements: float) -> Cell:
    if math.isnan(elements):
        return Cell("not measured")
    return Cell("never" if math.isinf(elements) else quantities.count(elements), elements)
