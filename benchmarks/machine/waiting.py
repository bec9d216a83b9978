"""What disturbs a process, as the system counts it: waiting for a processor, and new pages (Linux)."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


def waited_s() -> float | None:
    """Return for how long this process's threads have been ready to run and had no processor, together.

    It is the second number of /proc/PID/schedstat (Linux, Documentation/scheduler/sched-stats.rst), in nanoseconds
    and not in ticks. None where the system does not tell.
    """
    total, told = 0, False
    for thread in _THREADS.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            total += int((thread / "schedstat").read_bytes().split()[1])
            told = True
    return total / 1e9 if told else None


def page_faults() -> int:
    """Return how many pages this process has been given so far, without any being read from a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
