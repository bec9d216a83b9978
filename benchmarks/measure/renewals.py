"""New values for the inputs of cases: which and where, what must come of them, and what came of the old ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np

from backends.base import output_shape
from benchmarks.check import accuracy, oracle
from benchmarks.check.oracle import Expected
from benchmarks.check.references import Reference, at, sampled_at, units
from benchmarks.measure.probe import Change
from benchmarks.plan import inputs
from benchmarks.record.schema import Case

Array = np.ndarray[Any, np.dtype[Any]]

TRIED, CHANGED, OTHERS = 8, 3, 5
"""Of 8 elements or rows that are drawn, at most 3 get new values: so few that a sample of the input is unlikely to
meet them. The output is checked there and at 5 others."""
WIDE_FROM = 64
"""From 64 values on, the oracle evaluates in the next wider type: with mpmath, rows would take too long."""
DRAWS = 5
"""Values are drawn five times at most until some change the output: all negative ones are alike to relu."""
CLEAR = 4
"""An output must move by four times what its budget forgives: then it shows whether it follows."""
MANY = 4
"""Four times as many terms of a loss are changed as would move it so far, were each as large as their mean."""


@dataclass(frozen=True)
class Renewal:
    """`changes` of the inputs, what is `due` at some places then, and what was `before` at the same places."""

    changes: tuple[Change, ...]
    due: tuple[Reference, ...]
    before: tuple[Reference, ...]

    @property
    def index(self) -> list[Any]:
        """Where the outputs are looked at, one index an output."""
        return [reference.index for reference in self.due]

    def is_remembered(self, results: Sequence[Array]) -> bool:
        """Tell whether an output is that of the old values, wherever the new ones change it."""
        return any(
            _is_old(np.asarray(got, np.float64), old.expected.high, new.expected.high)
            for got, old, new in zip(results, self.before, self.due, strict=True)
        )


def _is_old(got: Array, old: Array, new: Array) -> bool:
    if got.shape != old.shape:
        return False
    changed = old != new
    # Rounding aside: what is merely wrong may lie nearer to the old value than to the new one.
    return bool(changed.any() and (np.abs(got - old) < np.abs(new - old) / 8)[changed].all())


class Renewals:
    """Draws new values for comparable cases, whose inputs are the same, from the entropy of the system.

    `due` are the references of a `case` of theirs at the old values.
    """

    def __init__(self, case: Case, due: Sequence[Reference]) -> None:
        spec = inputs.spec_of(case.op, case.saved)
        host = inputs.draw(case.op, case.shape, case.dtype, saved=case.saved)
        self._case, self._spec = case, spec
        self._arrays: list[Array | None] = [*host, None]
        if case.mode != "forward":
            self._arrays[-1] = inputs.cotangent(output_shape(spec, host, spec.defaults), case.dtype)
        self._total = next((each for each in due if spec.kind == "loss" and each.mode == "forward"), None)
        self._random = np.random.default_rng()

    def renewal(self) -> Renewal | None:
        """Return new values and what must come of them; None where no value would change the output visibly."""
        for _ in range(DRAWS):
            if found := self._elements() if self._total is None else self._sum(self._total):
                return found
        return None

    def changes(self) -> tuple[Change, ...]:
        """Return new values at a few places, whatever comes of them."""
        return tuple(self._drawn(self._index(self._units(CHANGED))))

    def present(self) -> list[Array]:
        """Return what a call reads, the cotangent last; without inputs that are not given."""
        return [array for array in self._arrays if array is not None]

    def _elements(self) -> Renewal | None:
        """Change what shows where it is: each output depends on an element or a row."""
        chosen = self._units(TRIED + OTHERS)
        tried = chosen[: max(1, min(TRIED, len(chosen) - 1))]
        changes = list(self._drawn(self._index(tried)))
        before = self._references(chosen)
        with_all = self._after(changes, chosen)
        differs = np.any([self._differ(*pair) for pair in zip(before, with_all, strict=True)], axis=0)
        differs = differs[: len(tried)]
        shown = np.flatnonzero(differs)[:CHANGED]
        if not len(shown):
            return None
        kept = tuple(_only(change, shown, self._index(tried[shown])) for change in changes)
        mask = np.isin(np.arange(len(chosen)), shown)
        return Renewal(kept, tuple(map(_mixed, before, with_all, [mask] * len(before))), tuple(before))

    def _sum(self, total: Reference) -> Renewal | None:
        """Change so many terms of a sum, each to a larger one, that the sum moves by more than it may err."""
        n = int(np.prod(units(self._case)))
        forgiven = accuracy.budget(self._case.op, "forward", total.n_summed) * _epsilon(self._case.dtype)
        chosen = self._units(min(round(MANY * CLEAR * forgiven * n) + 1, max(1, n // 2)))
        index = self._index(chosen)
        first, second = (list(self._drawn(index)) for _ in range(2))
        before = self._losses(index)
        larger = self._losses(index, second) > self._losses(index, first)
        changes = tuple(_larger(a, b, larger) for a, b in zip(first, second, strict=True))
        delta = float((self._losses(index, changes) - before).sum())
        if self._spec.defaults["reduction"] == "mean":
            delta /= n
        old = total.expected
        if not abs(delta) > CLEAR * forgiven * float(old.scale):
            return None
        moved = replace(total, expected=Expected(old.high + delta, old.low, old.scale + abs(delta)))
        seen = np.concatenate([chosen[:TRIED], np.setdiff1d(self._units(OTHERS), chosen)])
        rest = self._case.mode != "forward"
        return Renewal(
            changes,
            (moved, *(self._after(changes, seen) if rest else ())),
            (total, *(self._references(seen) if rest else ())),
        )

    def _units(self, n: int) -> Array:
        """Return at most n different elements or rows, in random order."""
        found = np.unique(self._random.integers(0, int(np.prod(units(self._case))), n))
        return np.asarray(self._random.permutation(found))

    def _index(self, chosen: Array) -> Any:
        return np.unravel_index(chosen, units(self._case)) if units(self._case) else ()

    def _drawn(self, index: Any) -> Iterator[Change]:
        """Yield new values at `index` of each input that has elements or rows, and of such a cotangent."""
        n = len(index[0]) if index else 1
        row = self._case.shape[-1:] if self._spec.along_axis else ()
        drawn = inputs.redraw(self._case.op, row, self._case.dtype, n, self._random, self._case.saved)
        for i, values in enumerate(drawn):
            if values is not None and (array := self._arrays[i]) is not None:
                yield Change(i, index, values.reshape(array[index].shape))
        cotangent = self._arrays[-1]
        if cotangent is not None and self._spec.kind != "loss":
            shape = cotangent[index].shape
            new = inputs.redraw_cotangent(shape, self._case.dtype, self._random)
            yield Change(len(self._arrays) - 1, index, new)

    def _references(self, chosen: Array) -> list[Reference]:
        """Evaluate the oracle at these elements or rows; not for the sum of a loss."""
        case = self._case if self._total is None else replace(self._case, mode="backward")
        *host, cotangent = self._arrays
        return at(case, host, cotangent, self._index(chosen), WIDE_FROM)  # type: ignore[arg-type]

    def _after(self, changes: Sequence[Change], chosen: Array) -> list[Reference]:
        undo = [(change, np.array(self._array(change)[change.index])) for change in changes]
        try:
            for change in changes:
                self._array(change)[change.index] = change.values
            return self._references(chosen)
        finally:
            for change, values in undo:
                self._array(change)[change.index] = values

    def _differ(self, old: Reference, new: Reference) -> Array:
        """Return which elements or rows differ by more than what may be an error."""
        a, b = old.expected, new.expected
        case = self._case
        forgiven = accuracy.budget(case.op, old.mode, old.n_summed, case.saved) * _epsilon(case.dtype)
        different = np.atleast_1d(np.abs(a.high - b.high) > CLEAR * forgiven * np.maximum(a.scale, b.scale))
        return np.asarray(different.reshape(len(different), -1).any(axis=1))

    def _array(self, change: Change) -> Array:
        array = self._arrays[change.array]
        assert array is not None
        return array

    def _losses(self, index: Any, changes: Sequence[Change] = ()) -> Array:
        """Return the loss of each element or row at `index`, after changes of all of them."""
        sampled = sampled_at(self._spec, self._arrays[:-1], index)
        for change in changes:
            sampled[change.array] = change.values
        parameters = self._spec.defaults | {"reduction": "none"}
        wide = sampled[0].size >= WIDE_FROM
        return oracle.forward(self._case.op, sampled, parameters, self._case.dtype, wide=wide).high


def _only(change: Change, shown: Array, index: Any) -> Change:
    return replace(change, index=index, values=change.values[shown] if index else change.values)


def _larger(first: Change, second: Change, larger: Array) -> Change:
    """Return the values of the second where that one's loss is `larger`."""
    where = larger.reshape(larger.shape + (1,) * (first.values.ndim - larger.ndim))
    return replace(first, values=np.where(where, second.values, first.values))


def _mixed(old: Reference, new: Reference, mask: Array) -> Reference:
    """Return a reference that is `new` in the elements or rows of the mask, and `old` elsewhere."""
    a, b = old.expected, new.expected
    where = mask.reshape(mask.shape + (1,) * (a.high.ndim - 1)) if a.high.ndim else mask.reshape(())
    high, low, scale = (
        np.where(where, after, before) for after, before in ((b.high, a.high), (b.low, a.low), (b.scale, a.scale))
    )
    first = None
    if old.first_input is not None and new.first_input is not None:
        first = np.where(where, new.first_input, old.first_input)
    return replace(new, expected=Expected(high, low, scale), first_input=first)


def _epsilon(dtype: str) -> float:
    return float(ml_dtypes.finfo(dtype).eps)
