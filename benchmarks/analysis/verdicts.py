"""Verdicts: how any two results of a run compare. All tables, sentences, marks and answers read them here.

Results of one group are compared over the turns that they took (`Run.pairs`). Where a run has no such pair, since
an older version made it, or since two results are of different groups, such as two policies, the intervals of
their medians say what they can. Either way one rule passes the verdict (`stats.pairs.verdict`): `faster`, `equal`
or `too close to call`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from benchmarks.analysis.entries import Key, Timed, entries
from benchmarks.record.rows import Rows, filled
from benchmarks.record.schema import CASE, POLICIES
from benchmarks.stats import pairs
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER, MARGIN, Comparison
from benchmarks.stats.ratios import ratio_interval

if TYPE_CHECKING:
    import pandas as pd

_GROUP = ("op", "mode", "dtype", "shape", *POLICIES)
"""What the cases of a group share."""
_IN_CASE = tuple(CASE.index(name) for name in _GROUP)
_DRIFT = re.compile(r"the machine was [\d.,]+ ?% (slower|faster) than usual meanwhile")

SomeTimed = TypeVar("SomeTimed", bound=Timed)


@dataclass(frozen=True)
class Standing:
    """How two results compare: `ratio` is the time of the one over that of the other, with its 95 % interval.

    `verdict` is that of the two: `faster` says that the one with the smaller median surely is. `doubts` are what
    makes the comparison doubtful, of the one and of the other. It is `placed` where the difference is surely
    beyond the margin, but within what two processes of the same code may differ by: more turns say no more then.
    """

    ratio: float
    low: float
    high: float
    verdict: str
    doubts: tuple[str, str] = ("", "")
    placed: bool = False

    @property
    def ahead(self) -> bool:
        """Whether the other, whose time is divided by, is surely faster."""
        return self.verdict == FASTER and self.ratio > 1

    @property
    def behind(self) -> bool:
        """Whether the other is surely slower."""
        return self.verdict == FASTER and self.ratio < 1

    @property
    def doubtful(self) -> bool:
        """Whether anything makes the comparison doubtful."""
        return any(self.doubts)


UNKNOWN = Standing(math.nan, math.nan, math.nan, "")
"""How a result compares with nothing."""


Place = tuple[str, str]
"""A backend and its device."""
_Ratio = tuple[float, float, float]


@dataclass(frozen=True)
class Paired:
    """Two results of a group, of which `backend` has the smaller median, and how they compare over their turns."""

    group: Annotated[Key, _GROUP]
    backend: str
    device: str
    other: str
    other_device: str
    ratio: float
    low: float
    high: float
    turns: float
    margin: float
    placement: float

    @property
    def places(self) -> tuple[Place, Place]:
        """The one with the smaller median, and the other."""
        return (self.backend, self.device), (self.other, self.other_device)

    @property
    def comparison(self) -> Comparison:
        """How many times as long the other takes."""
        return Comparison(self.ratio, self.low, self.high, int(self.turns), self.margin, self.placement)


def paired(found: Rows | pd.DataFrame) -> list[Paired]:
    """Return a run's pairs (`PAIR_COLUMNS`)."""
    return entries(filled(found, dict.fromkeys(_GROUP, "")), Paired)


class Verdicts:
    """The comparisons of a run: of its pairs, or else of medians."""

    def __init__(self, found: Rows | pd.DataFrame) -> None:
        """Read pairs (`PAIR_COLUMNS`). Of groups that were measured twice, the later counts."""
        taken = paired(found)
        self.margin = max((pair.margin for pair in taken), default=MARGIN)
        self._over_turns: dict[tuple[Key, Place, Place], Comparison] = {}
        for pair in taken:
            faster, slower = pair.places
            if pair.turns > 0:
                self._over_turns[pair.group, slower, faster] = pair.comparison
                self._over_turns[pair.group, faster, slower] = pairs.inverse(pair.comparison)

    def over(self, one: Timed, other: Timed) -> Standing:
        """Return how one's time compares with the other's: a ratio above 1 says that the other took less."""
        if (one.case, one.backend) == (other.case, other.backend):
            return Standing(1.0, 1.0, 1.0, EQUAL)
        first, second = fastest_first([one, other])
        found = self._turns(second, first)
        told = found or _of_medians(_interval(second), _interval(first), self.margin)
        doubts = tuple(row.warning if found is None else lasting(row.warning) for row in (one, other))
        return Standing(
            *_ends(told if first is other else pairs.inverse(told)),
            # In the order of the medians: what medians and turns disagree about is not decided.
            verdict=told.verdict,
            doubts=(doubts[0], doubts[1]),
            placed=told.undecidable,
        )

    def _turns(self, one: Timed, other: Timed) -> Comparison | None:
        groups = [tuple(row.case[i] for i in _IN_CASE) for row in (one, other)]
        if groups[0] != groups[1]:
            return None
        return self._over_turns.get((groups[0], (one.backend, one.device), (other.backend, other.device)))


def fastest_first(rows: Sequence[SomeTimed]) -> list[SomeTimed]:
    """Return results by their medians, those that agree by name, so that every table names the same one first."""
    return sorted(rows, key=lambda row: (row.median_s, row.backend, row.device))


def of_medians(
    one: tuple[float, float, float], other: tuple[float, float, float], margin: float = MARGIN
) -> Standing:
    """Return how two times compare that no turn has: each a median with the ends of its interval."""
    found = _of_medians(one, other, margin)
    return Standing(*_ends(found), (found if found.ratio >= 1 else pairs.inverse(found)).verdict)


def lasting(warning: str) -> str:
    """Return what of a result's warning makes a comparison over turns doubtful.

    A machine that changes its speed changes it for both: that is a doubt about the time alone.
    """
    return "; ".join(part for part in warning.split("; ") if not _DRIFT.fullmatch(part))


def together(verdicts: Sequence[str]) -> str:
    """Return what verdicts against several others say of the first: the weakest of them."""
    return next((verdict for verdict in (CLOSE, EQUAL) if verdict in verdicts), FASTER)


def between(below: Standing, above: Standing, share: float) -> Standing:
    """Return what holds between two sizes, at `share` of the way from the one to the other.

    The ratio is interpolated; its interval holds both, so that the verdict is the weaker one. Between a size at
    which one is faster and a size at which both are equal, it is too close to call.
    """
    ratio = math.exp((1 - share) * math.log(below.ratio) + share * math.log(above.ratio))
    low, high = min(below.low, above.low), max(below.high, above.high)
    verdict = below.verdict if below.verdict == above.verdict and below.ahead == above.ahead else CLOSE
    doubts = [
        "; ".join(dict.fromkeys(filter(None, each))) for each in zip(below.doubts, above.doubts, strict=True)
    ]
    return Standing(ratio, low, high, verdict, (doubts[0], doubts[1]))


def _of_medians(
    slower: tuple[float, float, float], faster: tuple[float, float, float], margin: float
) -> Comparison:
    return Comparison(slower[0] / faster[0], *ratio_interval(*slower, *faster), 0, margin)


def _interval(row: Timed) -> tuple[float, float, float]:
    return row.median_s, row.ci95_low_s, row.ci95_high_s


def _ends(found: Comparison) -> _Ratio:
    return found.ratio, found.low, found.high
