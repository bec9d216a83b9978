"""`python -m benchmarks ab BASE HEAD`: measure two revisions, or two environments, against each other.

BASE and HEAD are git revisions, or folders that contain `backends/`, such as `.` for the files as they are now.
The two are measured in short alternating bursts. Each sitting starts new processes; a case needs no more of them
once it is decided. Exit status: 0 nothing is slower, 1 something is slower or fails now, 2 nothing could be
judged.
"""

from __future__ import annotations

import argparse
import secrets
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmarks.commands import add_results
from benchmarks.machine import doubts, fingerprint
from benchmarks.measure import sides
from benchmarks.measure.duel import Duel
from benchmarks.measure.sides import Side
from benchmarks.plan import arguments, selection
from benchmarks.quantities import plural
from benchmarks.report.text.comparison import Comparison, reasons_in_common, render, write
from benchmarks.stats import sittings
from benchmarks.stats.effects import Criteria


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    for side in ("base", "head"):
        parser.add_argument(side, metavar=side.upper(), help="a git revision, or a folder that contains backends/")
    for side in ("base", "head"):
        parser.add_argument(
            f"--{side}-python",
            type=Path,
            metavar="PYTHON",
            help=f"the Python that measures {side.upper()}, such as old/bin/python (default: this one)",
        )
    arguments.add_options(parser.add_argument)
    arguments.add_margin(parser.add_argument, "--threshold")
    parser.add_argument(
        "--time-budget",
        type=arguments.seconds,
        default=600.0,
        metavar="TIME",
        help="stop after this time, such as 90s or 5min, even if cases are undecided (10min)",
    )
    parser.add_argument(
        "--order-seed", type=arguments.seed, metavar="SEED", help="seed of all orders (default: a new one)"
    )
    add_results(parser)
    parser.add_argument("--output", type=Path, help="where to write (default: a new folder in RESULTS/ab)")


def run(options: argparse.Namespace, console: Console) -> int:
    """Compare, print and write what was found; return the exit status."""
    if reason := arguments.contradiction(options):
        raise ValueError(reason)
    chosen = list(selection.timing_cases(arguments.chosen(options)))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    output = options.output or options.results / "ab" / stamp
    seed = secrets.randbits(32) if options.order_seed is None else options.order_seed
    with ExitStack() as stack:
        base = stack.enter_context(sides.opened(options.base, options.base_python))
        head = stack.enter_context(sides.opened(options.head, options.head_python))
        stack.enter_context(_termination_as_interrupt())
        threads = arguments.threads(options)
        notes = [*_differences(base, head), *map(str, doubts.warnings(doubts.busy_share(), threads=threads))]
        watch = doubts.Watch()
        console.print(f"{plural(len(chosen), 'case')}, {head.label} against {base.label}", highlight=False)
        duel = Duel(
            base,
            head,
            chosen,
            Criteria(threshold=options.margin),
            threads=threads,
            seed=seed,
            budget_s=options.time_budget,
            journal=output / "sittings.jsonl",
            timeout_s=options.case_timeout,
            say=lambda text: console.print(text, highlight=False),
        )
        found = duel.run()
        notes += [*map(str, watch.finish()), *reasons_in_common(found), *_left(found)]
        comparison = Comparison(
            base.label, head.label, found, duel.criteria, "sittings", (*notes, f"Seed of all orders: {seed}.")
        )
    render(comparison, console)
    for path in write(comparison, output):
        console.print(f"Written: {path}", highlight=False, soft_wrap=True)
    return comparison.exit_status


def _left(found: pd.DataFrame) -> Iterator[str]:
    """Yield how many cases more time could have decided."""
    n = len(sittings.undecided(found))
    if n:
        yield f"{plural(n, 'case')} undecided when it ended: a longer --time-budget could decide more."


def _differences(base: Side, head: Side) -> Iterator[str]:
    """Yield how the environments of the two sides differ, and where they should differ but do not."""
    found = [sides.versions(side.python, fingerprint.PACKAGES) for side in (base, head)]
    for name in fingerprint.PACKAGES:
        old, new = (versions.get(name, "not installed") for versions in found)
        if old != new:
            yield f"{name}: {old} on the base's side, {new} on the head's."
    if base.python == head.python:
        old_files, new_files = base.dependencies(), head.dependencies()
        for name in sides.DEPENDENCIES:
            if old_files.get(name) != new_files.get(name):
                yield (
                    f"{name} differs between base and head, but both were measured in one environment; "
                    "give each its own with --base-python and --head-python."
                )


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which ends a cancelled CI job, stop the measurement as Ctrl-C does: with a report."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
