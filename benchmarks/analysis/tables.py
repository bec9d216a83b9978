"""Which backend is fastest, and by how much: tables derived from records.

Only rows with status `ok` are ever compared. Where a case was recorded twice, the later row counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd

from benchmarks.analysis.entries import Key, Timed, assembled, grouped
from benchmarks.record.schema import CASE, MODES, POLICIES
from benchmarks.stats.ratios import INTERVAL, ratio_interval

BASELINE = "numpy"


@dataclass(frozen=True)
class Lead:
    """The fastest backend of a case and the runner-up, whose name is empty where there is none.

    `ratio` is the runner-up's median over the fastest's. `contenders` are the fastest and all backends for which
    the 95 % interval of that ratio includes 1, separated by commas; an unknown interval includes everything. `tie`
    says that there are several: not always the first two, since a noisy third may tie where a steady second does
    not. `doubtful` says that the fastest or the runner-up has a warning.
    """

    fastest: str
    fastest_device: str
    median_s: float
    runner_up: str
    runner_up_device: str
    runner_up_median_s: float
    ratio: float
    tie: bool
    contenders: str
    doubtful: bool

    @property
    def names(self) -> list[str]:
        """The contenders, one by one."""
        return self.contenders.split(", ")


@dataclass(frozen=True)
class CaseLead(Lead):
    """The same, with the case."""

    case: Annotated[Key, CASE]
    op: str
    shape: str
    n_elements: int


def backend_order(records: pd.DataFrame) -> list[str]:
    """Return the backends in the order of the tables' columns: the baseline, then as they come."""
    names = [str(name) for name in records["backend"].dropna().unique()]
    return sorted(names, key=lambda name: name != BASELINE)


