"""`python -m benchmarks leads RUN ...`: how far our own kernels are ahead of the fastest accurate alternative.

RUN is a saved name or a file such as records.csv, of a run that checked accuracy. Ours are those of numpy, numba
and numba-parallel. A Markdown table shows for each op the alternative's time over that of the fastest of ours,
at each size, under the same policies. Alternatives that err by more than an op's budget are named, but we are
not compared with them; the means say what they are with those, too. Several runs have a line each.

Example: python -m benchmarks leads first second --means
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.analysis import leads
from benchmarks.commands import add_results
from benchmarks.exits import CannotTell, Exit
from benchmarks.plan import arguments
from benchmarks.record import saved

if TYPE_CHECKING:
    from rich.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "runs", nargs="+", type=arguments.given, metavar="RUN", help="saved names, or files such as records.csv"
    )
    add_results(parser)
    parser.add_argument(
        "--means",
        action="store_true",
        help="only the geometric mean of all ops, by size (default: each op)",
    )


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Print the table."""
    runs = {name: saved.load(name, options.results) for name in options.runs}
    table = leads.means(leads.leads(runs)) if options.means else leads.table(runs)
    if table.empty:
        raise CannotTell("leads: no run has a case of one of our kernels and of an accurate alternative")
    console.out(table.to_markdown(index=False, disable_numparse=True), highlight=False)
    return Exit.FINE
