"""A case made ready to be timed: inputs in place, op bound, first call made; and the clock around its calls."""

from __future__ import annotations

import gc
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice, repeat, starmap
from math import ceil, prod
from time import perf_counter, sleep
from typing import Any

import ml_dtypes
import numpy as np

from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import Backend
from benchmarks.machine import resources
from benchmarks.measure import calls
from benchmarks.plan import inputs
from benchmarks.record.schema import Case, Preparation

Array = np.ndarray[Any, np.dtype[Any]]

IN_PLACE_BYTES = 2**17
"""Inputs that are overwritten come in as many copies as fit into this, so that a round has several calls: half
of a small second-level cache, where they stay."""
MAX_COPIES = 4096
SETTLE_S = 5e-3
"""Pause before looking again: work still running when the round ended is done after this, or after two calls."""
SPACER = 2**14
"""Before each place, and before each turn, up to 16 KiB are taken, so that what follows lies elsewhere."""
CORNER = 4096
"""Results of at most 4,096 numbers are fetched whole to see whether they are complete."""
BLOCK = 2**16
"""Outputs are searched 65,536 numbers at a time, which stay in a cache."""
COLD_FACTOR = 2
"""Cold inputs and outputs rotate through twice the last-level cache."""
UNKNOWN_CACHE_BYTES = 2**26
"""Taken for a last-level cache of unknown size: 64 MiB is more than most have."""


class Unmeasurable(RuntimeError):  # noqa: N818 - read as the sentence it is
    """A case that cannot be measured as asked; the message says why."""


class Invalid(RuntimeError):  # noqa: N818
    """A measurement that is not one: what was timed was not the work."""


@dataclass(frozen=True)
class Place:
    """Inputs of a case as native arrays, the cotangent where the case has one, and the call on them."""

    inputs: tuple[Any, ...]
    cotangent: Any
    run: Callable[[], Any]