def measured(records: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that count, one per case and backend, ordered by op, mode and size."""
    rows = keyed(records[(records["status"] == "ok") & (records["median_s"] > 0)])
    rows["warning"] = rows["warning"].fillna("")
    rows = rows.drop_duplicates([*CASE, "backend"], keep="last")
    return ordered(rows, records)


def keyed(records: pd.DataFrame) -> pd.DataFrame:
    """Return records whose keys have no gaps: a missing policy is one value among others."""
    names = [key for key in CASE if key != "n_elements"]
    filled = {key: records[key].fillna("") for key in names}
    return records.assign(**filled, n_elements=records["n_elements"].fillna(0).astype("int64"))


def ordered(rows: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` by op as `records` have them, mode, dtype, device and size."""
    ops = {op: rank for rank, op in enumerate(records["op"].dropna().unique())}
    modes = {mode: rank for rank, mode in enumerate(MODES)}

    def rank(column: pd.Series) -> pd.Series:
        known = {"op": ops, "mode": modes}.get(str(column.name))
        return column if known is None else column.map(known).astype("float64")

    # Shapes are text, so sizes come first.
    keys = ["op", "mode", "dtype", "device", "n_elements", "shape", *POLICIES]
    return rows.sort_values(keys, key=rank, kind="stable", ignore_index=True)


def medians(rows: pd.DataFrame, backends: Sequence[str]) -> pd.DataFrame:
    """Return median seconds of measured rows: a row per comparable case, a column for each of `backends`."""
    return _wide(rows, backends, "median_s")


def rate(rows: pd.DataFrame, baseline_device: str | None = None) -> pd.DataFrame:
    """Return measured rows with `speedup`: the baseline's median over theirs, so that above 1 is faster.

    `speedup_low` and `speedup_high` are its 95 % interval; `doubt` says what makes it doubtful, in either of the
    two. The baseline is taken on the case's own device or, if given, on `baseline_device`. Where it lacks the
    case, `speedup` is NaN.
    """
    keys = list(CASE)
    reference = rows[rows["backend"] == BASELINE]
    if baseline_device is not None:
        keys.remove("device")
        reference = reference[reference["device"] == baseline_device]
    taken = {name: f"baseline_{name}" for name in (*INTERVAL, "first_call_s", "warning")}
    rows = rows.merge(reference[[*keys, *taken]].rename(columns=taken), on=keys, how="left")
    rows["speedup"] = rows["baseline_median_s"] / rows["median_s"]
    bounds = [ratio_interval(*values) for values in _columns(rows, [*(taken[n] for n in INTERVAL), *INTERVAL])]
    rows["speedup_low"] = pd.Series([low for low, _ in bounds], dtype="float64")
    rows["speedup_high"] = pd.Series([high for _, high in bounds], dtype="float64")
    itself = (rows["backend"] == BASELINE) & (rows["speedup"] == 1)
    rows.loc[itself, ["speedup_low", "speedup_high"]] = 1.0
    rows["doubt"] = either_doubt(rows["warning"], rows["baseline_warning"].fillna("").mask(itself, ""), BASELINE)
    return rows


def either_doubt(own: pd.Series, other: pd.Series, name: str) -> list[str]:
    """Return what makes a comparison doubtful: a row's own warning, and that of the `other`, called `name`."""
    pairs = zip(own, other, strict=True)
    return ["; ".join([mine] * bool(mine) + [f"{name}: {theirs}"] * bool(theirs)) for mine, theirs in pairs]


def speedups(rated: pd.DataFrame, backends: Sequence[str]) -> pd.DataFrame:
    """Return the speed-ups of rated rows (see `rate`): a row per comparable case, a column per backend."""
    return _wide(rated, backends, "speedup")


def best(rows: pd.DataFrame, *, across_devices: bool = False) -> pd.DataFrame:
    """Return the fastest of each comparable case among measured rows: the case's keys and a `Lead`.

    With `across_devices`, backends compete on all devices, and contenders read `torch on cuda`.
    """
    keys = [key for key in CASE if not (across_devices and key == "device")]
    groups = grouped(rows, keys, Timed).items()
    leads = [(case, _lead(timed, across_devices=across_devices)) for case, timed in groups]
    return assembled(keys, leads, Lead)


def label(backend: str, device: str, *, across_devices: bool) -> str:
    """Return the name under which a backend competes: with its device where there are several."""
    return f"{backend} on {device}" if across_devices else backend


def _lead(timed: Sequence[Timed], *, across_devices: bool) -> Lead:
    first, *others = sorted(timed, key=lambda row: row.median_s)
    # An unknown end, NaN, separates nothing.
    level = [first, *(row for row in others if not row.over(first)[0] > 1)]
    second = others[0] if others else None
    return Lead(
        fastest=first.backend,
        fastest_device=first.device,
        median_s=first.median_s,
        runner_up=second.backend if second else "",
        runner_up_device=second.device if second else "",
        runner_up_median_s=second.median_s if second else math.nan,
        ratio=second.median_s / first.median_s if second else math.nan,
        tie=len(level) > 1,
        contenders=", ".join(label(row.backend, row.device, across_devices=across_devices) for row in level),
        doubtful=any(row.warning for row in [first, *others][:2]),
    )


def _columns(rows: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[float, ...]]:
    return zip(*(rows[name].astype("float64").tolist() for name in names), strict=True)


@dataclass(frozen=True)
class Mean:
    """A backend's geometric mean speed-up over `n_cases` cases, `n_doubtful` of which are doubtful."""

    backend: str
    speedup: float
    n_cases: int
    n_doubtful: int


def overall(rated: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Return each backend's geometric mean speed-up at each size, over the cases that all of them have.

    `wide` are the speed-ups of the rated rows, by case and backend. A mean over different cases would compare the
    cases, not the backends. A backend that lacks more than half of the cases is left out, so that it does not take
    them from the others.
    """
    keys = ["dtype", "device", *POLICIES, "n_elements"]
    found: list[tuple[Key, Mean]] = []
    doubts = _wide(rated.assign(doubtful=rated["doubt"] != ""), list(wide.columns), "doubtful")
    for case, group in wide.groupby(level=keys, sort=False):
        common = group.dropna(axis="columns", thresh=(len(group) + 1) // 2).dropna()
        if common.size:
            doubtful = doubts.loc[common.index, common.columns].sum()
            found += [
                (case, Mean(str(backend), float(mean), len(common), int(doubtful[backend])))
                for backend, mean in np.exp(np.log(common).mean()).items()
            ]
    return assembled(keys, found, Mean)


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean of positive numbers; NaN of none."""
    return float(np.exp(np.log(values).mean())) if len(values) else math.nan


def varying(rows: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return those of `keys` that differ between rows, and so must be told; the shape where it is not the size."""
    found = [key for key in keys if len(rows[key].unique()) > 1]
    flat = "shape" in found and (rows["shape"] == rows["n_elements"].astype("string")).fillna(value=False).all()
    return [key for key in found if not (key == "shape" and flat)]


def _wide(rows: pd.DataFrame, backends: Sequence[str], values: str) -> pd.DataFrame:
    wide = rows.pivot(  # noqa: PD010 - nothing to aggregate: one row per case and backend
        index=list(CASE), columns="backend", values=values
    )
    # pivot sorts its rows; the records' own order is the one that people know.
    order = pd.MultiIndex.from_frame(rows[list(CASE)].drop_duplicates())
    wide = wide.reindex(index=order, columns=[name for name in backends if name in wide.columns])
    wide.columns.name = None
    return wide
