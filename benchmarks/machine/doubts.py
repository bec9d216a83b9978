"""The machine: a fingerprint that tells runs of different machines apart, and what makes their times doubtful."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmarks.machine import environment, gpus
from benchmarks.machine.caveat import Caveat
from benchmarks.machine.gpus import THROTTLING, Gpu, Seen
from benchmarks.quantities import listing, plural, size

BUSY = 0.1
"""Share of the processors in use by others from which a run is called doubtful."""
STEAL = 0.01
"""Share of the processors' time taken by the hypervisor from which a run is called doubtful."""
CLOCK = 0.1
"""A clock rate that moved by more than this share of the lower one is told."""
SWAP = 0.1
"""Swap in use, as a share of the memory, from which on programs are likely to wait for the disk."""
HOT_C = 83.0
"""Temperature from which on NVIDIA's boost lowers the clock (GPU Boost's usual target), in °C."""
SHORTEST_S = 1.0
"""A run shorter than this many seconds of all processors is not judged: the system counts in 10 ms."""


@dataclass(frozen=True)
class State:
    """What a machine's state before a run may make doubtful; None where it is not known."""

    governor: str | None = None
    cpus_allowed: int | None = None
    cpu_quota: float | None = None
    swap_used_bytes: int = 0
    memory_bytes: int = 0
    gpus: Sequence[Gpu] | None = None
    unwatched_gpu: bool = False
    on_battery: bool | None = None


@dataclass(frozen=True)
class Moment:
    """Processor time spent so far, in seconds of all processors together, and the clock rate in MHz.

    `busy_s` is what all programs used of `total_s`, `own_s` what this process and its children did, `steal_s` what
    the hypervisor gave to other machines.
    """

    total_s: float
    busy_s: float
    own_s: float
    steal_s: float
    clock_mhz: float | None


class Watch:
    """Watches the machine from now on until `finish`."""

    def __init__(self) -> None:
        self._before = read_moment()

    def finish(self) -> list[Caveat]:
        """Return what happened meanwhile that makes times doubtful."""
        found = changes(self._before, read_moment())
        return found + gpu_warnings(gpus.gpus() or (), "at the end of the run")


def warnings(busy: float, threads: int = 1, state: State | None = None) -> list[Caveat]:
    """Return what makes times doubtful before the first is measured.

    `busy` is the share of the processors in use, `threads` what was asked for; `state` is read unless given.
    """
    state = state or read_state()
    found = []
    if state.governor not in (None, "performance"):
        found.append(f"The processor's frequency governor is {state.governor!r}: speed may change during the run.")
    if state.cpus_allowed is not None and state.cpus_allowed < threads:
        found.append(
            f"This process may use only {plural(state.cpus_allowed, 'processor')}, and {threads} threads were "
            "asked for: they will wait for each other."
        )
    if state.cpu_quota is not None and state.cpu_quota < threads:
        found.append(
            f"The container may use the time of only {state.cpu_quota:g} processors, and {threads} threads were "
            "asked for: the system will halt them now and then."
        )
    if state.swap_used_bytes > SWAP * state.memory_bytes:
        found.append(f"{size(state.swap_used_bytes)} of memory is swapped out: programs may wait for the disk.")
    if state.on_battery:
        found.append("The machine runs on its battery: it may save power at any time.")
    if state.unwatched_gpu:
        found.append(
            "The GPU's clocks, throttling and energy are not watched, since NVML does not answer: "
            "pip install nvidia-ml-py"
        )
    found += [
        f"{gpu.name} is divided (MIG): what runs on its other parts can slow this one down."
        for gpu in state.gpus or ()
        if gpu.mig_mode == "Enabled"
    ]
    load = _load(busy, "when the run began")
    return [*load, *map(Caveat, found), *gpu_warnings(state.gpus or (), "when the run began")]


