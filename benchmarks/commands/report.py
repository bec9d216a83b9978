"""`python -m benchmarks report`: the report of a run that is over, finished or cut short."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.analysis.store import read_journal
from benchmarks.recorder import JOURNALS, load_run
from benchmarks.report.terminal import render_summary

SUMMARY = "write the report of a run, finished or cut short"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("journal", type=Path, nargs="?", help="a run's journal (default: the newest)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder (results/)")
    parser.add_argument("--output", type=Path, help="where to write (default: latest/ in the results folder)")


def run(options: argparse.Namespace, console: Console) -> int:
    """Write the report and print its summary; return 0."""
    measured = load_run(options.journal or newest_journal(options.results))
    written = report.write(measured, options.output or options.results / "latest")
    render_summary(measured, written["report.html"], console)
    return 0


def newest_journal(results: Path) -> Path:
    """Return the journal of the last run that timed something; raise ValueError if there is none."""
    for journal in sorted((results / JOURNALS).glob("*.jsonl"), reverse=True):
        if any(line.get("type") == "case" and line.get("median_s") for line in read_journal(journal)):
            return journal
    raise ValueError(f"results: no run in {results / JOURNALS} has timed anything; run `pytest benchmarks` first")
