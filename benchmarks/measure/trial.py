"""A trial: a function that somebody brings is checked in every way that one screen has room for, and then timed.

The checks and the times come from the rooms that measure every backend. What fails a check in a type and mode is
not timed in it. Workers for the times start while the checks run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np

from backends.catalogue import OPS
from benchmarks.check import accuracy, regions, search
from benchmarks.check.namespaces import Array
from benchmarks.check.search import Sample
from benchmarks.measure.budget import Budget
from benchmarks.measure.harness import Harness
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.sampling import Rule
from benchmarks.plan import inputs
from benchmarks.plan.costs import cost_of
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import DTYPES, Case, Check, Ending, by_group
from benchmarks.record.trials import Judged, Layout, Point

MODES = ("forward", "backward")
LAYOUTS: Mapping[str, tuple[int, ...]] = {
    "0-d": (),
    "empty": (0, 4),
    "one row": (1, 2),
    "2-D": (5, 8),
    "3-D": (2, 3, 4),
}
"""Shapes by what people call them."""
STRIDED = "not contiguous"
ROWS = 64
"""Rows of a loss that has no result for each of them: one sum or mean is compared."""
RULE = Rule(precision=0.02, confidence=0.95, max_s=0.2)
"""As `pytest benchmarks` measures."""
GROUP_S, GROUP_CALLS = 4.0, 40
"""What a group takes at least, on two slow cores: its rivals, and so many calls of what is slowest."""


AT_ONCE = 2
"""Workers that start at a time: more would only slow each other down, and the checks."""


@dataclass
class Examiner:
    """Checks one backend's op in a worker. `parameters` are those that its checks give it."""

    pool: Pool
    backend: str
    op: str
    device: str = "cpu"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec = OPS[self.op]
        if not self.parameters and spec.kind == "loss" and self._takes({"reduction": "none"}):
            self.parameters = {"reduction": "none"}

    @property
    def is_reduced(self) -> bool:
        """Whether there is one result for all losses, since the function offers no other."""
        return OPS[self.op].kind == "loss" and "reduction" not in self.parameters

    def lacks(self, mode: str, dtype: str) -> str:
        """Return why a mode or type is not offered; empty where it is. Raises CaseError where no answer comes."""
        gap: str | None = self._call("supports", self.op, dtype, mode, "fresh")
        return (gap or "").rpartition(" (")[0]  # without whose it is to mend that

    def judged(self, mode: str, dtype: str, *, deep: bool) -> Judged:
        """Return what results in a mode and type are worth, on a designed sample or after a search."""
        try:
            if gap := self.lacks(mode, dtype):
                return Judged(mode, dtype, Ending(status="unavailable", reason=gap))
            got, sample = self._results(mode, dtype, deep=deep)
            ending = self._assessed(mode, got, sample)
        except CaseError as error:
            return Judged(mode, dtype, error.ending)
        parts = () if self.is_reduced else regions.regions(self.op, got, sample)
        return Judged(mode, dtype, ending, regions.worst(self.op, got, sample), parts)

    def specials(self, dtype: str) -> tuple[Point, ...]:
        """Return what comes of special values; nothing of an op whose inputs are several, or rows."""
        if OPS[self.op].derivative is None or OPS[self.op].inputs[0].domain != "real":
            return ()
        sample = search.attempt(OPS[self.op], "forward", dtype, [regions.special_inputs(dtype)])
        return regions.specials(self.op, self._evaluate("forward", sample), sample)

    def layouts(self, modes: Sequence[str], dtype: str) -> Iterator[Layout]:
        """Yield how calls on shapes and layouts end, until one costs the process."""
        ways = {name: (shape, False) for name, shape in LAYOUTS.items()} | {STRIDED: (LAYOUTS["3-D"], True)}
        for name, (shape, strided) in ways.items():
            if shape or not OPS[self.op].along_axis:
                ending = self._layout(modes, dtype, shape, strided=strided)
                yield Layout(name, ending)
                if ending.status in ("crashed", "timeout"):
                    return

    def _layout(self, modes: Sequence[str], dtype: str, shape: tuple[int, ...], *, strided: bool) -> Ending:
        for mode in modes:
            sample = search.attempt(OPS[self.op], mode, dtype, inputs.draw(self.op, shape, dtype), self.parameters)
            try:
                got = self._evaluate(mode, sample, strided=strided)
                verdict = self._assessed(mode, got, sample)
            except CaseError as error:
                return error.ending
            if verdict.status not in ("ok", "known_deviation"):
                return verdict
        return Ending(status="ok")

    def _results(self, mode: str, dtype: str, *, deep: bool) -> tuple[Array, Sample]:
        if self.is_reduced:
            drawn = inputs.draw(self.op, (ROWS, inputs.CLASSES), dtype)
            sample = search.attempt(OPS[self.op], mode, dtype, drawn, {})
        elif deep:
            return search.worst_points(lambda arrays, g: self._asked(mode, arrays, g), self.op, mode, dtype)
        else:
            sample = search.designed(self.op, mode, dtype)
        return self._evaluate(mode, sample), sample

    def _evaluate(self, mode: str, sample: Sample, *, strided: bool = False) -> Array:
        return self._asked(mode, sample.arrays, sample.cotangent, strided=strided)

    def _asked(self, mode: str, arrays: Sequence[Any], g: Array | None, *, strided: bool = False) -> Array:
        got: Array = self._call("evaluate", self.op, mode, arrays, g, self.parameters, strided)
        return got

    def _assessed(self, mode: str, got: Array, sample: Sample) -> Ending:
        if got.shape != sample.expected.high.shape or got.dtype != sample.arrays[0].dtype:
            due = f"{sample.arrays[0].dtype} of shape {sample.expected.high.shape}"
            return Ending(
                status="failed", reason=f"the result is {got.dtype} of shape {got.shape} where {due} is due"
            )
        return accuracy.assess(
            got,
            sample.expected,
            Check(self.op, mode, str(got.dtype), self.backend, self.device),
            parameters=self.parameters,
            first_input=sample.arrays[0],
            second_input=sample.arrays[1] if len(sample.arrays) > 1 else None,
            n_summed=accuracy.terms(OPS[self.op], sample.arrays[0], self.parameters),
            complete=False,
            n_sample=sample.n_sample,
            flushed=self._call("flushes_subnormals"),
        )

    def _takes(self, parameters: Mapping[str, Any]) -> bool:
        """Tell whether the function takes parameters."""
        drawn = inputs.draw(self.op, (2, 4), DTYPES[0])
        try:
            self._call("evaluate", self.op, "forward", drawn, None, parameters)
        except CaseError as error:
            return error.ending.status != "unavailable"
        return True

    def _call(self, method: str, *arguments: Any) -> Any:
        return self.pool.call(self.backend, self.device, method, *arguments)


