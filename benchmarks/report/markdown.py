"""Markdown tables: medians and speed-ups, for a README or a pull request."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from benchmarks.analysis import quantities, tables


def medians(records: pd.DataFrame) -> str:
    """Return the medians as a Markdown table, the fastest in bold."""
    return _table(tables.medians(records), "Median time per call", quantities.seconds, fastest=min)


def speedups(records: pd.DataFrame) -> str:
    """Return the speed-ups over the baseline as a Markdown table, the fastest in bold."""
    wide = tables.speedups(records, baseline_device="cpu")
    title = f"Speed-up over {tables.BASELINE} on cpu (above 1 is faster)"
    return _table(wide, title, lambda ratio: f"{quantities.number(ratio)}×", fastest=max)


def accuracy(rows: pd.DataFrame) -> str:
    """Return the largest and mean errors as Markdown tables, one per dtype and device."""
    parts = ["# Accuracy\n", _ACCURACY_KEY]
    for (dtype, device), group in rows.groupby(["dtype", "device"], sort=False, dropna=False):
        judged = group[group["status"] != "unavailable"].assign(cell=lambda g: g.apply(_error, axis=1))
        if judged.empty:
            continue
        names = tables.backend_order(judged)
        wide = judged.pivot_table(
            index=["op", "mode"], columns="backend", values="cell", aggfunc="first", sort=False
        )
        body = wide.reindex(columns=names).fillna("").reset_index().to_markdown(index=False, disable_numparse=True)
        parts += [f"## {dtype} on {device}\n", f"{body}\n"]
    return "\n".join(parts)


_ACCURACY_KEY = (
    "Largest error in units of the last place, and the mean in brackets. `!` marks a known deviation, after the "
    "largest error elsewhere; `✕` a failure.\n"
)


def _error(row: pd.Series) -> str:
    largest, mean = quantities.number(row["max_ulp"]), quantities.number(row["mean_ulp"])
    if row["status"] == "ok":
        return f"{largest} ({mean})"
    if row["status"] == "known_deviation":
        return f"{quantities.number(row['max_ulp_elsewhere'])} ({mean}) ! {largest}"
    return f"✕ {largest}"


def _table(
    wide: pd.DataFrame, title: str, form: Callable[[float], str], *, fastest: Callable[[list[float]], float]
) -> str:
    if wide.empty:
        return f"# {title}\n\nNo case was measured successfully.\n"
    cases = wide.index.to_frame(index=False)
    # What is the same in every row is said once, above the table.
    fixed = [key for key in ("dtype", "device", "allocation", "cache", "timing") if len(cases[key].unique()) == 1]
    if (cases["shape"] == cases["n_elements"].astype(str)).all():
        cases = cases.drop(columns="shape")
    said = ", ".join(f"{key} {cases[key].iloc[0]}" for key in fixed if cases[key].iloc[0])
    shown = cases.drop(columns=fixed).assign(n_elements=cases["n_elements"].map(quantities.count))
    rows = [
        [_escape(str(value)) for value in case] + _cells(list(values), form, fastest)
        for case, values in zip(shown.itertuples(index=False), wide.itertuples(index=False), strict=True)
    ]
    names = [_escape(str(name)) for name in [*shown.columns, *wide.columns]]
    align = ["left" if name not in ("n_elements", *wide.columns) else "right" for name in names]
    body = pd.DataFrame(rows, columns=names).to_markdown(index=False, disable_numparse=True, colalign=align)
    return f"# {title}\n\n{said}. Bold: fastest.\n\n{body}\n"


def _cells(
    values: list[float], form: Callable[[float], str], fastest: Callable[[list[float]], float]
) -> list[str]:
    known = [value for value in values if not math.isnan(value)]
    winner = fastest(known) if known else None
    return [
        quantities.MISSING if math.isnan(value) else f"**{form(value)}**" if value == winner else form(value)
        for value in values
    ]


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
