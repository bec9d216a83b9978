"""Stopping and continuing processes by signals, and ending them with the process that started them (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
STOP_S, LOOK_S = 10.0, 0.5
"""Whose threads do not stand still after so long will not. A look takes less than half a second: if it seems to
take longer, the machine stood still."""
_PR_SET_PDEATHSIG = 1
"""From Linux's <sys/prctl.h>."""


def can_stop() -> bool:
    """Tell whether processes can be stopped here with nothing left behind, however this one ends."""
    return sys.platform == "linux"


def end_with_parent() -> None:
    """Have the system kill this process, stopped or not, when the one that started it ends."""
    if can_stop():
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Let what ends a cancelled job (SIGTERM) or follows a closed terminal (SIGHUP) be like Ctrl-C, once.

    What was measured is then reported. The second one ends this process at once.
    """

    def interrupt(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in _ENDING if _is_ours(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ours(number: signal.Signals) -> bool:
    """Tell whether nobody else handles or ignores a signal, as `nohup` does, and this is the main thread."""
    alone = threading.current_thread() is threading.main_thread()
    return alone and signal.getsignal(number) is signal.SIG_DFL


def stop(pid: int, limit_s: float = STOP_S) -> bool:
    """Stop a child that leads a process group, with all of the group, and wait until its threads stand still.

    Tell whether they did within `limit_s` seconds: one that waits for a device or a file cannot. A child that has
    ended meanwhile is left as it is.
    """
    # Reported once every thread has stopped. WNOWAIT leaves the report, and an exit status, to others.
    options = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
    left_s, pause_s = limit_s, 0.0
    try:
        os.killpg(pid, signal.SIGSTOP)
        while os.waitid(os.P_PID, pid, options) is None:
            if left_s <= 0:
                return False
            begun = time.monotonic()
            time.sleep(pause_s)
            left_s -= min(time.monotonic() - begun, LOOK_S)
            pause_s = min(pause_s + 1e-5, 1e-3)
            os.killpg(pid, signal.SIGSTOP)  # once more: something else may have let it go on
    except (ProcessLookupError, ChildProcessError):
        pass
    return True


def end_group(pid: int) -> None:
    """Kill a process group, stopped or not."""
    with suppress(ProcessLookupError, PermissionError):  # there is nobody left, or only who may not be ended
        os.killpg(pid, signal.SIGKILL)


def go_on(pid: int) -> None:
    """Let a stopped child and its group go on."""
    try:
        os.killpg(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
