"""`python -m benchmarks compare BASE HEAD`: what changed between two saved runs.

BASE and HEAD are saved names (--benchmark-save), numbers such as 0001, or files. Exit status: 0 nothing got worse,
1 something is slower or fails now, 2 the runs cannot be compared, 3 nothing could be judged, 4 a result is wrong,
5 a kernel cheated.

Example: python -m benchmarks compare before after --margin 3%
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.commands import add_output, add_results
from benchmarks.exits import Exit
from benchmarks.judge.comparable import differences, nothing_in_common
from benchmarks.judge.compare import compare
from benchmarks.plan import arguments
from benchmarks.record import saved
from benchmarks.record.run import Run
from benchmarks.report.text.comparison import TEXTS, Comparison, reasons_in_common, render, write
from benchmarks.stats.effects import Criteria


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    for side in ("base", "head"):
        parser.add_argument(
            side,
            type=arguments.given,
            metavar=side.upper(),
            help="a saved name, a number such as 0001, or a file",
        )
    arguments.add_margin(parser.add_argument, "--threshold")
    parser.add_argument(
        "--across-machines",
        action="store_true",
        help="for different machines or settings: compare shares of each machine's own bandwidth (default: not)",
    )
    parser.add_argument(
        "--format", choices=("table", *TEXTS), default="table", help="what to print (default: table)"
    )
    add_results(parser)
    add_output(parser, "a folder for comparison.md and comparison.json (default: none)")


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Compare and print; return the verdict on the whole."""
    base, head = (saved.load(name, options.results) for name in (options.base, options.head))
    _require_baseline(options.base, base)
    _require_comparable(base, head, across_machines=options.across_machines)
    criteria = Criteria(threshold=options.margin)
    cases, notes = compare(base, head, criteria, shares=options.across_machines)
    if head.shortfall:
        notes = [f"Of the head: {head.shortfall}", *notes]
    if options.across_machines:
        notes = [
            "These are fractions of each machine's own bandwidth, not times.",
            "A kernel that is limited by computing looks slower on a machine with faster memory.",
            *(f"Differs: {text}." for text in differences(base, head)),
            *notes,
        ]
    comparison = Comparison(
        _label(options.base, base),
        _label(options.head, head),
        cases,
        criteria,
        "bursts",
        (*notes, *reasons_in_common(cases)),
        shares=options.across_machines,
    )
    if options.format == "table":
        render(comparison, console)
    else:
        print(TEXTS[options.format](comparison), end="")
    if options.output:
        write(comparison, options.output)
    return comparison.exit_status


def _require_baseline(name: str, base: Run) -> None:
    """Raise ValueError for a run that must not be the base."""
    if base.regression:
        raise ValueError(f"{name}: is no baseline, since it failed a comparison itself: {base.regression}")
    if base.shortfall:
        raise ValueError(f"{name}: is no baseline. {base.shortfall}")


def _require_comparable(base: Run, head: Run, *, across_machines: bool) -> None:
    """Raise ValueError for runs that must not be compared, with what differs."""
    found = nothing_in_common(base.records, head.records)
    if not across_machines:
        found = found or differences(base, head)
    if found:
        hint = "" if across_machines else "; --across-machines compares fractions of each machine's bandwidth"
        raise ValueError("these runs cannot be compared: " + "; ".join(found) + hint)


def _label(name: str, run: Run) -> str:
    """Return a run's name, and the commit that it measured."""
    commits = [str(commit)[:12] for commit in run.records["git_commit"].dropna().unique()]
    return f"{Path(name).stem} ({commits[0]})" if len(commits) == 1 else Path(name).stem
