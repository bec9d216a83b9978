"""Costs: how much longer a first call takes, when it is paid back, and how much memory a call needs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.entries import assembled
from benchmarks.record import schema
from benchmarks.stats.pairs import FASTER


def break_even(rated: pd.DataFrame) -> pd.DataFrame:
    """Return after how many further calls a backend's first call is paid back: a row per case and backend.

    `rated` are rows of `tables.rate` with the baseline on cpu. What a first call took beyond the baseline's
    (`extra_first_call_s`) is divided by what every other call saves (`saved_s`). `break_even_calls` is 0 where the
    first call is no longer than the baseline's, and infinite where a call is not surely faster.
    """
    rows = rated[rated["backend"] != tables.BASELINE].dropna(subset=["first_call_s", "baseline_first_call_s"])
    rows["extra_first_call_s"] = rows["first_call_s"] - rows["baseline_first_call_s"]
    rows["saved_s"] = rows["baseline_median_s"] - rows["median_s"]
    sure = (rows["speedup_verdict"] == FASTER) & (rows["speedup"] > 1)
    each = zip(rows["extra_first_call_s"], rows["saved_s"].where(sure, 0.0), strict=True)
    rows["break_even_calls"] = pd.Series([_calls(*facts) for facts in each], rows.index, dtype="float64")
    columns = ["first_call_s", "extra_first_call_s", "saved_s", "break_even_calls"]
    return rows[[*schema.CASE, "backend", *columns]].reset_index(drop=True)


def _calls(extra_s: float, saved_s: float) -> float:
    if saved_s <= 0:
        return math.inf
    return max(0.0, math.ceil(extra_s / saved_s))


@dataclass(frozen=True)
class FirstCalls:
    """How long a backend's first calls took on one device, compilation included, and when they are paid back.

    Break-even calls are the median over `n_compared` cases, and their range among the cases that are paid back;
    `n_never` counts the others. They are NaN for the baseline, and where it has no case in common.
    """

    n_cases: int
    median_first_call_s: float
    max_first_call_s: float
    slowest: str
    break_even_median: float
    break_even_min: float
    break_even_max: float
    n_never: int
    n_compared: int


def first_calls(rows: pd.DataFrame, paid: pd.DataFrame) -> pd.DataFrame:
    """Return the `FirstCalls` of measured rows by backend and device; `paid` is that of `break_even`."""
    rows = rows.dropna(subset=["first_call_s"])
    found = []
    for backend in tables.backend_order(rows):
        for device in rows.loc[rows["backend"] == backend, "device"].unique():
            group = rows[(rows["backend"] == backend) & (rows["device"] == device)]
            calls = paid.loc[(paid["backend"] == backend) & (paid["device"] == device), "break_even_calls"]
            finite = calls[calls < math.inf]
            worst = group.sort_values("first_call_s").iloc[-1]
            facts = FirstCalls(
                n_cases=len(group),
                median_first_call_s=float(group["first_call_s"].median()),
                max_first_call_s=float(worst["first_call_s"]),
                slowest=f"{worst['op']} {worst['mode']}",
                break_even_median=float(calls.median()),
                break_even_min=float(finite.min()),
                break_even_max=float(finite.max()),
                n_never=int((calls == math.inf).sum()),
                n_compared=len(calls),
            )
            found.append(((backend, str(device)), facts))
    return assembled(("backend", "device"), found, FirstCalls)


def peaks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the peak extra memory of a call at the largest size of each op at which it is known.

    A row per case and backend, with `input_bytes`, the size of the first input, and `ratio`, the peak as a
    multiple of that.
    """
    rows = rows.dropna(subset=["peak_bytes"])
    rows = rows[rows["n_elements"] == rows.groupby("op")["n_elements"].transform("max")]
    rows["input_bytes"] = [n * _item_bytes(t) for n, t in zip(rows["n_elements"], rows["dtype"], strict=True)]
    rows["ratio"] = rows["peak_bytes"].astype("float64") / rows["input_bytes"]
    return rows[[*schema.CASE, "backend", "peak_bytes", "input_bytes", "ratio"]].reset_index(drop=True)


def _item_bytes(dtype: str) -> float:
    """Return the bytes of one number, from the bits that its type's name ends with: `bfloat16` has two."""
    bits = re.search(r"\d+$", dtype)
    return int(bits[0]) / 8 if bits else math.nan
