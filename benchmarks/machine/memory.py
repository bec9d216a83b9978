"""Memory of a process: the peak of one call, and which process the system ends when memory runs out (Linux)."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from benchmarks.machine import environment

SETTLED_S, PATIENCE_S = 0.02, 1.0
"""Memory in use that has not fallen for this long has settled; longer than the second, it is not waited for."""
VICTIM_SCORE = 500
"""What is added to the badness of a process when the kernel chooses which to end, of 1000 (see proc(5))."""
RETAINED = {
    "MALLOC_MMAP_MAX_": "0",  # no block is a mapping of its own, which freeing gives back
    "MALLOC_TRIM_THRESHOLD_": str(2**46),  # nor is the end of the heap given back
    "MALLOC_ARENA_MAX": "1",  # other threads' heaps hold no block beyond 64 MiB, and would map it
}
"""With these, glibc's allocator keeps what is freed: a fresh output costs no new pages. Others ignore them."""
_HUGE_PAGES = "glibc.malloc.hugetlb=1"
"""Asks for huge pages where the system gives them on request, alike for all: by default, NumPy alone asks."""
_PROCESS = Path("/proc/self")
_KERNEL_COUNTERS = Path("/proc/vmstat")


def retained(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which a process that is started in this environment keeps what it frees."""
    given = [each for each in environment.get("GLIBC_TUNABLES", "").split(":") if each]
    return {**RETAINED, "GLIBC_TUNABLES": ":".join([*given, _HUGE_PAGES])}


def resolution_bytes() -> int:
    """Return how far a peak may be from the truth in bytes.

    The kernel counts the pages that each processor takes, and adds the counts up by batches: 32 pages, or 2 for
    each processor if that is more (Linux 6.2 and later, lib/percpu_counter.c). What is not added yet lies anywhere
    within a batch, above or below. This is four standard deviations of that, for anonymous and for file pages.
    """
    batch = max(32, 2 * (os.cpu_count() or 1))
    deviation = batch * math.sqrt(2 * environment.processors_allowed() / 3)
    return round(4 * deviation) * mmap.PAGESIZE


def host_peak_bytes(run: Callable[[], Any]) -> int | None:
    """Return the most memory in bytes that one call of `run` adds to this process at any time, result included.

    It counts pages that are touched, by any library: memory that a call only reserves does not count, nor what an
    allocator has kept from earlier calls and does not return (glibc's is made to). Call `run` once before: what a
    first call loads and compiles counts too. 0 below `resolution_bytes`; None where the system does not tell.
    """
    _settle()
    give_back()
    try:
        # Makes the peak what is in use now (Linux, Documentation/filesystems/proc.rst).
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    before = _status_bytes("VmRSS")
    result = run()
    added = _status_bytes("VmHWM") - before
    del result  # alive until here, so that it counts
    return added if added >= resolution_bytes() else 0


def oom_kills() -> int:
    """Return how many processes the kernel has ended because memory ran out: a number to compare with a later one.

    Kills in this process's container count twice, those elsewhere on the machine once, where the system tells.
    """
    return environment.counters(_KERNEL_COUNTERS).get("oom_kill", 0) + environment.container_oom_kills()


def prefer_as_victim() -> None:
    """Let the kernel end this process rather than the one that started it when memory runs out, where it can."""
    with suppress(OSError):
        (_PROCESS / "oom_score_adj").write_text(str(VICTIM_SCORE), encoding="ascii")


def _settle() -> None:
    """Wait until what earlier calls returned is freed: JAX frees 32 MiB in another thread, 2 ms after they go."""
    import psutil  # late: who asks for constants alone, such as a command that reads a run, starts sooner

    low, fell, started = math.inf, perf_counter(), perf_counter()
    while (now := perf_counter()) - fell < SETTLED_S and now - started < PATIENCE_S:
        used = psutil.Process().memory_info().rss
        if used < low:
            low, fell = used, now
        sleep(SETTLED_S / 10)


def give_back() -> None:
    """Return to the system what glibc's allocator keeps; other C libraries have no such function."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _status_bytes(name: str) -> int:
    lines = (_PROCESS / "status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
