"""Goals: how far our own kernels are ahead of the fastest other backend, from the records of runs.

Both sides are measured under the same policies: a reused output against a fresh one would compare allocators. A
backend that errs by more than the op's budget, anywhere that the input is finite and the result normal, is not the
one to beat; how far ahead of all of them ours are, right or wrong, is told beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis.entries import Key, assembled, entries, grouped
from benchmarks.analysis.errors import Erring
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import geometric_mean
from benchmarks.analysis.verdicts import Verdicts, fastest_first
from benchmarks.exits import CannotTell
from benchmarks.record.run import Run
from benchmarks.record.schema import DEFAULTS, POLICIES
from benchmarks.record.shapes import is_default_shape, parse_shape
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

OURS = ("numpy", "numba", "numba-parallel")
"""The backends whose kernels are ours: the fastest of them in each case is compared with the others."""
RUN = "run"
_KEYS = (RUN, "op", "mode", "dtype", "device", "shape", "n_elements", *POLICIES)


@dataclass(frozen=True)
class Ahead:
    """The time of the fastest accurate `other` over that of `ours`, with its 95 % interval and the verdict.

    `limit` is our share of the bandwidth; `inaccurate` names the backends that would be faster but do not count,
    and `over_all` is the time of the fastest, whether accurate or not, over ours.
    """

    ours: str
    ours_s: float
    other: str
    ratio: float
    low: float
    high: float
    verdict: str
    limit: float
    inaccurate: str
    over_all: float


@dataclass(frozen=True)
class _Contender(Erring):
    fraction_of_bandwidth: float


@dataclass(frozen=True)
class _Case(Ahead):
    run: str
    op: str
    shape: str
    n_elements: int
    held: Annotated[Key, POLICIES]

    @property
    def policies(self) -> str:
        """The policies that are not the usual ones; `usual` where all are."""
        unusual = [value for value, usual in zip(self.held, DEFAULTS.values(), strict=True) if value != usual]
        return ", ".join(unusual) or "usual"

    @property
    def size(self) -> str:
        """The power of ten, since whole rows differ a little in size; a shape that was asked for is kept."""
        usual = is_default_shape(self.op, parse_shape(self.shape))
        return f"about 10^{round(math.log10(self.n_elements))}" if usual else self.shape

    @property
    def told(self) -> str:
        apart = f", not {self.inaccurate}" if self.inaccurate else ""
        doubt = f" ({self.verdict})" if self.verdict != FASTER else ""
        return f"{quantities.times(self.ratio)} {self.other}{apart}{doubt}"


def leads(runs: Mapping[str, Run], ours: Sequence[str] = OURS) -> pd.DataFrame:
    """Return `Ahead` for each case of each run that both sides have; `runs` are called by their names.

    Raises ValueError for a run without accuracy.
    """
    found: list[tuple[Key, Ahead]] = []
    for name, run in runs.items():
        if run.accuracy.empty:  # nobody could tell which backends are accurate
            raise CannotTell(f"runs: {name} did not check accuracy; give a saved run's name or its records.csv")
        study = Study(run)
        for case, group in grouped(study.erring, _KEYS[1:], _Contender).items():
            lead = _lead(group, ours, study.verdicts)
            found += [((name, *case), lead)] if lead else []
    return assembled(_KEYS, found, Ahead)


def _lead(group: Sequence[_Contender], ours: Sequence[str], verdicts: Verdicts) -> Ahead | None:
    ordered = fastest_first(group)
    own = next((row for row in ordered if row.backend in ours), None)
    others = [row for row in ordered if row.backend not in ours]
    other = next((row for row in others if row.accurate), None)
    if own is None or other is None:
        return None
    against = verdicts.over(other, own)
    faster = [row.backend for row in others if not row.accurate and row.median_s < other.median_s]
    return Ahead(
        ours=own.backend,
        ours_s=own.median_s,
        other=other.backend,
        ratio=against.ratio,
        low=against.low,
        high=against.high,
        verdict=against.verdict,
        limit=own.fraction_of_bandwidth,
        inaccurate=", ".join(dict.fromkeys(faster)),
        over_all=verdicts.over(others[0], own).ratio,
    )


def means(found: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean lead by run, mode, dtype, policies and size, and how often ours has which verdict.

    Ops in which ours are surely slower are named. The last column sets them against all other backends, those
    that are not accurate too.
    """
    rows = []
    cases = entries(found, _Case)
    sizes = pd.Series([case.size for case in cases], found.index)
    policies = pd.Series([case.policies for case in cases], found.index)
    for (mode, dtype, policy, size), of_size in found.groupby(["mode", "dtype", policies, sizes], sort=False):
        for run, group in of_size.groupby(RUN, sort=False):
            case = {"mode": mode, "dtype": dtype, "policies": policy, "elements": size, RUN: run}
            rows.append(case | _mean(group))
    return _without_single_run(pd.DataFrame(rows))


def _mean(cases: pd.DataFrame) -> dict[str, object]:
    sure = cases["verdict"] == FASTER
    behind = cases.loc[sure & (cases["ratio"] < 1), "op"]
    return {
        "ops": len(cases),
        FASTER: int((sure & (cases["ratio"] > 1)).sum()),
        EQUAL: int((cases["verdict"] == EQUAL).sum()),
        CLOSE: int((cases["verdict"] == CLOSE).sum()),
        "slower": f"{len(behind)}: {', '.join(behind)}" if len(behind) else "0",
        "geometric mean": quantities.times(geometric_mean(cases["ratio"])),
        "inaccurate ones included": quantities.times(geometric_mean(cases["over_all"])),
    }


def table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return a line per op, mode, dtype, policies and run: the lead at each size and over which backend.

    Our share of the limit is that of the largest size, since other things than memory limit calls of few elements.
    It is left out where the bandwidth moved during the run.
    """
    rows = []
    for (op, mode, dtype, *_), cases in grouped(leads(runs), ("op", "mode", "dtype", *POLICIES), _Case).items():
        for run in runs:
            ordered = sorted((case for case in cases if case.run == run), key=lambda case: case.n_elements)
            rows += [{"op": op, "mode": mode, "dtype": dtype} | _line(ordered)] if ordered else []
    return _without_single_run(pd.DataFrame(rows).fillna(""))


def _line(cases: Sequence[_Case]) -> dict[str, str]:
    share = cases[-1].limit
    return (
        {"policies": cases[0].policies, RUN: cases[0].run}
        | {case.size: case.told for case in cases}
        | {"of the limit": "" if math.isnan(share) else quantities.percent(share)}
    )


def _without_single_run(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out the run's name where there is only one."""
    return rows if rows.empty or len(rows[RUN].unique()) > 1 else rows.drop(columns=RUN)
