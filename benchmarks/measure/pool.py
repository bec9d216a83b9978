"""Worker processes: one or more for each backend and device, started on first need, replaced when they die.

A crash, a hang or a failed import costs one case, never the run.
"""

from __future__ import annotations

import math
import os
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.reduction import ForkingPickler
from time import perf_counter, sleep
from typing import Any
from weakref import WeakKeyDictionary

from benchmarks.machine import environment, memory, resources, signals
from benchmarks.measure import means
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.failures import CaseError
from benchmarks.measure.remote import (
    LEAVE_S,
    WORKER,
    LocalWorker,
    ProcessWorker,
    Remote,
    Seen,
    answered,
    worker_environment,
)
from benchmarks.measure.sampling import Burst
from benchmarks.quantities import listing
from benchmarks.record import teams
from benchmarks.record.schema import Memory, Policies, WorkerFacts

__all__ = ["CaseError", "Pool", "Request", "worker_environment"]

AHEAD_BYTES = 2**16
"""So much of what is asked ahead a connection holds, and so much of the answers, while nobody reads."""


@dataclass(frozen=True, eq=False)
class Request:
    """What one worker is asked for: the `method` of `Worker`, with these arguments."""

    backend: str
    device: str
    method: str
    arguments: tuple[Any, ...] = ()
    process: int = 0

    @property
    def place(self) -> tuple[str, str, int]:
        """Whom it is for."""
        return self.backend, self.device, self.process


