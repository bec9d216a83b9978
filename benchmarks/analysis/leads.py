"""Goals: how far our own kernels are ahead of the fastest accurate other one, from the records of runs.

Ours may reuse an output, so that the kernel is measured without the allocation. The others count with whatever
policy suits them best, a fresh output or a reused one. A backend that errs by more than the op's budget, anywhere
that the input is finite and the result normal, is not the one to beat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis.entries import Key, assembled, entries, grouped
from benchmarks.analysis.errors import Erring
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import geometric_mean
from benchmarks.record.run import Run
from benchmarks.record.shapes import is_default_shape, parse_shape

OURS = ("numba", "numba-parallel")
"""Our kernels: at each size, the faster of them is compared with the others, of which NumPy is one."""
_KEYS = ("op", "mode", "dtype", "device", "shape", "n_elements")


@dataclass(frozen=True)
class Ahead:
    """The fastest accurate other backend's median over ours, with its 95 % interval.

    `limit` is our share of the bandwidth; `inaccurate` names the backends that would be faster but do not count.
    """

    ours_s: float
    other: str
    ratio: float
    low: float
    high: float
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

    @property
    def size(self) -> str:
        """The power of ten, since whole rows differ a little in size; a shape that was asked for is kept."""
        usual = is_default_shape(self.op, parse_shape(self.shape))
        return f"about 10^{round(math.log10(self.n_elements))}" if usual else self.shape

    @property
    def told(self) -> str:
        apart = f", not {self.inaccurate}" if self.inaccurate else ""
        mark = "" if self.low > 1 or self.high < 1 else " ≈"
        return f"{quantities.times(self.ratio)}{mark} {self.other}{apart}"


def leads(runs: Mapping[str, Run], ours: Sequence[str] = OURS) -> pd.DataFrame:
    """Return `Ahead` for each case of runs that both sides have; `runs` are called by their names.

    Raises ValueError for a run without accuracy.
    """
    found: list[tuple[Key, Ahead]] = []
    for name, run in runs.items():
        if run.accuracy.empty:  # nobody could tell which backends are accurate
            raise ValueError(f"runs: {name} says nothing of accuracy; give a saved run's name or its records.csv")
        for case, group in grouped(Study(run).erring, _KEYS, _Contender).items():
            lead = _lead(group, ours)
            found += [(case, lead)] if lead else []
    return assembled(_KEYS, found, Ahead)


def _lead(group: Sequence[_Contender], ours: Sequence[str]) -> Ahead | None:
    ordered = sorted(group, key=lambda row: row.median_s)
    own = next((row for row in ordered if row.backend in ours), None)
    others = [row for row in ordered if row.backend not in ours]
    other = next((row for row in others if row.accurate), None)
    if own is None or other is None:
        return None
    low, high = other.over(own)
    faster = [row.backend for row in others if not row.accurate and row.median_s < other.median_s]
    return Ahead(
        ours_s=own.median_s,
        other=other.backend,
        ratio=other.median_s / own.median_s,
        low=low,
        high=high,
        limit=own.fraction_of_bandwidth,
        inaccurate=", ".join(dict.fromkeys(faster)),
    )


def means(found: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean lead by mode, dtype and size, and in how many ops ours is ahead, or as fast."""
    rows = []
    sizes = pd.Series([case.size for case in entries(found, _Case)], found.index)
    for (mode, dtype, size), group in found.groupby(["mode", "dtype", sizes], sort=False):
        rows.append(
            {
                "mode": mode,
                "dtype": dtype,
                "elements": size,
                "ops": len(group),
                "ahead": int((group["low"] > 1).sum()),
                "level": int(((group["low"] <= 1) & (group["high"] >= 1)).sum()),
                "behind": int((group["high"] < 1).sum()),
                "geometric mean": quantities.times(geometric_mean(group["ratio"])),
            }
        )
    return pd.DataFrame(rows)


def table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return a line per op, mode and dtype: the lead at each size, over which backend, and our share of the limit.

    The share is that of the largest size, since other things than memory limit calls of few elements. It is left
    out where the bandwidth moved during the run.
    """
    rows = []
    for (op, mode, dtype), cases in grouped(leads(runs), ("op", "mode", "dtype"), _Case).items():
        ordered = sorted(cases, key=lambda case: case.n_elements)
        share = ordered[-1].limit
        rows.append(
            {"op": op, "mode": mode, "dtype": dtype}
            | {case.size: case.told for case in ordered}
            | {"of the limit": "" if math.isnan(share) else quantities.percent(share)}
        )
    return pd.DataFrame(rows).fillna("")
