"""Threads: how many processors this process may use, and how many threads XLA has on them."""

from __future__ import annotations

import os


def processors() -> int:
    """Return how many processors this process may use: all of them where the system knows no affinity."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def xla_threads(threads: int | None = None) -> int:
    """Return how many threads XLA has on the CPU: as many as it starts with, whatever is asked for later.

    It counts the processors when it first computes, unless the environment variable NPROC says how many. Raises
    ValueError if `threads` is another number.
    """
    pool = int(os.environ.get("NPROC", processors()))
    if threads not in (None, pool):
        raise ValueError(f"threads: JAX starts with {pool} threads here; set NPROC={threads} before it starts")
    return pool
