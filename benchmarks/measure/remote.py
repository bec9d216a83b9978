"""One worker, in a process of its own or in this one, and what the system tells of it."""

from __future__ import annotations

import math
import os
import secrets
import signal
import subprocess
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe, connection
from time import perf_counter
from typing import Any, Protocol

from backends.interface import BackendUnavailable
from benchmarks import processes
from benchmarks.machine import guardian, memory, resources, signals
from benchmarks.measure import limited, means
from benchmarks.measure.failures import CaseError, unwrap
from benchmarks.measure.printed import Printed
from benchmarks.measure.worker import FIRST, Worker, answer
from benchmarks.record.schema import WorkerFacts

WORKER = processes.command(f"{__package__}.worker")
"""The command that starts a worker process, up to its arguments."""
LEAVE_S = 2.0
"""A process that was told to end has so long to do so."""
LOOK_S = 1.0
"""How often to look whether somebody who has been asked still runs, and has time left."""
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NPROC",  # XLA's CPU client
)


@dataclass(frozen=True)
class Seen:
    """What the system tells of a worker's process.

    What it starts has the same `mark` in its environment (see `means`), and another number. `stirred_s` are the
    seconds of processor time that it used each time it was stopped; `privileges` say how the scheduler treats it
    differently. If that has changed while another worker had been asked, `meanwhile` names it.
    """

    pid: int
    mark: str
    stirred_s: tuple[float, ...]
    privileges: tuple[str, ...]
    meanwhile: str = ""