class Prepared:
    """Calls of one case, or of anything else where `case` is None: `runs` are called in rotation.

    Where they differ in nothing but the places of their inputs (`by_turns`), one of them is called until `move`:
    where arrays lie relative to each other alone makes some kernels 10 to 40 % faster or slower, and a process
    would keep that for as long as it lives.

    `result` is that of the last call timed, `last_round_s` the seconds of the last round, which `last_ended` by
    `perf_counter`. While `keeps`, `kept`
    holds that of another call of that round too, drawn at random, and `opening` that of the very first call since
    results were forgotten, or since new values have come. `places` are where inputs lie. `cool`, outside the
    clock, makes a device's cache forget what would stay there (`machine.persisting`).

    New values can come between two calls of the next round, or two rounds of one call: `coming` brings them, and
    calls before are `outgoing`, where there is such a call. Who computes only after a pause misses them. `warming`
    writes what is there already, before the first call: code that has just run makes a third of the pause.
    """

    def __init__(
        self,
        backend: Backend,
        runs: Sequence[Callable[[], Any]],
        case: Case | None = None,
        *,
        by_turns: bool = False,
    ) -> None:
        self._backend = backend
        if case is not None and case.cache == "cold" and case.allocation == "fresh" and len(runs) > 1:
            # Memory that was just given back is taken first, and is in the cache: so as many outputs stay taken.
            self._outputs: deque[Any] = deque(maxlen=len(runs))
            runs = [partial(_kept, run, self._outputs) for run in runs]
        self._places = list(runs) if by_turns else []
        self._spacer: Array | None = None
        self._runs = self._places[:1] or list(runs)
        self._turn = cycle(self._runs)
        self._case = case
        self.result: Any = None
        self.last_round_s, self.last_ended = 0.0, -math.inf
        self.places: list[Place] = []
        self.keeps = False
        self.kept: list[Any] = []
        self.opening: list[Any] = []
        self.cool: Callable[[], object] = lambda: None
        self.coming: list[Callable[[], Any]] = []
        self.warming: list[Callable[[], Any]] = []
        self.outgoing: Callable[[], Any] | None = None
        self._has_begun = False

    @property
    def at_most(self) -> int | None:
        """How many calls a round may have: as many as there are inputs, where calls overwrite them."""
        return len(self._runs) if self._overwrites else None

    @property
    def first(self) -> Callable[[], Any]:
        """The call on the first copy of the inputs."""
        return self._runs[0]

    @property
    def following(self) -> Callable[[], Any]:
        """A call of what rounds call in rotation; of inputs that calls overwrite, of the first alone."""
        if len(self._runs) == 1 or self._overwrites:
            return self._runs[0]

        def call() -> Any:
            return next(self._turn)()

        return call

    @property
    def upcoming(self) -> Callable[[], Any] | None:
        """The one call that is made after the next `move`; None where several are made in rotation."""
        return self._places[1] if len(self._places) > 1 else self.first if len(self._runs) == 1 else None

    @property
    def rewrites(self) -> bool:
        """Whether every call writes into the same buffer."""
        return self._case is not None and self._case.allocation == "reuse"

    def move(self) -> None:
        """Go on with inputs, and a fresh output, at other places in memory."""
        self.result = None
        if self._places:
            self._places.append(self._places.pop(0))
            self._runs = self._places[:1]
            self._spacer = _spacer()
            self.last_ended = -math.inf  # of these calls, none has been made just now

    def exchange(self, runs: Sequence[Callable[[], Any]]) -> list[Callable[[], Any]]:
        """Make these calls from now on; return those that were made before."""
        before = self._places or list(self._runs)
        self._places = list(runs) if self._places else []
        self._runs = self._places[:1] or list(runs)
        self._turn = cycle(self._runs)
        return before

    def forget(self) -> None:
        """Let go of all results."""
        self.result = None
        self.kept.clear()
        self.opening.clear()
        self.coming, self.warming, self.outgoing, self._has_begun = [], [], None, False

    def restore(self) -> None:
        """Put back the inputs that calls have overwritten."""
        if self._overwrites:
            for run in self._runs:
                run.restore()  # type: ignore[attr-defined]

    def spoil(self, result: Any) -> None:
        """Overwrite the buffers of a result, where calls write into the same ones each time."""
        if self.rewrites:
            for output in outputs(result):
                output[...] = np.nan

    def call_twice(self) -> Any:
        """Call and call again; return the second result, which the first call cannot have left there.

        Raises Invalid where each call should write a fresh output and the second returns the first's.
        """
        self.restore()
        before = self.first()
        self.restore()
        self.spoil(before)
        result = self.first()
        fresh = self._case is not None and self._case.allocation == "fresh"
        if fresh and any(new is old for new, old in zip(outputs(result), outputs(before), strict=True)):
            raise Invalid("the output is that of the call before, where each call should write a fresh one")
        return result

    def time(self, iterations: int) -> float:
        """Return the seconds of one round; inputs that calls overwrite are put back before it."""
        self.restore()
        self.result = None
        self.cool()
        several = len(self._runs) > 1
        last = next(self._turn) if several else self._runs[0] if iterations > 1 else self._single()
        before: Iterable[Callable[[], Any]] = repeat(last, iterations - 1)
        if several:
            before = islice(self._turn, iterations - 1)
        if self.keeps and iterations > 1:
            before = self._keeping_some(before)
        each_waits = self._case is None or self._case.timing == "latency"
        gc_was_enabled = gc.isenabled()
        gc.disable()
        try:
            seconds, self.result = self._clock(before, last, each_waits=each_waits)
        finally:
            if gc_was_enabled:
                gc.enable()
        if self.keeps and not self.opening and not self._is_renewing:
            self.opening.append(self.result)  # of a round of one call
        self.last_round_s, self.last_ended = seconds, perf_counter()
        return seconds

    def _clock(
        self, before: Iterable[Callable[[], Any]], last: Callable[[], Any], *, each_waits: bool
    ) -> tuple[float, Any]:
        """Return the seconds that the calls `before` and the `last` one take, and what that returns.

        Each result is let go before the next call, as `timeit` does it, so that its memory can be written again at
        once. Otherwise a round of one call would use one buffer, a round of several two in turn, and the first
        would be faster by a tenth to a quarter.
        """
        synchronize = self._backend.synchronize
        if not self._backend.asynchronous:
            started = perf_counter()
            for run in before:
                run()
            result = last()
            return perf_counter() - started, result
        if each_waits:
            started = perf_counter()
            for run in before:
                synchronize(run())
            result = last()
            synchronize(result)
            return perf_counter() - started, result
        # Results are computed in the order of their calls: when the last is there, all are.
        started = perf_counter()
        for run in before:
            run()
        result = last()
        synchronize(result)
        return perf_counter() - started, result

    @property
    def _is_renewing(self) -> bool:
        """Whether new values are still to come."""
        return bool(self.coming or self.outgoing)

    def _single(self) -> Callable[[], Any]:
        """Return the call of a round of one. New values come after one such round, right before the next."""
        if not self._is_renewing:
            return self._runs[0]
        if not self._has_begun:
            self._has_begun = True
            return self.outgoing or self._runs[0]
        for bring in self.coming:
            bring()
        self.coming, self.outgoing = [], None
        return self._runs[0]

    def _keeping_some(self, before: Iterable[Callable[[], Any]]) -> list[Callable[[], Any]]:
        """Return calls of which one drawn at random leaves its result in `kept`, and the very first in `opening`.

        Where new values come between them, it is the first on these and one drawn from those that follow. Nothing
        but C lies between the clock's loop and those calls, so that their stack looks like every other's.
        """
        runs, opens = list(before), not self.opening
        self.kept.clear()
        first = int(_random.integers(1, len(runs))) if self._is_renewing and len(runs) > 1 else 0
        chosen = int(_random.integers(first, len(runs)))
        if opens:
            runs[first] = partial(self.opening.extend, starmap(runs[first], [()]))
        if chosen > first or not opens:
            runs[chosen] = partial(self.kept.extend, starmap(runs[chosen], [()]))
        if self.outgoing:
            runs[:first] = [self.outgoing] * first
        runs[first:first] = self.coming
        runs[:0] = self.warming
        self.coming, self.warming, self.outgoing = [], [], None
        return runs

    def arrival_seconds(self, iterations: int) -> tuple[float, float, float]:
        """Return how long a result takes to the host some time after its round, how long a round, and right after.

        Where the last takes longer than the first, the round ended before its work did.
        """
        call_s = self.time(iterations) / iterations
        sleep(max(SETTLE_S, 2 * call_s))
        later_s = self._fetch(self.result)
        round_s = self.time(iterations)
        return later_s, round_s, self._fetch(self.result)

    @property
    def _overwrites(self) -> bool:
        return self._case is not None and self._case.allocation == "inplace"

    def _fetch(self, result: Any) -> float:
        """Return the seconds to bring a result to the host, or one number of it where it is large.

        A large copy would take as long as the work that is looked for, and vary as much.
        """
        started = perf_counter()
        for output in outputs(result):
            small = prod(output.shape) <= CORNER
            self._backend.to_numpy(output if small else output[(slice(0, 1),) * len(output.shape)])
        return perf_counter() - started


