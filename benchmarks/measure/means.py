"""What a process uses, seen from outside of it: processors, other processes, priority (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "ACTIVATION_BENCH_WORKER"
"""A variable in the environment of each worker, with a value of its own: its children inherit it."""
MOST_WAITS = 4
"""Where five times as many threads compute as there are processors, each waits four times as long as it runs."""
_PROCESSES = Path("/proc")
_PROCESS_CLOCK = 2
"""CPUCLOCK_SCHED of a whole process: the clock of process PID is (~PID << 3) | 2 (clock_getcpuclockid(3))."""


def processor_seconds(pid: int) -> float | None:
    """Return the processor time that a process has used, in all its threads, ended ones too; None if untold."""
    try:
        return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)
    except (OSError, AttributeError, OverflowError):
        return None


def scheduled(pid: int) -> dict[str, tuple[int, int]]:
    """Return for how long each thread that a process has ran, and was ready and had no processor; none if untold.

    In nanoseconds, by thread: the first numbers of its schedstat (Linux, Documentation/scheduler/sched-stats.rst).
    """
    found = {}
    for thread in (_PROCESSES / str(pid) / "task").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it has ended, or the system does not tell
            ran, waited, _ = map(int, (thread / "schedstat").read_bytes().split())
            found[thread.name] = ran, waited
    return found


def queued_seconds(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> float:
    """Return for how long threads that computed between two readings of `scheduled` waited for a processor.

    All threads of a stopped process wake when it goes on, and each waits for a processor, if only to sleep again:
    no thread's wait counts for more than `MOST_WAITS` times as long as it ran.
    """
    found = 0
    for thread, (ran, waited) in after.items():
        ran_before, waited_before = before.get(thread, (0, 0))
        found += min(waited - waited_before, MOST_WAITS * (ran - ran_before))
    return found / 1e9


def marked() -> dict[tuple[str, int], float]:
    """Return the processor seconds of every process that has a mark in its environment, by mark and number.

    A worker's child has its mark, also when its parents have ended; one that was started with another environment
    has none.
    """
    begin = f"{MARK}=".encode()
    found = {}
    for process in _PROCESSES.iterdir():
        if process.name.isdecimal():
            with suppress(OSError):  # it has ended, or is another user's
                _, is_marked, rest = (process / "environ").read_bytes().partition(begin)
                if is_marked:
                    pid, mark = int(process.name), rest.partition(b"\0")[0].decode()
                    found[mark, pid] = processor_seconds(pid) or 0.0
    return found


@dataclass(frozen=True)
class Treatment:
    """What the system's scheduler goes by for a process's first thread: priority, class and processors."""

    priority: int
    scheduled: int
    processors: set[int]


def treatment(pid: int) -> Treatment | None:
    """Return how a process's first thread is treated; None where the system does not tell, or it has ended."""
    if not hasattr(os, "sched_getscheduler"):
        return None
    try:
        priority, scheduled = os.getpriority(os.PRIO_PROCESS, pid), os.sched_getscheduler(pid)
        return Treatment(priority, scheduled, os.sched_getaffinity(pid))
    except OSError:
        return None


def treat(pid: int, usual: Treatment) -> None:
    """Have all threads of a process treated in this way, as far as the system lets this process say so."""
    for thread in (_PROCESSES / str(pid) / "task").glob("[0-9]*"):
        tid = int(thread.name)
        # Each for itself: only the system's administrator may raise a priority again.
        with suppress(OSError):
            os.sched_setaffinity(tid, usual.processors)
        with suppress(OSError):
            if os.sched_getscheduler(tid) != usual.scheduled:
                os.sched_setscheduler(tid, usual.scheduled, os.sched_param(0))
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, tid, usual.priority)


def privileges(pid: int, usual: Iterable[Treatment]) -> list[str]:
    """Return how what the system's scheduler goes by for a process differs from all that is `usual`, in words."""
    known = list(usual)
    return list(_privileges(pid, known)) if known else []


def _privileges(pid: int, usual: Sequence[Treatment]) -> Iterator[str]:
    with suppress(OSError):  # it has ended
        if os.sched_getaffinity(pid) not in [each.processors for each in usual]:
            yield "its processors are not those that it was given"
        for thread in (_PROCESSES / str(pid) / "task").glob("[0-9]*"):
            with suppress(OSError):
                priority = os.getpriority(os.PRIO_PROCESS, int(thread.name))
                scheduled = os.sched_getscheduler(int(thread.name))
                if priority not in [each.priority for each in usual]:
                    yield f"a thread has priority {priority}"
                if scheduled not in [each.scheduled for each in usual]:
                    yield f"a thread is scheduled by class {scheduled}"
