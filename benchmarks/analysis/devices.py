"""The CPU against other devices, with and without bringing the data there and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.entries import Timed, assembled, grouped
from benchmarks.analysis.ranges import from_on
from benchmarks.analysis.verdicts import UNKNOWN, Standing, Verdicts, fastest_first, of_medians
from benchmarks.record import schema

HOST = "cpu"
_HOW = ("", "_with_transfers", "_when_pinned")
"""What is compared: the ends of columns, in the order of the fields of `PaysFrom`."""
KEYS = tuple(key for key in schema.CASE if key != "device")


@dataclass(frozen=True)
class AgainstHost:
    """The fastest backend on another device beside the fastest on the host.

    `ratio` is the host's time over the device's with its 95 % interval and the verdict of the two: above 1 the
    device took less, with the inputs there already and the output left there. `ratio_with_transfers` adds
    `transfer_s`, the time to bring the inputs and fetch the output, which is measured apart, and so its verdict
    rests on medians; NaN and empty where it was not measured. So does `ratio_when_pinned`, with `pinned_s`, the
    time from and to memory that the device reads by itself.
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
    pinned_s: float
    ratio_when_pinned: float
    verdict_when_pinned: str
    doubtful: bool


@dataclass(frozen=True)
class _Moved(Timed):
    host_to_device_s: float
    device_to_host_s: float
    host_to_device_pinned_s: float
    device_to_host_pinned_s: float


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
    transfer_s = there.host_to_device_s + there.device_to_host_s
    pinned_s = there.host_to_device_pinned_s + there.device_to_host_pinned_s
    with_transfers, when_pinned = (_moving(host, there, moved, verdicts) for moved in (transfer_s, pinned_s))
    return AgainstHost(
        device=there.device,
        host_backend=host.backend,
        host_s=host.median_s,
        backend=there.backend,
        median_s=there.median_s,
        transfer_s=transfer_s,
        ratio=against.ratio,
        ratio_low=against.low,
        ratio_high=against.high,
        verdict=against.verdict,
        ratio_with_transfers=with_transfers.ratio,
        verdict_with_transfers=with_transfers.verdict,
        pinned_s=pinned_s,
        ratio_when_pinned=when_pinned.ratio,
        verdict_when_pinned=when_pinned.verdict,
        doubtful=against.doubtful,
    )


def _moving(host: _Moved, there: _Moved, moved: float, verdicts: Verdicts) -> Standing:
    """Return how the device compares where `moved` seconds of transfers are added to each of its times."""
    if math.isnan(moved):
        return UNKNOWN
    ends = (there.median_s + moved, there.ci95_low_s + moved, there.ci95_high_s + moved)
    return of_medians((host.median_s, host.ci95_low_s, host.ci95_high_s), ends, verdicts.margin)


@dataclass(frozen=True)
class PaysFrom:
    """The least size measured from which on a device is faster at every larger one.

    `elements` leaves transfers out, `elements_with_transfers` has them, `elements_when_pinned` those of pinned
    memory. Faster is what has that verdict. Infinite where the device is not faster at the largest size, NaN where
    that is not known.
    """

    elements: float
    elements_with_transfers: float
    elements_when_pinned: float
    largest: int


def pays_from(beside: pd.DataFrame) -> pd.DataFrame:
    """Return `PaysFrom` for each op, mode, dtype, set of policies and device of `against_host`."""
    keys = [key for key in (*KEYS, "device") if key not in {"shape", "n_elements"}]
    found = []
    for case, group in beside.groupby(keys, sort=False):
        ordered = group.sort_values("n_elements")
        sizes = ordered["n_elements"]
        bare, moved, pinned = (from_on(sizes, ordered[f"ratio{how}"], ordered[f"verdict{how}"]) for how in _HOW)
        facts = PaysFrom(bare, moved, pinned, largest=int(sizes.iloc[-1]))
        found.append((case, facts))
    return assembled(keys, found, PaysFrom)
