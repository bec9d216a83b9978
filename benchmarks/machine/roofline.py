"""The roofline: what share of the measured bandwidth a record reaches, and which measurements hold.

Bandwidth is measured at the start of a run and again at its end; where the two differ, the machine changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.machine.bandwidth import READ_ONLY, Bandwidth
from benchmarks.machine.caveat import Caveat
from benchmarks.quantities import listing, size

BANDWIDTH = ("device", "kind", "n_bytes", "gigabytes_per_s", "stores", "moved", "rejected")
TOLERANCE = 0.1
"""Two measurements agree that differ by no more than this share of the smaller."""
SUSPICIOUS = 1.1
"""From this share of the measured bandwidth on, a result is doubtful."""
_KINDS = ("copy", "read")

Array = np.ndarray[Any, np.dtype[Any]]


def settle(device: str, measurements: Sequence[Bandwidth]) -> pd.DataFrame:
    """Return the bandwidth of a device from its measurements in order of time, one row a kind and size.

    The columns are `BANDWIDTH`: of more than two measurements the closest pair counts (of equally close ones the
    latest); `gigabytes_per_s` is the mean of the pair, `moved` how much the larger exceeds the smaller as a share
    (NaN where there is one measurement only), and `rejected` whether that is more than `TOLERANCE`.
    """
    rows = []
    for kind in _KINDS:
        known = [(each, rates) for each in measurements if (rates := each.copy if kind == "copy" else each.read)]
        for at, n_bytes in enumerate(known[0][0].n_bytes if known else ()):
            first, second = _closest([rates[at] for _, rates in known])
            low, high = sorted((known[first][1][at], known[second][1][at]))
            moved = high / low - 1 if first != second else np.nan
            stores = known[second][0].stores[at] if kind == "copy" else ""
            rows.append((device, kind, n_bytes, (low + high) / 2, stores, moved, moved > TOLERANCE))
    return pd.DataFrame(rows, columns=list(BANDWIDTH))


def fractions(records: pd.DataFrame, bandwidth: pd.DataFrame) -> pd.Series:
    """Return each record's `gigabytes_per_s` over the limit at as many bytes, of `bandwidth` as by `settle`.

    The limit is reading where `bytes_written` is less than `READ_ONLY` of `bytes_moved`, else copying (also where
    reading was not measured), interpolated between the sizes measured (logarithmically). NaN where a size next to
    the record's was rejected, or nothing was measured for its device.
    """
    moved = records["bytes_moved"].to_numpy(dtype=np.float64, na_value=np.nan)
    written = records["bytes_written"].to_numpy(dtype=np.float64, na_value=np.nan)
    reads = written < READ_ONLY * moved  # never true of what is missing
    limits = np.full(len(records), np.nan)
    for device, rows in bandwidth.groupby("device", sort=False):
        here = (records["device"] == device).to_numpy(dtype=bool, na_value=False)
        for kind, limited in (("copy", here), ("read", here & reads)):
            known = rows[rows["kind"] == kind]
            if len(known):
                limits[limited] = _interpolate(known.sort_values("n_bytes"), moved[limited])
    return pd.Series(records["gigabytes_per_s"] / limits, name="fraction_of_bandwidth")


def suspicious(fractions: pd.Series) -> pd.Series:
    """Return, for each record, that it moves more bytes than was measured to be possible; empty where it does not.

    Told of the whole run's limit and not of the one that was known when the record was made: what did not hold
    until the end makes no result doubtful.
    """
    told = (100 * fractions).map("{:.0f} % of the measured bandwidth is suspicious".format)
    return told.astype("string").where(fractions > SUSPICIOUS, "")


def doubts(bandwidth: pd.DataFrame) -> list[Caveat]:
    """Return which measurements do not hold, one sentence a device and kind."""
    found = []
    rejected = bandwidth[bandwidth["rejected"].astype(bool)]
    for _, rows in rejected.groupby(["device", "kind"], sort=False):
        device, kind = rows.iloc[0][["device", "kind"]]
        at = listing([size(n_bytes) for n_bytes in rows["n_bytes"]])
        much = f"{'up to ' if len(rows) > 1 else ''}{100 * rows['moved'].max():.0f} %"
        found.append(
            Caveat(
                f"The {kind} bandwidth of {device} at {at} moved by {much} during the run: "
                "no shares of it are given.",
                "limit",
            )
        )
    return found


def _closest(rates: Sequence[float]) -> tuple[int, int]:
    """Return where the two closest numbers are, the latest of equally close ones; the same place twice of one."""
    pairs = list(combinations(range(len(rates)), 2)) or [(0, 0)]
    return min(reversed(pairs), key=lambda pair: abs(np.log(rates[pair[0]] / rates[pair[1]])))


def _interpolate(rows: pd.DataFrame, n_bytes: Array) -> Array:
    """Return the bandwidth at `n_bytes`; NaN where the size below or above was rejected.

    Like np.interp over logarithms, but at a size that was measured its neighbours do not count.
    """
    sizes = np.log(rows["n_bytes"].to_numpy(dtype=np.float64))
    rates = np.log(rows["gigabytes_per_s"].where(~rows["rejected"].astype(bool)).to_numpy(dtype=np.float64))
    x = np.clip(np.log(np.maximum(n_bytes, 1)), sizes[0], sizes[-1])
    above = np.clip(np.searchsorted(sizes, x), 0, len(sizes) - 1)
    below = np.maximum(above - 1, 0)
    with np.errstate(invalid="ignore"):
        weight = np.where(above > below, (x - sizes[below]) / (sizes[above] - sizes[below]), 1.0)
    between = (1 - weight) * rates[below] + weight * rates[above]
    interpolated: Array = np.exp(np.where(x == sizes[above], rates[above], between))
    return interpolated
