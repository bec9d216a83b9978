"""Views: the parts of a run whose numbers may stand in one table or chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.record.schema import POLICIES

Facets = Mapping[str, str]
"""What a view shows, by the name of what a reader may choose: `{"dtype": "float32", "device": "cpu"}`."""


@dataclass(frozen=True)
class View:
    """Records that agree in all of `facets`, under a label that says in what."""

    label: str
    records: pd.DataFrame
    facets: Facets = field(default_factory=dict)
    across_devices: bool = False


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
        facets = {key: str(value) for key, value in zip(keys, values, strict=True)}
        names = [facets[key] for key in keys if key in varied and facets[key]]
        views.append(View(", ".join(names), part, facets))
    return views


def by_device(records: pd.DataFrame, *keys: str) -> list[View]:
    """Return a view per `keys`, dtype, device and set of policies; of several devices also one of all."""
    views = []
    for view in split(records, (*keys, "dtype", *POLICIES)):
        devices = list(tables.measured(view.records)["device"].unique())
        for device in devices:
            part = view.records[view.records["device"] == device]
            views.append(View(f"{view.label} on {device}", part, {**view.facets, "device": device}))
        if len(devices) > 1:
            everywhere = {**view.facets, "device": "all devices"}
            views.append(View(f"{view.label} on all devices", view.records, everywhere, across_devices=True))
    return views


def dimensions(views: Sequence[Facets]) -> list[tuple[str, list[str]]]:
    """Return what a reader can choose among views: each name with its values, where there are several."""
    names = list(dict.fromkeys(name for facets in views for name in facets))
    values = {name: list(dict.fromkeys(facets[name] for facets in views if name in facets)) for name in names}
    return [(name, values[name]) for name in names if len(values[name]) > 1]


def choose(rows: pd.DataFrame, keys: Sequence[str]) -> list[View]:
    """Return a view for each combination of those `keys` that vary among measured rows, the first values first."""
    varied = [key for key in keys if len(rows[key].unique()) > 1]
    if not varied:
        return [View("", rows)]
    order = {key: {str(value): i for i, value in enumerate(rows[key].unique())} for key in varied}
    found = []
    for values, part in rows.groupby(varied, sort=False):
        facets = dict(zip(varied, map(str, values), strict=True))
        found.append(View(", ".join(value for value in facets.values() if value), part, facets))
    return sorted(found, key=lambda view: [order[key][value] for key, value in view.facets.items()])
