"""`python -m benchmarks compare BASE HEAD`: what changed between two saved runs.

BASE and HEAD are saved names (--benchmark-save), numbers such as 0001, or files. Exit status: 0 nothing got worse,
1 something is slower or fails now, 2 the runs cannot be compared, 3 nothing could be judged, 4 a result is wrong,
5 a kernel cheated. Of merged runs, each machine that both have is compared with itself; NAME@MACHINE names one.

Example: python -m benchmarks compare before after --margin 3%
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.commands import add_output, add_results
from benchmarks.exits import Exit
from benchmarks.judge.comparable import differences, nothing_in_common
from benchmarks.judge.compare import compare
from benchmarks.plan import arguments
from benchmarks.quantities import listing
from benchmarks.record import saved
from benchmarks.record.rows import is_missing, listed
from benchmarks.record.run import Run
from benchmarks.report.text.comparison import TEXTS, Comparison, reasons_in_common, render, write
from benchmarks.stats.effects import Criteria

_MOST = 6
"""Machines that a message names."""


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
        "--any-host", action="store_true", help="take equal machines for one, whatever their hosts (default: not)"
    )
    parser.add_argument(
        "--format", choices=("table", *TEXTS), default="table", help="what to print (default: table)"
    )
    add_results(parser)
    add_output(parser, "a folder for comparison.md and comparison.json (default: none)")


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Compare and print; return the verdict on the whole."""
    bases, heads = (saved.load_each(name, options.results) for name in (options.base, options.head))
    if len(bases) == len(heads) == 1:
        return _compare(options, bases[0], heads[0], options.output, console)
    if options.format == "json":
        raise ValueError("--format: json is of one machine; name one on each side, as in NAME@MACHINE")
    ended = []
    for name, base, head in _machines(bases, heads):
        print(f"On {name}:" if options.format == "table" else f"## {name}\n")
        try:
            ended.append(_compare(options, base, head, options.output and options.output / name, console))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return max(ended, key=_GRAVITY.index)


_GRAVITY = (Exit.UNSURE, Exit.FINE, Exit.WRONG, Exit.WORSE, Exit.CHEATED)
"""How the comparison of one machine can end, as `Comparison.exit_status` orders it; the last of several counts."""


def _machines(bases: Sequence[Run], heads: Sequence[Run]) -> list[tuple[str, Run, Run]]:
    """Return the machines of both sides, and say which are of one alone; raise ValueError if none is of both."""
    old, new = ({each.machine_name: each for each in runs} for runs in (bases, heads))
    found = [(name, old[name], new[name]) for name in old if name in new]
    if not found:
        there_are = " against ".join(listing(list(each), most=_MOST) for each in (old, new))
        raise ValueError(f"these runs cannot be compared: no machine is in both: {there_are}")
    for side, names in (("base", old.keys() - new.keys()), ("head", new.keys() - old.keys())):
        if names:
            print(f"note: only in the {side}: {listing(sorted(names), most=_MOST)}", file=sys.stderr)
    return found


def _compare(options: argparse.Namespace, base: Run, head: Run, output: Path | None, console: Console) -> Exit:
    """Compare two runs of one machine, or of several across machines, and print; return the verdict."""
    _require_baseline(options.base, base)
    _require_comparable(base, head, across_machines=options.across_machines, any_host=options.any_host)
    criteria = Criteria(threshold=options.margin)
    cases, notes = compare(base, head, criteria, shares=options.across_machines)
    if head.shortfall:
        notes = [f"Of the head: {head.shortfall}", *notes]
    if options.across_machines:
        notes = [
            "These are fractions of each machine's own bandwidth, not times.",
            "A kernel that is limited by computing looks slower on a machine with faster memory.",
            *(f"Differs: {text}." for text in differences(base, head, any_host=options.any_host)),
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
    if output:
        write(comparison, output)
    return comparison.exit_status


def _require_baseline(name: str, base: Run) -> None:
    """Raise ValueError for a run that must not be the base."""
    if base.regression:
        raise ValueError(f"{name}: is no baseline, since it failed a comparison itself: {base.regression}")
    if base.shortfall:
        raise ValueError(f"{name}: is no baseline. {base.shortfall}")


def _require_comparable(base: Run, head: Run, *, across_machines: bool, any_host: bool) -> None:
    """Raise ValueError for runs that must not be compared, with what differs."""
    found = nothing_in_common(base.at_hand("records"), head.at_hand("records"))
    if not across_machines:
        found = found or differences(base, head, any_host=any_host)
    if found:
        hint = "" if across_machines else "; --across-machines compares fractions of each machine's bandwidth"
        hint = "; --any-host takes equal machines for one" if _is_of_host_alone(found) else hint
        raise ValueError("these runs cannot be compared: " + "; ".join(found) + hint)


def _is_of_host_alone(found: Sequence[str]) -> bool:
    return all(each.startswith("host") for each in found)


def _label(name: str, run: Run) -> str:
    """Return a run's name, and the commit that it measured."""
    known = dict.fromkeys(listed(run.at_hand("records")["git_commit"]))
    commits = [str(commit)[:12] for commit in known if not is_missing(commit)]
    return f"{Path(name).stem} ({commits[0]})" if len(commits) == 1 else Path(name).stem
