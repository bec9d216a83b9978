"""Who is fastest, by how much, what is doubtful and what is missing: tables derived from records.

Only rows with status `ok` are ever compared. Where a case was recorded twice, the later row counts.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.record.schema import CASE, MODES, POLICIES
from benchmarks.stats.ratios import INTERVAL, ratio_interval, records_ratio_interval

BASELINE = "numpy"

_BEST_COLUMNS = (
    "fastest",
    "fastest_device",
    "median_s",
    "runner_up",
    "runner_up_device",
    "runner_up_median_s",
    "ratio",
    "tie",
    "contenders",
    "doubtful",
)


def backend_order(records: pd.DataFrame) -> list[str]:
    """Return the backends in the order of the tables' columns: the baseline, then as they come."""
    names = [str(name) for name in records["backend"].dropna().unique()]
    return sorted(names, key=lambda name: name != BASELINE)


def measured(records: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that count, one per case and backend, ordered by op, mode and size."""
    rows = records[(records["status"] == "ok") & (records["median_s"] > 0)].copy()
    for key in CASE:
        # Keys without gaps: a missing policy is one value among others.
        rows[key] = rows[key].fillna(0).astype("int64") if key == "n_elements" else rows[key].fillna("")
    rows["warning"] = rows["warning"].fillna("")
    rows = rows.drop_duplicates([*CASE, "backend"], keep="last")
    return ordered(rows, records)


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


def medians(records: pd.DataFrame) -> pd.DataFrame:
    """Return median seconds: a row per comparable case, a column per backend."""
    return _wide(measured(records), records, "median_s")


def rate(records: pd.DataFrame, baseline: str = BASELINE, baseline_device: str | None = None) -> pd.DataFrame:
    """Return the measured rows with `speedup`: the baseline's median over theirs, so that above 1 is faster.

    `speedup_low` and `speedup_high` are its 95 % interval; `doubt` says what makes it doubtful, in either of the
    two. The baseline is taken on the case's own device or, if given, on `baseline_device`. Where it lacks the
    case, `speedup` is NaN.
    """
    rows = measured(records)
    keys = list(CASE)
    reference = rows[rows["backend"] == baseline]
    if baseline_device is not None:
        keys.remove("device")
        reference = reference[reference["device"] == baseline_device]
    taken = {name: f"baseline_{name}" for name in (*INTERVAL, "first_call_s", "warning")}
    rows = rows.merge(reference[[*keys, *taken]].rename(columns=taken), on=keys, how="left")
    rows["speedup"] = rows["baseline_median_s"] / rows["median_s"]
    both = [*(taken[name] for name in INTERVAL), *INTERVAL]
    bounds = [ratio_interval(*values) for values in _columns(rows, both)]
    rows["speedup_low"] = pd.Series([low for low, _ in bounds], dtype="float64")
    rows["speedup_high"] = pd.Series([high for _, high in bounds], dtype="float64")
    itself = (rows["backend"] == baseline) & (rows["speedup"] == 1)
    rows.loc[itself, ["speedup_low", "speedup_high"]] = 1.0
    theirs = rows["baseline_warning"].fillna("").mask(itself, "")
    rows["doubt"] = [
        "; ".join([own] * bool(own) + [f"{baseline}: {other}"] * bool(other))
        for own, other in zip(rows["warning"], theirs, strict=True)
    ]
    return rows


def speedups(records: pd.DataFrame, baseline: str = BASELINE, baseline_device: str | None = None) -> pd.DataFrame:
    """Return speed-ups over the baseline (see `rate`): a row per comparable case, a column per backend."""
    return _wide(rate(records, baseline, baseline_device), records, "speedup")


def best(records: pd.DataFrame, *, across_devices: bool = False) -> pd.DataFrame:
    """Return the fastest backend of each comparable case, the runner-up, and how far apart they are.

    `ratio` is the runner-up's median over the fastest's. `contenders` are the fastest and all backends for which
    the 95 % interval of that ratio includes 1, separated by commas; an unknown interval includes everything. `tie`
    says that there are several: not always the first two, since a noisy third may tie where a steady second does
    not. `doubtful` says that the fastest or the runner-up has a warning. With `across_devices`, backends compete
    on all devices, and contenders read `torch on cuda`.
    """
    keys = [key for key in CASE if not (across_devices and key == "device")]
    found = [
        dict(zip(keys, case, strict=True)) | _verdict(entries, across_devices=across_devices)
        for case, entries in grouped(measured(records).to_dict("records"), keys).items()
    ]
    return pd.DataFrame(found, columns=[*keys, *_BEST_COLUMNS])


def grouped(
    rows: Iterable[Mapping[Hashable, Any]], keys: Sequence[str]
) -> dict[tuple[Any, ...], list[Mapping[Hashable, Any]]]:
    """Return the rows that agree in `keys`, in their order.

    As plain mappings: of thousands of groups with a handful of rows, frames take a hundred times as long.
    """
    found: dict[tuple[Any, ...], list[Mapping[Hashable, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def label(backend: str, device: str, *, across_devices: bool) -> str:
    """Return the name under which a backend competes: with its device where there are several."""
    return f"{backend} on {device}" if across_devices else backend


def _verdict(entries: Sequence[Mapping[Hashable, Any]], *, across_devices: bool) -> dict[str, object]:
    entries = sorted(entries, key=lambda row: float(row["median_s"]))
    first, others = entries[0], entries[1:]
    level = [first, *(row for row in others if _may_equal(row, first))]
    second = others[0] if others else None
    return {
        "fastest": first["backend"],
        "fastest_device": first["device"],
        "median_s": first["median_s"],
        "runner_up": second["backend"] if second else None,
        "runner_up_device": second["device"] if second else None,
        "runner_up_median_s": second["median_s"] if second else math.nan,
        "ratio": second["median_s"] / first["median_s"] if second else math.nan,
        "tie": len(level) > 1,
        "contenders": ", ".join(
            label(row["backend"], row["device"], across_devices=across_devices) for row in level
        ),
        "doubtful": any(row["warning"] for row in entries[:2]),
    }


def _may_equal(slower: Mapping[Hashable, Any], faster: Mapping[Hashable, Any]) -> bool:
    low, _ = records_ratio_interval(slower, faster)
    return not low > 1  # an unknown end, NaN, separates nothing


def _columns(rows: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[float, ...]]:
    return zip(*(rows[name].astype("float64").tolist() for name in names), strict=True)


def overall(records: pd.DataFrame, baseline: str = BASELINE) -> pd.DataFrame:
    """Return each backend's geometric mean speed-up at each size, over the cases that all of them have.

    `n_doubtful` counts those of them whose speed-up is doubtful. A mean over different cases would compare the
    cases, not the backends. A backend that lacks more than half of the cases is left out, so that it does not take
    them from the others.
    """
    keys = ["dtype", "device", *POLICIES, "n_elements"]
    found = []
    rated = rate(records, baseline, baseline_device="cpu")
    doubts = _wide(rated.assign(doubtful=rated["doubt"] != ""), records, "doubtful")
    for case, group in _wide(rated, records, "speedup").groupby(level=keys, sort=False):
        common = group.dropna(axis="columns", thresh=(len(group) + 1) // 2).dropna()
        values = case if isinstance(case, tuple) else (case,)
        if common.size:
            means = np.exp(np.log(common).mean())
            doubtful = doubts.loc[common.index, common.columns].sum()
            found += [
                dict(zip(keys, values, strict=True))
                | {
                    "backend": str(backend),
                    "speedup": float(mean),
                    "n_cases": len(common),
                    "n_doubtful": int(doubtful[backend]),
                }
                for backend, mean in means.items()
            ]
    return pd.DataFrame(found, columns=[*keys, "backend", "speedup", "n_cases", "n_doubtful"])


def telling(rows: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return those of `keys` that differ between rows, and so must be told; the shape where it is not the size."""
    found = [key for key in keys if len(rows[key].unique()) > 1]
    flat = (rows["shape"] == rows["n_elements"].astype("string")).fillna(value=False).all()
    return [key for key in found if not (key == "shape" and flat)]


def _wide(rows: pd.DataFrame, records: pd.DataFrame, values: str) -> pd.DataFrame:
    wide = rows.pivot(  # noqa: PD010 - nothing to aggregate: one row per case and backend
        index=list(CASE), columns="backend", values=values
    )
    # pivot sorts its rows; the records' own order is the one that people know.
    order = pd.MultiIndex.from_frame(rows[list(CASE)].drop_duplicates())
    present = set(wide.columns)
    wide = wide.reindex(index=order, columns=[name for name in backend_order(records) if name in present])
    wide.columns.name = None
    return wide
