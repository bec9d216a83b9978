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


@dataclass(frozen=True)
class Bandwidth:
    """Measured bandwidth in GB/s at each of `n_bytes` moved: of copies, and of reading alone.

    `stores` says whether "plain" or "streaming" stores made the faster copy. For a device, whose copies come from
    the frameworks, `read` is empty and `stores` holds "".
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
