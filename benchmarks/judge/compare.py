"""Two finished runs, case by case: what changed.

Runs differ in more than the code: a machine is faster at one time than at another, and one process than another.
A run's intervals do not include that. How far the runs differ as a whole is therefore part of every case's error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import pandas as pd

from benchmarks.analysis.entries import Key, assembled, entries
from benchmarks.judge import trust
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS, COMPARISON_COLUMNS
from benchmarks.stats import verdicts
from benchmarks.stats.effects import Criteria, Estimate, estimate
from benchmarks.stats.verdicts import with_verdicts


def compare(base: Run, head: Run, criteria: Criteria, *, shares: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Return a verdict on each case (COMPARISON_COLUMNS), and notes on how far to trust them.

    With `shares`, fractions of each machine's own bandwidth are compared instead of times: `ratio` is then base's
    over head's. A case without a good result in the base has no baseline, and is never called slower.
    """
    cases = _side_by_side(base, head, shares=shares)
    errors = {case.key: case.error for case in cases if not math.isnan(case.effect)}
    effects = [case.effect for case in cases if not math.isnan(case.effect)]
    shift = None if shares else trust.reference_shift(base, head)
    spread = trust.between_runs(effects, list(errors.values()), shift)
    findings = [(case.key, _finding(case, spread.error, criteria)) for case in cases]
    found = with_verdicts(assembled(CASE_KEYS, findings, _Finding), criteria)
    notes = [spread.sentence, trust.sentence(base, head, errors, spread, criteria)] if errors else []
    return found[list(COMPARISON_COLUMNS)], notes


@dataclass(frozen=True)
class _Result:
    """What one run has of a case; of a case that it lacks, nothing is known."""

    key: Annotated[Key, CASE_KEYS] = ()
    status: str = ""
    reason: str = ""
    median_s: float = math.nan
    fraction_of_bandwidth: float = math.nan
    ci95_low_s: float = math.nan
    ci95_high_s: float = math.nan
    bursts: float = math.nan

    @property
    def error(self) -> float:
        """The standard error of the logarithm of the median, from its 95 % interval."""
        if not (self.ci95_low_s > 0 and math.isfinite(self.ci95_high_s)):
            return math.inf
        return math.log(self.ci95_high_s / self.ci95_low_s) / (2 * NormalDist().inv_cdf(0.975))


@dataclass(frozen=True)
class _Case:
    """A case of both runs, with the value that is compared: NaN where one has none, as is then the `effect`."""

    key: Key
    sides: tuple[_Result, _Result]
    base: float
    head: float
    effect: float

    @property
    def error(self) -> float:
        """The standard error of the effect."""
        return math.hypot(*(side.error for side in self.sides))

    @property
    def samples(self) -> float:
        """On how many bursts the value rests, of the side that has fewer."""
        return min((side.bursts for side in self.sides if not math.isnan(side.bursts)), default=math.nan)

    @property
    def statuses(self) -> tuple[str, str]:
        """How it ended on either side."""
        return self.sides[0].status, self.sides[1].status


def _side_by_side(base: Run, head: Run, *, shares: bool) -> list[_Case]:
    """Return the cases of both runs, in the order of their keys; of a case that was recorded twice, the later."""
    # Not merged as frames: by thirteen keys, that takes most of the time of two runs of fifty cases.
    old, new = ({result.key: result for result in entries(run.records, _Result)} for run in (base, head))
    keys = sorted(old.keys() | new.keys(), key=lambda key: tuple(map(str, key)))
    return [_case(key, old.get(key, _Result()), new.get(key, _Result()), shares=shares) for key in keys]


def _case(key: Key, old: _Result, new: _Result, *, shares: bool) -> _Case:
    base, head = (side.fraction_of_bandwidth if shares else side.median_s for side in (old, new))
    known = old.status == new.status == "ok" and base > 0 and head > 0
    effect = math.log(head / base) if known else math.nan
    return _Case(key, (old, new), base, head, -effect if shares else effect)


@dataclass(frozen=True)
class _Finding:
    base: float
    head: float
    ratio: float
    low: float
    high: float
    p: float
    samples: float
    verdict: str
    reason: str


def _finding(case: _Case, spread: float, criteria: Criteria) -> _Finding:
    if math.isnan(case.effect):
        verdict, reason = _without_effect(case)
        nan = math.nan
        return _Finding(case.base, case.head, nan, nan, nan, nan, case.samples, verdict, reason)
    if math.isinf(case.error):
        found = Estimate(case.effect, -math.inf, math.inf, 1.0)
    else:
        found = estimate(case.effect, math.hypot(case.error, spread), criteria)
    ratio, low, high = map(math.exp, (found.effect, found.low, found.high))
    return _Finding(case.base, case.head, ratio, low, high, found.p, case.samples, "", "")


def _without_effect(case: _Case) -> tuple[str, str]:
    """Return the verdict on a case that does not have a value on both sides, and the reason."""
    if case.statuses == ("ok", "ok"):
        return verdicts.AMBIGUOUS, "no fraction of the bandwidth is known on both sides"
    sides = zip(("base", "head"), case.sides, strict=True)
    reasons = [f"{name}: {side.reason}" for name, side in sides if side.status not in ("ok", "")]
    return verdicts.without_effect(*case.statuses), "; ".join(reasons)
