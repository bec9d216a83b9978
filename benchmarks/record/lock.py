"""Locks: whether a file is being written by some process, which the system knows however that process ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

if sys.platform != "win32":  # where nobody is known to write
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock


def take(file: IO[str]) -> bool:
    """Lock an open file as the one who writes it, until it is closed; tell whether nobody else does."""
    return sys.platform == "win32" or _locked(file, LOCK_EX | LOCK_NB)


def is_taken(path: Path) -> bool:
    """Tell whether a process has locked a file, which is to be read."""
    if sys.platform == "win32":
        return False
    with path.open(encoding="utf-8") as file:
        return not _locked(file, LOCK_SH | LOCK_NB)


def _locked(file: IO[str], kind: int) -> bool:
    try:
        flock(file, kind)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
