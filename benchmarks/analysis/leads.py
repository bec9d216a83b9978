"""Goals: how far our own kernels are ahead of the fastest accurate other one, from the records of runs.

Ours may reuse an output, which is how a kernel is told from its allocation; the others count with whatever policy
suits them best, a fresh output or a reused one. Who errs by more than the op's budget, anywhere that the
input is finite and the result normal, is not the one to beat.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.errors import accurate, with_errors
from benchmarks.record import saved
from benchmarks.record.shapes import is_default_shape, parse_shape
from benchmarks.stats.ratios import records_ratio_interval

OURS = ("numba", "numba-parallel")
"""What is held against the others, the faster of them at each size; NumPy's, too, is an other then."""
_KEYS = ("op", "mode", "dtype", "device", "shape", "n_elements")
Row = Mapping[Hashable, Any]


def leads(runs: Sequence[str], ours: Sequence[str] = OURS) -> pd.DataFrame:
    """Return, for each case of runs that both sides have, the others' median over ours, with its 95 % interval.

    `runs` are names of saved runs or files. Columns: op, mode, dtype, n_elements, ours_s, other, ratio, low, high,
    `limit` (our share of the bandwidth) and `inaccurate`, who would be faster but does not count. Raises
    ValueError for a run without accuracy.
    """
    found = []
    for name in runs:
        run = saved.load(name, Path("results"))
        if run.accuracy.empty:  # who errs could not be told from who is accurate
            raise ValueError(f"runs: {name} says nothing of accuracy; give a saved run's name or its records.csv")
        rows = with_errors(run.records, run.accuracy)
        for case, group in tables.grouped(rows.assign(accurate=accurate(rows)).to_dict("records"), _KEYS).items():
            row = _lead(group, ours)
            if row:
                found.append(dict(zip(_KEYS, case, strict=True)) | row)
    return pd.DataFrame(found)


def _lead(group: Sequence[Row], ours: Sequence[str]) -> dict[str, object]:
    ordered = sorted(group, key=lambda row: float(row["median_s"]))
    own = next((row for row in ordered if row["backend"] in ours), None)
    others = [row for row in ordered if row["backend"] not in ours]
    other = next((row for row in others if row["accurate"]), None)
    if own is None or other is None:
        return {}
    low, high = records_ratio_interval(other, own)
    faster = [str(r["backend"]) for r in others if not r["accurate"] and r["median_s"] < other["median_s"]]
    return {
        "ours_s": float(own["median_s"]),
        "other": other["backend"],
        "ratio": float(other["median_s"]) / float(own["median_s"]),
        "low": low,
        "high": high,
        "limit": float(own["fraction_of_bandwidth"]),
        "inaccurate": ", ".join(dict.fromkeys(faster)),
    }


def means(found: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean lead by mode, dtype and size, and in how many ops ours is ahead, or as fast."""
    rows = []
    sizes = pd.Series([_size(row) for row in found.to_dict("records")], found.index)
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
                "geometric mean": quantities.times(float(np.exp(np.log(group["ratio"]).mean()))),
            }
        )
    return pd.DataFrame(rows)


def table(runs: Sequence[str]) -> pd.DataFrame:
    """Return one line per op, mode and dtype: the lead at each size, over whom, and our share of the limit.

    The largest size has the share, since calls of few elements are limited by other things than memory; it is
    left out where the bandwidth moved during the run.
    """
    found = leads(runs)
    rows = []
    for (op, mode, dtype), group in found.groupby(["op", "mode", "dtype"], sort=False):
        ordered = group.sort_values("n_elements").to_dict("records")
        line = {"op": op, "mode": mode, "dtype": dtype}
        line |= {_size(row): _told(row) for row in ordered}
        share = ordered[-1]["limit"]
        rows.append(line | {"of the limit": "" if math.isnan(share) else quantities.percent(share)})
    return pd.DataFrame(rows).fillna("")


def _size(row: Row) -> str:
    """Return the power of ten, since whole rows differ a little in size; a shape that was asked for as it is."""
    usual = is_default_shape(row["op"], parse_shape(row["shape"]))
    return f"about 10^{round(math.log10(row['n_elements']))}" if usual else str(row["shape"])


def _told(row: Row) -> str:
    apart = f", not {row['inaccurate']}" if row["inaccurate"] else ""
    mark = "" if row["low"] > 1 or row["high"] < 1 else " ≈"
    return f"{quantities.times(row['ratio'])}{mark} {row['other']}{apart}"
