"""How close to the limit: the share of the measured bandwidth that each backend reaches, and which is first.

The limit of a call is the bandwidth at as many bytes: of the faster kind of copy, or of reading alone for what
writes next to nothing (`roofline`). An op that computes much stays below it, however well it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.entries import Key, assembled, entries
from benchmarks.analysis.tables import geometric_mean
from benchmarks.quantities import listing, percent
from benchmarks.record.schema import CASE, POLICIES

LARGE = 1_000_000
"""Elements from which on means are taken: what a call costs by itself is next to nothing there."""
NEAR = 0.9
"""From this share on, an op is as fast as memory allows."""
FACTS = (
    *("first", "share", "share_low", "share_high", "ratio", "runner_up", "outcome", "time_doubtful"),
    *("limit_gigabytes_per_s", "ns_per_element"),
)


def closeness(rows: pd.DataFrame, winners: pd.DataFrame, backends: Sequence[str]) -> pd.DataFrame:
    """Return one row per comparable case of which the limit is known, in the order of the measured `rows`.

    The columns are the case's, `FACTS`, then one for each of `backends` with its share of the limit. `first` is
    the leading backend and `share` its own, from `share_low` to `share_high` by the 95 % interval of its time;
    `ratio`, `outcome` and `time_doubtful` are those of `winners`, a table of `tables.best`. Without rows where no
    bandwidth was measured, or none that held.
    """
    keys, names = list(CASE), [name for name in backends if name in set(rows["backend"])]
    shares = rows.pivot(  # noqa: PD010 - nothing to aggregate: one row per case and backend
        index=keys, columns="backend", values="fraction_of_bandwidth"
    )
    facts = ["gigabytes_per_s", "fraction_of_bandwidth", "median_s", "ci95_low_s", "ci95_high_s"]
    found = winners.rename(columns={"fastest": "first"}).drop(columns="median_s")
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


def shared_by(shares: pd.DataFrame) -> list[str]:
    """Return the backends that `closeness` has a column for."""
    return [str(name) for name in shares.columns if name not in {*CASE, *FACTS}]


@dataclass(frozen=True)
class MeanShare:
    """A backend's geometric mean share of the limit over `n_cases` cases."""

    backend: str
    share: float
    n_cases: int


def means(shares: pd.DataFrame) -> pd.DataFrame:
    """Return each backend's `MeanShare` over the `LARGE` cases that all backends have, by dtype, device, policies.

    A backend that lacks more than half of the cases is left out, so that it does not take them from the others.
    """
    keys, names = ["dtype", "device", *POLICIES], shared_by(shares)
    found: list[tuple[Key, MeanShare]] = []
    for case, group in shares[shares["n_elements"] >= LARGE].groupby(keys, sort=False):
        common = group[names].dropna(axis="columns", thresh=(len(group) + 1) // 2).dropna()
        if common.size:
            found += [
                (case, MeanShare(str(name), geometric_mean(values.astype("float64")), len(common)))
                for name, values in common.items()
            ]
    return assembled(keys, found, MeanShare)


@dataclass(frozen=True)
class _Nearest:
    op: str
    first: str
    share: float

    @property
    def told(self) -> str:
        return f"{self.op} ({self.first}, {percent(self.share)})"


def sentences(shares: pd.DataFrame) -> list[str]:
    """Return, for each mode at the largest size, which ops run as fast as memory allows and which is farthest."""
    found = []
    for (device, mode), group in shares.groupby(["device", "mode"], sort=False):
        rows = group[group["n_elements"] == group["n_elements"].max()]
        largest = entries(rows.loc[rows.groupby("op", sort=False)["share"].idxmax()], _Nearest)
        near = [each.told for each in largest if each.share >= NEAR]
        far = min(largest, key=lambda each: each.share)
        parts = [f"as fast as memory allows: {listing(near, 12)}"] if near else []
        parts += [f"farthest from it: {far.told}"] if far.share < NEAR else []
        size = f"{int(rows['n_elements'].iloc[0]):,} elements, {mode}, on {device}"
        found.append(f"At {size}, {'; '.join(parts)}.")
    return found
