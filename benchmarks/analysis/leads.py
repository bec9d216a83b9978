"""Goals: how far our own kernels are ahead of the fastest accurate other one, from the records of runs.

Both sides are measured under the same policies: a reused output against a fresh one would compare allocators. A
backend that errs by more than the op's budget, anywhere that the input is finite and the result normal, is not the
one to beat.
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

OURS = ("numba", "numba-parallel")
"""Our kernels: at each size, the faster of them is compared with the others, of which NumPy is one."""
_KEYS = ("op", "mode", "dtype", "device", "shape", "n_elements", *POLICIES)


@dataclass(frozen=True)
class Ahead:
    """The fastest accurate other backend's time over ours, with its 95 % interval and the verdict of the two.

    `limit` is our share of the bandwidth; `inaccurate` names the backends that would be faster but do not count.
    """

    ours_s: float
    other: str
    ratio: float
    low: float
    high: float
    verdict: str
    limit: float
    inaccurate: str


@dataclass(frozen=True)
class _Contender(Erring):
    fraction_of_bandwidth: float


@dataclass(frozen=True)
class _Case(Ahead):
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
    """Return `Ahead` for each case of runs that both sides have; `runs` are called by their names.

    Raises ValueError for a run without accuracy.
    """
    found: list[tuple[Key, Ahead]] = []
    for name, run in runs.items():
        if run.accuracy.empty:  # nobody could tell which backends are accurate
            raise CannotTell(f"runs: {name} did not check accuracy; give a saved run's name or its records.csv")
        study = Study(run)
        for case, group in grouped(study.erring, _KEYS, _Contender).items():
            lead = _lead(group, ours, study.verdicts)
            found += [(case, lead)] if lead else []
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
        ours_s=own.median_s,
        other=other.backend,
        ratio=against.ratio,
        low=against.low,
        high=against.high,
        verdict=against.verdict,
        limit=own.fraction_of_bandwidth,
        inaccurate=", ".join(dict.fromkeys(faster)),
    )


def means(found: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean lead by mode, dtype, policies and size, and how often ours has which verdict."""
    rows = []
    cases = entries(found, _Case)
    sizes = pd.Series([case.size for case in cases], found.index)
    policies = pd.Series([case.policies for case in cases], found.index)
    for (mode, dtype, policy, size), group in found.groupby(["mode", "dtype", policies, sizes], sort=False):
        sure = group["verdict"] == FASTER
        rows.append(
            {
                "mode": mode,
                "dtype": dtype,
                "policies": policy,
                "elements": size,
                "ops": len(group),
                FASTER: int((sure & (group["ratio"] > 1)).sum()),
                EQUAL: int((group["verdict"] == EQUAL).sum()),
                CLOSE: int((group["verdict"] == CLOSE).sum()),
                "slower": int((sure & (group["ratio"] < 1)).sum()),
                "geometric mean": quantities.times(geometric_mean(group["ratio"])),
            }
        )
    return pd.DataFrame(rows)


def table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return a line per op, mode, dtype and policies: the lead at each size and over which backend.

    Our share of the limit is that of the largest size, since other things than memory limit calls of few elements.
    It is left out where the bandwidth moved during the run.
    """
    rows = []
    for (op, mode, dtype, *_), cases in grouped(leads(runs), ("op", "mode", "dtype", *POLICIES), _Case).items():
        ordered = sorted(cases, key=lambda case: case.n_elements)
        share = ordered[-1].limit
        rows.append(
            {"op": op, "mode": mode, "dtype": dtype, "policies": ordered[0].policies}
            | {case.size: case.told for case in ordered}
            | {"of the limit": "" if math.isnan(share) else quantities.percent(share)}
        )
    return pd.DataFrame(rows).fillna("")
