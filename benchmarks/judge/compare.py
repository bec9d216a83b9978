"""Two runs that are over, case by case: what changed.

Runs differ in more than the code: the machine has another speed at another time, and every process its own. Their
intervals know nothing of it. What the runs differ by as a whole is therefore part of every case's error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from benchmarks.judge import trust
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS, COMPARISON_COLUMNS
from benchmarks.stats import verdicts
from benchmarks.stats.effects import Criteria, Estimate, estimate
from benchmarks.stats.verdicts import with_verdicts


def compare(base: Run, head: Run, criteria: Criteria, *, shares: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Return a verdict on each case (COMPARISON_COLUMNS), and what to know beside.

    With `shares`, fractions of each machine's own bandwidth are compared instead of times: `ratio` is then base's
    over head's. A case without a good result in the base has no baseline, and is never called slower.
    """
    value = "fraction_of_bandwidth" if shares else "median_s"
    cases = _side_by_side(base, head, value, shares=shares)
    measured = cases[cases["effect"].notna()]
    spread = trust.between_runs(measured, None if shares else trust.reference_shift(base, head))
    rows = [_row(row, spread.error, criteria) for row in cases.to_dict("records")]
    judged = with_verdicts(pd.DataFrame(rows, columns=[c for c in COMPARISON_COLUMNS if c != "q"]), criteria)
    notes = [spread.sentence, trust.sentence(base, head, measured, spread, criteria)] if len(measured) else []
    return judged[list(COMPARISON_COLUMNS)], notes


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
    return pd.Series(width / (2 * special.ndtri(0.975)), index=both.index)


def _row(case: dict[Any, Any], spread: float, criteria: Criteria) -> dict[str, Any]:
    found = {key: case[key] for key in (*CASE_KEYS, "base", "head", "samples")}
    if math.isnan(case["effect"]):
        unknown = dict.fromkeys(("ratio", "low", "high", "p"), math.nan)
        return found | unknown | _without_effect(case)
    if math.isinf(case["error"]):
        judged = Estimate(case["effect"], -math.inf, math.inf, 1.0)
    else:
        judged = estimate(case["effect"], math.hypot(case["error"], spread), criteria)
    ends = {"ratio": math.exp(judged.effect), "low": math.exp(judged.low), "high": math.exp(judged.high)}
    return found | ends | {"p": judged.p, "verdict": "", "reason": ""}


def _without_effect(case: dict[Any, Any]) -> dict[str, str]:
    """Return the verdict on a case that has not a value on both sides, and the reason."""
    ends = {side: "" if pd.isna(end := case[f"status_{side}"]) else str(end) for side in ("base", "head")}
    if set(ends.values()) == {"ok"}:
        return {"verdict": verdicts.AMBIGUOUS, "reason": "no fraction of the bandwidth is known on both sides"}
    reasons = [f"{side}: {case[f'reason_{side}']}" for side, end in ends.items() if end not in ("ok", "")]
    return {"verdict": verdicts.without_effect(ends["base"], ends["head"]), "reason": "; ".join(reasons)}
