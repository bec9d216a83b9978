"""NumPy: a function of somebody else's over NumPy arrays."""

from __future__ import annotations

import numpy as np

from backends.candidates import Candidate, HostCandidate


def create(candidate: Candidate, device: str, threads: int | None) -> HostCandidate:
    """Return the function as a backend; raise BackendUnavailable where it cannot be imported or called."""
    del device
    return HostCandidate(candidate, threads or 1, np.__version__)
