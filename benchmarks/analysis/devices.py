"""The CPU against other devices, with and without bringing the data there and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.entries import Timed, assembled, grouped
from benchmarks.record import schema

HOST = "cpu"
KEYS = tuple(key for key in schema.CASE if key != "device")


@dataclass(frozen=True)
class AgainstHost:
    """The fastest backend on another device beside the fastest on the host.

    `ratio` is the host's median over the device's with its 95 % interval: above 1 the device is faster, with the
    inputs there already and the output left there. `ratio_with_transfers` adds `transfer_s`, the time to bring
    the inputs and fetch the output, which is measured apart; NaN where it was not measured.
    """

    device: str
    host_backend: str
    host_s: float
    backend: str
    median_s: float
    transfer_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    ratio_with_transfers: float
    doubtful: bool


@dataclass(frozen=True)
class _Moved(Timed):
    host_to_device_s: float
    device_to_host_s: float


def against_host(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `AgainstHost` for each case of measured rows and each device but the host."""
    found = []
    for case, group in grouped(rows, KEYS, _Moved).items():
        fastest = {row.device: row for row in sorted(group, key=lambda row: row.median_s, reverse=True)}
        host = fastest.pop(HOST, None)
        if host is not None:
            found += [(case, _beside(host, there)) for there in fastest.values()]
    return assembled(KEYS, found, AgainstHost)


def _beside(host: _Moved, there: _Moved) -> AgainstHost:
    low, high = host.over(there)
    moved = there.host_to_device_s + there.device_to_host_s
    return AgainstHost(
        device=there.device,
        host_backend=host.backend,
        host_s=host.median_s,
        backend=there.backend,
        median_s=there.median_s,
        transfer_s=moved,
        ratio=host.median_s / there.median_s,
        ratio_low=low,
        ratio_high=high,
        ratio_with_transfers=host.median_s / (there.median_s + moved),
        doubtful=bool(host.warning or there.warning),
    )


@dataclass(frozen=True)
class PaysFrom:
    """The least size measured from which on a device is faster at every larger one.

    `elements` leaves transfers out (the whole interval of the ratio lies above 1), `elements_with_transfers` has
    them. Infinite where the device is not faster at the largest size, NaN where that is not known.
    """

    elements: float
    elements_with_transfers: float
    largest: int


def pays_from(beside: pd.DataFrame) -> pd.DataFrame:
    """Return `PaysFrom` for each op, mode, dtype, set of policies and device of `against_host`."""
    keys = [key for key in (*KEYS, "device") if key not in {"shape", "n_elements"}]
    found = []
    for case, group in beside.groupby(keys, sort=False):
        ordered = group.sort_values("n_elements")
        sizes = ordered["n_elements"]
        facts = PaysFrom(
            elements=_from(sizes, ordered["ratio_low"]),
            elements_with_transfers=_from(sizes, ordered["ratio_with_transfers"]),
            largest=int(sizes.iloc[-1]),
        )
        found.append((case, facts))
    return assembled(keys, found, PaysFrom)


def _from(sizes: pd.Series, ratios: pd.Series) -> float:
    """Return the least of ascending sizes from which on all ratios are above 1."""
    if math.isnan(ratios.iloc[-1]):
        return math.nan
    slower = (~(ratios > 1)).to_numpy().nonzero()[0]
    first = int(slower[-1]) + 1 if len(slower) else 0
    return float(sizes.iloc[first]) if first < len(sizes) else math.inf
