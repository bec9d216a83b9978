"""Limits: each device's bandwidth, measured before its first case, again in doubt, and at the end of the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import SubprocessError

from benchmarks.machine import bandwidth, roofline
from benchmarks.machine.caveat import Caveat
from benchmarks.machine.limit import HOST, Bandwidth, Moved
from benchmarks.measure import plausibility
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.plan import inputs
from benchmarks.quantities import count, percent, seconds
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import Case, Times, Verdict

MOST = 4
"""A device whose bandwidth was measured four times is not measured again for an implausible case."""
SURPLUS = 1 + roofline.TOLERANCE
"""On a device, a share of more than 1.1 is no result: two measurements of one limit may differ by a tenth.

Its cache is nobody else's, so it needs none of the room that the host's gets (`plausibility.IMPOSSIBLE`).
"""
FOR_GOOD = ("timeout", "crashed")
"""A backend whose copies ended so is not asked for them again: they would cost its worker each time."""


@dataclass
class Limits:
    """Measures and records devices' bandwidths, up to the bytes that the largest of `planned` cases moves."""

    pool: Pool
    recorder: Recorder
    watch: Stopwatch
    planned: Sequence[Case] = ()
    _without: set[tuple[str, str, str]] = field(default_factory=set)
    _found: dict[str, list[Bandwidth]] = field(default_factory=dict)

    def of(self, device: str) -> Bandwidth | None:
        """Return a device's bandwidth, measured before its first case; None where that fails."""
        if device not in self._found:
            self._found[device] = []
            self._measure(device)
        return next(iter(self._found[device]), None)

    def exceeded(
        self,
        device: str,
        times: Times,
        n_bytes: int,
        verdicts: Sequence[Verdict],
        *,
        written: float = math.nan,
        cache: str = "hot",
    ) -> str | None:
        """Return why a case is faster than its device, whose bandwidth is measured again before it is believed.

        Another program may have disturbed the measurements so far: the fastest of them counts. The case moves
        `n_bytes` a call, of which `written` are written, with this policy of `cache`.
        """
        known = self._found.get(device)
        if not known:
            return None

        def reason() -> str | None:
            fastest = bandwidth.fastest(known)
            if device == HOST:
                return plausibility.too_fast(times, n_bytes, fastest, verdicts)
            return _beyond(times, Moved(n_bytes, written, device, cache), fastest, verdicts)

        found = reason()
        for _ in range(MOST - len(known)):
            if not found:
                break
            self._measure(device)
            found = reason()
        return found

    def measure_again(self) -> None:
        """Measure again what was measured; where it has moved, a third time, which says what to believe."""
        for device, found in self._found.items():
            if found:
                self._measure(device)
                if any(limit.rejected for limit in roofline.settle(device, found)):
                    self._measure(device)

    def _measure(self, device: str) -> None:
        with self.watch.phase("bandwidth"), suppress(CaseError, SubprocessError, OSError):
            found = self._host() if device == HOST else self._device(device)
            if found:
                self._found[device].append(found)
                self.recorder.bandwidth(device, found)

    def _host(self) -> Bandwidth:
        needed = [inputs.bytes_needed(case) for case in self.planned] or [bandwidth.LADDER[-1]]
        return bandwidth.measure_host(self.pool.threads, bandwidth.steps(max(needed)))

    def _device(self, device: str) -> Bandwidth | None:
        """Return the bandwidth of the backends' own copies and reads: the fastest is what the device can do.

        Always up to the largest size: where only small ones were measured, all might be limited by their launches.
        """
        return bandwidth.from_seconds(self._least(device, "copy_seconds"), self._least(device, "read_seconds"))

    def _least(self, device: str, method: str) -> list[float]:
        """Return the least seconds that a backend takes for each size of a device's ladder; empty without any."""
        found = []
        for backend, place in self.pool.started():
            if place != device or (backend, device, method) in self._without:
                continue
            try:
                found.append(self.pool.call(backend, device, method, bandwidth.DEVICE_LADDER))
            except CaseError as error:  # the others' tell as well
                if error.ending.status in FOR_GOOD:
                    self._without.add((backend, device, method))
                    which = f"The {method.removesuffix('_seconds')} bandwidth of {device}"
                    text = f"{which} is measured without {backend}: {error.ending.reason}."
                    self.recorder.warn(Caveat(text, "limit"))
        return [min(each) for each in zip(*found, strict=True)]


def _beyond(times: Times, moved: Moved, limit: Bandwidth, verdicts: Sequence[Verdict]) -> str | None:
    """Return why a case moves more bytes than its device can, or None; see `plausibility.too_fast`."""
    share = moved.n_bytes / times.ci95_high_s / 1e9 / limit.of(moved)
    if not share > SURPLUS or any(verdict.status == "known_deviation" for verdict in verdicts):
        return None
    told = f"{seconds(times.median_s)} for {count(moved.n_bytes)} bytes is {percent(share)} of what "
    if moved.cache == "cold":
        return f"{told}the memory of {moved.device} delivers: the inputs were in its cache, or were not read"
    moves = "reads" if moved.kind == "read" else "moves"
    return f"{told}{moved.device} {moves} at this size: the work cannot have been done in that time"
