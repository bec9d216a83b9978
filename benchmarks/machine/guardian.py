"""The guardian: a process that outlives this one by moments, and ends what it has left behind.

However this process ends, killed or with its terminal, the guardian's standard input is then closed. It kills the
process groups that it was told of and, where /proc tells (Linux), every process that inherited a mark of this
one's in its environment. Who has left its group and started another program with a new environment is not found;
on other systems, nor is anybody else who has left its group.
"""

from __future__ import annotations

import atexit
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

MARK = "ACTIVATION_BENCH_RUN"
"""A variable that is inherited by all that a run starts; its value is the run's own."""
_PROCESSES = Path("/proc")
_ATTEMPTS, _PAUSE_S = 40, 0.1
"""Whoever starts others while it is looked for is found the next time."""


def watch(pid: int) -> None:
    """Have a process group ended when this process ends."""
    _tell(f"+{pid}")


def forget(pid: int) -> None:
    """Leave a process group alone, since it has ended, and its number may become another's."""
    _tell(f"-{pid}")


def marked() -> dict[str, str]:
    """Return the variable by which what inherits it is found when this process has ended."""
    _guardian(os.getpid())
    return {MARK: _mark(os.getpid())}


def end_marked(variable: str, value: str) -> int:
    """Kill every process that has a variable of this value in its environment; return how many there were."""
    looked_for, n = f"\0{variable}={value}\0".encode(), 0
    for process in _PROCESSES.iterdir() if _PROCESSES.is_dir() else ():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with suppress(OSError):  # it has ended, or is another user's
                if looked_for in b"\0" + (process / "environ").read_bytes() + b"\0":
                    os.kill(int(process.name), signal.SIGKILL)
                    n += 1
    return n


@cache
def _mark(pid: int) -> str:
    return f"{pid}-{secrets.token_hex(8)}"


@cache
def _guardian(pid: int) -> subprocess.Popen[bytes]:
    """Return the guardian of this process, `pid`: a fork of it would need its own."""
    # Its environment has no mark, and it is in no group or session that is ended with this process.
    guardian = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, _mark(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        bufsize=0,
    )
    atexit.register(_dismiss, guardian)
    return guardian


def _dismiss(guardian: subprocess.Popen[bytes]) -> None:
    """Let the guardian do what is left to do, and wait for that."""
    if guardian.stdin is not None:
        guardian.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        guardian.wait(_ATTEMPTS * _PAUSE_S)


def _tell(line: str) -> None:
    guardian = _guardian(os.getpid())
    with suppress(OSError):  # somebody has ended it
        assert guardian.stdin is not None
        guardian.stdin.write(f"{line}\n".encode())


def _guard(value: str) -> None:
    """Wait for the end of who started this process, and end what it left."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(_ATTEMPTS):
        if not end_marked(MARK, value):
            return
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    _guard(sys.argv[1])
