"""`python -m benchmarks trend`: show how a metric of every case changed over the saved runs.

The history holds every run saved with `--benchmark-save`. A change is named with the last commit before and the
first after it. Exit status: 0 whatever is found (use `compare` or `ab` as gates), 3 if no saved run
measured what you ask for, 2 if there is none.

Example: python -m benchmarks trend --op gelu --backend torch --changed
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from benchmarks.commands import add_output, add_results
from benchmarks.exits import CannotTell, Exit
from benchmarks.judge import trend
from benchmarks.judge.trend import Series
from benchmarks.plan import arguments
from benchmarks.record import history, unfinished
from benchmarks.record.atomic import replace
from benchmarks.record.rows import Rows
from benchmarks.report.text.trend import render, to_json, to_markdown

_MOST_INCOMPLETE = 3
"""Runs that are named since they are not complete."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    arguments.add_filters(parser.add_argument)
    only = "only machines whose id begins so; may be repeated (default: all)"
    arguments.add_filter(parser.add_argument, "--machine", only, type=arguments.given)
    parser.add_argument(
        "--any-host", action="store_true", help="take equal machines for one, whatever their hosts (default: not)"
    )
    parser.add_argument(
        "--metric", default="median_s", choices=tuple(trend.METRICS), help="what to show (default: median_s)"
    )
    arguments.add_margin(parser.add_argument, "--threshold")
    parser.add_argument("--changed", action="store_true", help="show only cases that changed (default: all)")
    parser.add_argument(
        "--format", default="table", choices=tuple(_FORMATS), help="how to print it (default: table)"
    )
    add_results(parser)
    parser.add_argument(
        "--page", action="store_true", help="write a web page too, with a chart for each case (default: not)"
    )
    add_output(parser, "where that page goes (default: RESULTS/trend.html)")


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Print the trends, and write their page where it is asked for."""
    try:
        records = history.rows(options.results, trend.columns(options.metric))
    except ValueError:
        _tell_incomplete(options.results, ())
        raise
    only = arguments.filters(options)
    if options.machine:
        only["machine_id"] = _machines(records, options.machine)
    _tell_incomplete(options.results, set(records["run_id"]))
    found = trend.trends(records, options.metric, threshold=options.margin, only=only, any_host=options.any_host)
    if not found:
        raise CannotTell(f"history: no saved run measured {options.metric} of what you asked for")
    if options.changed:
        found = [series for series in found if series.changes]
    if not found:
        console.print(f"No case changed by {100 * options.margin:g} % or more.", highlight=False)
        return Exit.FINE
    _FORMATS[options.format](found, console)
    if options.page or options.output:
        page = _write_page(found, options.margin, options.output or options.results / "trend.html")
        if options.format == "table":
            console.print(Text(f"Page: {page}"), soft_wrap=True)
    return Exit.FINE


def _tell_incomplete(results: Path, known: Collection[str]) -> None:
    """Say on the error stream which runs are not in the history, since they are not complete: the newest."""
    for told in islice(unfinished.incomplete(results, known), _MOST_INCOMPLETE):
        print(f"not in the history: {told}", file=sys.stderr)


def _write_page(found: list[Series], margin: float, path: Path) -> Path:
    from benchmarks.report.pages.trend import (
        render as render_page,
    )  # late: what a page needs takes a quarter of a second

    path.parent.mkdir(parents=True, exist_ok=True)
    return replace(path, render_page(found, margin))


def _machines(records: Rows, beginnings: list[str]) -> list[Any]:
    known = list(dict.fromkeys(records["machine_id"]))
    for beginning in beginnings:
        if not any(machine.startswith(beginning) for machine in known):
            raise CannotTell(f"--machine: none begins with {beginning!r}; there are {', '.join(known)}")
    return [machine for machine in known if machine.startswith(tuple(beginnings))]


# Whole lines, neither wrapped nor coloured: for a file or another program.
_FORMATS: dict[str, Callable[[list[Series], Console], None]] = {
    "table": render,
    "md": lambda found, console: console.out(to_markdown(found), highlight=False),
    "json": lambda found, console: console.out(to_json(found), highlight=False),
}
