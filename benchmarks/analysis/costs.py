"""Costs: what a first call takes beyond the others, when it is paid back, and how much memory a call needs."""

from __future__ import annotations

import math
import re

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.record import schema


def break_even(records: pd.DataFrame) -> pd.DataFrame:
    """Return after how many further calls a backend's first call is paid back: a row per case and backend.

    What its first call took beyond the baseline's on cpu (`extra_first_call_s`), over what every other call saves
    (`saved_s`). `break_even_calls` is 0 where the first call is no longer than the baseline's, and infinite where
    a call saves nothing.
    """
    rows = tables.rate(records, baseline_device="cpu")
    rows = rows[rows["backend"] != tables.BASELINE].dropna(subset=["first_call_s", "baseline_first_call_s"])
    rows["extra_first_call_s"] = rows["first_call_s"] - rows["baseline_first_call_s"]
    rows["saved_s"] = rows["baseline_median_s"] - rows["median_s"]
    pairs = zip(rows["extra_first_call_s"], rows["saved_s"], strict=True)
    rows["break_even_calls"] = pd.Series([_calls(*pair) for pair in pairs], rows.index, dtype="float64")
    columns = ["first_call_s", "extra_first_call_s", "saved_s", "break_even_calls"]
    return rows[[*schema.CASE, "backend", *columns]].reset_index(drop=True)


def _calls(extra_s: float, saved_s: float) -> float:
    if saved_s <= 0:
        return math.inf
    return max(0.0, math.ceil(extra_s / saved_s))


def first_calls(records: pd.DataFrame) -> pd.DataFrame:
    """Return how long first calls took, compilation included, and when they are paid back, by backend and device.

    Break-even calls are the median over cases and their range among cases where there is one; `n_never` counts
    the others. They are NaN for the baseline, and where it has no case in common.
    """
    rows = tables.measured(records).dropna(subset=["first_call_s"])
    paid = break_even(records)
    found = []
    for backend in tables.backend_order(rows):
        for device in rows.loc[rows["backend"] == backend, "device"].unique():
            group = rows[(rows["backend"] == backend) & (rows["device"] == device)]
            calls = paid.loc[(paid["backend"] == backend) & (paid["device"] == device), "break_even_calls"]
            finite = calls[calls < math.inf]
            worst = group.sort_values("first_call_s").iloc[-1]
            found.append(
                {
                    "backend": backend,
                    "device": str(device),
                    "n_cases": len(group),
                    "median_first_call_s": float(group["first_call_s"].median()),
                    "max_first_call_s": float(worst["first_call_s"]),
                    "slowest": f"{worst['op']} {worst['mode']}",
                    "break_even_median": float(calls.median()),
                    "break_even_min": float(finite.min()),
                    "break_even_max": float(finite.max()),
                    "n_never": int((calls == math.inf).sum()),
                    "n_compared": len(calls),
                }
            )
    return pd.DataFrame(found, columns=list(_FIRST_CALLS))


_FIRST_CALLS = (
    "backend",
    "device",
    "n_cases",
    "median_first_call_s",
    "max_first_call_s",
    "slowest",
    "break_even_median",
    "break_even_min",
    "break_even_max",
    "n_never",
    "n_compared",
)


def peaks(records: pd.DataFrame) -> pd.DataFrame:
    """Return the peak extra memory of a call at the largest size of each op at which it is known.

    A row per case and backend, with `input_bytes`, the size of the first input, and `ratio`, the peak as a
    multiple of that.
    """
    rows = tables.measured(records).dropna(subset=["peak_bytes"])
    rows = rows[rows["n_elements"] == rows.groupby("op")["n_elements"].transform("max")]
    rows["input_bytes"] = [n * _item_bytes(t) for n, t in zip(rows["n_elements"], rows["dtype"], strict=True)]
    rows["ratio"] = rows["peak_bytes"].astype("float64") / rows["input_bytes"]
    return rows[[*schema.CASE, "backend", "peak_bytes", "input_bytes", "ratio"]].reset_index(drop=True)


def _item_bytes(dtype: str) -> float:
    """Return the bytes of one number, from the bits that its type's name ends with: `bfloat16` has two."""
    bits = re.search(r"\d+$", dtype)
    return int(bits[0]) / 8 if bits else math.nan
