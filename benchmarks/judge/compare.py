"""Two finished runs, case by case: what changed.

Runs differ in more than the code: a machine is faster at one time than at another, and one process than another.
A run's intervals do not include that. How far the runs differ as a whole is therefore part of every case's error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np
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
    value = "fraction_of_bandwidth" if shares else "median_s"
    cases = _side_by_side(base, head, value, shares=shares)
    measured = cases[cases["effect"].notna()]
    spread = trust.between_runs(measured, None if shares else trust.reference_shift(base, head))
    findings = [(case.key, _finding(case, spread.error, criteria)) for case in entries(cases, _Case)]
    found = with_verdicts(assembled(CASE_KEYS, findings, _Finding), criteria)
    notes = [spread.sentence, trust.sentence(base, head, measured, spread, criteria)] if len(measured) else []
    return found[list(COMPARISON_COLUMNS)], notes


def _side_by_side(base: Run, head: Run, value: str, *, shares: bool) -> pd.DataFrame:
    """Return the cases of both runs with `base`, `head`, `effect` and `error` (a standard error)."""
    keys = list(CASE_KEYS)
    kept = [*keys, "status", "reason", value, "ci95_low_s", "ci95_high_s", "bursts"]
    sides = [run.records[kept].drop_duplicates(keys, keep="last") for run in (base, head)]
    both = sides[0].merge(sides[1], on=keys, how="outer", suffixes=("_base", "_head"), sort=False)
    good = (both["status_base"] == "ok") & (both["status_head"] == "ok")
    ratio = both[f"{value}_head"] / both[f"{value}_base"]
    known = (good & (ratio > 0)).fillna(value=False)
    effect = np.log(ratio.where(known))
    return both.assign(
        base=both[f"{value}_base"],
        head=both[f"{value}_head"],
        effect=-effect if shares else effect,
        error=np.hypot(_error(both, "base"), _error(both, "head")),
        samples=both[["bursts_base", "bursts_head"]].min(axis=1),
    )


def _error(both: pd.DataFrame, side: str) -> pd.Series:
    """Return the standard error of the logarithm of a side's median, from its 95 % interval."""
    ends = both[[f"ci95_low_s_{side}", f"ci95_high_s_{side}"]].to_numpy(float)
    bounded = (ends[:, 0] > 0) & np.isfinite(ends[:, 1])
    logs = np.log(np.where(bounded[:, None], ends, 1.0))
    width = np.where(bounded, logs[:, 1] - logs[:, 0], math.inf)
    return pd.Series(width / (2 * NormalDist().inv_cdf(0.975)), index=both.index)


@dataclass(frozen=True)
class _Case:
    """A case of both runs; `effect` is NaN where one has no value."""

    key: Annotated[Key, CASE_KEYS]
    base: float
    head: float
    effect: float
    error: float
    samples: float
    status_base: str
    status_head: str
    reason_base: str
    reason_head: str


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
    if (case.status_base, case.status_head) == ("ok", "ok"):
        return verdicts.AMBIGUOUS, "no fraction of the bandwidth is known on both sides"
    sides = (("base", case.status_base, case.reason_base), ("head", case.status_head, case.reason_head))
    reasons = [f"{side}: {reason}" for side, status, reason in sides if status not in ("ok", "")]
    return verdicts.without_effect(case.status_base, case.status_head), "; ".join(reasons)
