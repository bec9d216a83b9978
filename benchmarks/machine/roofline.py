"""The roofline: what share of the measured bandwidth a record reaches, and which measurements hold.

Bandwidth is measured at the start of a run and again at its end; where the two differ, the machine changed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

from benchmarks.machine.caveat import Caveat
from benchmarks.machine.limit import Bandwidth, Kind, Moved
from benchmarks.quantities import listing, size

TOLERANCE = 0.1
"""Two measurements agree that differ by no more than this share of the smaller."""
SUSPICIOUS = 1.1
"""From this share of the measured bandwidth on, a result is doubtful."""
_KINDS: tuple[Kind, ...] = ("copy", "read")


@dataclass(frozen=True)
class Limit:
    """How fast a device moves so many bytes, in GB/s, after all measurements of a run.

    `moved` is how much the larger of two measurements exceeds the smaller as a share, NaN where there is one only,
    and `rejected` says whether that is more than `TOLERANCE`. `stores` is that of `Bandwidth`.
    """

    device: str
    kind: Kind
    n_bytes: int
    gigabytes_per_s: float
    stores: str
    moved: float
    rejected: bool


BANDWIDTH = tuple(each.name for each in fields(Limit))


def settle(device: str, measurements: Sequence[Bandwidth]) -> list[Limit]:
    """Return the limits of a device from its measurements in order of time, one a kind and size.

    Of more than two measurements the closest pair counts (of equally close ones the latest); the limit is the mean
    of the pair.
    """
    found = []
    for moving in _KINDS:
        known = [(each, rates) for each in measurements if (rates := each.copy if moving == "copy" else each.read)]
        for at, n_bytes in enumerate(known[0][0].n_bytes if known else ()):
            first, second = _closest([rates[at] for _, rates in known])
            low, high = sorted((known[first][1][at], known[second][1][at]))
            moved = high / low - 1 if first != second else math.nan
            stores = known[second][0].stores[at] if moving == "copy" else ""
            found.append(Limit(device, moving, n_bytes, (low + high) / 2, stores, moved, moved > TOLERANCE))
    return found


class Roofline:
    """The limits of a run's devices."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._rates: defaultdict[tuple[str, Kind], dict[int, float]] = defaultdict(dict)
        for limit in sorted(limits, key=lambda limit: limit.n_bytes):
            rate = math.nan if limit.rejected else limit.gigabytes_per_s
            self._rates[limit.device, limit.kind][limit.n_bytes] = rate

    def at(self, device: str, n_bytes: float, bytes_written: float, cache: str = "hot") -> float:
        """Return the limit in GB/s of a call that moves so many bytes, and writes so many of them.

        It is reading where it writes next to nothing (`limit.kind`), else copying (also where reading was not
        measured), from the sizes measured around the call's (`limit.Moved`). NaN where one of them was rejected,
        or nothing was measured for the device.
        """
        moved = Moved(n_bytes, bytes_written, device, cache)
        known = self._rates.get((device, moved.kind)) or self._rates.get((device, "copy")) or {}
        return moved.limit([*known], [*known.values()])


def suspicious(fraction: float) -> str:
    """Return that a record moves more bytes than was measured to be possible; empty where it does not.

    Told of the whole run's limit and not of the one that was known when the record was made: what did not hold
    until the end makes no result doubtful.
    """
    return f"{100 * fraction:.0f} % of the measured bandwidth is suspicious" if fraction > SUSPICIOUS else ""


def doubts(limits: Iterable[Limit]) -> list[Caveat]:
    """Return which measurements do not hold, one sentence a device and kind."""
    rejected: defaultdict[tuple[str, Kind], list[Limit]] = defaultdict(list)
    for limit in limits:
        if limit.rejected:
            rejected[limit.device, limit.kind].append(limit)
    return [_doubt(device, moving, found) for (device, moving), found in rejected.items()]


def _doubt(device: str, moving: Kind, rejected: Sequence[Limit]) -> Caveat:
    at = listing([size(limit.n_bytes) for limit in rejected])
    much = f"{'up to ' if len(rejected) > 1 else ''}{100 * max(limit.moved for limit in rejected):.0f} %"
    text = f"The {moving} bandwidth of {device} at {at} moved by {much} during the run: no shares of it are given."
    return Caveat(text, "limit")


def _closest(rates: Sequence[float]) -> tuple[int, int]:
    """Return where the two closest numbers are, the latest of equally close ones; the same place twice of one."""
    pairs = list(combinations(range(len(rates)), 2)) or [(0, 0)]
    return min(reversed(pairs), key=lambda pair: abs(math.log(rates[pair[0]] / rates[pair[1]])))
