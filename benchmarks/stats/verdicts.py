"""Verdicts: whether a head is slower than its base, faster, or the same, or whether that cannot be told.

An effect is the logarithm of head's time over base's. It is called `slower` only where its interval lies wholly
beyond a practical threshold and the evidence survives the correction for how many cases were looked at; `same`
only where the interval lies wholly within the threshold. Everything between is `ambiguous`, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from benchmarks.record.schema import CASE_KEYS

SLOWER, FASTER, SAME, AMBIGUOUS = "slower", "faster", "same", "ambiguous"
NEW, MISSING, FAILING, FIXED, BROKEN = "new", "missing", "now failing", "fixed", "failing in both"
UNAVAILABLE = "unavailable in both"
VERDICTS = (FAILING, SLOWER, AMBIGUOUS, MISSING, BROKEN, FASTER, FIXED, NEW, SAME, UNAVAILABLE)
"""All verdicts, in the order in which a reader wants to see them."""
REGRESSIONS = (FAILING, SLOWER)
JUDGED = (FAILING, SLOWER, FASTER, SAME)
FINE, REGRESSED, NOT_JUDGED = 0, 1, 2
"""Exit statuses."""

LEAST_ERROR = 1e-4
"""No standard error of an effect is taken for less: a few values that agree by chance are not that certain."""

COMPARISON_COLUMNS = (
    *CASE_KEYS,
    "base",
    "head",
    "ratio",
    "low",
    "high",
    "p",
    "q",
    "samples",
    "verdict",
    "reason",
)
"""Each side's value, head's over base's with its interval; the evidence, alone and corrected for the number of
cases; how many values it rests on."""


@dataclass(frozen=True)
class Criteria:
    """What counts as a change.

    `threshold`: 0.05 lets a head take 5 % longer, or 5 % less, and still be the same. `confidence` is that of
    every interval; `false_discovery_rate` bounds the expected share of false alarms among all alarms.
    """

    threshold: float = 0.05
    confidence: float = 0.95
    false_discovery_rate: float = 0.05

    def __post_init__(self) -> None:
        for name in ("threshold", "confidence", "false_discovery_rate"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name}: must lie between 0 and 1; got {value!r}")

    @property
    def margin(self) -> float:
        """The threshold as an effect."""
        return math.log1p(self.threshold)


@dataclass(frozen=True)
class Estimate:
    """An effect with its interval, and how surprising it would be if it were within the threshold (`p`)."""

    effect: float
    low: float
    high: float
    p: float


def estimate(effect: float, error: float, criteria: Criteria, freedom: float = math.inf) -> Estimate:
    """Return what an effect with a standard error says, by Student's t with `freedom` degrees of freedom.

    `p` is two-sided: twice the smaller of the chances of an effect so large, or so small, where the truth lies at
    the nearer threshold.
    """
    error = max(error, LEAST_ERROR)
    reach = error * float(special.stdtrit(freedom, (1 + criteria.confidence) / 2))
    beyond = (abs(effect) - criteria.margin) / error
    p = min(1.0, 2 * float(special.stdtr(freedom, -beyond)))
    return Estimate(effect, effect - reach, effect + reach, p)


def estimate_mean(effects: Sequence[float], criteria: Criteria) -> Estimate:
    """Return what independent measurements of one effect say; one alone says nothing about its error."""
    n = len(effects)
    if n < 2:
        return Estimate(float(effects[0]) if n else math.nan, -math.inf, math.inf, 1.0)
    return estimate(float(np.mean(effects)), float(np.std(effects, ddof=1)) / math.sqrt(n), criteria, n - 1)


def adjusted(p: pd.Series) -> pd.Series:
    """Return p-values adjusted for their number, by Benjamini and Hochberg (1995); NaN stays NaN.

    Rejecting those at most `q` keeps the expected share of false ones among them at most `q`.
    """
    from scipy.stats import false_discovery_control  # slow to import, and most runs do without

    known = p.notna()
    result = pd.Series(math.nan, index=p.index)
    if known.any():
        result[known] = false_discovery_control(p[known].clip(0, 1), method="bh")
    return result


def without_effect(base_status: str, head_status: str) -> str:
    """Return the verdict on a case that was not measured on both sides, from the statuses of its records.

    An empty status is that of a case that a side does not have.
    """
    base_ok, head_ok = base_status == "ok", head_status == "ok"
    absent = ("", "unavailable")
    if base_ok:
        return MISSING if head_status in absent else FAILING
    if head_ok:
        return NEW if base_status in absent else FIXED
    return UNAVAILABLE if base_status in absent and head_status in absent else BROKEN


def judge(cases: pd.DataFrame, criteria: Criteria) -> pd.DataFrame:
    """Return `cases` with their `q` and `verdict`: those that have a verdict already keep it.

    Needs the columns `low`, `high` (of the ratio), `p` and `verdict` (empty where it is to be found).
    """
    q = adjusted(cases["p"])
    upper, sure = math.exp(criteria.margin), q <= criteria.false_discovery_rate
    # Rounding must not push an interval over the threshold.
    tiny = 1e-9
    found = np.select(
        [
            (cases["low"] > upper) & sure,
            (cases["high"] < 1 / upper) & sure,
            (cases["low"] >= 1 / upper - tiny) & (cases["high"] <= upper + tiny),
        ],
        [SLOWER, FASTER, SAME],
        AMBIGUOUS,
    )
    return cases.assign(q=q, verdict=cases["verdict"].where(cases["verdict"] != "", found))


def in_order(cases: pd.DataFrame) -> pd.DataFrame:
    """Return cases by verdict, in the order of `VERDICTS`; the largest changes first within each."""
    rank = cases["verdict"].map(VERDICTS.index)
    size = cases["ratio"].map(lambda ratio: -abs(math.log(ratio)) if ratio > 0 else 0.0)
    order = pd.DataFrame({"rank": rank, "size": size}).sort_values(["rank", "size"], kind="stable").index
    return cases.loc[order].reset_index(drop=True)


def exit_status(cases: pd.DataFrame) -> int:
    """Return 1 if anything is slower or now fails, 2 if no case at all could be judged, else 0."""
    if cases["verdict"].isin(REGRESSIONS).any():
        return REGRESSED
    return FINE if cases["verdict"].isin(JUDGED).any() else NOT_JUDGED
