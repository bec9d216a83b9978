"""How close to the limit: the share of the measured bandwidth that each backend reaches, and who is first.

The limit of a call is the bandwidth at as many bytes: of the faster kind of copy, or of reading alone for what
writes next to nothing (`roofline`). An op that computes much stays below it, however well it is written.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.analysis.tables import backend_order, best, measured
from benchmarks.quantities import listing, percent
from benchmarks.record.schema import CASE, POLICIES

LARGE = 1_000_000
"""Elements from which on means are taken: what a call costs by itself is next to nothing there."""
NEAR = 0.9
"""From this share on, an op is as fast as memory allows."""
FACTS = (
    *("first", "share", "share_low", "share_high", "ratio", "runner_up", "tie", "doubtful"),
    *("limit_gigabytes_per_s", "ns_per_element"),
)


def closeness(records: pd.DataFrame) -> pd.DataFrame:
    """Return one row per comparable case of which the limit is known, in the records' order.

    The columns are the case's, `FACTS`, then one for each backend with its share of the limit. `first` is the
    fastest backend and `share` its own, from `share_low` to `share_high` by the 95 % interval of its time; `ratio`
    is the runner-up's median over its; `tie` and `doubtful` are as in `tables.best`. Without rows where no
    bandwidth was measured, or none that held.
    """
    rows = measured(records)
    keys, names = list(CASE), [name for name in backend_order(records) if name in set(rows["backend"])]
    shares = rows.pivot(  # noqa: PD010 - nothing to aggregate: one row per case and backend
        index=keys, columns="backend", values="fraction_of_bandwidth"
    )
    facts = ["gigabytes_per_s", "fraction_of_bandwidth", "median_s", "ci95_low_s", "ci95_high_s"]
    found = best(records).rename(columns={"fastest": "first"}).drop(columns="median_s")
    found = found.merge(
        rows[[*keys, "backend", *facts]], left_on=[*keys, "first"], right_on=[*keys, "backend"], how="left"
    )
    found["share"] = found["fraction_of_bandwidth"]
    found["share_low"] = found["share"] * found["median_s"] / found["ci95_high_s"]
    found["share_high"] = found["share"] * found["median_s"] / found["ci95_low_s"]
    found["limit_gigabytes_per_s"] = found["gigabytes_per_s"] / found["share"]
    found["ns_per_element"] = 1e9 * found["median_s"] / found["n_elements"]
    found = found[[*keys, *FACTS]].merge(shares.reset_index(), on=keys, how="left")
    known = found["share"].notna()
    return found.loc[known, [*keys, *FACTS, *names]].reset_index(drop=True)


def means(shares: pd.DataFrame) -> pd.DataFrame:
    """Return each backend's geometric mean share over the `LARGE` cases that all backends have.

    One row per dtype, device, set of policies and backend: `share`, and `n_cases` that it is of. A backend that
    lacks more than half of the cases is left out, so that it does not take them from the others.
    """
    keys = ["dtype", "device", *POLICIES]
    names = [name for name in shares.columns if name not in {*CASE, *FACTS}]
    large = shares[shares["n_elements"] >= LARGE]
    found = []
    for case, group in large.groupby(keys, sort=False):
        common = group[names].dropna(axis="columns", thresh=(len(group) + 1) // 2).dropna()
        if common.size:
            logs = np.log(common.astype("float64")).mean()
            found += [
                dict(zip(keys, case, strict=True))
                | {"backend": str(name), "share": float(np.exp(log)), "n_cases": len(common)}
                for name, log in logs.items()
            ]
    return pd.DataFrame(found, columns=[*keys, "backend", "share", "n_cases"])


def sentences(shares: pd.DataFrame) -> list[str]:
    """Return, for each mode at the largest size, which ops run as fast as memory allows and which is farthest."""
    found = []
    for (device, mode), group in shares.groupby(["device", "mode"], sort=False):
        rows = group[group["n_elements"] == group["n_elements"].max()]
        largest = rows.loc[rows.groupby("op", sort=False)["share"].idxmax()]
        size = f"{int(largest['n_elements'].iloc[0]):,} elements, {mode}, on {device}"
        near = [_told(row) for row in largest.to_dict("records") if row["share"] >= NEAR]
        far = largest.loc[largest["share"].idxmin()].to_dict()
        parts = [f"as fast as memory allows: {listing(near, 12)}"] if near else []
        if far["share"] < NEAR:
            parts.append(f"farthest from it: {_told(far)}")
        found.append(f"At {size}, {'; '.join(parts)}.")
    return found


def _told(row: Mapping[Hashable, Any]) -> str:
    return f"{row['op']} ({row['first']}, {percent(row['share'])})"