def changes(before: Moment, after: Moment) -> list[Caveat]:
    """Return what happened between two moments that makes times doubtful."""
    total = after.total_s - before.total_s
    if total < SHORTEST_S:
        return []
    found = []
    steal = (after.steal_s - before.steal_s) / total
    if steal > STEAL:
        found.append(
            f"The hypervisor gave {100 * steal:.0f} % of this machine's processor time to others during the run: "
            "times are doubtful."
        )
    if before.clock_mhz and after.clock_mhz:
        low, high = sorted((before.clock_mhz, after.clock_mhz))
        if high > (1 + CLOCK) * low:
            found.append(
                f"The processor's clock went from {before.clock_mhz / 1e3:.2f} to {after.clock_mhz / 1e3:.2f} GHz "
                "during the run."
            )
    return [*_load(others_share(before, after), "during the run"), *map(Caveat, found)]


def _load(others: float, when: str) -> list[Caveat]:
    if others <= BUSY:
        return []
    text = (
        f"Other programs used {100 * others:.0f} % of the processors {when}: times are doubtful, "
        "above all those of backends with several threads."
    )
    return [Caveat(text, "load")]


def others_share(before: Moment, after: Moment) -> float:
    """Return the share of all processors that other programs used between two moments."""
    total = after.total_s - before.total_s
    others = after.busy_s - before.busy_s - (after.own_s - before.own_s)
    return max(0.0, others / total) if total > 0 else 0.0


def gpu_warnings(seen: Iterable[Gpu], when: str) -> list[Caveat]:
    """Return which GPUs were slowed down or hot; `when` ends the sentence's first half."""
    found = []
    for gpu in seen:
        if causes := [reason for reason in gpu.reasons if reason in THROTTLING]:
            clock = f" to {gpu.sm_mhz:.0f} MHz" if gpu.sm_mhz else ""
            found.append(f"{gpu.name} was slowed down{clock} {when} ({listing(causes)}): times are doubtful.")
        if gpu.temperature_c is not None and gpu.temperature_c >= HOT_C:
            found.append(f"{gpu.name} was {gpu.temperature_c:.0f} °C hot {when}: it may slow down.")
    return list(map(Caveat, found))


def gpu_load(seen: Seen | None) -> str:
    """Return, in words, what a GPU did while a case was measured that makes its time doubtful; or nothing."""
    if seen is None:
        return ""
    found = []
    if seen.throttled:
        found.append(
            f"the GPU was slowed down in {seen.throttled} of {plural(seen.turns, 'burst')} "
            f"({listing(seen.reasons)})"
        )
    if seen.low_mhz and seen.high_mhz and seen.high_mhz > (1 + CLOCK) * seen.low_mhz:
        found.append(f"the GPU's clock went between {seen.low_mhz:.0f} and {seen.high_mhz:.0f} MHz")
    return "; ".join(found)


def read_state() -> State:
    """Return the machine's state now."""
    return State(
        governor=environment.governor(),
        cpus_allowed=environment.processors_allowed(),
        cpu_quota=environment.cpu_quota(),
        swap_used_bytes=environment.swap_used_bytes(),
        memory_bytes=int(psutil.virtual_memory().total),
        gpus=gpus.gpus(),
        unwatched_gpu=gpus.nvidia_present() and not gpus.hidden() and not gpus.is_watched(),
        on_battery=environment.on_battery(),
    )


def read_moment() -> Moment:
    """Return the processor time spent until now."""
    times = psutil.cpu_times()._asdict()
    # Linux counts guests' time twice: in their own column, and as their user's.
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    steal = times.get("steal", 0.0)
    own = sum(os.times()[:4])  # ended children included
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            spent = child.cpu_times()
            own += spent.user + spent.system + spent.children_user + spent.children_system
    return Moment(
        total_s=total,
        busy_s=total - times["idle"] - times.get("iowait", 0.0) - steal,
        own_s=own,
        steal_s=steal,
        clock_mhz=environment.clock_mhz(),
    )


def busy_share() -> float:
    """Return the share of all processors that is in use now, over half a second."""
    return float(psutil.cpu_percent(interval=0.5)) / 100
