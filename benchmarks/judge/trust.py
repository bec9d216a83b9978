"""How far to trust a comparison of two runs.

How far the runs differ as a whole, how often the comparison reports a change where there is none, and how large a
change must be to be found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median
from typing import TYPE_CHECKING, Annotated

from benchmarks import invocation
from benchmarks.analysis.entries import Key
from benchmarks.quantities import listing
from benchmarks.record.rows import Rows, keys_of, listed
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS
from benchmarks.stats.effects import Criteria

if TYPE_CHECKING:
    import pandas as pd

LEAST_CASES = 8
"""From 8 cases on, the cases tell how the runs differ as a whole; below that, only the reference kernel does."""
MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation: 1 / Φ⁻¹(3/4)."""


@dataclass(frozen=True)
class Effect:
    """The logarithm of a case's time over what it is compared with, with its standard error."""

    key: Annotated[Key, CASE_KEYS]
    effect: float
    error: float


@dataclass(frozen=True)
class Spread:
    """How two runs differ as a whole: the standard error this adds to every effect, and that in words."""

    error: float
    sentence: str


def between_runs(measured: Sequence[Effect], reference_shift: float | None) -> Spread:
    """Return how far two runs differ as a whole, from the effects of their cases.

    Most cases have not changed. A median effect that is away from zero by more than the cases' own errors is
    therefore attributed to the machine or the processes (the empirical null of Efron 2004, "Large-scale
    simultaneous hypothesis testing", centred on no effect). With fewer than `LEAST_CASES`, only the reference
    kernel says how fast the machine was in each run.
    """
    if len(measured) >= LEAST_CASES:
        error = middle_error(measured)
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


def middle_error(measured: Sequence[Effect]) -> float:
    """Return the standard deviation of effects around zero that their own standard errors do not explain."""
    scale = MAD_TO_SIGMA * median(abs(each.effect) for each in measured)
    known = [each.error for each in measured if math.isfinite(each.error)]
    return math.sqrt(max(0.0, scale**2 - (median(known) if known else 0.0) ** 2))


def halves(bursts: Rows | pd.DataFrame) -> dict[Key, float]:
    """Compare each case's run with itself: return the effect of its later bursts over its earlier ones.

    It is divided by √2: halves have half of the bursts, so their difference is √2 times as uncertain as that of
    two whole runs. Cases go by CASE_KEYS.
    """
    processes: defaultdict[Key, list[float]] = defaultdict(list)
    places = keys_of(bursts, (*CASE_KEYS, "process"))
    for place, seconds in zip(places, listed(bursts["seconds_per_call"]), strict=True):
        processes[place].append(seconds)
    earlier: defaultdict[Key, list[float]] = defaultdict(list)
    later: defaultdict[Key, list[float]] = defaultdict(list)
    for (*case, _), taken in processes.items():
        logs = [math.log(seconds) for seconds in taken if seconds > 0]
        half = len(logs) // 2
        earlier[tuple(case)] += logs[:half]
        later[tuple(case)] += logs[len(logs) - half :]  # an odd one in the middle is in neither
    return {case: (fmean(later[case]) - fmean(logs)) / math.sqrt(2) for case, logs in earlier.items() if logs}


def chance_of_alarm(true: float, own: Sequence[Effect], spread: float, criteria: Criteria, n_cases: int) -> float:
    """Return how often a case would be called slower if it alone had changed, to `true` times its time.

    `own` holds the effects of runs against themselves, and the error of each case in the comparison: the chance
    is taken over what was really seen within the runs, and over a normal difference between them.
    """
    normal = NormalDist()
    z = -normal.inv_cdf(criteria.false_discovery_rate / 2 / n_cases)
    reach = max(z, normal.inv_cdf((1 + criteria.confidence) / 2))
    beyond = [math.log(true) + each.effect - criteria.margin - reach * each.error for each in own]
    known = [normal.cdf(each / max(spread, 1e-6)) for each in beyond if math.isfinite(each)]
    return fmean(known) if known else math.nan


def sentence(base: Run, head: Run, measured: Sequence[Effect], spread: Spread, criteria: Criteria) -> str:
    """Return how often this comparison raises a false alarm, and what it finds."""
    errors = {each.key: math.hypot(each.error, spread.error) for each in measured}
    both = [halves(run.at_hand("bursts")) for run in (base, head)]
    own = [Effect(key, effect, errors.get(key, math.nan)) for each in both for key, effect in each.items()]
    if not own:
        return "How often this comparison is wrong is not known: runs of older versions hold no bursts."
    of = (own, spread.error, criteria, len(measured))
    false = chance_of_alarm(1.0, *of) * len(measured)
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
