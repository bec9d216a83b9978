"""Command line: `python -m benchmarks.validation COMMAND`: is our measurement right, and are our kernels fast."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from backends.interface import MODES
from benchmarks.analysis import leads
from benchmarks.machine.resources import default_threads
from benchmarks.plan.arguments import fraction, positive
from benchmarks.validation import agreement, coverage, efficiency, naive, picture, power


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a Markdown table, or take the picture and print its path."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the order in which lanes take turns (0)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("agreement", help="our medians beside timeit's and torch's; about 1 minute")
    against_itself = commands.add_parser("coverage", help="the same code against itself; about 10 minutes")
    against_itself.add_argument("--trials", type=int, default=12, help="pairs of each case and backend (12)")
    cost = commands.add_parser("efficiency", help="beside pytest-benchmark and pyperf; about 20 minutes")
    cost.add_argument("--repeats", type=int, default=5, help="how often each tool measures everything (5)")
    cost.add_argument("--pyperf", type=int, default=3, help="how often pyperf does, which takes longest (3)")
    slower = commands.add_parser("power", help="what `ab` finds, and what it finds wrongly; an hour and a half")
    slower.add_argument("--same", type=int, default=20, help="runs with nothing slower, quiet and loaded (20)")
    slower.add_argument("--slowed", type=int, default=20, help="runs with each slow-down (20)")
    slower.add_argument("--shares", type=fraction, nargs="+", default=[0.03, 0.05, 0.1, 0.2], help="slow-downs")
    written = commands.add_parser("naive", help="NumPy's ops beside one-liners and SciPy; half an hour or more")
    written.add_argument("--op", choices=naive.ONE_LINERS, nargs="+", default=list(naive.ONE_LINERS))
    written.add_argument("--mode", choices=MODES[:2], nargs="+", default=MODES[:2])
    written.add_argument("--dtype", choices=naive.DTYPES, nargs="+", default=naive.DTYPES)
    written.add_argument("--size", type=positive, nargs="+", default=naive.SIZES, help="numbers of elements")
    ahead = commands.add_parser("goals", help="how far our kernels are ahead of the fastest accurate other one")
    ahead.add_argument("runs", nargs="+", metavar="RUN", help="saved runs, or files such as records.csv")
    ahead.add_argument("--means", action="store_true", help="geometric means by size alone")
    taken = commands.add_parser("picture", help="the report's head and map, as in the README; 5 seconds")
    taken.add_argument("report", metavar="REPORT.html", nargs="?", type=Path, default=picture.REPORT)
    taken.add_argument("--output", metavar="PNG", type=Path, help="where it goes (default: beside the report)")
    taken.add_argument("--width", type=positive, default=picture.WIDTH, help="of the window in pixels (1280)")
    taken.add_argument("--dark", action="store_true", help="as for a reader who prefers dark pages")
    options = parser.parse_args(arguments)
    if options.command == "picture":
        try:
            print(picture.save(options.report, options.output, width=options.width, dark=options.dark))
        except (OSError, ValueError) as error:
            parser.error(str(error))
        return
    if options.command == "agreement":
        frame = agreement.table(options.seed)
    elif options.command == "coverage":
        frame = coverage.table(options.trials, default_threads(), options.seed)
    elif options.command == "power":
        frame = power.table(options.same, options.slowed, default_threads(), options.seed, options.shares)
    elif options.command == "goals":
        try:
            frame = leads.means(leads.leads(options.runs)) if options.means else leads.table(options.runs)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    elif options.command == "naive":
        frame = naive.table(options.op, options.mode, options.dtype, options.size, options.seed)
    else:
        frame = efficiency.table(options.repeats, options.pyperf)
    print(frame.fillna("").to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    main()
