"""Worker processes: one or more for each backend and device, started on first need, replaced when they die.

A crash, a hang or a failed import costs one case, never the run.
"""

from __future__ import annotations

import math
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from multiprocessing import Pipe
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import backends
from backends.interface import BackendUnavailable
from benchmarks.machine import memory, resources, signals
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.sampling import Burst
from benchmarks.measure.worker import Worker, answer
from benchmarks.record import teams
from benchmarks.record.schema import Ending, Memory, Policies, WorkerFacts

WORKER = (sys.executable, "-P", "-m", "benchmarks.measure.worker")
"""The command that starts a worker process, up to its arguments; the current folder is not on its path."""
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NPROC",  # XLA's CPU client
)

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


class CaseError(Exception):
    """A request failed inside a worker: `ending` says how, as a record does.

    `is_broken` says that its device computes nothing any more, as after a failed assertion in a kernel.
    """

    def __init__(self, status: str, reason: str, details: str = "", *, is_broken: bool = False) -> None:
        super().__init__(reason)
        self.ending = Ending(status=status, reason=reason)
        self.details = details
        self.is_broken = is_broken


class Remote(Protocol):
    """A worker, wherever it runs."""

    facts: WorkerFacts

    @property
    def alive(self) -> bool:
        """Whether it can take another request."""
        ...

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what `Worker.method(*arguments)` returns; raise CaseError when it fails."""
        ...

    def stop(self) -> None:
        """Let it stand still."""
        ...

    def go_on(self) -> None:
        """Let it go on."""
        ...

    def close(self) -> None:
        """End the worker."""
        ...


class ProcessWorker:
    """A worker in a process of its own, with its thread counts set before any library is imported."""

    def __init__(
        self,
        backend: str,
        device: str,
        threads: int,
        timeout_s: float,
        command: Sequence[str] = WORKER,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._name = f"{backend}-{device}"
        self._timeout_s = timeout_s
        self._oom_kills = memory.oom_kills()
        started = perf_counter()
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            [*command, str(theirs.fileno()), backend, device, str(threads)],
            pass_fds=[theirs.fileno()],
            env=worker_environment(threads, device) | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            process_group=0,  # so that it can be stopped with all that it starts
        )
        theirs.close()
        try:
            facts: WorkerFacts = self._receive()
        except CaseError:
            self.close()
            raise
        self.facts = replace(facts, start_s=perf_counter() - started)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def call(self, method: str, *arguments: Any) -> Any:
        """Carry out one request; raise CaseError when it fails, crashes or takes too long."""
        try:
            self._connection.send((method, arguments))
        except OSError:
            raise self._crashed() from None
        return self._receive()

    def stop(self) -> None:
        """Stop the process, and wait until its threads stand still."""
        if self.alive:
            signals.stop(self._process.pid)

    def go_on(self) -> None:
        """Let the process go on."""
        if self.alive:
            signals.go_on(self._process.pid)

    def close(self) -> None:
        """End the process, by force if it does not listen."""
        self._connection.close()
        self.go_on()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive(self) -> Any:
        if not self._connection.poll(self._timeout_s):
            self._process.kill()
            self._process.wait()
            raise CaseError("timeout", f"{self._name} gave no answer within {self._timeout_s:g} s and was ended")
        try:
            reply = self._connection.recv()
        except (EOFError, ConnectionError):
            raise self._crashed() from None
        return _unwrap(reply)

    def _crashed(self) -> CaseError:
        code = self._process.wait()
        if code == -signal.SIGKILL and memory.oom_kills() > self._oom_kills:
            return CaseError("out_of_memory", f"the system ended the process of {self._name}: memory ran out")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return CaseError("crashed", f"the process of {self._name} ended with {how}")


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
        return _unwrap(answer(self._worker, method, arguments))

    def stop(self) -> None:
        """Nothing to stop: whoever asks computes here."""

    def go_on(self) -> None:
        """Nothing stands still."""

    def close(self) -> None:
        """Nothing to end."""


class Pool:
    """The workers of a run. `threads` is the number each may compute with.

    `command` starts a process, with `variables` in its environment beside those of this process.

    Several processes of one backend and device are told apart by a number, `process`.
    """

    def __init__(
        self,
        threads: int,
        *,
        timeout_s: float = 120,
        in_process: bool = False,
        command: Sequence[str] = WORKER,
        variables: Mapping[str, str] | None = None,
        memory_policy: Memory = "retained",
    ) -> None:
        self.threads = threads
        self._variables = dict(variables or {})
        self._memory = memory_policy
        self._siblings: dict[tuple[int, Memory], Pool] = {}
        self._command = command
        self._timeout_s = timeout_s
        self._in_process = in_process
        self._workers: dict[tuple[str, str, int], Remote] = {}
        self._alone = False
        self._processor: int | None = None
        self._unavailable: dict[tuple[str, str], CaseError] = {}
        if in_process:
            # Too late for what is imported already; such a worker then says which count it has.
            os.environ.update(worker_environment(threads))

    def under(self, policies: Policies) -> Pool:
        """Return a pool like this one with workers of these policies' team and memory; it ends with this one."""
        threads = teams.size_of(policies.team) or self.threads
        key = (threads, policies.memory)
        if key == (self.threads, self._memory) or self._in_process:
            return self
        if key not in self._siblings:
            self._siblings[key] = Pool(
                threads,
                timeout_s=self._timeout_s,
                command=self._command,
                variables=self._variables,
                memory_policy=policies.memory,
            )
        return self._siblings[key]

    def call(self, backend: str, device: str, method: str, *arguments: Any, process: int = 0) -> Any:
        """Ask the worker of `backend` on `device`; one that is of no more use is replaced at the next call."""
        worker = self._worker(backend, device, process)
        if self._alone:
            worker.go_on()
        try:
            return worker.call(method, *arguments)
        except CaseError as error:
            if error.is_broken or not worker.alive:
                self._workers.pop((backend, device, process)).close()
            raise
        finally:
            if self._alone:
                worker.stop()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Have each worker compute alone meanwhile, the others stopped; tell whether that can be had.

        It cannot where workers share a device or this process, nor where a system has no such signals. A stopped
        process may hold a lock that others wait for: so they are all awake while they prepare and compile.
        """
        devices = {device for _, device, _ in self._workers}
        if self._in_process or devices != {"cpu"} or not signals.can_stop():
            yield False
            return
        self._alone = True
        try:
            for worker in self._workers.values():
                worker.stop()
            yield True
        finally:
            self._alone, self._processor = False, None
            for worker in self._workers.values():
                worker.go_on()

    def change_processor(self, order: random.Random) -> None:
        """Have whoever is alone compute on one processor, drawn anew, until the next change.

        Two processors differ for seconds by a third of their speed where something else, such as another guest of
        the host, uses half of a core. Rivals that keep to one each would differ by that in every turn. A thread
        pool computes on all of them as before: only the thread that calls keeps to one.
        """
        self._processor = order.choice(_alike_processors())

    def facts(self, backend: str, device: str, process: int = 0) -> WorkerFacts:
        """Return the version and thread count of a backend; raise CaseError when it is unavailable."""
        return self._worker(backend, device, process).facts

    def turn(self, backend: str, device: str, iterations: int, n_rounds: int, process: int = 0) -> Reading:
        """Return a burst of rounds of what the worker has prepared, and what disturbed it."""
        if self._alone:
            counts = (iterations, n_rounds, self._processor)
            reading: Reading = self.call(backend, device, "turn", *counts, process=process)
            return reading
        return Reading(tuple(self.rounds(backend, device, process)(iterations, n_rounds)), None, math.nan)

    def rounds(self, backend: str, device: str, process: int = 0) -> Burst:
        """Return the worker's rounds of what it has prepared, as a source to measure from."""
        return lambda *counts: self.call(backend, device, "rounds", *counts, process=process)

    def release(self, backend: str, device: str, process: int = 0) -> None:
        """Let a worker forget its case, if there is such a worker."""
        if (backend, device, process) in self._workers:
            self.call(backend, device, "release", process=process)

    def started(self) -> list[tuple[str, str]]:
        """Return the backends and devices that have a worker."""
        return list(dict.fromkeys((backend, device) for backend, device, _ in self._workers))

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        for sibling in self._siblings.values():
            sibling.close()

    def _environment(self) -> dict[str, str]:
        kept = memory.retained(os.environ) if self._memory == "retained" else {}
        return kept | self._variables

    def _worker(self, backend: str, device: str, process: int) -> Remote:
        if (backend, device) in self._unavailable:
            raise self._unavailable[backend, device]
        key = (backend, device, process)
        if key not in self._workers:
            try:
                self._workers[key] = (
                    LocalWorker(backend, device, self.threads)
                    if self._in_process
                    else ProcessWorker(
                        backend, device, self.threads, self._timeout_s, self._command, self._environment()
                    )
                )
            except CaseError as error:
                if error.ending.status == "unavailable":
                    self._unavailable[backend, device] = error
                raise
        return self._workers[key]


