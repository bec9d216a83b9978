"""Transfers: what a case's bytes take to its device and back, asked of each backend there until one hangs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from benchmarks.machine.caveat import Caveat
from benchmarks.measure import devices
from benchmarks.measure.limits import FOR_GOOD
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import Case, Closer, Preparation


@dataclass
class Transfers:
    """Asks for transfers; of a backend and device whose transfer ended their worker once in a run, no more."""

    recorder: Recorder | None = None
    _without: dict[tuple[str, str], str] = field(default_factory=dict)

    def added(self, closer: Closer, pool: Pool, case: Case, ready: Preparation) -> Closer:
        """Return it with the times of the case's transfers, or with why there are none: no case fails for them.

        It comes after all else that its worker is asked for a case. A transfer that hangs ends the worker, and
        with it what was prepared.
        """
        place = case.backend, case.device
        if place in self._without:
            return replace(closer, no_transfers=self._without[place])
        try:
            found: devices.Transfers = pool.call(*place, "transfers", ready.bytes_in, ready.bytes_written)
        except CaseError as error:
            if error.ending.status in FOR_GOOD:
                self._give_up(place, error.ending.reason)
            return replace(closer, no_transfers=error.ending.reason)
        return replace(
            closer,
            host_to_device_s=found.to_s,
            device_to_host_s=found.back_s,
            host_to_device_pinned_s=found.pinned_to_s,
            device_to_host_pinned_s=found.pinned_back_s,
        )

    def _give_up(self, place: tuple[str, str], reason: str) -> None:
        backend, device = place
        self._without[place] = f"not measured again in this run: {reason}"
        if self.recorder:
            text = f"Transfers of {backend} to and from {device} are not measured: {reason}."
            self.recorder.warn(Caveat(text, "transfers"))
