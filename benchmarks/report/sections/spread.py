"""The spread of a time: a strip with a tick for each of its turns, beside the margin of a verdict."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from benchmarks import quantities
from benchmarks.record.schema import CASE_KEYS
from benchmarks.report.table import Cell

WIDTH = 96
"""Of a strip, in pixels: a turn's place is a whole one, so that a strip takes few bytes."""
REACH = 1.25
"""A strip ends at this many times its median, and at as small a part of it; turns beyond are drawn there."""
HEIGHT = 9


def turns(bursts: pd.DataFrame) -> dict[tuple[str, ...], list[float]]:
    """Return the seconds per call of each turn, by the values of `CASE_KEYS`."""
    numbers = bursts.groupby(list(CASE_KEYS), sort=False, dropna=False).ngroup().to_numpy()
    firsts, ends = np.unique(numbers, return_index=True)[1], np.cumsum(np.bincount(numbers))
    seconds = bursts["seconds_per_call"].to_numpy(float)[np.argsort(numbers, kind="stable")]
    # Keys are made for each case alone: there are sixty turns of one.
    keys = bursts.iloc[firsts][list(CASE_KEYS)].astype(str).itertuples(index=False, name=None)
    return dict(zip(map(tuple, keys), (each.tolist() for each in np.split(seconds, ends)), strict=False))


def cells(records: pd.DataFrame, bursts: pd.DataFrame) -> Iterable[Cell]:
    """Yield the strip of each record, empty where its turns are not known; it sorts by the spread."""
    known = turns(bursts)
    for key in records[list(CASE_KEYS)].astype(str).itertuples(index=False, name=None):
        seconds = [value for value in known.get(tuple(key), ()) if value > 0]
        yield cell(seconds) if seconds else Cell()


def cell(seconds: Sequence[float]) -> Cell:
    """Return the strip of one time."""
    low, high = min(seconds), max(seconds)
    tip = f"{quantities.plural(len(seconds), 'turn')}, {quantities.interval(low, high)}"
    return Cell(value=high / low - 1, tip=tip, strip=path(seconds))


def half_band(margin: float) -> str:
    """Return how many pixels of a strip the margin takes to either side of the median."""
    return f"{WIDTH / 2 * min(1.0, math.log1p(margin) / math.log(REACH)):.1f}"


def path(seconds: Sequence[float]) -> str:
    """Return ticks as the path of an SVG of `WIDTH` by `HEIGHT`; turns within a pixel share one."""
    middle = statistics.median(seconds)
    places = sorted({_place(value / middle) for value in seconds})
    steps = [after - before for before, after in pairwise(places)]
    return f"M{places[0]} 0v{HEIGHT}" + "".join(f"m{step}-{HEIGHT}v{HEIGHT}" for step in steps)


def _place(ratio: float) -> int:
    share = math.log(ratio) / math.log(REACH)
    return round(WIDTH / 2 * (1 + max(-1.0, min(1.0, share))))