class Beginning:
    """A case on its way to be timed: its inputs are drawn, and are at the first of their places.

    Raises Unmeasurable for a case that cannot be measured as asked.
    """

    def __init__(self, backend: Backend, case: Case) -> None:
        spec = inputs.spec_of(case.op, case.saved)
        host = inputs.draw(case.op, case.shape, case.dtype, saved=case.saved)
        self.case = case
        self._backend = backend
        self._shape = output_shape(spec, host, spec.defaults)
        self._cotangent = inputs.cotangent(self._shape, case.dtype) if case.mode != "forward" else None
        self._host = host
        self._moved, self._written = bytes_moved(case, host, self._shape)
        self._n_copies = _n_copies(backend, case, self._moved, host[0].nbytes)
        self._spacers = [_spacer()]
        self._first: tuple[Place, float] | None = None
        self._native: _Native | None = _brought(backend, [*host, self._cotangent])

    def call_first(self) -> None:
        """Bind the op and call it for the first time, by the clock: the time from native inputs to a result."""
        if self._first is None:
            assert self._native is not None
            self._first, self._native = _bind(self._backend, self.case, self._native), None

    def completed(self) -> tuple[Prepared, Preparation]:
        """Return the case at all of its places; also say what that took and how many bytes a call moves."""
        self.call_first()
        assert self._first is not None
        first, first_call_s = self._first
        places, n_places = [first], inputs.n_places(self.case)
        for _ in range(self._n_copies * n_places - 1):
            self._spacers.append(_spacer())
            at = [None if array is None else array.copy() for array in (*self._host, self._cotangent)]
            places.append(_bind(self._backend, self.case, _brought(self._backend, at))[0])
        prepared = Prepared(self._backend, [place.run for place in places], self.case, by_turns=n_places > 1)
        prepared.places = places
        return prepared, Preparation(
            first_call_s=first_call_s,
            bytes_moved=self._moved,
            bytes_written=self._written,
            bytes_in=sum(array.nbytes for array in self._host if array is not None),
            at_most=prepared.at_most,
        )