_alike_processors = cache(resources.alike_processors)
"""They stay what they are while a process runs; asking costs a file each."""


def worker_environment(threads: int, device: str = "") -> dict[str, str]:
    """Return this process's environment with every library's thread count set, and a path to these backends.

    A process for a `device` opens no other, and leaves its memory to others that share it.

    BLAS gets one thread: no op here needs it, and its idle threads slow others' parallel kernels down. The folder
    `backends/` itself is not on the path: the packages in it are named after the frameworks, and would hide them.
    """
    counts = dict.fromkeys(_THREAD_VARIABLES, str(threads)) | {"OPENBLAS_NUM_THREADS": "1"}
    found = [str(Path(folder).absolute().parent) for folder in backends.__path__]
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    kept = [entry for entry in given if Path(entry).resolve() != backends.OWN]
    path = {"PYTHONPATH": os.pathsep.join(dict.fromkeys([*found, *kept]))}
    return {**os.environ, **counts, **resources.device_variables(device), **path}


def _unwrap(reply: tuple[str, Any]) -> Any:
    outcome, value = reply
    if outcome == "ok":
        return value
    kind, message, details = value
    status = _STATUSES.get(kind, "failed")
    if status == "failed" and _OUT_OF_MEMORY.search(message):
        status = "out_of_memory"
    reason = f"{kind}: {message}" if status == "failed" else message
    raise CaseError(status, reason, details, is_broken=outcome == "broken")
