"""Policies: one backend's results under several of them, side by side; never one backend's with another's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from benchmarks.analysis.entries import Key, Timed, grouped
from benchmarks.analysis.verdicts import UNKNOWN, Verdicts
from benchmarks.record import schema
from benchmarks.record.schema import DEFAULTS, POLICIES

KEYS: tuple[str, ...] = (*(key for key in schema.CASE if key not in POLICIES), "backend")
"""What results share that differ in policies alone."""


def varied(rows: pd.DataFrame) -> list[str]:
    """Return the policies that take several values among measured rows, and so must be named."""
    return [policy for policy in POLICIES if len(rows[policy].unique()) > 1]


def combinations(rows: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return the combinations that were measured, such as `fresh` and `reuse`; the first is the default.

    A combination is called by the policies that vary, which are `names`. Where the default was not measured, the
    one closest to it comes first.
    """
    found = list(rows[list(names)].drop_duplicates().itertuples(index=False, name=None)) if names else []
    defaults = [DEFAULTS[name] for name in names]
    found.sort(key=lambda values: sum(value != usual for value, usual in zip(values, defaults, strict=True)))
    return [_label(values) for values in found]


def side_by_side(
    rows: pd.DataFrame, names: Sequence[str], labels: Sequence[str], verdicts: Verdicts
) -> pd.DataFrame:
    """Return results measured under several policies: a row per case and backend, columns per combination.

    With `fresh` and `reuse` these are `fresh_s`, `fresh_warning`, `reuse_s`, `reuse_warning`, and `reuse_ratio`:
    the default's median over this one, so that above 1 is faster than the default, with `reuse_ratio_low`,
    `reuse_ratio_high` and `reuse_verdict`. `names` are the policies that vary, `labels` their combinations.
    """
    if not labels:
        return pd.DataFrame(columns=list(KEYS))
    combination = pd.Series([_label(values) for values in rows[list(names)].itertuples(index=False)], rows.index)
    table = rows[list(KEYS)].drop_duplicates()
    usual: Mapping[Key, list[Timed]] = {}
    for label in labels:
        here = rows[combination == label]
        names_here = {"median_s": f"{label}_s", "warning": f"{label}_warning"}
        facts = here[[*KEYS, *names_here]].rename(columns=names_here)
        timed = grouped(here, KEYS, Timed)
        if label == labels[0]:
            usual = timed
        else:
            found = [
                verdicts.over(usual[key][0], own) if key in usual else UNKNOWN for key, (own,) in timed.items()
            ]
            facts[f"{label}_ratio"] = [each.ratio for each in found]
            facts[f"{label}_ratio_low"] = [each.low for each in found]
            facts[f"{label}_ratio_high"] = [each.high for each in found]
            facts[f"{label}_verdict"] = [each.verdict for each in found]
        table = table.merge(facts, on=list(KEYS), how="left")
    several = table[[f"{label}_s" for label in labels]].notna().sum(axis="columns") > 1
    return table[several].reset_index(drop=True)


def _label(values: Iterable[str]) -> str:
    return ", ".join(value or "unknown" for value in values)
