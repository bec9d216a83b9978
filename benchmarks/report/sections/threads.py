"""Tables of threads: from which size on more of them pay, and what they gain case by case."""

from __future__ import annotations

import math

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.threads import CURVE
from benchmarks.report.table import Cell, Column, Table, cases, explained, keys, numbers, ratios

_PERHAPS = tuple(name for name in CURVE if name not in {"op", "mode", "backend"})


def payoffs(found: pd.DataFrame) -> Table:
    """Return from how many elements on more threads pay, by op and backend (`threads.payoffs`)."""
    names = ("op", "mode", *tables.varying(found, _PERHAPS), "backend")
    columns = (
        *keys(found, names),
        *_counts(found),
        Column("pays from", tuple(map(_from, found["elements"]))),
        numbers("largest measured", found["largest"], quantities.count),
    )
    return Table(columns, "Elements from which on more threads are faster, at every larger size measured")


def gains(found: pd.DataFrame) -> Table:
    """Return what more threads gain, case by case (`threads.gains`)."""
    columns = (
        *cases(found, first=("op", "mode", "backend"), perhaps=(*_PERHAPS, "shape")),
        *_counts(found),
        numbers("its time", found["few_s"], quantities.seconds, doubts=found["few_warning"]),
        numbers("with more", found["many_s"], quantities.seconds, doubts=found["many_warning"]),
        ratios("times as fast", found, "ratio", "verdict"),
    )
    return explained(Table(columns, "How many times as fast a call is with more threads"))


def _counts(found: pd.DataFrame) -> tuple[Column, Column]:
    return (
        numbers("threads", found["few"], quantities.count),
        numbers("more", found["many"], quantities.count),
    )


def _from(elements: float) -> Cell:
    return Cell("not at the largest" if math.isinf(elements) else quantities.count(elements), elements)
