"""What disturbs a process, as the system counts it: waiting for a processor, and new pages (Linux)."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_THREADS = Path("/proc/self/task")
_MOST_BYTES = 128
"""Of a thread's schedstat: three numbers."""


class Waiting:
    """For how long the threads of this process were ready to run and had no processor.

    The files that tell it stay open: finding those of JAX's 17 threads anew takes as long as a round.
    """

    def __init__(self) -> None:
        self._files: dict[str, int] = {}

    def seconds(self) -> float | None:
        """Return the sum over the threads that there are.

        It is the second number of /proc/PID/schedstat (Linux, Documentation/scheduler/sched-stats.rst), in
        nanoseconds and not in ticks. None where the system does not tell.
        """
        try:
            threads = [thread.name for thread in _THREADS.iterdir()]
        except OSError:
            return None
        for ended in self._files.keys() - set(threads):
            os.close(self._files.pop(ended))
        found = [self._of(thread) for thread in threads]
        told = [nanoseconds for nanoseconds in found if nanoseconds is not None]
        return sum(told) / 1e9 if told else None

    def _of(self, thread: str) -> int | None:
        try:
            if thread not in self._files:
                self._files[thread] = os.open(_THREADS / thread / "schedstat", os.O_RDONLY)
            return int(os.pread(self._files[thread], _MOST_BYTES, 0).split()[1])
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            return None


def page_faults() -> int:
    """Return how many pages this process has been given so far, without any being read from a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
