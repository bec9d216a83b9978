"""The process in which one backend computes: it prepares, checks and times on command.

`python -m benchmarks.measure.worker FD BACKEND DEVICE THREADS` serves requests from the socket with that file
descriptor: pickled triples (number, method, arguments). Each is answered by its number, "ok" and the result, or
by its number, "error" and what is known of it.

It imports one framework and reads no test; all judgement lies with the process that asks.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import numpy as np

import backends
from backends.catalogue import OPS
from backends.interface import Allocation, BackendUnavailable, Gap, Mode
from benchmarks import processes
from benchmarks.machine import arithmetic, memory, persisting, resources, signals, waiting, waking
from benchmarks.measure import calls, devices, fetching, prepared, probe
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.fetching import Fetched
from benchmarks.measure.prepared import Beginning, Invalid, Prepared, outputs, subnormal_share
from benchmarks.measure.probe import Change, Renewed, Undo
from benchmarks.measure.rest import come_to_rest
from benchmarks.measure.seal import Seal
from benchmarks.plan.inputs import MOST_PLACES
from benchmarks.record.schema import Case, Preparation, WorkerFacts

Array = np.ndarray[Any, np.dtype[Any]]

FIRST = 0
"""The number of what a worker says before anything was asked."""


class Worker:
    """One backend on one device, and at most one prepared case."""

    def __init__(self, backend: str, device: str, threads: int) -> None:
        declared = backends.declarations()
        # Whoever asks may know backends of another folder than this process's. An older interface has no
        # `kind_of`.
        if backend not in declared or device.partition(":")[0] not in declared[backend].devices:
            raise BackendUnavailable(f"{backend} on {device}: not among these backends")
        if not calls.is_own(backend):
            processes.answer_to("backends", backends.__name__)
        self._seal = Seal()
        started = perf_counter()
        self._backend = backends.load(backend, device, threads=threads)
        self._import_s = perf_counter() - started
        self._beginning: Beginning | None = None
        cool = persisting.undoing(device)
        self._cool = cool if cool and cool() else None
        self._prepared: Prepared | None = None
        self._case: Case | None = None
        self._undo: Undo | None = None
        self._held: list[Any] = []
        self._second: Any = None
        self._subnormal = 0.0
        self._waiting = waiting.Waiting()
        self._transfers: dict[tuple[int, bool], Any] = {}
        _collect()

    def describe(self) -> WorkerFacts:
        """Return the backend's version, threads, device and settings, and the seconds that importing it took."""
        return WorkerFacts(
            backend_version=self._backend.version,
            threads=self._backend.threads,
            settings=self._settings(),
            device_name=self._told("device_name"),
            import_s=self._import_s,
        )

    def is_asynchronous(self) -> bool:
        """Tell whether the backend says that its calls return before their work is done."""
        return self._backend.asynchronous

    def pin(self, processor: int) -> None:
        """Compute on one processor from now on, where the system lets a process choose."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {processor})

    def thread_pools(self) -> list[resources.ThreadPool]:
        """Return the thread pools in this process."""
        return resources.thread_pools()

    def supports(
        self, op: str, dtype: str, mode: Mode, allocation: Allocation, saved: str = "input"
    ) -> str | None:
        """Return None, or the reason of the gap in the way."""
        if op not in OPS:
            return f"{op}: not in this catalogue"
        if saved != "input" and not hasattr(self._backend, "vjp_from_output"):
            # An older revision, or somebody's own.
            return f"{self._backend.name} has no gradients from a saved {saved}"
        more: Any = {} if saved == "input" else {"saved": saved}
        answer = self._backend.supports(op, dtype=dtype, mode=mode, allocation=allocation, **more)
        return str(answer) if isinstance(answer, Gap) else None

    def promised_ulp(self, op: str, mode: Mode, dtype: str) -> float:
        """Return the largest error that the backend promises, in ULP."""
        return self._backend.promised_ulp(op, mode=mode, dtype=dtype)

    def evaluate(
        self,
        op: str,
        mode: str,
        arrays: Sequence[Array],
        cotangent: Array | None,
        parameters: Mapping[str, Any],
        strided: bool = False,  # noqa: FBT001, FBT002 - requests are positional
        saved: str = "input",
    ) -> Array:
        """Return the host result of one call on host arrays: `forward`, `backward` or `derivative`.

        From a `saved` output, the one array is that. `strided` makes the native inputs views of every other entry
        of an array twice as long.
        """
        native = [None if array is None else self._to_device(array, strided) for array in arrays]
        if mode == "forward":
            result = getattr(self._backend, op)(*native, **parameters)
        elif saved == "output":
            result = self._backend.vjp_from_output(op)(self._backend.asarray(cotangent), *native, **parameters)
        elif mode == "backward":
            result = self._backend.vjp(op)(self._backend.asarray(cotangent), *native, **parameters)
        else:
            result = self._backend.derivative(op)(*native, **parameters)
        return np.asarray(self._backend.to_numpy(result))

    def draw(self, case: Case) -> None:
        """Begin to make a case ready: draw its inputs."""
        self._let_go()
        self._beginning = Beginning(self._backend, case)

    def call_first(self) -> None:
        """Go on with what was drawn: bind the op and call it for the first time, by the clock."""
        if self._beginning is None:
            raise RuntimeError("no case is drawn")
        self._beginning.call_first()

    def prepare(self, case: Case) -> Preparation:
        """Make a case ready, from where that was left.

        Returns what the first call took, how many bytes a call moves and how many calls fit a round.
        """
        if self._beginning is None or self._beginning.case != case:
            self.draw(case)
        assert self._beginning is not None
        beginning, self._beginning = self._beginning, None
        self._prepared, preparation = beginning.completed()
        if case.cache == "cold" and self._cool:
            self._prepared.cool = self._cool
        self._case = case
        return preparation

    def prepare_floor(self) -> None:
        """Prepare a call that does nothing, to be timed like any other."""
        self._let_go()
        native = self._backend.asarray(np.ones(1, np.float32))
        self._prepared = Prepared(self._backend, [lambda: native])

    def call_twice(self) -> None:
        """Call the prepared op twice more, and keep the second result.

        Raises Invalid if the second call returns what the first did, where each should write a fresh output.
        """
        self._second = self._ready().call_twice()

    def result(self, index: Sequence[Any]) -> list[Array]:
        """Return the outputs that `call_twice` kept at `index` (one index an output).

        Raises Invalid if the second call left what was there before; RuntimeError if any output, at `index` or
        not, is not finite: inputs for timing have finite results.
        """
        ready, result = self._ready(), self._second
        found = self._finite(result, index)
        ready.spoil(result)  # so that the timed calls must write it too
        self._second = None
        return found

    def last_result(self, index: Sequence[Any]) -> list[Array]:
        """Return the outputs of the last timed call at `index`."""
        return self._finite(self._ready().result, index)

    def renew(self, changes: Sequence[Change], holds: int) -> None:
        """Put new values into the inputs until `put_back`: they come between two calls of the next round.

        Results are kept, also of `holds` calls before.
        """
        self.put_back()
        ready, case = self._ready(), self._case_ready()
        for _ in range(holds if case.allocation == "fresh" else 0):
            ready.time(1)
            self._held.append(ready.result)
        self._undo = probe.renew(self._backend, case, ready, changes, amid=True)
        ready.keeps = True

    def put_back(self) -> None:
        """Put back the values that the inputs had."""
        if self._undo:
            self._undo()
            self._undo, ready = None, self._ready()
            ready.keeps = False
            ready.forget()
            self._held.clear()

    def results_at(self, index: Sequence[Any]) -> Renewed:
        """Return at `index` the outputs of calls on the new values, and what has become of an earlier one.

        They are looked at, if they can be, without the backend's help. The inputs get their old values back.
        """
        ready = self._ready()
        every = [ready.result], ready.kept, ready.opening, self._held
        found = Renewed(*([self._at(result, index) for result in results] for results in every))
        self.put_back()
        return found

    def novelty(self, every: Sequence[Sequence[Change]], recurring: int) -> list[tuple[float, float]]:
        """Return for each set of new values the seconds of the first call on them, and those of a later one."""
        return probe.novelty(self._backend, self._case_ready(), self._awake(1)[0], every, recurring)

    def inputs_at(self, index: Sequence[Any]) -> list[list[Array]]:
        """Return for each place its inputs, the cotangent last, at `index` (one an array); without absent ones."""
        return [
            [self._host(array)[i] for array, i in zip(present(place), index, strict=True)]
            for place in self._ready().places[:MOST_PLACES]
        ]

    def fetched(self, n_times: int) -> list[Fetched]:
        """Return how long results take to fetch, beside arrays that nothing has computed."""
        return fetching.fetched(self._backend, self._ready(), n_times)

    def broken_seal(self) -> list[str]:
        """Return what of the harness or the clock has been exchanged in this process."""
        return self._seal.broken(self, *([self._prepared] if self._prepared else []))

    def subnormal_share(self) -> float:
        """Return the share of subnormal numbers in the outputs looked at last: they slow some kernels 40 times."""
        return self._subnormal

    def rounds(self, iterations: int, n_rounds: int) -> list[float]:
        """Time rounds of the prepared op, each of `iterations` calls, in seconds per round.

        A few calls that are not counted come first, unless a round is long: thread pools that have slept are slow
        to wake. Those of this process have come to rest when it returns, so that others find all processors free.
        """
        ready, _ = self._awake(iterations)
        found = [ready.time(iterations) for _ in range(n_rounds)]
        come_to_rest()
        return found

    def turn(
        self,
        iterations: int,
        n_rounds: int,
        processor: int | None,
        stays: bool = False,  # noqa: FBT001, FBT002 - requests are positional
    ) -> Reading:
        """Time rounds where this process is stopped afterwards, and say what disturbed them.

        Inputs lie at the next of their places then, unless it `stays` at the last one.

        Meanwhile this thread, and no other of this process, stays on a `processor`, where one is given. One whose
        calls hand their work to other threads may go where it likes: two threads settle between themselves, and
        with one of them held, JAX's times scatter by 45 % and not by 15.
        """
        with resources.on_processor(None if self._backend.asynchronous else processor):
            if not stays:
                self._ready().move()
            return self._turn(iterations, n_rounds)

    def _turn(self, iterations: int, n_rounds: int) -> Reading:
        ready, woken_s = self._awake(iterations)
        waited, faults = self._waiting.seconds(), waiting.page_faults()
        rounds = tuple(ready.time(iterations) for _ in range(n_rounds))
        n_faults, now = waiting.page_faults() - faults, self._waiting.seconds()
        return Reading(
            rounds=rounds,
            waited_s=None if now is None or waited is None else max(0.0, now - waited),
            faults=n_faults / (iterations * n_rounds),
            woken_s=woken_s,
        )

    def arrival_seconds(self, iterations: int) -> tuple[float, float, float]:
        """Return how long a result takes to arrive a while after its round, a round, and a result right after."""
        return self._ready().arrival_seconds(iterations)

    def device_seconds(self, iterations: int) -> devices.Clock | None:
        """Return what a call takes by the device's own clock, or None where that cannot be told."""
        ready = self._ready()
        ready.result = None  # or a call would have to take memory that the rounds did not
        ready.cool()
        return devices.clock(self._backend, ready.following, iterations)

    def transfers(self, n_to: int, n_back: int) -> devices.Transfers:
        """Return what so many bytes take to the device, and back."""
        return devices.transfers(self._backend, n_to, n_back, self._transfers)

    def free_bytes(self) -> int | None:
        """Return how much of the device's memory may still be taken, if that is known."""
        found: int | None = self._told("free_bytes")
        return found

    def take(self, n_bytes: int) -> None:
        """Take so much of the device's memory, to see what happens where there is not so much."""
        copy = self._backend.copier(n_bytes)
        self._backend.synchronize(copy and copy())

    def is_usable(self) -> bool:
        """Tell whether the device still computes, and this process has what it needs."""
        return devices.is_usable(self._backend) and _has_descriptors()

    def peak_bytes(self) -> int | None:
        """Return the peak extra memory of one call, by the device's counters or by this process's pages."""
        ready = self._ready()
        ready.result = None
        if self._backend.device != "cpu":
            ready.restore()
            return self._backend.peak_bytes(ready.first)

        def call() -> Any:
            result = ready.first()
            self._backend.synchronize(result)
            return result

        ready.restore()
        return memory.host_peak_bytes(call)

    def flushes_subnormals(self) -> bool:
        """Tell whether this process takes subnormal numbers for zero now."""
        return arithmetic.flushes_subnormals()

    def release(self) -> None:
        """Let go of the prepared case and its memory, what an allocator has kept included."""
        self._beginning = self._prepared = self._case = self._undo = self._second = None
        self._held.clear()
        _collect()
        memory.give_back()
        self._told("release_memory")

    def _let_go(self) -> None:
        """Release the case before, unless that is done: it takes longer than many a case does."""
        if self._beginning or self._prepared:
            self.release()

    def copy_seconds(self, ladder: Sequence[int]) -> list[float]:
        """Return the median time of a copy within the device's memory, for each number of bytes moved."""
        return devices.copy_seconds(self._backend, ladder)

    def read_seconds(self, ladder: Sequence[int]) -> list[float]:
        """Return the median time of reading the device's memory, for each number of bytes."""
        return devices.read_seconds(self._backend, ladder)

    def _told(self, name: str) -> Any:
        """Return what the backend says of itself; None where its revision is older than the question."""
        return getattr(self._backend, name, lambda: None)()

    def _settings(self) -> str | None:
        told: str | None = self._told("settings")
        more = [arithmetic.SETTING] * self.flushes_subnormals()
        more += [persisting.SETTING] * (self._backend.device != "cpu" and self._cool is None)
        return ", ".join(filter(None, (told, *more))) if more else told

    def _to_device(self, array: Array, strided: bool) -> Any:  # noqa: FBT001
        if not strided:
            return self._backend.asarray(array)
        return self._backend.asarray(np.repeat(array, 2, axis=-1))[..., ::2]

    def _awake(self, iterations: int) -> tuple[Prepared, float]:
        """Return what is prepared after a few calls that wake the threads it computes with, and their seconds."""
        ready, woken_s, n_calls = self._ready(), 0.0, 0
        if perf_counter() - ready.last_ended < waking.AWAKE_S:
            return ready, woken_s
        while waking.is_due(woken_s, n_calls, ready.last_round_s):
            woken_s += max(ready.time(iterations), 1e-6)
            n_calls += iterations
        return ready, woken_s

    def _ready(self) -> Prepared:
        if self._prepared is None:
            raise RuntimeError("no case is prepared")
        return self._prepared

    def _case_ready(self) -> Case:
        if self._case is None:
            raise RuntimeError("no case is prepared")
        return self._case

    def _host(self, array: Any) -> Array:
        seen = probe.view(array)
        return np.asarray(self._backend.to_numpy(array)) if seen is None else seen

    def _at(self, result: Any, index: Sequence[Any]) -> list[Array]:
        self._backend.synchronize(result)
        return [np.array(self._host(output)[i]) for output, i in zip(outputs(result), index, strict=True)]

    def _finite(self, result: Any, index: Sequence[Any]) -> list[Array]:
        self._backend.synchronize(result)
        found = [np.asarray(self._backend.to_numpy(output)) for output in outputs(result)]
        for output in found:
            if n_bad := output.size - int(np.count_nonzero(np.isfinite(output))):
                if n_bad == output.size and self._ready().rewrites:
                    raise Invalid("the call left its output buffer as it was")
                raise RuntimeError(f"{n_bad} of {output.size} outputs are not finite")
        self._subnormal = max(map(subnormal_share, found))
        return [output[i] for output, i in zip(found, index, strict=True)]


