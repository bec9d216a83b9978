"""Speed with its accuracy: how far each measured backend errs at worst, beside what its op allows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from benchmarks.analysis.entries import Key, Timed, assembled, entries, grouped
from benchmarks.analysis.verdicts import UNKNOWN, Verdicts, fastest_first
from benchmarks.record import schema
from benchmarks.record.rows import Rows, SomeTable

if TYPE_CHECKING:
    import pandas as pd

_PLACE = schema.CHECK_KEYS
BOTH = "forward+backward"


@dataclass(frozen=True)
class Erring(Timed):
    """A measured row with its largest error and what its op allows, in ULP."""

    error_ulp: float
    budget_ulp: float

    @property
    def accurate(self) -> bool:
        """Whether the error is within the budget; an unknown error is."""
        return not self.error_ulp > self.budget_ulp


SomeErring = TypeVar("SomeErring", bound=Erring)


def with_errors(rows: SomeTable, accuracy: Rows | pd.DataFrame) -> SomeTable:
    """Return measured rows with `error_ulp` and `budget_ulp`, those of the accuracy checks.

    The error is the largest where the input is finite and the exact result neither infinite nor subnormal, known
    deviations included: many frameworks flush subnormal results to zero, on purpose. Of a forward and backward
    pass together, it is that of the pass which exceeds its budget by more. Where an op was not checked in this
    run, it is that of the outputs checked before timing, which passed: the budget is infinite.
    """
    known, places = _checked(accuracy), entries(rows, _Row)
    checks = [known.get(row.place) for row in places]
    told = {
        "error_ulp": [
            check.error_ulp if check else row.max_ulp for row, check in zip(places, checks, strict=True)
        ],
        "budget_ulp": [check.budget if check else math.inf for check in checks],
    }
    found = rows.assign(**told)
    return cast("SomeTable", found if isinstance(found, Rows) else found.astype(dict.fromkeys(told, "float64")))


def front(rows: Sequence[SomeErring]) -> list[SomeErring]:
    """Return those of one case's rows that no other is below in both its median and its error, by median.

    This is the Pareto front of what was measured; how sure each median is below the next is not asked.
    """
    found: list[SomeErring] = []
    for row in sorted(rows, key=lambda row: (row.median_s, row.error_ulp)):
        if not found or row.error_ulp < found[-1].error_ulp:
            found.append(row)
    return found


@dataclass(frozen=True)
class Price:
    """What accuracy costs in a case whose fastest backend exceeds its budget.

    `accurate` is the fastest backend within it, and `price` its time over the fastest's, from `low` to `high`,
    with the `verdict` of the two; empty and NaN where no backend is.
    """

    fastest: str
    fastest_ulp: float
    budget_ulp: float
    accurate: str
    accurate_ulp: float
    price: float
    low: float
    high: float
    verdict: str
    doubtful: bool


def prices(rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return the `Price` of each case of `with_errors` whose fastest backend exceeds its budget."""
    found: list[tuple[Key, Price]] = []
    for case, group in grouped(rows, schema.CASE, Erring).items():
        ordered = fastest_first(group)
        first, other = ordered[0], next((row for row in ordered if row.accurate), None)
        if other is not first:
            against = verdicts.over(other, first) if other else UNKNOWN
            price = Price(
                fastest=first.backend,
                fastest_ulp=first.error_ulp,
                budget_ulp=first.budget_ulp,
                accurate=other.backend if other else "",
                accurate_ulp=other.error_ulp if other else math.nan,
                price=against.ratio,
                low=against.low,
                high=against.high,
                verdict=against.verdict,
                doubtful=against.doubtful,
            )
            found.append((case, price))
    return assembled(schema.CASE, found, Price)


@dataclass(frozen=True)
class _Row:
    place: Annotated[Key, _PLACE]
    max_ulp: float


@dataclass(frozen=True)
class _Check:
    op: str
    mode: str
    dtype: str
    backend: str
    device: str
    saved: str
    max_ulp_normal: float
    max_ulp: float
    budget_ulp: float

    @property
    def error_ulp(self) -> float:
        # Tables of older runs know the error over all inputs alone.
        return self.max_ulp if math.isnan(self.max_ulp_normal) else self.max_ulp_normal

    @property
    def budget(self) -> float:
        return math.inf if math.isnan(self.budget_ulp) else self.budget_ulp


def _checked(accuracy: Rows | pd.DataFrame) -> dict[Key, _Check]:
    """Return what was found of each place (_PLACE), and of both passes together where both were checked."""
    passes: defaultdict[Key, dict[str, _Check]] = defaultdict(dict)
    for check in entries(accuracy, _Check):
        if not math.isnan(check.error_ulp):
            passes[check.op, check.dtype, check.backend, check.device, check.saved][check.mode] = check
    found: dict[Key, _Check] = {}
    for (op, *rest), checks in passes.items():
        found |= {(op, mode, *rest): check for mode, check in checks.items()}
        if len(checks) > 1:
            # A budget of 0 ULP allows nothing; what exceeds it exceeds it by far.
            worse = max(checks.values(), key=lambda check: check.error_ulp / max(check.budget_ulp, 0.5))
            found[op, BOTH, *rest] = worse
    return found
