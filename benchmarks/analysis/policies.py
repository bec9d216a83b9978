"""Policies: one backend's results under several of them, side by side; never one backend's with another's."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.record import schema
from benchmarks.record.schema import DEFAULTS, POLICIES

KEYS: tuple[str, ...] = (*(key for key in schema.CASE if key not in POLICIES), "backend")
"""What results share that differ in policies alone."""


def varied(records: pd.DataFrame) -> list[str]:
    """Return the policies that take several values among the measured rows, and so must be named."""
    rows = tables.measured(records)
    return [policy for policy in POLICIES if len(rows[policy].unique()) > 1]


def combinations(records: pd.DataFrame) -> list[str]:
    """Return the combinations that were measured, such as `fresh` and `reuse`; the first is the default.

    A combination is called by the policies that vary. Where the default was not measured, the one closest to it
    comes first.
    """
    rows, names = tables.measured(records), varied(records)
    found = rows[names].drop_duplicates().to_dict("records")
    found.sort(key=lambda values: sum(values[name] != DEFAULTS[name] for name in names))
    return [_label([values[name] for name in names]) for values in found] if names else []


def side_by_side(records: pd.DataFrame) -> pd.DataFrame:
    """Return results measured under several policies: a row per case and backend, columns per combination.

    With `fresh` and `reuse` these are `fresh_s`, `fresh_warning`, `reuse_s`, `reuse_warning`, and `reuse_ratio`:
    the default's median over this one, so that above 1 is faster than the default.
    """
    names, labels = varied(records), combinations(records)
    if not labels:
        return pd.DataFrame(columns=list(KEYS))
    rows = tables.measured(records)
    rows["combination"] = [_label(values) for values in rows[names].itertuples(index=False)]
    table = rows[list(KEYS)].drop_duplicates()
    for label in labels:
        here = rows[rows["combination"] == label][[*KEYS, "median_s", "warning"]]
        names_here = {"median_s": f"{label}_s", "warning": f"{label}_warning"}
        table = table.merge(here.rename(columns=names_here), on=list(KEYS), how="left")
        if label != labels[0]:
            table[f"{label}_ratio"] = table[f"{labels[0]}_s"] / table[f"{label}_s"]
    several = table[[f"{label}_s" for label in labels]].notna().sum(axis="columns") > 1
    return table[several].reset_index(drop=True)


def _label(values: Iterable[str]) -> str:
    return ", ".join(value or "unknown" for value in values)
