"""A bursty background load: a process that keeps one core busy about half of the time."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import processes
from benchmarks.machine import environment, guardian, resources

MEAN_S = 0.1
"""Mean length of a burst, and of the pause after it, both exponentially distributed."""


@contextmanager
def bursty_load() -> Iterator[None]:
    """Keep the first allowed core busy about half of the time, in bursts, while the context is open."""
    command = processes.command(f"{__package__}.load")
    running = subprocess.Popen(command, env=processes.environment() | guardian.marked())
    try:
        yield
    finally:
        running.kill()
        running.wait(10)


def _burn() -> None:
    lengths = random.Random(0)
    with resources.on_processor(min(environment.processors())):
        while True:
            end = time.perf_counter() + lengths.expovariate(1 / MEAN_S)
            while time.perf_counter() < end:
                pass
            time.sleep(lengths.expovariate(1 / MEAN_S))


if __name__ == "__main__":
    _burn()
