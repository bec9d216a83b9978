"""Numba: a compiled function of somebody else's over NumPy arrays."""

from __future__ import annotations

import numba

from backends.candidates import Candidate, HostCandidate


def create(candidate: Candidate, device: str, threads: int | None) -> HostCandidate:
    """Return the function as a backend; raise BackendUnavailable where it cannot be imported or called."""
    del device
    return HostCandidate(candidate, threads or numba.config.NUMBA_NUM_THREADS, str(numba.__version__))
