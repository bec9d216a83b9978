"""Sittings: a case measured on both sides again and again, each time in processes that know nothing of the last.

What two processes of the very same code differ by (where their memory lies, how their threads fall) repeats within
them as often as one likes: only what recurs in fresh processes is a change. So the sitting is the sample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

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
    # In plain Python: pandas takes milliseconds for each case, and has nothing to add up here.
    grouped: dict[tuple[Any, ...], list[dict[Any, Any]]] = {}
    for row in sittings.to_dict("records"):
        grouped.setdefault(tuple(None if pd.isna(row[name]) else row[name] for name in by), []).append(row)
    rows = [{name: each[0][name] for name in by} | _of_case(each, criteria) for each in grouped.values()]
    columns = [*by, *VERDICT_COLUMNS]
    cases = pd.DataFrame(rows, columns=[name for name in columns if name != "q"])
    return with_verdicts(cases, criteria)[columns]


def undecided(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the cases that more sittings could decide."""
    return cases[(cases["verdict"] == AMBIGUOUS) & (cases["samples"] < LOOKS[-1])]


def _of_case(sittings: Sequence[Mapping[Any, Any]], criteria: Criteria) -> dict[str, object]:
    measured = [row for row in sittings if pd.notna(row["effect"])]
    found = estimate_mean([row["effect"] for row in measured], criteria)
    n = len(measured)
    return {
        "base": median(row["base_s"] for row in measured) if measured else math.nan,
        "head": median(row["head_s"] for row in measured) if measured else math.nan,
        "ratio": math.exp(found.effect),
        "low": math.exp(found.low),
        "high": math.exp(min(found.high, 700)),
        "p": math.nan if n == 0 else 1.0 if n < LEAST_FOR_CHANGE else min(1.0, len(LOOKS) * found.p),
        "samples": n,
        **_failure([row for row in sittings if pd.isna(row["effect"])]),
    }


def _failure(failed: Sequence[Mapping[Any, Any]]) -> dict[str, str]:
    """Return the verdict on what could not be measured, once that has happened often enough, and why it was."""
    counted = Counter(verdicts.without_effect(row["base_status"], row["head_status"]) for row in failed)
    reason = "; ".join(dict.fromkeys(row["reason"] for row in failed))
    for verdict, n in counted.most_common():
        if n >= RECURRENCES:
            return {"verdict": verdict, "reason": reason}
    return {"verdict": "", "reason": reason}