def prepare(backend: Backend, case: Case) -> tuple[Prepared, Preparation]:
    """Take a case through all steps of a `Beginning`."""
    return Beginning(backend, case).completed()


_Native = tuple[tuple[Any, ...], Any]
"""Inputs and a cotangent, as a backend's arrays."""


def _brought(backend: Backend, host: Sequence[Any]) -> _Native:
    """Return inputs, the cotangent last, as native arrays."""
    *given, cotangent = host
    native = tuple(None if array is None else backend.asarray(array) for array in given)
    backend.synchronize([array for array in native if array is not None])
    return native, None if cotangent is None else backend.asarray(cotangent)


def _bind(backend: Backend, case: Case, native: _Native) -> tuple[Place, float]:
    """Return the inputs and the call, and the seconds of the first one."""
    arrays, g = native
    begun = perf_counter()
    run = calls.bound(backend, case, arrays, g)
    if calls.made_here(backend, case):
        backend.synchronize(run())
    return Place(arrays, g, run), perf_counter() - begun


def _n_copies(backend: Backend, case: Case, moved: int, first: int) -> int:
    """Return how many copies of the inputs the case's policies need; `moved` and `first` are bytes."""
    n = 1
    if case.allocation == "inplace":
        n = max(1, IN_PLACE_BYTES // max(first, 1))
    if case.cache == "cold":
        cache = _cache_bytes(backend)
        n = max(n, ceil(COLD_FACTOR * cache / moved))
        if n > MAX_COPIES:
            raise Unmeasurable(
                f"cold: {case.n_elements:,} elements would leave a cache of {cache / 2**20:.0f} MiB only with "
                f"{n:,} copies, and {MAX_COPIES:,} are the most: measure {COLD_FACTOR * cache // MAX_COPIES:,} "
                "bytes a call or more"
            )
    return min(n, MAX_COPIES)


def _kept(run: Callable[[], Any], kept: deque[Any]) -> Any:
    """Call, and keep the result until so many others have followed."""
    result = run()
    kept.append(result)
    return result


def _spacer() -> Array:
    """Return a few bytes more or less, in steps of an allocator's alignment."""
    return np.empty(16 * int(_random.integers(1, SPACER // 16)), np.uint8)


_random = np.random.default_rng()
"""Drawn afresh in every process: two of them shall not share their places."""


def _cache_bytes(backend: Backend) -> int:
    found = backend.cache_bytes()
    if found is None and backend.device == "cpu":
        found = resources.last_level_cache_bytes()
    return found or UNKNOWN_CACHE_BYTES


def outputs(result: Any) -> tuple[Any, ...]:
    """Return the outputs of a call: one, or a pair."""
    return result if isinstance(result, tuple) else (result,)


def subnormal_share(array: Array) -> float:
    """Return the share of subnormal numbers, which slow some kernels 40 times."""
    if array.dtype.kind in "iu" or not array.size:
        return 0.0
    flat, smallest, n = array.reshape(-1), ml_dtypes.finfo(array.dtype).smallest_normal, 0
    for i in range(0, flat.size, BLOCK):
        size = np.abs(flat[i : i + BLOCK])
        n += int(np.count_nonzero((size > 0) & (size < smallest)))
    return n / flat.size


def bytes_moved(case: Case, host: Sequence[Array], shape: Sequence[int]) -> tuple[int, int]:
    """Return the bytes that one call must move in all, and those of them that it must write.

    Each input is read once, each output (of `shape`) written once. The backward pass reads a cotangent like the
    output and writes a gradient like the first input, which it need not read where the gradient does not depend on
    it. From a saved output, it reads that in the inputs' place. Of a first input from which an op gathers, one
    element of each row is read.
    """
    item = np.dtype(case.dtype).itemsize
    every = sum(array.nbytes for array in host if array is not None)
    if OPS[case.op].gathers and case.mode != "backward":
        every -= host[0].nbytes - host[0].nbytes // host[0].shape[-1]
    output, gradient = prod(shape) * item, host[0].nbytes
    read, written = {
        "forward": (every, output),
        "backward": (every + output - (gradient if OPS[case.op].linear else 0), gradient),
        "forward+backward": (every + output, output + gradient),
    }[case.mode]
    return read + written, written
