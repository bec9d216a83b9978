"""How far to trust a comparison of two runs.

How far the runs differ as a whole, how often the comparison reports a change where there is none, and how large a
change must be to be found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median

import numpy as np
import pandas as pd

from benchmarks import invocation
from benchmarks.analysis.entries import Key
from benchmarks.quantities import listing
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS
from benchmarks.stats.effects import Criteria

LEAST_CASES = 8
"""From 8 cases on, the cases tell how the runs differ as a whole; below that, only the reference kernel does."""
MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation: 1 / Φ⁻¹(3/4)."""


@dataclass(frozen=True)
class Spread:
    """How two runs differ as a whole: the standard error this adds to every effect, and that in words."""

    error: float
    sentence: str


@dataclass(frozen=True)
class Own:
    """A case of one run compared with itself (`halves`), and its standard error in the comparison of two runs."""

    effect: float
    error: float


def between_runs(effects: Sequence[float], errors: Sequence[float], reference_shift: float | None) -> Spread:
    """Return how far two runs differ as a whole, from the effects of their cases and the errors of these.

    Most cases have not changed. A median effect that is away from zero by more than the cases' own errors is
    therefore attributed to the machine or the processes (the empirical null of Efron 2004, "Large-scale
    simultaneous hypothesis testing", centred on no effect). With fewer than `LEAST_CASES`, only the reference
    kernel says how fast the machine was in each run.
    """
    if len(effects) >= LEAST_CASES:
        error = middle_error(effects, errors)
        return Spread(
            error, f"The runs differ by {100 * error:.1f} % (one standard error) beyond their intervals."
        )
    known = reference_shift is not None
    error = abs(reference_shift or 0.0)
    kernel = f"; in addition, the reference kernel's time differed by {100 * error:.1f} %" if known else ""
    return Spread(
        error,
        f"Too few cases to tell how the runs differ as a whole: intervals cover each run only{kernel}. "
        f"`{invocation.command()} ab` measures both together.",
    )


def middle_error(effects: Sequence[float], errors: Sequence[float]) -> float:
    """Return the standard deviation of effects around zero that their own standard errors do not explain."""
    scale = MAD_TO_SIGMA * median(map(abs, effects))
    known = [error for error in errors if math.isfinite(error)]
    return math.sqrt(max(0.0, scale**2 - (median(known) if known else 0.0) ** 2))


def halves(bursts: pd.DataFrame) -> dict[Key, float]:
    """Compare each case's run with itself: return, by CASE_KEYS, the effect of its later over its earlier bursts.

    It is divided by √2: halves have half of the bursts, so their difference is √2 times as uncertain as that of
    two whole runs. The bursts of a case stand together, in order.
    """
    if bursts.empty:
        return {}
    process, burst = bursts["process"].to_numpy(int), bursts["burst"].to_numpy(int)
    steps = np.diff(process, prepend=math.inf)
    # Where the bursts do not go on, another case begins: to group them by its keys would take most of the time.
    begins = (steps < 0) | ((steps == 0) & (np.diff(burst, prepend=0) <= 0))
    starts = np.flatnonzero(begins | (steps != 0))  # of a case's processes
    sizes = np.diff(starts, append=len(bursts))
    position, half = np.arange(len(bursts)) - np.repeat(starts, sizes), np.repeat(sizes // 2, sizes)
    later = position >= np.repeat(sizes, sizes) - half  # an odd one in the middle is in neither
    case, logs = np.cumsum(begins) - 1, np.log(bursts["seconds_per_call"].to_numpy(float))
    weights = np.where(later, logs, 0.0) - np.where(position < half, logs, 0.0)
    counts = np.bincount(case, later)
    effects = np.bincount(case, weights)[counts > 0] / counts[counts > 0] / math.sqrt(2)
    firsts = bursts.loc[begins, list(CASE_KEYS)][counts > 0].astype("string")
    return dict(zip(firsts.itertuples(index=False, name=None), effects.tolist(), strict=True))


def chance_of_alarm(true: float, own: Sequence[Own], spread: float, criteria: Criteria, n_cases: int) -> float:
    """Return how often a case would be called slower if it alone had changed, to `true` times its time.

    `own` holds the effects of runs against themselves, and the error of each case in the comparison: the chance is
    taken over what was really seen within the runs, and over a normal difference between them.
    """
    normal = NormalDist()
    z = -normal.inv_cdf(criteria.false_discovery_rate / 2 / n_cases)
    reach = max(z, normal.inv_cdf((1 + criteria.confidence) / 2))
    beyond = [math.log(true) + each.effect - criteria.margin - reach * each.error for each in own]
    known = [normal.cdf(each / max(spread, 1e-6)) for each in beyond if math.isfinite(each)]
    return fmean(known) if known else math.nan


def sentence(base: Run, head: Run, errors: Mapping[Key, float], spread: Spread, criteria: Criteria) -> str:
    """Return how often this comparison raises a false alarm, and what it finds; `errors` are its cases'."""
    own = [
        Own(effect, math.hypot(errors.get(case, math.nan), spread.error))
        for run in (base, head)
        for case, effect in halves(run.bursts).items()
    ]
    if not own:
        return "How often this comparison is wrong is not known: runs of older versions hold no bursts."
    of = (own, spread.error, criteria, len(errors))
    false = chance_of_alarm(1.0, *of) * len(errors)
    found = [f"{chance_of_alarm(1 + share, *of):.0%} of slow-downs by {share:.0%}" for share in (0.1, 0.2, 0.5)]
    return (
        f"To judge by each run's first half against its second, this comparison raises {_few(false)} false alarms "
        f"in all, and finds {listing(found)}."
    )


def _few(expected: float) -> str:
    return "fewer than 0.01" if expected < 0.01 else f"{expected:.2g}"


def reference_shift(base: Run, head: Run) -> float | None:
    """Return by how much longer the reference kernel took in the head, as a logarithm; None if not known."""
    if base.reference_s and head.reference_s:
        return math.log(head.reference_s / base.reference_s)
    return None
