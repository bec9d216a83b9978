"""Speed with its accuracy: how far each measured backend errs at worst, beside what its op allows."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.record import schema

_PLACE = ["op", "mode", "dtype", "backend", "device"]
Row = Mapping[Hashable, Any]
BOTH = "forward+backward"


def with_errors(records: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return the measured rows with `error_ulp` and `budget_ulp`, those of the accuracy checks.

    The error is the largest where the input is finite and the exact result neither infinite nor subnormal, known
    deviations included: many frameworks flush subnormal results to zero, on purpose. Of a forward and backward
    pass together, it is that of the one which exceeds its budget by more. Where an op was not checked in this run,
    it is that of the outputs checked before timing, which passed: the budget is infinite.
    """
    rows = tables.measured(records)
    known = pd.DataFrame(_judged(accuracy), columns=[*_PLACE, "error_ulp", "budget_ulp"])
    rows = rows.merge(known, on=_PLACE, how="left")
    rows["error_ulp"] = rows["error_ulp"].astype("float64").fillna(rows["max_ulp"])
    rows["budget_ulp"] = rows["budget_ulp"].astype("float64").fillna(math.inf)
    return rows


def accurate(rows: pd.DataFrame) -> pd.Series:
    """Return which of `with_errors`' rows stay within their budget."""
    return ~(rows["error_ulp"] > rows["budget_ulp"])


def front(rows: Sequence[Row]) -> list[Row]:
    """Return those of one case's rows that no other beats in both speed and accuracy, the fastest first.

    This is the Pareto front: whoever wants fewer ULP than one of these must wait longer.
    """
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (float(row["median_s"]), float(row["error_ulp"]))):
        if not found or row["error_ulp"] < found[-1]["error_ulp"]:
            found.append(row)
    return found


def prices(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what accuracy costs: the cases whose fastest backend exceeds its budget, and the fastest within.

    `price` is the accurate one's median over the fastest's; without an accurate one, `accurate` is empty.
    """
    found = []
    for case, group in tables.grouped(
        rows.assign(accurate=accurate(rows)).to_dict("records"), schema.CASE
    ).items():
        ordered = sorted(group, key=lambda row: float(row["median_s"]))
        first, other = ordered[0], next((row for row in ordered if row["accurate"]), None)
        if other is first:
            continue
        found.append(
            dict(zip(schema.CASE, case, strict=True))
            | {
                "fastest": first["backend"],
                "fastest_ulp": first["error_ulp"],
                "budget_ulp": first["budget_ulp"],
                "accurate": "" if other is None else other["backend"],
                "accurate_ulp": math.nan if other is None else other["error_ulp"],
                "price": math.nan if other is None else other["median_s"] / first["median_s"],
            }
        )
    return pd.DataFrame(found, columns=[*schema.CASE, *_PRICE])


_PRICE = ("fastest", "fastest_ulp", "budget_ulp", "accurate", "accurate_ulp", "price")


def _judged(accuracy: pd.DataFrame) -> Iterator[Sequence[object]]:
    """Yield the error and budget of each place, and of both passes together where both were checked."""
    # Tables of older runs know the error over all inputs alone.
    known = accuracy.assign(max_ulp=accuracy["max_ulp_normal"].fillna(accuracy["max_ulp"]))
    known = known[known["max_ulp"].notna()]
    by_pass: dict[tuple[str, ...], dict[str, tuple[float, float]]] = {}
    for row in known.to_dict("records"):
        place = (row["op"], row["dtype"], row["backend"], row["device"])
        by_pass.setdefault(place, {})[row["mode"]] = (float(row["max_ulp"]), float(row["budget_ulp"]))
    for (op, dtype, backend, device), passes in by_pass.items():
        if len(passes) > 1:
            # A budget of 0 ULP allows nothing; what exceeds it exceeds it by far.
            passes[BOTH] = max(passes.values(), key=lambda error: error[0] / max(error[1], 0.5))
        for mode, (error, budget) in passes.items():
            yield op, mode, dtype, backend, device, error, budget
