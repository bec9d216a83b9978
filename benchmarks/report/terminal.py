"""The closing lines at the terminal: who is fastest, what is missing, where the report lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.analysis import quantities, tables
from benchmarks.analysis.policies import POLICIES
from benchmarks.analysis.store import Run
from benchmarks.analysis.summary import doubt_sentences, problem_sentences

_KEYS = ("op", "mode", "dtype", "device", *POLICIES)


def render_summary(run: Run, report_path: Path | None, console: Console) -> None:
    """Print the summary of `run` on `console`, fitted to its width."""
    winners = tables.best(run.records)
    if run.records.empty:
        pass  # a run that only checked
    elif winners.empty:
        console.print(Text("No case was measured successfully.", style="bold red"))
    else:
        console.print(_winners_table(run.records, winners, console.width))
    for sentence in doubt_sentences(run.records) + problem_sentences(run.records):
        console.print(Text(sentence, style="yellow"))
    _print_accuracy(run.accuracy, console)
    for warning in run.warnings:
        console.print(Text(f"Warning: {warning}", style="bold yellow"))
    if report_path is not None:
        console.print(Text(f"Report: {report_path}"), soft_wrap=True)


def _print_accuracy(accuracy: pd.DataFrame, console: Console) -> None:
    if accuracy.empty:
        return
    n_known = int((accuracy["status"] == "known_deviation").sum())
    n_failed = int((accuracy["status"].isin(["failed", "crashed", "timeout"])).sum())
    n_ok = int((accuracy["status"] == "ok").sum())
    checks = quantities.plural(len(accuracy), "check")
    text = f"Accuracy: {n_ok} of {checks} within budget, {n_known} known deviations, {n_failed} failed."
    console.print(Text(text, style="red" if n_failed else ""))


def _winners_table(records: pd.DataFrame, winners: pd.DataFrame, width: int) -> Table:
    """Return a row per op and mode, a column per size; in two lines or of fewer sizes where narrow."""
    keys = ["op", "mode", *(key for key in _KEYS[2:] if len(winners[key].unique()) > 1)]
    lines = _lines(records, winners, keys)
    sizes = sorted({size for line in lines.values() for size in line})
    stacked = _needed(lines, sizes, stacked=False) > width
    shown = sizes
    while stacked and len(shown) > 1 and _needed(lines, shown, stacked=True) > width:
        # The ends tell most: sizes go from the middle.
        shown = [size for i, size in enumerate(shown) if i != len(shown) // 2] if len(shown) > 2 else shown[-1:]
    table = Table(
        title=f"Fastest backend, and its speed-up over {tables.BASELINE}", title_justify="left", box=None
    )
    for key in keys if not stacked else [" ".join(keys)]:
        table.add_column(key, overflow="fold")
    for size in shown:
        table.add_column(quantities.count(size), justify="right", overflow="fold")
    for names, line in lines.items():
        heads = [names[0] + "\n  " + " ".join(names[1:])] if stacked else list(names)
        cells = [("\n" if stacked else " ").join(line.get(size, [quantities.MISSING])) for size in shown]
        table.add_row(*map(Text, heads), *map(Text, cells))
    if len(shown) < len(sizes):
        table.caption = (
            f"{len(sizes) - len(shown)} of {len(sizes)} sizes left out: widen the terminal or see the report"
        )
        table.caption_justify = "left"
    return table


def _lines(
    records: pd.DataFrame, winners: pd.DataFrame, keys: Sequence[str]
) -> dict[tuple[str, ...], dict[int, list[str]]]:
    rated = tables.rate(records, baseline_device="cpu").to_dict("records")
    by_case = {tuple(row[key] for key in (*tables.CASE, "backend")): row for row in rated}
    lines: dict[tuple[str, ...], dict[int, list[str]]] = {}
    for row in winners.to_dict("records"):
        fastest = by_case[tuple(row[key] for key in (*tables.CASE, "fastest"))]
        about = "~" if row["doubtful"] or fastest["doubt"] else ""
        others = [name for name in row["contenders"].split(", ") if name != row["fastest"]] if row["tie"] else []
        rival = f" ≈ {others[0] if len(others) == 1 else f'{len(others)} others'}" if others else ""
        line = lines.setdefault(tuple(str(row[key]) for key in keys), {})
        line[int(row["n_elements"])] = [
            f"{row['fastest']}{rival}",
            about + quantities.times(float(fastest["speedup"])),
        ]
    return lines


def _needed(
    lines: Mapping[tuple[str, ...], Mapping[int, Sequence[str]]], sizes: Sequence[int], *, stacked: bool
) -> int:
    """Return the columns of the terminal that the table takes."""
    gap, join = 2, max if stacked else sum
    heads = [
        [len(names[0]), 2 + len(" ".join(names[1:]))] if stacked else [len(n) + gap for n in names]
        for names in lines
    ]
    needed = gap + max(map(join, heads))
    for size in sizes:
        cells = [[len(part) for part in line[size]] for line in lines.values() if size in line]
        widest = max(max(cell) if stacked else sum(cell) + 1 for cell in cells)
        needed += gap + max(len(quantities.count(size)), widest)
    return needed
