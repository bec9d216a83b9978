"""Limits: each device's bandwidth, measured before its first case, again in doubt, and at the end of the run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import SubprocessError

from benchmarks.machine import bandwidth, roofline
from benchmarks.machine.limit import Bandwidth
from benchmarks.measure import plausibility
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.plan import inputs
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import Case, Times, Verdict

MOST = 4
"""A device whose bandwidth was measured four times is not measured again for an implausible case."""


@dataclass
class Limits:
    """Measures and records devices' bandwidths, up to the bytes that the largest of `planned` cases moves."""

    pool: Pool
    recorder: Recorder
    watch: Stopwatch
    planned: Sequence[Case] = ()
    _found: dict[str, list[Bandwidth]] = field(default_factory=dict)

    def of(self, device: str) -> Bandwidth | None:
        """Return a device's bandwidth, measured before its first case; None where that fails."""
        if device not in self._found:
            self._found[device] = []
            self._measure(device)
        return next(iter(self._found[device]), None)

    def exceeded(self, device: str, times: Times, n_bytes: int, verdicts: Sequence[Verdict]) -> str | None:
        """Return why a case is faster than its device, whose bandwidth is measured again before it is believed.

        Another program may have disturbed the measurements so far: the fastest of them counts.
        """
        known = self._found.get(device)
        if not known:
            return None
        reason = plausibility.too_fast(times, n_bytes, bandwidth.fastest(known), verdicts)
        if reason and len(known) < MOST:
            self._measure(device)
            reason = plausibility.too_fast(times, n_bytes, bandwidth.fastest(known), verdicts)
        return reason

    def measure_again(self) -> None:
        """Measure again what was measured; where it has moved, a third time, which says what to believe."""
        for device, found in self._found.items():
            if found:
                self._measure(device)
                if any(limit.rejected for limit in roofline.settle(device, found)):
                    self._measure(device)

    def _measure(self, device: str) -> None:
        with self.watch.phase("bandwidth"), suppress(CaseError, SubprocessError, OSError):
            found = self._host() if device == "cpu" else self._copies(device)
            if found:
                self._found[device].append(found)
                self.recorder.bandwidth(device, found)

    def _host(self) -> Bandwidth:
        needed = [inputs.bytes_needed(case) for case in self.planned] or [bandwidth.LADDER[-1]]
        return bandwidth.measure_host(self.pool.threads, bandwidth.steps(max(needed)))

    def _copies(self, device: str) -> Bandwidth | None:
        """Return the bandwidth of the backends' own copies: the fastest is what the device can do.

        Always up to the largest size: where only small ones were measured, all might be limited by their launches.
        """
        found = []
        for backend, place in self.pool.started():
            if place == device:
                with suppress(CaseError):  # the others' copies tell as well
                    found.append(self.pool.call(backend, device, "copy_seconds", bandwidth.DEVICE_LADDER))
        return bandwidth.from_seconds([min(seconds) for seconds in zip(*found, strict=True)]) if found else None
