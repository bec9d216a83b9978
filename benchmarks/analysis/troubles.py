"""What has no result and why, and what makes results doubtful: tables derived from records."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.tables import backend_order

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Trouble:
    """Cases that have one reason in common; `n_reasons` says how many reasons were taken for one.

    `status` is how the cases ended; it is `ok` where they have results, and these are doubtful.
    """

    status: str
    reason: str
    n_reasons: int
    backends: tuple[str, ...]
    devices: tuple[str, ...]
    ops: tuple[str, ...]
    n_cases: int


def problems(rows: pd.DataFrame, *, alike: bool = False) -> list[Trouble]:
    """Return what has no result and why, from records or accuracy rows: one trouble per status and reason.

    Reasons that are `alike`, differing only in numbers and the op's name, can be taken together: the first stands
    for all. Known deviations are results, and so do not appear here.
    """
    bad = rows[~rows["status"].isin(["ok", "known_deviation"])]
    bad = bad.assign(status=bad["status"].fillna("unknown"), reason=bad["reason"].fillna(""))
    kind = bad["reason"]
    if alike:
        pairs = zip(bad["reason"], bad["op"].fillna(""), strict=True)
        kind = pd.Series(
            [_NUMBER.sub("#", re.sub(rf"\b{re.escape(op)}\b", "op", text)) for text, op in pairs], bad.index
        )
    found = [
        _trouble(str(status), str(group["reason"].iloc[0]), group["reason"].nunique(), group)
        for (status, _), group in bad.assign(kind=kind).groupby(["status", "kind"], sort=False)
    ]
    # What is broken comes first; of what was taken together, the most frequent.
    return sorted(found, key=lambda each: (each.status == "unavailable", -each.n_cases if alike else 0))


def doubts(rows: pd.DataFrame) -> list[Trouble]:
    """Return what makes measured results doubtful and how many of them, the most frequent first.

    Warnings that differ only in their numbers count as one; the middle one stands for all. A result with several
    warnings counts under each.
    """
    rows = rows.assign(warning=rows["warning"].str.split("; ")).explode("warning")
    rows = rows[rows["warning"].fillna("") != ""]
    groups = rows.groupby(rows["warning"].str.replace(_NUMBER, "#", regex=True), sort=False)
    found = [
        _trouble("ok", sorted(group["warning"], key=_numbers)[len(group) // 2], 1, group) for _, group in groups
    ]
    return sorted(found, key=lambda each: -each.n_cases)


def _trouble(status: str, reason: str, n_reasons: int, group: pd.DataFrame) -> Trouble:
    return Trouble(
        status=status,
        reason=reason,
        n_reasons=n_reasons,
        backends=tuple(backend_order(group)),
        devices=_distinct(group["device"]),
        ops=_distinct(group["op"]),
        n_cases=len(group),
    )


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]


def _distinct(values: pd.Series) -> tuple[str, ...]:
    return tuple(str(value) for value in values.dropna().unique())
