"""Types: what another one gains in speed and costs in accuracy, by each backend and by the one to choose.

Two types are two groups, which take no turns together. So a verdict rests on the intervals of their medians, and a
machine that was faster during one of them moves the ratio: a doubt about either time is one about the gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.entries import Key, assembled, entries, grouped, parted
from benchmarks.analysis.errors import Erring
from benchmarks.analysis.ranges import size_classes
from benchmarks.analysis.tables import backend_order, geometric_mean
from benchmarks.analysis.verdicts import Verdicts, fastest_first
from benchmarks.quantities import bounds, count, number, plural, seconds, times
from benchmarks.record import schema
from benchmarks.stats.pairs import FASTER

KEYS = tuple(name for name in schema.CASE if name != "dtype")
"""What results share that differ in their type alone."""
BEST = "recommended"
"""Stands for the fastest accurate backend of each type, among the names of backends."""
UNIT = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""The largest that a unit in the last place is, as a share of its number: 2 to the power of minus the digits after
the point. An error of 1 ULP in bfloat16 is as large as 65,536 in float32, so errors of two types are compared as
shares."""


@dataclass(frozen=True)
class Gain:
    """A case in its usual type and in another: `ratio` is the time in the usual one over that in the other.

    Above 1, the other took less. The errors are the largest, as shares (`UNIT`) of the exact result for the inputs
    as the type holds them. `usual` and `other` are the backends compared: one and the same, or of a row of `BEST`
    the fastest accurate one of each.
    """

    backend: str
    usual: str
    other: str
    usual_dtype: str
    other_dtype: str
    usual_s: float
    other_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    verdict: str
    usual_error: float
    other_error: float
    usual_warning: str
    other_warning: str


def gains(rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return a `Gain` for each case of `errors.with_errors`, each type beside the usual one, and each backend.

    The usual type is float32, or else the first that was measured; what to choose comes before each backend.
    """
    found: list[tuple[Key, Gain]] = []
    if rows["dtype"].nunique() < 2:
        return assembled(KEYS, found, Gain)
    for case, group in grouped(rows, KEYS, Erring).items():
        by_type = parted(group, lambda row: row.dtype)
        first = next((dtype for dtype in schema.DTYPES if dtype in by_type), next(iter(by_type)))
        for dtype in by_type:
            if dtype != first:
                found += [(case, gain) for gain in _beside(by_type[first], by_type[dtype], verdicts)]
    return assembled(KEYS, found, Gain)


def _beside(usual: Sequence[Erring], other: Sequence[Erring], verdicts: Verdicts) -> Iterator[Gain]:
    best = [next((row for row in fastest_first(rows) if row.accurate), None) for rows in (usual, other)]
    if best[0] and best[1]:
        yield _gain(BEST, best[0], best[1], verdicts)
    there = {row.backend: row for row in other}
    for row in usual:
        if row.backend in there:
            yield _gain(row.backend, row, there[row.backend], verdicts)


def _gain(name: str, usual: Erring, other: Erring, verdicts: Verdicts) -> Gain:
    standing = verdicts.over(usual, other)
    return Gain(
        backend=name,
        usual=usual.backend,
        other=other.backend,
        usual_dtype=usual.dtype,
        other_dtype=other.dtype,
        usual_s=usual.median_s,
        other_s=other.median_s,
        ratio=standing.ratio,
        ratio_low=standing.low,
        ratio_high=standing.high,
        verdict=standing.verdict,
        usual_error=usual.error_ulp * UNIT.get(usual.dtype, math.nan),
        other_error=other.error_ulp * UNIT.get(other.dtype, math.nan),
        usual_warning=usual.warning,
        other_warning=other.warning,
    )


@dataclass(frozen=True)
class GainCase(Gain):
    """A row of `gains` with its case."""

    op: str
    mode: str
    n_elements: int

    @property
    def doubtful(self) -> bool:
        """Whether anything makes either time doubtful."""
        return bool(self.usual_warning or self.other_warning)

    @property
    def sentence(self) -> str:
        """What the other type gains and costs, in words."""
        who = self.usual if self.usual == self.other else f"{self.other} instead of {self.usual}"
        chosen = ", recommended" * (self.backend == BEST)
        unsure = f"; {self.verdict}" * (self.verdict != FASTER) + "; doubtful" * self.doubtful
        return (
            f"{self.op} {self.mode}, {plural(self.n_elements, 'element')}, {self.other_dtype} instead of "
            f"{self.usual_dtype}{chosen}: {who}, {seconds(self.other_s)} instead of {seconds(self.usual_s)}, "
            f"{number(self.ratio)} times as fast ({bounds(self.ratio_low, self.ratio_high)}{unsure}). "
            f"{_cost(self.usual_error, self.other_error)}"
        )


def _cost(usual: float, other: float) -> str:
    """Say what an error becomes; nothing where it is not known."""
    if math.isnan(usual) or math.isnan(other):
        return "Its error is not known."
    return f"Largest error: {number(other, 2)} of the result, instead of {number(usual, 2)}."


def sentences(gains: pd.DataFrame) -> list[str]:
    """Say of each type what it gains at the largest size with what to choose and with each backend, and costs."""
    order = [BEST, *backend_order(gains[gains["backend"] != BEST])]
    by_type = parted(entries(gains, GainCase), lambda case: (case.usual_dtype, case.other_dtype))
    return [_sentence(usual, other, cases, order) for (usual, other), cases in by_type.items()]


def _sentence(usual: str, other: str, cases: Sequence[GainCase], order: Sequence[str]) -> str:
    near = size_classes(case.n_elements for case in cases)
    largest = max(near.values())
    by_backend = parted((case for case in cases if near[case.n_elements] == largest), lambda case: case.backend)
    told = [_told(name, by_backend[name]) for name in order if name in by_backend]
    errors = [max((each for each in found if not math.isnan(each)), default=math.nan) for found in _errors(cases)]
    return f"{other} instead of {usual}, at {plural(largest, 'element')}: {', '.join(told)}. {_cost(*errors)}"


def _errors(cases: Sequence[GainCase]) -> tuple[list[float], list[float]]:
    """Return the errors in either type, those of what to choose, where there is any."""
    chosen = [case for case in cases if case.backend == BEST] or cases
    return [case.usual_error for case in chosen], [case.other_error for case in chosen]


def _told(name: str, cases: Sequence[GainCase]) -> str:
    """Say how many times as fast one backend, or what to choose, is: a mean over cases, marked where doubtful."""
    mean = geometric_mean(pd.Series([case.ratio for case in cases]))
    doubt = "~" * any(case.doubtful for case in cases)
    faster = sum(case.verdict == FASTER and case.ratio > 1 for case in cases)
    how_many = f" as fast (faster in {count(faster)} of {plural(len(cases), 'case')})" if name == BEST else ""
    return f"{'the fastest' if name == BEST else name} {doubt}{times(mean)}{how_many}"