class Remote(Protocol):
    """A worker, wherever it runs."""

    facts: WorkerFacts

    @property
    def alive(self) -> bool:
        """Whether it can take another request."""
        ...

    def processor_seconds(self) -> float | None:
        """Return the processor time that it has used; None where it has no process of its own."""
        ...

    def scheduled(self) -> dict[str, tuple[int, int]]:
        """Return for how long each of its threads ran, and waited for a processor: see `means.scheduled`."""
        ...

    def seen(self) -> Seen | None:
        """Return what the system tells of it; None where it has no process of its own."""
        ...

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what `Worker.method(*arguments)` returns; raise CaseError when it fails."""
        ...

    def treatment(self) -> means.Treatment | None:
        """Return how the system treats it; None where that is not known, or it has no process of its own."""
        ...

    def is_treated_otherwise(self) -> bool:
        """Tell whether the system treats it otherwise than after its last call.

        What concerns the process that asks as well is no matter, such as fewer processors for a whole container.
        """
        ...

    def treat_as_before(self, asked: str) -> None:
        """Have the system treat it as after its last call; `asked` names who has been asked meanwhile."""
        ...

    def stop(self) -> None:
        """Let it stand still."""
        ...

    def go_on(self) -> None:
        """Let it go on."""
        ...

    def leave(self) -> None:
        """Let the worker end by itself."""
        ...

    def close(self, patience_s: float = LEAVE_S) -> None:
        """End the worker, which has so long to do so itself."""
        ...


class ProcessWorker:
    """A worker in a process of its own, with its thread counts set before any library is imported.

    It starts at once, and is there after `meet`. What it is asked by `ask` it does, one after the other, while
    this process does other things, such as asking others; `answer` waits for what comes of the first of them.
    """

    facts: WorkerFacts

    def __init__(
        self,
        backend: str,
        device: str,
        threads: int,
        timeout_s: float,
        command: Sequence[str] = WORKER,
        variables: Mapping[str, str] | None = None,
        start_timeout_s: float | None = None,
    ) -> None:
        self._name = f"{backend}-{device}"
        self._timeout_s, self._start_timeout_s = timeout_s, start_timeout_s or timeout_s
        self._asked, self._due_s = deque([FIRST]), math.inf
        self._oom_kills = memory.oom_kills()
        self._mark = secrets.token_hex(8)
        self._stopped_at_s: float | None = None
        self._stirred_s: list[float] = []
        self._processors: set[int] | None = None
        self._treatment: means.Treatment | None = None
        self._meanwhile = ""
        self._has_ended = False
        self._printed = Printed()
        self._started_s = perf_counter()
        self._connection, theirs = Pipe()
        # What is printed before a crash is to be there, and not in a buffer.
        marks = {means.MARK: self._mark, **guardian.marked(), "PYTHONUNBUFFERED": "1"}
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), backend, device, str(threads)],
                pass_fds=[theirs.fileno()],
                env=worker_environment(threads, device) | dict(variables or {}) | marks,
                stdin=subprocess.DEVNULL,
                stdout=self._printed.descriptor,
                stderr=self._printed.descriptor,
                process_group=0,  # so that it can be stopped with all that it starts
            )
        finally:
            theirs.close()
            self._printed.started()
        # Before it has imported anything. Whoever treats this process otherwise later need not do so to the other.
        self._given = means.treatment(self._process.pid)
        guardian.watch(self._process.pid)

    def meet(self) -> None:
        """Wait until it has started; raise CaseError where it cannot.

        `start_s` of its facts is the time of a start only if this process has waited for nothing else meanwhile.
        """
        try:
            facts: WorkerFacts = self._receive(self._start_timeout_s)
        except CaseError:
            self.close()
            raise
        self.facts = replace(facts, start_s=perf_counter() - self._started_s)
        self._treatment = means.treatment(self._process.pid)

    @property
    def alive(self) -> bool:
        """Whether the process runs, and was not given up."""
        return not self._has_ended and self._process.poll() is None

    @property
    def is_due(self) -> bool:
        """Whether nothing will come of waiting longer: it has ended, or its time is over."""
        return not self.alive or perf_counter() >= self._due_s

    def fileno(self) -> int:
        """Return the descriptor at which an answer arrives."""
        return self._connection.fileno()

    def call(self, method: str, *arguments: Any) -> Any:
        """Carry out one request; raise CaseError when it fails, crashes or takes too long."""
        self.ask(method, *arguments)
        try:
            return self.answer()
        finally:
            self._treatment = means.treatment(self._process.pid)

    def ask(self, method: str, *arguments: Any) -> None:
        """Have it carry out one request; raise CaseError where it takes none."""
        number = secrets.randbits(64)
        if method == "pin":
            self._processors = set(arguments)
        try:
            limited.send(self._connection, (number, method, arguments), self._timeout_s)
        except TimeoutError:
            raise self._given_up("took no request", self._timeout_s) from None
        except OSError:
            raise self._crashed() from None
        self._asked.append(number)
        if len(self._asked) == 1:
            self._due_s = perf_counter() + self._timeout_s

    def answer(self) -> Any:
        """Return what came of a request; raise CaseError when it fails, crashes or takes too long."""
        try:
            return self._receive(self._timeout_s, self._due_s)
        finally:
            self._due_s = perf_counter() + self._timeout_s  # of the next one, which begins only now

    def treatment(self) -> means.Treatment | None:
        """Return how the system treats it; None where it does not tell."""
        return means.treatment(self._process.pid)

    def is_treated_otherwise(self) -> bool:
        """Tell whether the system treats it otherwise than after its last call, and than this process."""
        now = self.treatment()
        if None in (now, self._treatment) or now == self._treatment:
            return False
        return now != means.treatment(os.getpid())

    def treat_as_before(self, asked: str) -> None:
        """Have the system treat it as after its last call, if it lets us; another worker had been `asked`."""
        if self._treatment is not None:
            self._meanwhile = asked
            means.treat(self._process.pid, self._treatment)
            self._treatment = self.treatment()  # what cannot be undone is told once

    def stop(self) -> None:
        """Stop the process, and wait until its threads stand still."""
        if self.alive:
            if not signals.stop(self._process.pid):
                self._end()
            self._stopped_at_s = self.processor_seconds()

    def go_on(self) -> None:
        """Let the process go on."""
        if self.alive:
            if self._stopped_at_s is not None and (now := self.processor_seconds()) is not None:
                self._stirred_s.append(now - self._stopped_at_s)
            self._stopped_at_s = None
            signals.go_on(self._process.pid)

    def processor_seconds(self) -> float | None:
        """Return the processor time that the process has used so far; None where the system does not tell."""
        return means.processor_seconds(self._process.pid)

    def scheduled(self) -> dict[str, tuple[int, int]]:
        """Return for how long each of its threads ran, and waited for a processor."""
        return means.scheduled(self._process.pid)

    def seen(self) -> Seen:
        """Return what the process did and is, as the system tells it."""
        pid = self._process.pid
        usual = (
            replace(each, processors=self._processors or each.processors)
            for each in (self._given, means.treatment(os.getpid()))
            if each is not None
        )
        privileges = tuple(means.privileges(pid, usual))
        return Seen(pid, self._mark, tuple(self._stirred_s), privileges, self._meanwhile)

    def leave(self) -> None:
        """Let the process end, and do not wait for it."""
        self._connection.close()
        self.go_on()

    def close(self, patience_s: float = LEAVE_S) -> None:
        """End the process, by force if it does not listen, and all that it has started."""
        self.leave()
        with suppress(subprocess.TimeoutExpired):
            if not self._has_ended:
                self._process.wait(patience_s)
        self._end()

    def _receive(self, timeout_s: float, due_s: float = math.inf) -> Any:
        """Return the next reply, within `timeout_s` and before `due_s`; one that is there is read all the same."""
        number, left_s = self._asked.popleft(), max(LOOK_S, min(timeout_s, due_s - perf_counter()))
        try:
            reply = limited.receive(self._connection, min(timeout_s, left_s), lambda: self.alive)
        except TimeoutError:
            raise self._given_up("gave no answer", timeout_s) from None
        except (EOFError, ConnectionError):
            raise self._crashed() from None
        except limited.Broken as error:
            self._end()
            reason = f"the process of {self._name} wrote into its connection what is no reply ({error})"
            raise CaseError("failed", reason) from None
        finally:
            self._printed.pass_on()
        if not isinstance(reply, tuple) or len(reply) != 3 or reply[0] != number:
            self._end()
            raise CaseError("cheated", f"the process of {self._name} sent a reply that answers no request")
        return unwrap(reply[1:])

    def _end(self) -> None:
        """Kill the process and all that it has started; one that the system cannot end is given up."""
        if self._has_ended:
            return
        self._has_ended = True
        signals.end_group(self._process.pid)
        guardian.end_marked(means.MARK, self._mark)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
            guardian.forget(self._process.pid)

    def _given_up(self, what: str, timeout_s: float) -> CaseError:
        self._end()
        return CaseError("timeout", f"{self._name} {what} within {timeout_s:g} s and was ended{self._said()}")

    def _said(self) -> str:
        """Return what the process printed last, as the end of a sentence."""
        line = self._printed.last_line()
        return f"; it printed last: {line}" if line else ""

    def _crashed(self) -> CaseError:
        """Return how the process ended, or that it has closed its connection and lives."""
        try:
            code = self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._end()
            return CaseError("crashed", f"the process of {self._name} closed its connection, and was ended")
        self._end()
        if code == -signal.SIGKILL and memory.oom_kills() > self._oom_kills:
            return CaseError("out_of_memory", f"the system ended the process of {self._name}: memory ran out")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return CaseError("crashed", f"the process of {self._name} ended with {how}{self._said()}")


class LocalWorker:
    """A worker in this very process, for debuggers and profilers."""

    def __init__(self, backend: str, device: str, threads: int) -> None:
        try:
            self._worker = Worker(backend, device, threads)
        except BackendUnavailable as error:
            raise CaseError("unavailable", str(error)) from error
        self.facts = self._worker.describe()

    @property
    def alive(self) -> bool:
        """Always."""
        return True

    def call(self, method: str, *arguments: Any) -> Any:
        """Carry out one request."""
        return unwrap(answer(self._worker, method, arguments))

    def leave(self) -> None:
        """Nothing to end."""

    def treatment(self) -> None:
        """None: whoever asks computes here."""

    def is_treated_otherwise(self) -> bool:
        """Never: whoever asks computes here."""
        return False

    def treat_as_before(self, asked: str) -> None:
        """Nothing to undo."""

    def processor_seconds(self) -> None:
        """None: whoever asks computes here."""

    def scheduled(self) -> dict[str, tuple[int, int]]:
        """Nothing: whoever asks computes here."""
        return {}

    def seen(self) -> None:
        """None: whoever asks computes here."""

    def stop(self) -> None:
        """Nothing to stop: whoever asks computes here."""

    def go_on(self) -> None:
        """Nothing stands still."""

    def close(self, patience_s: float = LEAVE_S) -> None:
        """Nothing to end."""


def answered(asked: Collection[ProcessWorker]) -> list[ProcessWorker]:
    """Wait for those who were asked; return who has something to say, or will have nothing."""
    while True:
        ready = connection.wait([worker.fileno() for worker in asked], LOOK_S)
        if found := [worker for worker in asked if worker.fileno() in ready or worker.is_due]:
            return found


def worker_environment(threads: int, device: str = "") -> dict[str, str]:
    """Return this process's environment with every library's thread count set, and a path to these backends.

    A process for a `device` opens no other, and leaves its memory to others that share it.

    BLAS gets one thread: no op here needs it, and its idle threads slow others' parallel kernels down.
    """
    counts = dict.fromkeys(_THREAD_VARIABLES, str(threads)) | {"OPENBLAS_NUM_THREADS": "1"}
    return processes.environment() | counts | resources.device_variables(device)
