"""Views: the parts of a run whose numbers may stand in one table or chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.record.schema import DEFAULTS, POLICIES

if TYPE_CHECKING:
    import pandas as pd

Facets = Mapping[str, str]
"""What a view shows, by the name of what a reader may choose: `{"dtype": "float32", "device": "cpu"}`."""


@dataclass(frozen=True)
class View:
    """Rows that agree in all of `facets`, under a label that says in what.

    With `across_devices`, it holds rows of all devices.
    """

    label: str
    rows: pd.DataFrame
    facets: Facets = field(default_factory=dict)
    across_devices: bool = False

    def part_of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of another table that belong to this view."""
        for name, value in self.facets.items():
            if not (self.across_devices and name == "device"):
                frame = frame[frame[name] == value]
        return frame

    def silent_part_of(self, records: pd.DataFrame) -> pd.DataFrame:
        """Return the records without a result that belong to this view, those included that do not say so."""
        records = records[records["status"] != "ok"]
        for name, value in self.facets.items():
            if not (self.across_devices and name == "device"):
                records = records[(records[name] == value) | (records[name].isna() & (name != "device"))]
        return records


def split(rows: pd.DataFrame, keys: Sequence[str]) -> list[View]:
    """Return a view of measured rows for each combination of `keys`, in the rows' order; usual policies first.

    The label names the first key always, and the others where they vary.
    """
    varied = [key for key in keys if key == keys[0] or len(rows[key].unique()) > 1]
    views = []
    for values, part in rows.groupby(list(keys), sort=False):
        facets = {key: str(value) for key, value in zip(keys, values, strict=True)}
        names = [facets[key] for key in keys if key in varied and facets[key]]
        views.append(View(", ".join(names), part, facets))
    return sorted(views, key=lambda view: unusual(view.facets))


def unusual(facets: Facets) -> int:
    """Return how many policies differ from the usual ones."""
    return sum(name in DEFAULTS and value not in (DEFAULTS[name], "") for name, value in facets.items())


def by_device(rows: pd.DataFrame, *keys: str) -> list[View]:
    """Return a view per `keys`, dtype, device and set of policies; with several devices, also one of all."""
    views = []
    for view in split(rows, (*keys, "dtype", *POLICIES)):
        devices = list(view.rows["device"].unique())
        for device in devices:
            part = view.rows[view.rows["device"] == device]
            views.append(View(f"{view.label} on {device}", part, {**view.facets, "device": device}))
        if len(devices) > 1:
            everywhere = {**view.facets, "device": "all devices"}
            views.append(View(f"{view.label} on all devices", view.rows, everywhere, across_devices=True))
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