def usual_error(examiner: Examiner, dtype: str) -> float:
    """Return the largest error of a backend's results, in ULP, where inputs and results are ordinary numbers.

    Raises CaseError where it has none.
    """
    found = 0.0
    for mode in MODES:
        judged = examiner.judged(mode, dtype, deep=True)
        if judged.verdict is None:
            raise CaseError(judged.ending.status, f"{examiner.backend}: {judged.ending.reason}")
        found = max(found, judged.verdict.max_ulp_normal)
    return found


@contextmanager
def started(pool: Pool, names: Sequence[str], device: str) -> Iterator[Callable[[], object]]:
    """Start workers side by side; yield a call that waits until they have started, or failed to, and end them.

    A worker ends with the thread that started it (`signals.end_with_parent`): these stay until the pool is closed.
    """

    def begin(name: str) -> None:
        with suppress(CaseError):  # what cannot start says so when it is measured
            pool.facts(name, device)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as executor:
        starts = [executor.submit(begin, name) for name in names]
        try:
            yield lambda: wait(starts)
        finally:
            wait(starts)
            pool.close()


def time(
    cases: Sequence[Case], pool: Pool, recorder: Recorder, *, budget_s: float, seed: int, margin: float
) -> None:
    """Time cases, those of a group together, in the order of the groups, as long as there is time; record them.

    But for the first, a group is left out in which calls of the first case's backend take so long that it would
    not end in time. Ends the workers and the record.
    """
    groups = by_group(cases)
    costs = {name: cost_of(comparable) for name, comparable in groups.items()}
    budget = Budget(budget_s, costs, bounded=True, at_least_one=True)
    harness = Harness(pool, recorder, planned=cases, seed=seed, budget=budget, with_bandwidth=False)
    rule = replace(RULE, margin=margin)
    for i, comparable in enumerate(groups.values()):
        if not i or GROUP_S + GROUP_CALLS * call_s(pool, comparable[0]) <= budget.left_s:
            for case in comparable:
                harness.measure(case, rule)
    harness.close(complete=True)


def call_s(pool: Pool, case: Case) -> float:
    """Return about how long a call of a case's op takes, forward: the second, on other values; 0 where it fails.

    Raises nothing: what fails is told by measuring it.
    """
    drawn = inputs.draw(case.op, case.shape, case.dtype)
    others = tuple(None if array is None else np.ascontiguousarray(array[::-1]) for array in drawn)
    with suppress(CaseError):
        for arrays in (drawn, others):
            begun = perf_counter()
            pool.call(case.backend, case.device, "evaluate", case.op, "forward", arrays, None, {})
        return perf_counter() - begun
    return 0.0
