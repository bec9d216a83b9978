"""Processes of `.ci/gpu`: steps that run side by side within a time, and how each of them ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
GRACE_S = 10.0
"""A step that is asked to stop has so long to write its journal."""


_REASON = re.compile(r"\S+\.py:\d+: (?:Failed: )?(.+)")
"""How pytest, told `--tb=line`, says where a test failed, and why."""


@dataclass(frozen=True)
class Step:
    """A command, and what its environment has beside that of this process."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a step ended: its exit status (None if its time was used up), the seconds, and what it printed."""

    name: str
    status: int | None
    seconds: float
    output: str

    @property
    def failures(self) -> list[str]:
        """Lines that name what failed, with its reason, or the last lines of a step that failed without such."""
        lines = self.output.splitlines()
        named = [line for line in lines if line.startswith(("FAILED ", "ERROR ", "error: "))]
        reasons = [found[1] for line in lines if (found := _REASON.match(line))]
        if len(named) == len(reasons):  # else pytest was interrupted, or has more to say of one
            named = [f"{name.partition(' - ')[0]}: {why}" for name, why in zip(named, reasons, strict=True)]
        return named or ([] if self.status == 0 else lines[-15:])

    @property
    def outcome(self) -> str:
        """The status in words."""
        return {0: "passed", None: "time used up"}.get(self.status, f"exit status {self.status}")


def together(steps: Sequence[Step], limit_s: float) -> list[Ended]:
    """Run steps side by side; those that take longer than the limit are interrupted, then ended."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell has it for what it starts with `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / str(i) for i in range(len(steps))]
        running = [_start(step, output) for step, output in zip(steps, outputs, strict=True)]
        ends: dict[int, float] = {}
        try:
            while len(ends) < len(running) and time.monotonic() - started < limit_s:
                ended = [i for i, process in enumerate(running) if i not in ends and process.poll() is not None]
                ends |= dict.fromkeys(ended, time.monotonic())
                time.sleep(0.05)
        finally:  # also where this process is told to end
            late = [process for i, process in enumerate(running) if i not in ends]
            _end(late)
        return [
            Ended(
                step.name,
                None if process in late else process.returncode,
                ends.get(i, time.monotonic()) - started,
                outputs[i].read_text(encoding="utf-8", errors="replace"),
            )
            for i, (step, process) in enumerate(zip(steps, running, strict=True))
        ]


def _start(step: Step, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            step.command,
            cwd=ROOT,
            env={**os.environ, **step.variables},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended with all that it started
        )


def _end(late: Iterable[subprocess.Popen[bytes]]) -> None:
    """Interrupt processes, as Ctrl-C would, so that they write what they have; kill those that go on."""
    late = list(late)
    for process in late:
        os.kill(process.pid, signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    for process in late:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
