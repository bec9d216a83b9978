"""What a run may use: processors, memory, threads and devices."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.machine import environment

XLA_THREADS = "tf_XLAEigen"
"""What XLA calls the threads of its CPU pool."""


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


def cuda_driver_present() -> bool:
    """Tell whether this machine has an NVIDIA driver, without importing a framework."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()


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
