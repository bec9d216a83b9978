"""Worker processes: one or more for each backend and device, started on first need, replaced when they die.

A crash, a hang or a failed import costs one case, never the run.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from time import perf_counter
from typing import Any

from benchmarks.machine import memory, resources, signals
from benchmarks.measure import means
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.remote import (
    LEAVE_S,
    WORKER,
    CaseError,
    LocalWorker,
    ProcessWorker,
    Remote,
    Seen,
    worker_environment,
)
from benchmarks.measure.sampling import Burst
from benchmarks.quantities import listing
from benchmarks.record import teams
from benchmarks.record.schema import Memory, Policies, WorkerFacts

__all__ = ["CaseError", "Pool", "worker_environment"]


class Pool:
    """The workers of a run. `threads` is the number each may compute with.

    A call that takes longer than `timeout_s` ends its worker, as does a start that takes longer than
    `start_timeout_s`, if that is another time.

    `command` starts a process, with `variables` in its environment beside those of this process.

    Several processes of one backend and device are told apart by a number, `process`.
    """

    def __init__(
        self,
        threads: int,
        *,
        timeout_s: float = 120,
        start_timeout_s: float | None = None,
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
        self._start_timeout_s = start_timeout_s
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
                start_timeout_s=self._start_timeout_s,
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
            found = worker.call(method, *arguments)
        except CaseError as error:
            if error.is_broken or not worker.alive:
                self._workers.pop((backend, device, process)).close()
            raise
        finally:
            if self._alone:
                worker.stop()
            changed = [key[0] for key in self._workers if self._is_changed(key, (backend, device, process))]
        if changed and self._alone:
            # They were stopped: it was not they who saw to that.
            what = "the priority or the processors of other processes changed while it computed"
            raise CaseError("invalid", f"{what}: {listing(changed)}")
        return found

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
            worker = self._worker(backend, device, process)
            scheduled = worker.scheduled()
            before_s, started = worker.processor_seconds(), perf_counter()
            counts = (iterations, n_rounds, self._processor)
            reading: Reading = self.call(backend, device, "turn", *counts, process=process)
            wall_s, after_s = perf_counter() - started, worker.processor_seconds()
            cpu_s = math.nan if before_s is None or after_s is None else after_s - before_s
            queued_s = means.queued_seconds(scheduled, worker.scheduled())
            return replace(reading, wall_s=wall_s, cpu_s=cpu_s, queued_s=queued_s)
        return Reading(tuple(self.rounds(backend, device, process)(iterations, n_rounds)), None, math.nan)

    def seen(self, backend: str, device: str, process: int = 0) -> Seen | None:
        """Return what the system tells of a worker; None where there is none, or it has no process of its own."""
        worker = self._workers.get((backend, device, process))
        return worker.seen() if worker else None

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

    def close(self, patience_s: float = LEAVE_S) -> None:
        """End all workers; each has so long to end by itself."""
        for worker in self._workers.values():
            worker.close(patience_s)
        self._workers.clear()
        for sibling in self._siblings.values():
            sibling.close(patience_s)

    def _is_changed(self, key: tuple[str, str, int], asked: tuple[str, str, int]) -> bool:
        """Tell whether the system treats the worker `key` otherwise since the other one was `asked`."""
        return key != asked and self._workers[key].treated_otherwise(asked[0])

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
                        backend,
                        device,
                        self.threads,
                        self._timeout_s,
                        self._command,
                        self._environment(),
                        self._start_timeout_s,
                    )
                )
            except CaseError as error:
                if error.ending.status == "unavailable":
                    self._unavailable[backend, device] = error
                raise
        return self._workers[key]


_alike_processors = cache(resources.alike_processors)
"""They stay what they are while a process runs; asking costs a file each."""