def _has_descriptors() -> bool:
    """Tell whether this process can open anything: without descriptors, it fails in whatever comes next."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


def _collect() -> None:
    """Free what nothing refers to any more.

    What is left are a framework's many objects: no later collection looks at them again, which would take 40 ms.
    """
    gc.collect()
    gc.freeze()


def present(place: prepared.Place) -> list[Any]:
    """Return the arrays that a call reads, the cotangent last; without inputs that are not given."""
    return [array for array in (*place.inputs, place.cotangent) if array is not None]


def answer(worker: Worker, method: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """Carry out one request; return ("ok", result) or ("error", (type, message, traceback)).

    It is "broken" and no mere error where the device computes nothing any more: this process is then of no use.
    """
    try:
        return "ok", getattr(worker, method)(*arguments)
    except Exception as error:
        told = type(error).__name__, str(error), traceback.format_exc()
    return "error" if worker.is_usable() else "broken", told


def serve(connection: Connection, backend: str, device: str, threads: int) -> None:
    """Answer requests until the connection closes."""
    memory.prefer_as_victim()
    signals.end_with_parent()
    try:
        worker = Worker(backend, device, threads)
        facts = worker.describe()
    except Exception as error:
        connection.send((FIRST, "error", (type(error).__name__, str(error), traceback.format_exc())))
        return
    connection.send((FIRST, "ok", facts))
    while True:
        try:
            number, method, arguments = connection.recv()
        except EOFError:
            return
        connection.send((number, *answer(worker, method, arguments)))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[4]))
