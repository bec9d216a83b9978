"""Views: the parts of a run whose numbers may stand in one table or chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.policies import POLICIES


@dataclass(frozen=True)
class View:
    """Records that agree in all of `keys`, under a label that says in what."""

    label: str
    records: pd.DataFrame
    across_devices: bool = False


@dataclass(frozen=True)
class Choice:
    """Something to choose a view by, such as the dtype, and what there is."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Chosen:
    """The view that one value of each choice gives: `index` holds their places, such as `0 2`."""

    index: str
    label: str
    records: pd.DataFrame


def split(records: pd.DataFrame, keys: Sequence[str]) -> list[View]:
    """Return a view for each combination of `keys` that has a measured row, in the records' order.

    The label names the first key always, and the others where they vary. A row without a
    result also belongs to views of which it says nothing.
    """
    rows = tables.measured(records)
    varied = [key for key in keys if key == keys[0] or len(rows[key].unique()) > 1]
    views = []
    for values in rows[list(keys)].drop_duplicates().itertuples(index=False):
        part = records
        for key, value in zip(keys, values, strict=True):
            silent = part[key].isna() & ((part["status"] != "ok") | (value == ""))
            part = part[(part[key] == value) | silent]
        names = [str(value) for key, value in zip(keys, values, strict=True) if key in varied and value]
        views.append(View(", ".join(names), part))
    return views


def by_precision(records: pd.DataFrame) -> list[View]:
    """Return a view per dtype and set of policies, all devices together."""
    return split(records, ("dtype", *POLICIES))


def by_device(records: pd.DataFrame) -> list[View]:
    """Return a view per dtype, device and set of policies; where there are several devices, also one of all."""
    views = []
    for view in by_precision(records):
        devices = list(tables.measured(view.records)["device"].unique())
        for device in devices:
            part = view.records[view.records["device"] == device]
            views.append(View(f"{view.label} on {device}", part))
        if len(devices) > 1:
            views.append(View(f"{view.label} on all devices", view.records, across_devices=True))
    return views


def choices(rows: pd.DataFrame, keys: Sequence[str]) -> tuple[Choice, ...]:
    """Return those of `keys` that take several values in measured rows, which come in the rows' order."""
    found = (Choice(key, tuple(map(str, rows[key].unique()))) for key in keys)
    return tuple(choice for choice in found if len(choice.options) > 1)


def choose(rows: pd.DataFrame, keys: Sequence[str]) -> list[Chosen]:
    """Return the view of each combination of `choices` that has rows, the first values first."""
    offered = choices(rows, keys)
    if not offered:
        return [Chosen("", "", rows)]
    names = [choice.name for choice in offered]
    found = []
    for values, part in rows.groupby(names, sort=False):
        places = [choice.options.index(str(value)) for choice, value in zip(offered, values, strict=True)]
        found.append(Chosen(" ".join(map(str, places)), ", ".join(str(v) for v in values if v), part))
    return sorted(found, key=lambda view: [int(place) for place in view.index.split()])
