"""What has no result and why, and what makes results doubtful: tables derived from records."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from benchmarks.analysis.tables import backend_order, measured

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def problems(rows: pd.DataFrame, *, alike: bool = False) -> pd.DataFrame:
    """Return what has no result and why, from records or accuracy rows; one row per status and reason.

    Reasons that are `alike`, differing in numbers and the op's name alone, can be taken together: the first speaks
    for all. `n_reasons` says for how many. Known deviations are results, and so do not appear here.
    """
    bad = rows[~rows["status"].isin(["ok", "known_deviation"])]
    bad = bad.assign(status=bad["status"].fillna("unknown"), reason=bad["reason"].fillna(""))
    bad["kind"] = bad["reason"]
    if alike:
        pairs = zip(bad["reason"], bad["op"].fillna(""), strict=True)
        bad["kind"] = [_NUMBER.sub("#", re.sub(rf"\b{re.escape(op)}\b", "op", text)) for text, op in pairs]
    found: list[dict[str, Any]] = [
        {
            "status": str(status),
            "reason": str(group["reason"].iloc[0]),
            "n_reasons": group["reason"].nunique(),
            "backends": backend_order(group),
            "devices": _distinct(group["device"]),
            "ops": _distinct(group["op"]),
            "n_cases": len(group),
        }
        for (status, _), group in bad.groupby(["status", "kind"], sort=False)
    ]
    # What is broken first; of what was taken together, the most frequent.
    found.sort(key=lambda row: (row["status"] == "unavailable", -row["n_cases"] if alike else 0))
    columns = ["status", "reason", "n_reasons", "backends", "devices", "ops", "n_cases"]
    return pd.DataFrame(found, columns=columns)


def doubts(records: pd.DataFrame) -> pd.DataFrame:
    """Return what makes measured results doubtful and how many of them, the most frequent first.

    Warnings that differ in their numbers alone are one, told by the typical of them. A result with several
    counts under each.
    """
    rows = measured(records)
    rows = rows.assign(warning=rows["warning"].str.split("; ")).explode("warning")
    rows = rows[rows["warning"].fillna("") != ""]
    rows["without_numbers"] = rows["warning"].str.replace(_NUMBER, "#", regex=True)
    found = [
        {
            "warning": sorted(group["warning"], key=_numbers)[len(group) // 2],
            "backends": backend_order(group),
            "devices": _distinct(group["device"]),
            "ops": _distinct(group["op"]),
            "n_cases": len(group),
        }
        for _, group in rows.groupby("without_numbers", sort=False)
    ]
    table = pd.DataFrame(found, columns=["warning", "backends", "devices", "ops", "n_cases"])
    return table.sort_values("n_cases", ascending=False, kind="stable", ignore_index=True)


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]


def _distinct(values: pd.Series) -> list[str]:
    return [str(value) for value in values.dropna().unique()]
