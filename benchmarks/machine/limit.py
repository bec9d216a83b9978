"""The limit: how fast bytes can be moved, as `bandwidth` has measured it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["copy", "read"]
FEWER = 64
"""A result may be as fast as copies of 64 times fewer bytes: three steps of the ladder, which lead from the middle
of a level of cache into the next faster one."""
READ_ONLY = 0.01
"""A call that writes less than this share of the bytes it moves is limited by reading: reductions, losses."""
HOST = "cpu"
MEMORY_FROM = 2**30
"""Copies and reads of a GiB and more are those of a device's memory: no second-level cache has over 126 MB."""


@dataclass(frozen=True)
class Moved:
    """What a call moves, and where: all that decides its limit.

    `cache` is that of the case: what is "cold" finds nothing in a device's second-level cache.
    """

    n_bytes: float
    bytes_written: float
    device: str = HOST
    cache: str = "hot"

    @property
    def kind(self) -> Kind:
        """Which bandwidth limits it."""
        return kind(self.n_bytes, self.bytes_written)

    def limit(self, sizes: Sequence[int], rates: Sequence[float]) -> float:
        """Return its limit from the rates of its kind at ascending sizes.

        On the host it lies between those of the sizes around the call's. A device's cache ends somewhere between
        two sizes: there the faster of them counts, so that no share exceeds 1 for where a call lies. A cold call
        has the limit of the device's memory, however few bytes it moves.
        """
        if self.device == HOST:
            return interpolated(self.n_bytes, sizes, rates)
        return faster(max(self.n_bytes, MEMORY_FROM) if self.cache == "cold" else self.n_bytes, sizes, rates)


@dataclass(frozen=True)
class Bandwidth:
    """Measured bandwidth in GB/s at each of `n_bytes` moved: of copies, and of reading alone.

    `stores` says whether "plain" or "streaming" stores made the faster copy. For a device, whose copies and reads
    come from the frameworks, it holds "", and `read` is empty if none of them reads.
    """

    n_bytes: tuple[int, ...]
    copy: tuple[float, ...]
    read: tuple[float, ...]
    stores: tuple[str, ...]

    def at(self, kind: Kind, n_bytes: float) -> float:
        """Return the bandwidth for `n_bytes` moved, interpolated between the sizes measured (logarithmically).

        Where reading was not measured, the copies stand for it.
        """
        return interpolated(n_bytes, self.n_bytes, self.read if kind == "read" and self.read else self.copy)

    def of(self, moved: Moved) -> float:
        """Return the limit of a call."""
        return moved.limit(self.n_bytes, self.read if moved.kind == "read" and self.read else self.copy)

    def most(self, n_bytes: float) -> float:
        """Return the fastest that was measured for `n_bytes` moved, or down to 1/`FEWER` of them."""
        fewer = [n for n in self.n_bytes if n_bytes / FEWER <= n < n_bytes]
        return max(self.at(kind, n) for kind in ("copy", "read") for n in (*fewer, n_bytes))


def kind(n_bytes: float, bytes_written: float) -> Kind:
    """Return which bandwidth limits a call that moves `n_bytes` and writes `bytes_written` of them."""
    return "read" if bytes_written < READ_ONLY * n_bytes else "copy"


def interpolated(n_bytes: float, sizes: Sequence[float], rates: Sequence[float]) -> float:
    """Return the rate at `n_bytes` on the line through those at ascending sizes, both axes logarithmic.

    Beyond the sizes it is that of the nearest. NaN where the rate at the size below or above is, but not where one
    is measured at `n_bytes` itself; and NaN of no sizes.
    """
    if not sizes or math.isnan(n_bytes):
        return math.nan
    x = min(max(n_bytes, sizes[0]), sizes[-1])
    above = bisect_left(sizes, x)
    if x == sizes[above]:
        return rates[above]
    before, after = math.log(sizes[above - 1]), math.log(sizes[above])
    share = (math.log(x) - before) / (after - before)
    return math.exp((1 - share) * math.log(rates[above - 1]) + share * math.log(rates[above]))


def faster(n_bytes: float, sizes: Sequence[int], rates: Sequence[float]) -> float:
    """Return the faster of the rates at the sizes around `n_bytes`, or that at this very size.

    Beyond the sizes it is that of the nearest. NaN where one of the rates is; and NaN of no sizes.
    """
    if not sizes or math.isnan(n_bytes):
        return math.nan
    x = min(max(n_bytes, sizes[0]), sizes[-1])
    above = bisect_left(sizes, x)
    around = rates[above : above + 1] if x == sizes[above] else rates[above - 1 : above + 1]
    return math.nan if any(map(math.isnan, around)) else max(around)
