"""Markdown tables: medians, speed-ups, policies and accuracy, for a README or a pull request."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.limits import FACTS, LARGE, means, sentences
from benchmarks.analysis.peers import mean_lead
from benchmarks.analysis.policies import combinations, side_by_side
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES
from benchmarks.report.cells import Table


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a table too."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def from_table(table: Table) -> str:
    """Return a table of the page as Markdown: texts and marks, without tips."""
    rows = [[escape(cell.text) for cell in row] for row in table.rows]
    return pd.DataFrame(rows, columns=pd.Index(map(escape, table.headings))).to_markdown(
        index=False,
        disable_numparse=True,
        colalign=["right" if numeric else "left" for numeric in table.numeric],
    )


def medians(records: pd.DataFrame) -> str:
    """Return the medians as a Markdown table, the fastest in bold."""
    doubts = doubtful(records, "warning")
    return _table(tables.medians(records), doubts, "Median time per call", quantities.seconds, fastest=min)


def speedups(records: pd.DataFrame) -> str:
    """Return the speed-ups over the baseline as a Markdown table, the fastest in bold."""
    wide = tables.speedups(records, baseline_device="cpu")
    title = f"Speed-up over {tables.BASELINE} on cpu (above 1 is faster)"
    return _table(wide, doubtful(records, "doubt"), title, lambda r: f"{quantities.number(r)}×", fastest=max)


def policies(records: pd.DataFrame) -> str:
    """Return each backend's medians under several policies side by side, as a Markdown table."""
    table = side_by_side(records)
    first, *others = combinations(records)
    names = ["op", "mode", *tables.telling(table, ("dtype", "device", "shape")), "n_elements", "backend"]
    rows = []
    for row in table.to_dict("records"):
        cells = [quantities.count(row[key]) if key == "n_elements" else escape(str(row[key])) for key in names]
        cells += [_time(row, first)]
        for label in others:
            cells += [_time(row, label), quantities.times(row[f"{label}_ratio"])]
        rows.append(cells)
    headings = [*names, first, *(heading for label in others for heading in (label, f"× {first}"))]
    align = ["right" if name not in names or name == "n_elements" else "left" for name in headings]
    body = pd.DataFrame(rows, columns=pd.Index(map(escape, headings))).to_markdown(
        index=False, disable_numparse=True, colalign=align
    )
    title = f"Median time per call under several policies, and how many times as fast as {first}"
    key = f"{_DOUBT_KEY}\n\n" if "~" in body else ""
    return f"# {escape(title)}\n\n{key}{body}\n"


def _time(row: Mapping[Hashable, Any], label: str) -> str:
    doubtful = isinstance(row[f"{label}_warning"], str) and row[f"{label}_warning"] != ""
    return "~" * doubtful + quantities.seconds(row[f"{label}_s"])


def limits(shares: pd.DataFrame) -> str:
    """Return how close each backend comes to the limit, from `limits.closeness`: means, then a table."""
    names = [name for name in shares.columns if name not in {*schema.CASE, *FACTS}]
    told = ["op", "mode", *tables.telling(shares, ("dtype", "device", *POLICIES, "shape"))]
    rows = []
    for row in shares.to_dict("records"):
        ahead = "tie" if row["tie"] else quantities.times(row["ratio"])
        rows.append(
            [escape(str(row[key])) for key in told]
            + [quantities.count(row["n_elements"]), quantities.number(row["limit_gigabytes_per_s"])]
            + [
                f"{'~' * bool(row['doubtful'])}{row['first']}",
                quantities.percents(row["share_low"], row["share_high"]),
            ]
            + ["" if pd.isna(row["ratio"]) else ahead, quantities.number(row["ns_per_element"])]
            + ["" if pd.isna(row[name]) else quantities.percent(row[name]) for name in names]
        )
    headings = [*told, "elements", "limit, GB/s", "first", "its share, 95 % interval", "ahead of the next"]
    headings += ["ns an element", *names]
    body = pd.DataFrame(rows, columns=pd.Index(map(escape, headings))).to_markdown(
        index=False,
        disable_numparse=True,
        colalign=["left" if name in (*told, "first") else "right" for name in headings],
    )
    parts = ["# How close to the limit", _LIMITS_KEY, *sentences(shares)]
    parts += [f"Geometric mean over {text}" for text in _mean_shares(shares)]
    return "\n\n".join([*parts, f"{body}\n"])


