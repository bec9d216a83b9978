"""Stopping and continuing processes by signals, and ending them with the process that started them (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""From Linux's <sys/prctl.h>."""


def can_stop() -> bool:
    """Tell whether processes can be stopped here with nothing left behind, however this one ends."""
    return sys.platform == "linux"


def end_with_parent() -> None:
    """Have the system kill this process, stopped or not, when the one that started it ends."""
    if can_stop():
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(pid: int) -> None:
    """Stop a child that leads a process group, with all of the group, and wait until its threads stand still.

    A child that has ended meanwhile is left as it is.
    """
    try:
        os.killpg(pid, signal.SIGSTOP)
        # Reported once every thread has stopped. WNOWAIT leaves the report, and an exit status, to others.
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    except (ProcessLookupError, ChildProcessError):
        return


def go_on(pid: int) -> None:
    """Let a stopped child and its group go on."""
    try:
        os.killpg(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
