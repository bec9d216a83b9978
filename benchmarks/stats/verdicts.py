"""Verdicts: whether a head is slower than its base, faster, or the same, or whether that cannot be told.

An effect is the logarithm of head's time over base's. It is called `slower` only where its interval lies wholly
beyond a practical threshold and the evidence survives the correction for how many cases were looked at; `same`
only where the interval lies wholly within the threshold. Everything between is `ambiguous`, and says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.stats.effects import Criteria, adjusted

if TYPE_CHECKING:
    import pandas as pd

SLOWER, FASTER, SAME, AMBIGUOUS = "slower", "faster", "same", "ambiguous"
NEW, MISSING, FAILING, FIXED, BROKEN = "new", "missing", "now failing", "fixed", "failing in both"
WRONG, CHEATED, UNAVAILABLE = "wrong", "cheated", "unavailable in both"
VERDICTS = (CHEATED, FAILING, SLOWER, WRONG, AMBIGUOUS, MISSING, BROKEN, FASTER, FIXED, NEW, SAME, UNAVAILABLE)
"""All verdicts, in the order in which a reader wants to see them."""
REGRESSIONS = (FAILING, SLOWER)
JUDGED = (FAILING, SLOWER, FASTER, SAME)

VERDICT_COLUMNS = ("base", "head", "ratio", "low", "high", "p", "q", "samples", "verdict", "reason")
"""Each side's value, head's over base's with its interval; the evidence, alone and corrected for the number of
cases; how many values it rests on."""


def without_effect(base_status: str, head_status: str) -> str:
    """Return the verdict on a case that was not measured on both sides, from the statuses of its records.

    An empty status is that of a case that a side does not have: it was not asked for. What was asked for, and is
    unavailable where the base had it, fails now: the head's backend may not even be importable.
    """
    base_ok, head_ok = base_status == "ok", head_status == "ok"
    absent = ("", "unavailable")
    if head_status == "cheated":
        return CHEATED
    if base_ok:
        return FAILING if head_status else MISSING
    if head_ok:
        return NEW if base_status in absent else FIXED
    if head_status == "invalid":
        return WRONG
    return UNAVAILABLE if base_status in absent and head_status in absent else BROKEN


def judged(low: float, high: float, q: float, criteria: Criteria) -> str:
    """Return what the interval of a ratio and its evidence, corrected for the number of cases, say together."""
    upper, sure = math.exp(criteria.margin), q <= criteria.false_discovery_rate
    # Rounding must not push an interval over the threshold.
    tiny = 1e-9
    if low > upper and sure:
        return SLOWER
    if high < 1 / upper and sure:
        return FASTER
    return SAME if low >= 1 / upper - tiny and high <= upper + tiny else AMBIGUOUS


def with_verdicts(cases: pd.DataFrame, criteria: Criteria) -> pd.DataFrame:
    """Return `cases` with their `q` and `verdict`: those that have a verdict already keep it.

    Needs the columns `low`, `high` (of the ratio), `p` and `verdict` (empty where it is to be found).
    """
    q = adjusted(cases["p"].tolist())
    known = zip(cases["verdict"], cases["low"], cases["high"], q, strict=True)
    found = [verdict or judged(low, high, each, criteria) for verdict, low, high, each in known]
    return cases.assign(q=q, verdict=found)
