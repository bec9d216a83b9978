"""Failures: what an exception in a worker makes of a case, by its type or by what it says."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.record.schema import Ending


class CaseError(Exception):
    """A request failed inside a worker: `ending` says how, as a record does.

    `is_broken` says that its device computes nothing any more, as after a failed assertion in a kernel.
    """

    def __init__(self, status: str, reason: str, details: str = "", *, is_broken: bool = False) -> None:
        super().__init__(reason)
        self.ending = Ending(status=status, reason=reason)
        self.details = details
        self.is_broken = is_broken


def unwrap(reply: tuple[str, Any]) -> Any:
    """Return what a worker's reply holds; raise CaseError where it tells of an exception."""
    outcome, value = reply
    if outcome == "ok":
        return value
    kind, message, details = value
    status = _STATUSES.get(kind, "failed")
    if status == "failed" and _OUT_OF_MEMORY.search(message):
        status = "out_of_memory"
    reason = f"{kind}: {message}" if status == "failed" else message
    raise CaseError(status, reason, details, is_broken=outcome == "broken")


_STATUSES = {
    "BackendUnavailable": "unavailable",
    "NotSupported": "unavailable",
    "Unmeasurable": "unavailable",
    "Invalid": "invalid",
    "MemoryError": "out_of_memory",
    "_ArrayMemoryError": "out_of_memory",
    "OutOfMemoryError": "out_of_memory",
}
"""A record's status by the type of the exception in the worker; `failed` for all others."""
_OUT_OF_MEMORY = re.compile(
    "RESOURCE_EXHAUSTED|can't allocate memory|out of memory|OUT_OF_MEMORY|ErrorMemoryAllocation|_ALLOC_FAILED",
)
"""How XLA, PyTorch's CPU allocator, CUDA, its libraries and HIP say it, in exceptions of general types."""
