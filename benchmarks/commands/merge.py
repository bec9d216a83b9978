"""`python -m benchmarks merge RUN ...`: make one run of shards, or of the runs of several machines.

A RUN is a journal, a folder of journals, a results folder, an id, or a name, which stands for all shards saved
under it. Parts of one machine must have been measured under the same conditions, and shards by equal machines;
otherwise nothing is merged, and the differences are listed. If two parts measured the same group, the later one
counts. A run that lacks shards is no baseline.

Example: python -m benchmarks merge shard-*/runs/journals --into nightly
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from benchmarks import invocation
from benchmarks.commands import add_results
from benchmarks.exits import Exit
from benchmarks.plan import arguments
from benchmarks.quantities import listing, plural
from benchmarks.record import history, merge
from benchmarks.record.journal import load_runs
from benchmarks.record.merge import Section, Source
from benchmarks.record.run import Run

_MOST = 12
"""Differences that are listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=arguments.given,
        metavar="RUN",
        help="a journal, a folder of them, a results folder, an id or a name",
    )
    parser.add_argument(
        "--into",
        type=arguments.given,
        metavar="NAME",
        help="what the run is saved as (default: the name that all of them have)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="merge parts that differ all the same; the run is then marked (default: refuse)",
    )
    add_results(parser)


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Merge, say what of, and append a complete run to the history."""
    found = merge.sources(options.runs, options.results)
    name = options.into or _name(found)
    sections = merge.sections(found)
    if not options.force:
        _require_alike(sections)
    command = f"{invocation.command()} merge {' '.join(options.runs)}"
    path = merge.write(sections, options.results, saved_as=name, command=command)
    runs = load_runs(path)
    for line in _told(found, sections, runs):
        console.print(Text(line), soft_wrap=True)
    if all(each.complete for each in runs):
        _append(runs, options.results)
    else:
        console.print(Text("Not in the history, and no baseline: merge it again when the rest is measured."))
    console.print(Text(f"Written: {path}, as {name!r}"), soft_wrap=True)
    return Exit.FINE


def _name(found: Sequence[Source]) -> str:
    """Return the name that all runs were saved under; raise ValueError where they have none, or several."""
    names = list(dict.fromkeys(str(each.opening["saved_as"]) for each in found))
    if len(names) > 1 or not names[0]:
        told = listing([name or "no name" for name in names])
        raise ValueError(f"--into: must name the merged run, since its parts were saved under {told}")
    return names[0]


def _require_alike(sections: Sequence[Section]) -> None:
    """Raise ValueError for parts of one machine that should not be one run."""
    found = [each for section in sections for each in section.conflicts]
    if found:
        more = [f"and {len(found) - _MOST + 1} more"] if len(found) > _MOST else []
        shown = found[: _MOST - 1] if more else found
        lines = ["cannot merge, since parts of one machine differ:", *(f"  {each}" for each in (*shown, *more))]
        raise ValueError("\n".join([*lines, "Leave a part out, or merge all the same with --force."]))


def _told(found: Sequence[Source], sections: Sequence[Section], runs: Sequence[Run]) -> Iterator[str]:
    n_cases = sum(len(each.records) for each in runs)
    what = f"{plural(len(found), 'run')}, {plural(n_cases, 'case')} on {plural(len(sections), 'machine')}"
    yield f"Merged: {what}: {listing([each.machine_name for each in runs])}."
    for section, each in zip(sections, runs, strict=True):
        where = f"{each.machine_name}: " if len(runs) > 1 else ""
        yield from (f"Note: {where}{note}" for note in section.notes)
        yield from (f"Warning: {where}{conflict}" for conflict in section.conflicts)
        if each.shortfall:
            yield f"Warning: {where}{each.shortfall}"
    if names := merge.differing(sections):
        yield f"The machines differ in {listing(names, most=_MOST)}."


def _append(runs: Sequence[Run], results: Path) -> None:
    """Append a run to the history, a file a machine id."""
    records = pd.concat([each.records for each in runs], ignore_index=True)
    for _, rows in records.groupby("machine_id", dropna=False, sort=False):
        history.append(rows.reset_index(drop=True), results)
