"""Coming to rest: waiting until the threads of this process no longer hold a processor."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import get_native_id
from time import perf_counter, sleep

REST_S = 1e-3
"""Seconds between looks at whether threads still spin, waiting for work with a processor to themselves."""
MOST_REST_S = 0.3
"""Seconds after which nobody waits any longer. libgomp's threads spin for 10 ms, ONNX Runtime's for 40 to 90: for
that long the next backend would have one processor less."""
_THREADS = Path("/proc/self/task")


def come_to_rest() -> None:
    """Wait until no other thread of this process runs, or for `MOST_REST_S`; not where /proc does not say."""
    last = perf_counter() + MOST_REST_S
    while _another_runs() and perf_counter() < last:
        sleep(REST_S)


def _another_runs() -> bool:
    """Tell whether a thread beside the caller's computes or spins: at once, as processor times cannot."""
    own = str(get_native_id())
    for thread in _THREADS.glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            state = (thread / "stat").read_text().rpartition(") ")[2][:1]  # proc_pid_stat(5): after (name)
            if state == "R" and thread.name != own:
                return True
    return False
