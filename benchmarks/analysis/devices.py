"""The CPU against other devices, with and without bringing the data there and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.entries import Timed, assembled, grouped
from benchmarks.analysis.ranges import from_on
from benchmarks.analysis.verdicts import UNKNOWN, Verdicts, fastest_first, of_medians
from benchmarks.record import schema

HOST = "cpu"
KEYS = tuple(key for key in schema.CASE if key != "device")


@dataclass(frozen=True)
class AgainstHost:
    """The fastest backend on another device beside the fastest on the host.

    `ratio` is the host's time over the device's with its 95 % interval and the verdict of the two: above 1 the
    device took less, with the inputs there already and the output left there. `ratio_with_transfers` adds
    `transfer_s`, the time to bring the inputs and fetch the output, which is measured apart, and so its verdict
    rests on medians; NaN and empty where it was not measured.
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
    verdict: str
    ratio_with_transfers: float
    verdict_with_transfers: str
    doubtful: bool


@dataclass(frozen=True)
class _Moved(Timed):
    host_to_device_s: float
    device_to_host_s: float


def against_host(rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return `AgainstHost` for each case of measured rows and each device but the host."""
    found = []
    for case, group in grouped(rows, KEYS, _Moved).items():
        fastest = {row.device: row for row in reversed(fastest_first(group))}
        host = fastest.pop(HOST, None)
        if host is not None:
            found += [(case, _beside(host, there, verdicts)) for there in fastest.values()]
    return assembled(KEYS, found, AgainstHost)


def _beside(host: _Moved, there: _Moved, verdicts: Verdicts) -> AgainstHost:
    against = verdicts.over(host, there)
    moved = there.host_to_device_s + there.device_to_host_s
    ends = (there.median_s + moved, there.ci95_low_s + moved, there.ci95_high_s + moved)
    known = not math.isnan(moved)
    here = (host.median_s, host.ci95_low_s, host.ci95_high_s)
    with_transfers = of_medians(here, ends, verdicts.margin) if known else UNKNOWN
    return AgainstHost(
        device=there.device,
        host_backend=host.backend,
        host_s=host.median_s,
        backend=there.backend,
        median_s=there.median_s,
        transfer_s=moved,
        ratio=against.ratio,
        ratio_low=against.low,
        ratio_high=against.high,
        verdict=against.verdict,
        ratio_with_transfers=with_transfers.ratio,
        verdict_with_transfers=with_transfers.verdict,
        doubtful=against.doubtful,
    )


@dataclass(frozen=True)
class PaysFrom:
    """The least size measured from which on a device is faster at every larger one.

    `elements` leaves transfers out, `elements_with_transfers` has them. Faster is what has that verdict. Infinite
    where the device is not faster at the largest size, NaN where that is not known.
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
            elements=from_on(sizes, ordered["ratio"], ordered["verdict"]),
            elements_with_transfers=from_on(
                sizes, ordered["ratio_with_transfers"], ordered["verdict_with_transfers"]
            ),
            largest=int(sizes.iloc[-1]),
        )
        found.append((case, facts))
    return assembled(keys, found, PaysFrom)
