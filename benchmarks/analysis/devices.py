"""The CPU against other devices, with and without bringing the data there and back."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.record import schema
from benchmarks.stats.ratios import records_ratio_interval

Row = Mapping[Hashable, Any]
HOST = "cpu"
KEYS = tuple(key for key in schema.CASE if key != "device")
FACTS = (
    "device",
    "host_backend",
    "host_s",
    "backend",
    "median_s",
    "transfer_s",
    "ratio",
    "ratio_low",
    "ratio_high",
    "ratio_with_transfers",
    "doubtful",
)


def against_host(records: pd.DataFrame) -> pd.DataFrame:
    """Return the fastest backend of each other device beside the fastest on the host, a row per case and device.

    `ratio` is the host's median over the device's with its 95 % interval: above 1 the device is faster, with the
    inputs there already and the output left there. `ratio_with_transfers` adds `transfer_s`, bringing the inputs
    and fetching the output, as measured apart; NaN where it was not.
    """
    found = []
    for case, group in tables.grouped(tables.measured(records).to_dict("records"), KEYS).items():
        fastest = {row["device"]: row for row in sorted(group, key=_median, reverse=True)}
        host = fastest.pop(HOST, None)
        if host is None:
            continue
        for device, there in fastest.items():
            low, high = records_ratio_interval(host, there)
            moved = float(there["host_to_device_s"]) + float(there["device_to_host_s"])
            found.append(
                dict(zip(KEYS, case, strict=True))
                | {
                    "device": device,
                    "host_backend": host["backend"],
                    "host_s": host["median_s"],
                    "backend": there["backend"],
                    "median_s": there["median_s"],
                    "transfer_s": moved,
                    "ratio": host["median_s"] / there["median_s"],
                    "ratio_low": low,
                    "ratio_high": high,
                    "ratio_with_transfers": host["median_s"] / (there["median_s"] + moved),
                    "doubtful": bool(host["warning"] or there["warning"]),
                }
            )
    return pd.DataFrame(found, columns=[*KEYS, *FACTS])


def _median(row: Row) -> float:
    return float(row["median_s"])


def pays_from(beside: pd.DataFrame) -> pd.DataFrame:
    """Return from how many elements on a device pays: a row per op, mode, dtype, policies and device.

    The least size measured from which on it is faster at every larger one: `elements` without transfers (the
    whole interval of the ratio lies above 1), `elements_with_transfers` with them. Infinite where it is not faster
    at the largest size, NaN where that is not known.
    """
    keys = [key for key in (*KEYS, "device") if key not in {"shape", "n_elements"}]
    found = []
    for case, group in beside.groupby(keys, sort=False):
        ordered = group.sort_values("n_elements")
        found.append(
            dict(zip(keys, case, strict=True))
            | {
                "elements": _from(ordered["n_elements"], ordered["ratio_low"]),
                "elements_with_transfers": _from(ordered["n_elements"], ordered["ratio_with_transfers"]),
                "largest": int(ordered["n_elements"].iloc[-1]),
            }
        )
    return pd.DataFrame(found, columns=[*keys, "elements", "elements_with_transfers", "largest"])


def _from(sizes: pd.Series, ratios: pd.Series) -> float:
    """Return the least of ascending sizes from which on all ratios are above 1."""
    if math.isnan(ratios.iloc[-1]):
        return math.nan
    slower = (~(ratios > 1)).to_numpy().nonzero()[0]
    first = int(slower[-1]) + 1 if len(slower) else 0
    return float(sizes.iloc[first]) if first < len(sizes) else math.inf
