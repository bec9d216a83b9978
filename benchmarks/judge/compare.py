"""Two finished runs, case by case: what changed.

Runs differ in more than the code: a machine is faster at one time than at another, and one process than another.
A run's intervals do not include that. How far the runs differ as a whole is therefore part of every case's error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Annotated

from benchmarks.analysis.entries import Key, entries
from benchmarks.judge import trust
from benchmarks.judge.trust import Effect
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS
from benchmarks.stats import verdicts
from benchmarks.stats.effects import Criteria, Estimate, adjusted, estimate
from benchmarks.stats.verdicts import judged


@dataclass(frozen=True)
class Judged:
    """What became of a case, which goes by CASE_KEYS, between a base and a head: `VERDICT_COLUMNS`."""

    key: Annotated[Key, CASE_KEYS]
    base: float
    head: float
    ratio: float
    low: float
    high: float
    p: float
    q: float
    samples: float
    verdict: str
    reason: str

    @property
    def backend(self) -> str:
        """The backend of the case."""
        return str(self.key[CASE_KEYS.index("backend")])


def compare(base: Run, head: Run, criteria: Criteria, *, shares: bool = False) -> tuple[list[Judged], list[str]]:
    """Return a verdict on each case, and notes on how far to trust them.

    With `shares`, fractions of each machine's own bandwidth are compared instead of times: `ratio` is then base's
    over head's. A case without a good result in the base has no baseline, and is never called slower.
    """
    cases = list(_side_by_side(base, head, shares=shares))
    measured = [case.effect for case in cases if not math.isnan(case.effect.effect)]
    spread = trust.between_runs(measured, None if shares else trust.reference_shift(base, head))
    found = [_finding(case, spread.error, criteria) for case in cases]
    corrected = zip(found, adjusted([each.p for each in found]), strict=True)
    found = [
        replace(each, q=q, verdict=each.verdict or judged(each.low, each.high, q, criteria))
        for each, q in corrected
    ]
    notes = [spread.sentence, trust.sentence(base, head, measured, spread, criteria)] if measured else []
    return found, notes


@dataclass(frozen=True)
class _Side:
    """What one of the runs has of a case; nothing (`_NONE`) where it does not have it."""

    status: str
    reason: str
    median_s: float
    fraction_of_bandwidth: float
    ci95_low_s: float
    ci95_high_s: float
    bursts: float

    @property
    def error(self) -> float:
        """The standard error of the logarithm of the median, from its 95 % interval."""
        low, high = self.ci95_low_s, self.ci95_high_s
        if not (low > 0 and 0 < high < math.inf):
            return math.inf
        return (math.log(high) - math.log(low)) / (2 * NormalDist().inv_cdf(0.975))


_NONE = _Side("", "", *[math.nan] * 5)


@dataclass(frozen=True)
class _Keyed(_Side):
    key: Annotated[Key, CASE_KEYS]


@dataclass(frozen=True)
class _Case:
    """A case of both runs, with what is compared of each; the effect is NaN where one has no value."""

    base: _Side
    head: _Side
    base_value: float
    head_value: float
    effect: Effect

    @property
    def samples(self) -> float:
        """What the values rest on, of the side with less."""
        return min(
            (each.bursts for each in (self.base, self.head) if not math.isnan(each.bursts)), default=math.nan
        )


def _side_by_side(base: Run, head: Run, *, shares: bool) -> Iterator[_Case]:
    """Yield the cases of both runs, in the order of their keys."""
    old, new = ({row.key: row for row in entries(run.at_hand("records"), _Keyed)} for run in (base, head))
    for key in sorted(old | new, key=lambda key: [*map(str, key)]):
        sides = old.get(key, _NONE), new.get(key, _NONE)
        before, after = (each.fraction_of_bandwidth if shares else each.median_s for each in sides)
        good = all(each.status == "ok" for each in sides) and before > 0 and after > 0
        effect = math.log(after / before) if good else math.nan
        error = math.hypot(*(each.error for each in sides))
        yield _Case(*sides, before, after, Effect(key, -effect if shares else effect, error))


def _finding(case: _Case, spread: float, criteria: Criteria) -> Judged:
    key, effect, nan = case.effect.key, case.effect.effect, math.nan
    values = (case.base_value, case.head_value)
    if math.isnan(effect):
        verdict, reason = _without_effect(case)
        return Judged(key, *values, nan, nan, nan, nan, nan, case.samples, verdict, reason)
    if math.isinf(case.effect.error):
        found = Estimate(effect, -math.inf, math.inf, 1.0)
    else:
        found = estimate(effect, math.hypot(case.effect.error, spread), criteria)
    ratio, low, high = map(math.exp, (found.effect, found.low, found.high))
    return Judged(key, *values, ratio, low, high, found.p, nan, case.samples, "", "")


def _without_effect(case: _Case) -> tuple[str, str]:
    """Return the verdict on a case that does not have a value on both sides, and the reason."""
    statuses = case.base.status, case.head.status
    if statuses == ("ok", "ok"):
        return verdicts.AMBIGUOUS, "no fraction of the bandwidth is known on both sides"
    sides = (("base", case.base), ("head", case.head))
    reasons = [f"{name}: {side.reason}" for name, side in sides if side.status not in ("ok", "")]
    return verdicts.without_effect(*statuses), "; ".join(reasons)
