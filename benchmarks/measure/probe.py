"""New values in the inputs of a prepared case, and the old ones back: in the worker, on the word of who asks.

Where arrays can be written, the new values come to the same addresses, past the backend; elsewhere new arrays are
made and bound anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import setitem
from typing import Any

import numpy as np

from backends.interface import Backend
from benchmarks.measure import calls
from benchmarks.measure.prepared import Place, Prepared
from benchmarks.record.schema import Case

Array = np.ndarray[Any, np.dtype[Any]]
Undo = Callable[[], None]

UNFILLED_FROM = 2**22
"""Decoys of 4 MiB and more hold what the memory held."""
FEW = 8
"""Up to 8 elements or rows are written one by one: three take 2 to 5 µs between two calls."""


@dataclass(frozen=True)
class Change:
    """New `values` of one array at `index`; of the inputs in their order, and the cotangent last."""

    array: int
    index: Any
    values: Array


@dataclass(frozen=True)
class Renewed:
    """What calls on new values gave at some places: the `last` of a burst, `others` drawn at random, the `first`.

    `held` are results of calls on the old values, kept meanwhile. There may be none of each but the last.
    """

    last: list[list[Array]]
    others: list[list[Array]]
    first: list[list[Array]]
    held: list[list[Array]]


def renew(backend: Backend, case: Case, ready: Prepared, changes: Sequence[Change], *, amid: bool = False) -> Undo:
    """Put new values into the inputs of all places; return what puts the old ones back.

    If they are to come `amid` calls, they come between two of the next round, where calls stay at one place.
    """
    ready.forget()
    undos: list[Undo] = []
    if _reads_inputs(backend, case):
        for place in ready.places:
            for change in changes:
                undo = _write(backend, (*place.inputs, place.cotangent)[change.array], change)
                if undo is None:
                    break
                undos.append(undo)
        if len(undos) == len(changes) * len(ready.places):
            if amid:
                _postpone(ready, changes, undos)
            return lambda: _all(undos)
        _all(undos)
    return _bind_anew(backend, case, ready, changes, amid=amid)


def novelty(
    backend: Backend,
    case: Case,
    ready: Prepared,
    novelties: Sequence[Sequence[Change]],
    recurring: int,
) -> list[tuple[float, float]]:
    """Return for each set of new values the seconds of the first call on them, and those of a later one.

    Before a later call the same is done to a decoy: writing or binding leaves less in the caches than a call.
    The values before each set are back in place when the next one comes, and at the end. Nothing is found where
    binding anew makes a first call itself.

    Who takes in only what recurs is as slow in those later calls. So calls on the old values count as later ones
    too, after `recurring` calls on them, and after new values were written and taken back.
    """
    found: list[tuple[float, float]] = []
    usual, decoy = ready.first, _decoy(backend, ready.places[0])
    for changes in novelties:
        undo = renew(backend, case, ready, changes)
        is_bound_anew = ready.first is not usual
        if is_bound_anew and not calls.made_here(backend, case):
            undo()
            return []
        first_s = ready.time(1)
        later_s = min(_later(backend, case, ready, decoy, changes, is_bound_anew=is_bound_anew) for _ in range(2))
        found.append((first_s, later_s))
        undo()
    if found:
        ready.time(recurring)
    usual_s = min((_usual(backend, case, ready, changes) for changes in novelties), default=math.inf)
    ready.forget()
    return [(first_s, min(later_s, usual_s)) for first_s, later_s in found]


def _usual(backend: Backend, case: Case, ready: Prepared, changes: Sequence[Change]) -> float:
    """Return the seconds of a call on the old values, which have just been away."""
    renew(backend, case, ready, changes)()
    return ready.time(1)


def _later(
    backend: Backend,
    case: Case,
    ready: Prepared,
    decoy: Sequence[Any],
    changes: Sequence[Change],
    *,
    is_bound_anew: bool,
) -> float:
    """Return the seconds of a call after a decoy has been written to, or bound."""
    if is_bound_anew:
        _place(backend, case, [None if array is None else backend.to_numpy(array) for array in decoy])
    else:
        for change in changes:
            _write(backend, decoy[change.array], change)
    return ready.time(1)


def _decoy(backend: Backend, place: Place) -> list[Any]:
    """Return arrays like those of a place, to write into; where they cannot be written, those themselves.

    Large ones are not filled: to copy them would take longer than all the calls.
    """
    return [None if array is None else _like(backend, array) for array in (*place.inputs, place.cotangent)]


def _like(backend: Backend, array: Any) -> Any:
    seen = view(array)
    if seen is None:
        return backend.asarray(backend.to_numpy(array))
    if not seen.flags.writeable:
        return array  # it is bound anew, which reads it alone
    return np.array(seen) if seen.nbytes < UNFILLED_FROM else np.empty_like(seen)


def view(array: Any) -> Array | None:
    """Return a native array's memory as an array of NumPy's, without its library's copying it; None if it cannot.

    Nothing of the backend runs for it: whoever computes cannot tell that its inputs or outputs are looked at.
    """
    try:
        seen = np.asarray(array)
    except Exception:  # another device, a type that NumPy lacks, an array that is being differentiated
        return None
    return None if seen.dtype == object else seen


def _reads_inputs(backend: Backend, case: Case) -> bool:
    """Tell whether bound calls read the arrays that they were bound to, and not copies, each time."""
    if case.allocation == "inplace":
        return False
    if calls.made_here(backend, case):
        return not calls.saves_its_forward(backend, case)
    # A revision that does not say is taken for one that copies.
    return not getattr(backend, "binds_values", True)


def _write(backend: Backend, array: Any, change: Change) -> Undo | None:
    """Write into an array; return what undoes it, or None where it cannot be written."""
    seen = view(array)
    if seen is None:
        return _write_through(backend, array, change)
    if not seen.flags.writeable:
        return None
    before = np.array(seen[change.index])
    seen[change.index] = change.values
    again = view(array)
    if again is None or not np.array_equal(again[change.index], change.values):
        return None  # it was a copy

    def undo() -> None:
        seen[change.index] = before

    return undo


def _postpone(ready: Prepared, changes: Sequence[Change], undos: Sequence[Undo]) -> None:
    """Take back what was written at the place that comes next, and have it written between two of its calls.

    Single elements or rows are written one by one: that takes less time than an index of several does.
    """
    for i, place in enumerate(ready.places):
        if place.run is ready.upcoming:
            arrays: list[Any] = [view(array) for array in (*place.inputs, place.cotangent)]
            if all(arrays[change.array] is not None for change in changes):
                _all(undos[i * len(changes) : (i + 1) * len(changes)])
                writes = [(arrays[change.array], *each) for change in changes for each in _singly(change)]
                ready.coming = [partial(setitem, array, index, new) for array, index, new in writes]
                ready.warming = [partial(setitem, array, index, array[index].copy()) for array, index, _ in writes]


def _singly(change: Change) -> Iterator[tuple[Any, Any]]:
    """Yield the index and value of each element or row of a change; of many, one index for all."""
    if not change.index or len(change.values) > FEW:
        yield change.index, change.values
    else:
        for at, value in zip(zip(*change.index, strict=True), change.values, strict=True):
            yield tuple(map(int, at)), value


def _write_through(backend: Backend, array: Any, change: Change) -> Undo | None:
    """Write by the array's own indexing: on a device, or a type that NumPy lacks."""
    try:
        before = backend.asarray(backend.to_numpy(array[change.index]))
        array[change.index] = backend.asarray(change.values)
    except Exception:  # it cannot be written
        return None
    backend.synchronize(array)

    def undo() -> None:
        array[change.index] = before
        backend.synchronize(array)

    return undo


def _bind_anew(
    backend: Backend, case: Case, ready: Prepared, changes: Sequence[Change], *, amid: bool = False
) -> Undo:
    """Bind copies with the new values: one where calls stay at one place, else as many as there are."""
    host = [
        None if array is None else np.array(backend.to_numpy(array))
        for array in (*ready.places[0].inputs, ready.places[0].cotangent)
    ]
    for change in changes:
        target = host[change.array]
        assert target is not None
        target[change.index] = change.values
    stays = case.allocation != "inplace" and case.cache == "hot"
    n = 1 if stays else len(ready.places)
    old = ready.first if amid and stays else None
    before = ready.exchange([_place(backend, case, host).run for _ in range(n)])
    ready.outgoing = old

    def undo() -> None:
        ready.exchange(before)

    return undo


def _place(backend: Backend, case: Case, host: Sequence[Array | None]) -> Place:
    *native, cotangent = (None if array is None else backend.asarray(array) for array in host)
    backend.synchronize([array for array in native if array is not None])
    return Place(tuple(native), cotangent, calls.bound(backend, case, native, cotangent))


def _all(undos: Sequence[Undo]) -> None:
    for undo in reversed(undos):
        undo()
