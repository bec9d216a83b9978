"""What a run may use: processors, memory, threads and devices."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.machine import environment, gpus

XLA_THREADS = "tf_XLAEigen"
"""What XLA calls the threads of its CPU pool."""
_NO_GPU = {
    "CUDA_VISIBLE_DEVICES": "",
    "HIP_VISIBLE_DEVICES": "",
    "ROCR_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
}
_SHARED_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
_PROCESSORS = Path("/sys/devices/system/cpu")
_ALIKE = 0.9
"""Processors are alike whose capacities, or highest clocks, differ by less than a tenth."""


class ThreadPool(NamedTuple):
    """A library's threads: what it computes, the file or threads it is known by, and how many there are."""

    library: str
    prefix: str
    threads: int


def default_threads() -> int:
    """Return the number of physical cores that this process may use."""
    allowed = environment.processors_allowed()
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical))


def alike_processors() -> list[int]:
    """Return the fastest processors that this process may use: those that the system gives the same capacity.

    A processor of several kinds has slower ones, which the system would leave to lesser work; all of them count
    where it does not tell.
    """
    allowed = environment.processors()
    capacities = {processor: _capacity(processor) for processor in allowed}
    most = max(capacities.values())
    return [processor for processor in allowed if capacities[processor] >= _ALIKE * most]


def _capacity(processor: int) -> float:
    """Return a processor's capacity, or its highest clock in kHz; 0 where the system tells neither."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        with suppress(OSError, ValueError):
            return float((_PROCESSORS / f"cpu{processor}" / name).read_text(encoding="ascii"))
    return 0.0


@contextmanager
def on_processor(processor: int | None) -> Iterator[None]:
    """Keep the calling thread on one processor meanwhile, where one is given and the system lets it choose."""
    if processor is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        # Threads that are started later inherit it.
        os.sched_setaffinity(0, allowed)


def cuda_driver_present() -> bool:
    """Tell whether this machine has an NVIDIA GPU that is not hidden, without importing a framework."""
    return gpus.nvidia_present() and not gpus.hidden()


def device_variables(device: str, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables for a process that computes on `device`; those that are `given` stay as they are.

    On the host, frameworks see no GPU: JAX would open all of them, and what runs on JAX or PyTorch might compute
    there. On a device JAX takes memory as it needs it: by default, each process would take three quarters of it.
    """
    if device == "cpu":
        return dict(_NO_GPU)
    return {name: value for name, value in _SHARED_GPU.items() if device and name not in given}


def last_level_cache_bytes() -> int | None:
    """Return the size of the processor's last-level cache in bytes, None where the system does not tell."""
    return environment.last_level_cache_bytes()


def available_memory_bytes() -> int:
    """Return how much memory may still be allocated without swapping, within the container's limit."""
    available = int(psutil.virtual_memory().available)
    left = environment.memory_left_bytes()
    return available if left is None else min(available, left)


def thread_pools() -> list[ThreadPool]:
    """Return the thread pools of this process.

    Those that threadpoolctl knows, and XLA's, which is known by its threads' name. No paths: those name the user.
    """
    from threadpoolctl import threadpool_info  # late: only a worker, which has such libraries, asks for it

    found = [ThreadPool(pool["internal_api"], pool["prefix"], pool["num_threads"]) for pool in threadpool_info()]
    n_xla = pool_threads([XLA_THREADS])
    return [*found, ThreadPool("xla", XLA_THREADS, n_xla)] if n_xla else found


def pool_threads(prefixes: Iterable[str]) -> int | None:
    """Return how many of this process's threads have names that begin so; None where threads have no names."""
    starts = tuple(prefixes)
    names = [environment.first_line(path) or "" for path in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith(starts) for name in names) if names else None
