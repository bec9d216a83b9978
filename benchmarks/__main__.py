"""Command line for runs that are over: `python -m benchmarks report`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.analysis.store import read_journal
from benchmarks.recorder import JOURNALS, load_run
from benchmarks.report.terminal import render_summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make_report = commands.add_parser("report", help="write the report of a run, finished or cut short")
    make_report.add_argument("journal", type=Path, nargs="?", help="a run's journal (default: the newest)")
    make_report.add_argument("--results", type=Path, default=Path("results"), help="the results folder (results/)")
    make_report.add_argument("--output", type=Path, help="where to write (default: latest/ in the results folder)")
    options = parser.parse_args(arguments)
    try:
        journal = options.journal or newest_journal(options.results)
        run = load_run(journal)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    written = report.write(run, options.output or options.results / "latest")
    render_summary(run, written["report.html"], Console())
    return 0


def newest_journal(results: Path) -> Path:
    """Return the journal of the last run that timed something; raise ValueError if there is none."""
    for journal in sorted((results / JOURNALS).glob("*.jsonl"), reverse=True):
        if any(line.get("type") == "case" and line.get("median_s") for line in read_journal(journal)):
            return journal
    raise ValueError(f"results: no run in {results / JOURNALS} has timed anything; run `pytest benchmarks` first")


if __name__ == "__main__":
    sys.exit(main())