def _mean_shares(shares: pd.DataFrame) -> list[str]:
    found = []
    keys = ["dtype", "device", *POLICIES]
    for case, group in means(shares).groupby(keys, sort=False):
        each = [f"{row['backend']} {quantities.percent(row['share'])}" for row in group.to_dict("records")]
        n_cases = quantities.plural(int(group["n_cases"].iloc[0]), "case")
        where = " ".join(str(value) for value in case if value)
        found.append(f"{n_cases} of {LARGE:,} elements or more ({where}): {', '.join(each)}.")
    return found


_LIMITS_KEY = (
    "Shares of the bandwidth that copies of as many bytes reach in this run, or reading alone for what writes "
    "next to nothing. An op that computes much stays below. In the caches more than 100 % can be real: what a "
    "copy measures there is its own loop, too."
)


def peers(table: pd.DataFrame) -> str:
    """Return the fastest backends beside the fastest peers, of `peers.against_peers`, as Markdown."""
    told = ["op", "mode", *tables.telling(table, ("dtype", "device", *POLICIES, "shape"))]
    rows = []
    for row in table.to_dict("records"):
        timed = not pd.isna(row["ratio"])
        interval = f" ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})" if timed else ""
        rows.append(
            [escape(str(row[key])) for key in told]
            + [quantities.count(row["n_elements"]), str(row["backend"]), quantities.seconds(row["median_s"])]
            + [str(row["peer"]), quantities.seconds(row["peer_median_s"]) if timed else ""]
            + [f"{row['ratio']:.2f}{interval}" if timed else "", escape(str(row["inaccurate"]))]
        )
    headings = [
        *told,
        "elements",
        "fastest",
        "its time",
        "fastest peer",
        "its time ",
        "peer / fastest",
        "inaccurate",
    ]
    body = pd.DataFrame(rows, columns=pd.Index(map(escape, headings))).to_markdown(
        index=False, disable_numparse=True
    )
    mean = mean_lead(table)
    said = "" if math.isnan(mean) else f"Geometric mean of peer / fastest: {quantities.times(mean)}.\n\n"
    return f"# Against other libraries\n\n{_PEERS_KEY}\n\n{said}{body}\n"


_PEERS_KEY = (
    "The fastest backend, and the fastest of the other libraries whose result passed the cross-check; above 1 the "
    "backend is faster. What is inaccurate was not timed."
)


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


_DOUBT_KEY = "`~`: doubtful; see `warning` in records.csv."
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


def doubtful(records: pd.DataFrame, column: str) -> set[tuple[object, ...]]:
    """Return the case and backend of every row whose `column`, of `tables.rate`, says something."""
    rows = tables.rate(records, baseline_device="cpu")
    return set(rows.loc[rows[column] != "", [*schema.CASE, "backend"]].itertuples(index=False, name=None))


def _table(
    wide: pd.DataFrame,
    doubtful: AbstractSet[tuple[object, ...]],
    title: str,
    form: Callable[[float], str],
    *,
    fastest: Callable[[list[float]], float],
) -> str:
    if wide.empty:
        return f"# {title}\n\nNo case was measured successfully.\n"
    cases = wide.index.to_frame(index=False)
    # What is the same in every row is said once, above the table.
    fixed = [key for key in ("dtype", "device", *POLICIES) if len(cases[key].unique()) == 1]
    if (cases["shape"] == cases["n_elements"].astype(str)).all():
        cases = cases.drop(columns="shape")
    said = ", ".join(f"{key} {cases[key].iloc[0]}" for key in fixed if cases[key].iloc[0])
    shown = cases.drop(columns=fixed).assign(n_elements=cases["n_elements"].map(quantities.count))
    rows = [
        [escape(str(value)) for value in case]
        + _cells(list(values), [(*key, name) in doubtful for name in wide.columns], form, fastest)
        for case, (key, *values) in zip(shown.itertuples(index=False), wide.itertuples(name=None), strict=True)
    ]
    names = [escape(str(name)) for name in [*shown.columns, *wide.columns]]
    align = ["left" if name not in ("n_elements", *wide.columns) else "right" for name in names]
    body = pd.DataFrame(rows, columns=names).to_markdown(index=False, disable_numparse=True, colalign=align)
    return f"# {title}\n\n{said}. Bold: fastest.{f' {_DOUBT_KEY}' if doubtful else ''}\n\n{body}\n"


def _cells(
    values: Sequence[float],
    doubtful: Sequence[bool],
    form: Callable[[float], str],
    fastest: Callable[[list[float]], float],
) -> list[str]:
    known = [value for value in values if not math.isnan(value)]
    winner = fastest(known) if known else None
    texts = ["~" * doubt + form(value) for value, doubt in zip(values, doubtful, strict=True)]
    return [
        quantities.MISSING if math.isnan(value) else f"**{text}**" if value == winner else text
        for value, text in zip(values, texts, strict=True)
    ]
