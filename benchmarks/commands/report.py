"""`python -m benchmarks report`: the report of a run that is over, or of several runs side by side.

A RUN is a saved name (--benchmark-save), a number such as 0001, or a file: a journal, a saved .json or a
records.csv. One run, finished or cut short, gets its usual report. Several runs, of different machines or
versions, are shown side by side, and the others are compared with the first. So are the machines of a merged run;
NAME@MACHINE names one.

Example: python -m benchmarks report laptop server --output comparison
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from benchmarks.analysis import runs
from benchmarks.analysis.study import Study
from benchmarks.commands import add_output, add_results
from benchmarks.exits import Exit
from benchmarks.plan import arguments
from benchmarks.record import saved
from benchmarks.record.run import Run
from benchmarks.report import files
from benchmarks.report.pages import runs as runs_page
from benchmarks.report.terminal.summary import render_summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "runs",
        nargs="*",
        type=arguments.given,
        metavar="RUN",
        help="a saved name, a number such as 0001, or a file (default: the newest)",
    )
    add_results(parser)
    add_output(
        parser, "where to write (default: latest/ in the results folder; for several runs, the results folder)"
    )


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Write the report and print its summary."""
    found = [(name, each) for name in options.runs for each in saved.load_each(name, options.results)]
    found = found or [(each.saved_as, each) for each in saved.newest_each(options.results)]
    if len(found) > 1:
        _write_beside(found, options.output or options.results, console)
        return Exit.FINE
    study = Study(found[0][1])
    written = files.write(study, options.output or options.results / "latest")
    render_summary(study, written["report.html"], console)
    return Exit.FINE


def _write_beside(found: Sequence[tuple[str, Run]], folder: Path, console: Console) -> None:
    beside = runs_page.beside(runs.label(found))
    for sentence in beside.sentences:
        console.print(Text(sentence))
    for warning in beside.warnings:
        console.print(Text(f"Warning: {warning}", style="bold yellow"))
    for path in runs_page.write(beside, folder):
        console.print(Text(f"Written: {path}"), soft_wrap=True)
