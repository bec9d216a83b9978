"""Sittings: a case measured on both sides again and again, each time in processes that know nothing of the last.

What two processes of the very same code differ by (where their memory lies, how their threads fall) repeats within
them as often as one likes: only what recurs in fresh processes is a change. So the sitting is the sample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from benchmarks.stats import verdicts
from benchmarks.stats.effects import Criteria, estimate_mean
from benchmarks.stats.verdicts import AMBIGUOUS, VERDICT_COLUMNS, with_verdicts

LOOKS = (3, 5, 8, 12)
"""Numbers of sittings after which verdicts are passed. A case that is undecided after the last stays so."""
LEAST_FOR_CHANGE = 5
"""Nothing is called slower or faster after fewer sittings. A call that takes one of two speeds in each process, by
chance, looks three times slower in three sittings running with a chance of 1 in 64, in five with 1 in 1,024."""
RECURRENCES = 2
"""A failure counts when it has happened in two sittings."""


def conclude(sittings: pd.DataFrame, by: Sequence[str], criteria: Criteria) -> pd.DataFrame:
    """Return a verdict for each case, with the columns `by` that tell cases apart and VERDICT_COLUMNS.

    A row of `sittings` holds, beside those, the seconds of both sides (`base_s`, `head_s`), the logarithm of
    head's time over base's (`effect`), and why there is none (`base_status`, `head_status`, `reason`).
    The interval is that of the mean effect over sittings. Evidence for a change is corrected for having been
    looked at up to `len(LOOKS)` times (Bonferroni), and then for the number of cases (Benjamini-Hochberg).
    """
    grouped = sittings.groupby(list(by), sort=False, dropna=False)
    rows = [dict(zip(by, key, strict=True)) | _of_case(each, criteria) for key, each in grouped]
    columns = [*by, *VERDICT_COLUMNS]
    cases = pd.DataFrame(rows, columns=[name for name in columns if name != "q"])
    return with_verdicts(cases, criteria)[columns]


def undecided(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the cases that more sittings could decide."""
    return cases[(cases["verdict"] == AMBIGUOUS) & (cases["samples"] < LOOKS[-1])]


def _of_case(sittings: pd.DataFrame, criteria: Criteria) -> dict[str, object]:
    measured = sittings[sittings["effect"].notna()]
    found = estimate_mean(measured["effect"].tolist(), criteria)
    n = len(measured)
    return {
        "base": measured["base_s"].median(),
        "head": measured["head_s"].median(),
        "ratio": math.exp(found.effect),
        "low": math.exp(found.low),
        "high": math.exp(min(found.high, 700)),
        "p": math.nan if n == 0 else 1.0 if n < LEAST_FOR_CHANGE else min(1.0, len(LOOKS) * found.p),
        "samples": n,
        **_failure(sittings[sittings["effect"].isna()]),
    }


def _failure(failed: pd.DataFrame) -> dict[str, str]:
    """Return the verdict on what could not be measured, once that has happened often enough, and why it was."""
    ends = zip(failed["base_status"], failed["head_status"], strict=True)
    counted = Counter(verdicts.without_effect(base, head) for base, head in ends)
    reason = "; ".join(dict.fromkeys(failed["reason"]))
    for verdict, n in counted.most_common():
        if n >= RECURRENCES:
            return {"verdict": verdict, "reason": reason}
    return {"verdict": "", "reason": reason}