SCRIPT_S = 0.1
"""A script that changes the priority of one process after another has done so within 0.1 s."""
MOST_CHANGES = 3
"""Whoever is asked when another one's priority changes is to blame the third time, in one group of cases."""


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
        self._launched: dict[tuple[str, str, int], ProcessWorker] = {}
        self._ahead: defaultdict[tuple[str, str, int], deque[tuple[Request, int]]] = defaultdict(deque)
        self._answers: WeakKeyDictionary[Request, Any] = WeakKeyDictionary()
        self._alone = False
        self._changes: Counter[tuple[str, str, int]] = Counter()
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
        self._settle((backend, device, process))
        worker = self._worker(backend, device, process)
        if self._alone:
            worker.go_on()
        try:
            found = worker.call(method, *arguments)
        except CaseError as error:
            self._replace_broken((backend, device, process), error)
            raise
        finally:
            if self._alone:
                worker.stop()
            changed = self._changed_meanwhile((backend, device, process))
        if changed and self._alone and self._is_to_blame((backend, device, process), len(changed)):
            what = "the priority or the processors of other processes changed while it computed"
            raise CaseError("invalid", f"{what}: {listing(changed)}")
        return found

    def launch(self, places: Iterable[tuple[str, str]]) -> None:
        """Start a worker for each backend and device, all at the same time, and wait for none.

        Whoever is asked is waited for then. Not for workers whose start, or whose first call, is a measurement.
        """
        for place in places:
            if not self._in_process and (*place, 0) not in self._workers.keys() | self._launched.keys():
                self._launched[*place, 0] = self._process(*place)

    def at_once(self, requests: Sequence[Request]) -> list[Any]:
        """Carry out requests for different workers side by side, as many as there are processors.

        Returns what came of each, a CaseError where it failed: that costs no other one anything. Nothing may be
        timed meanwhile. Where each is to compute alone, or in this process, it is one after the other.
        """
        if self._alone or self._in_process or len(requests) < 2:
            return [self._outcome(request) for request in requests]
        found: dict[Request, Any] = {}
        waiting, asked = deque(requests), dict[ProcessWorker, Request]()
        while waiting or asked:
            while waiting and len(asked) < environment.processors_allowed():
                request = waiting.popleft()
                try:
                    asked[self._ask(request)] = request
                except CaseError as error:
                    found[request] = error
            for worker in answered(asked) if asked else ():
                request = asked.pop(worker)
                found[request] = self._answer(worker, request)
        names = listing(list(dict.fromkeys(request.backend for request in requests)))
        for each in self._workers.values():
            if each.is_treated_otherwise():
                each.treat_as_before(names)
        return [found[request] for request in requests]

    def ask_ahead(self, request: Request) -> None:
        """Have a worker that is there begin with what `outcome` will be asked for; nothing may be timed meanwhile.

        Where its connection is full, or there is none yet, it begins when `outcome` is asked.
        """
        worker = self._launched.get(request.place) or self._workers.get(request.place)
        ahead, n_bytes = self._ahead[request.place], len(ForkingPickler.dumps(request.arguments))
        if isinstance(worker, ProcessWorker) and n_bytes + sum(n for _, n in ahead) <= AHEAD_BYTES:
            with suppress(CaseError):  # it says why when it is asked for more
                worker.ask(request.method, *request.arguments)
                ahead.append((request, n_bytes))

    def outcome(self, request: Request) -> Any:
        """Return what comes, or has come, of a request; raise CaseError where it fails."""
        self._settle(request.place, request)
        found = self._answers.pop(request) if request in self._answers else self._outcome(request)
        if isinstance(found, CaseError):
            raise found
        return found

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Have each worker compute alone meanwhile, the others stopped; tell whether that can be had.

        It cannot where workers share a device or this process, nor where a system has no such signals. A stopped
        process may hold a lock that others wait for: so they are all awake while they prepare and compile.
        """
        for place in [*self._launched, *self._ahead]:
            with suppress(CaseError):  # what cannot start says so when it is asked
                self._settle(place)
                self._worker(*place)
        devices = {device for _, device, _ in self._workers}
        if self._in_process or devices != {"cpu"} or not signals.can_stop():
            yield False
            return
        self._alone = True
        self._changes.clear()
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

    def turn(
        self,
        backend: str,
        device: str,
        iterations: int,
        n_rounds: int,
        process: int = 0,
        *,
        stays: bool = False,
    ) -> Reading:
        """Return a burst of rounds of what the worker has prepared, and what disturbed it.

        Each takes place with inputs that lie elsewhere, unless it `stays` at the last ones.
        """
        if self._alone:
            worker = self._worker(backend, device, process)
            scheduled = worker.scheduled()
            before_s, started = worker.processor_seconds(), perf_counter()
            counts = (iterations, n_rounds, self._processor, stays)
            reading: Reading = self.call(backend, device, "turn", *counts, process=process)
            wall_s, after_s = perf_counter() - started, worker.processor_seconds()
            cpu_s = math.nan if before_s is None or after_s is None else after_s - before_s
            queued_s = means.queued_seconds(scheduled, worker.scheduled())
            return replace(
                reading,
                wall_s=wall_s,
                cpu_s=cpu_s,
                queued_s=queued_s,
                process=process,
                iterations=iterations,
            )
        return Reading(tuple(self.rounds(backend, device, process)(iterations, n_rounds)), None, math.nan)

    def seen(self, backend: str, device: str, process: int = 0) -> Seen | None:
        """Return what the system tells of a worker; None where there is none, or it has no process of its own."""
        worker = self._workers.get((backend, device, process))
        return worker.seen() if worker else None

    def rounds(self, backend: str, device: str, process: int = 0) -> Burst:
        """Return the worker's rounds of what it has prepared, as a source to measure from."""
        return lambda *counts: self.call(backend, device, "rounds", *counts, process=process)

    def end(self, backend: str, device: str, process: int = 0) -> None:
        """End a worker, if there is one: the next call has another one started."""
        if worker := self._workers.pop((backend, device, process), None):
            worker.close()
            self._ahead.pop((backend, device, process), None)

    def release(self, *places: tuple[str, str, int]) -> None:
        """Let those workers forget their cases that there are. One that fails is replaced for the next case."""
        self.at_once([Request(b, d, "release", (), n) for b, d, n in places if (b, d, n) in self._workers])

    def started(self) -> list[tuple[str, str]]:
        """Return the backends and devices that have a worker."""
        return list(dict.fromkeys((backend, device) for backend, device, _ in self._workers))

    def close(self, patience_s: float = LEAVE_S) -> None:
        """End all workers, all at the same time; they have so long to end by themselves."""
        every = [*self._workers.values(), *self._launched.values()]
        for worker in every:
            worker.leave()
        end_s = perf_counter() + patience_s
        for worker in every:
            worker.close(max(0.0, end_s - perf_counter()))
        self._workers.clear()
        self._launched.clear()
        self._ahead.clear()
        for sibling in self._siblings.values():
            sibling.close(patience_s)

    def _changed_meanwhile(self, asked: tuple[str, str, int]) -> list[str]:
        """Return whom the system treats otherwise since another one was `asked`, and have them treated as before.

        Not those whom it treats as it now treats this process, or who was asked: that was done to all of them, by
        a script that takes one after the other.
        """
        others = [worker for key, worker in self._workers.items() if key != asked]
        if not any(worker.is_treated_otherwise() for worker in others):
            return []
        sleep(SCRIPT_S)
        now = self._workers[asked].treatment() if asked in self._workers else None
        changed = []
        for (backend, *_), worker in self._workers.items():
            if worker in others and worker.is_treated_otherwise() and worker.treatment() != now:
                worker.treat_as_before(asked[0])
                changed.append(backend)
        return changed

    def _is_to_blame(self, asked: tuple[str, str, int], n_changed: int) -> bool:
        """Tell whether it was who was `asked`, and no other program, that changed others which were stopped.

        Another program may do that once, to one of them.
        """
        self._changes[asked] += 1
        return n_changed > 1 or self._changes[asked] >= MOST_CHANGES

    def _environment(self) -> dict[str, str]:
        kept = memory.retained(os.environ) if self._memory == "retained" else {}
        return kept | self._variables

    def _worker(self, backend: str, device: str, process: int) -> Remote:
        if (backend, device) in self._unavailable:
            raise self._unavailable[backend, device]
        key = (backend, device, process)
        if key not in self._workers:
            try:
                self._workers[key] = self._started(key)
            except CaseError as error:
                if error.ending.status == "unavailable":
                    self._unavailable[backend, device] = error
                raise
        return self._workers[key]

    def _started(self, key: tuple[str, str, int]) -> Remote:
        backend, device, _ = key
        if self._in_process:
            return LocalWorker(backend, device, self.threads)
        worker = self._launched[key] = self._launched.get(key) or self._process(backend, device)
        try:
            worker.meet()
        except CaseError:
            del self._launched[key]
            self._ahead[key].clear()
            raise
        return self._launched.pop(key)

    def _process(self, backend: str, device: str) -> ProcessWorker:
        return ProcessWorker(
            backend,
            device,
            self.threads,
            self._timeout_s,
            self._command,
            self._environment(),
            self._start_timeout_s,
        )

    def _settle(self, place: tuple[str, str, int], last: Request | None = None) -> None:
        """Take the answers to what was asked ahead, up to the `last` of it, or to all."""
        ahead = self._ahead[place]
        while ahead and (last is None or any(each is last for each, _ in ahead)):
            worker = self._worker(*place)
            assert isinstance(worker, ProcessWorker)
            request, _ = ahead.popleft()
            self._answers[request] = self._answer(worker, request)

    def _ask(self, request: Request) -> ProcessWorker:
        self._settle(request.place)
        worker = self._worker(*request.place)
        assert isinstance(worker, ProcessWorker), "in this process there is nobody to ask meanwhile"
        try:
            worker.ask(request.method, *request.arguments)
        except CaseError as error:
            self._replace_broken(request.place, error)
            raise
        return worker

    def _answer(self, worker: ProcessWorker, request: Request) -> Any:
        try:
            return worker.answer()
        except CaseError as error:
            self._replace_broken(request.place, error)
            return error

    def _outcome(self, request: Request) -> Any:
        try:
            return self.call(
                request.backend, request.device, request.method, *request.arguments, process=request.process
            )
        except CaseError as error:
            return error

    def _replace_broken(self, place: tuple[str, str, int], error: CaseError) -> None:
        """Let go of a worker that is of no more use; the next request finds a new one."""
        worker = self._workers[place]
        if error.is_broken or not worker.alive:
            self._workers.pop(place).close()
            self._ahead[place].clear()


_alike_processors = cache(resources.alike_processors)
"""They stay what they are while a process runs; asking costs a file each."""
