"""Reports, comparisons and advice, most of them from finished runs of `pytest benchmarks`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Container, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from rich.console import Console

COMMANDS: Mapping[str, str] = {
    "report": "write the report of a run, finished or cut short, or of several runs side by side",
    "recommend": "say which backend to use: the fastest that is accurate enough",
    "compare": "compare two saved runs, case by case",
    "ab": "measure two git revisions, or two Python environments, against each other",
    "trend": "show how a metric changed over all saved runs",
    "export": "write tables and pictures of a run, for papers and pull requests",
    "leads": "show how far our Numba kernels are ahead of the fastest accurate alternative",
    "validate": "test the measurement itself: against other timers, and against known changes",
    "docs": "write the generated tables of the documentation, or check that they are up to date",
}
"""Each command, a module in `benchmarks.commands`, and what it does. A module is imported when it is chosen."""


class Command(Protocol):
    """What a module in `benchmarks.commands` offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, options: argparse.Namespace, console: Console) -> int:
        """Carry the command out; return the exit status. Raises OSError or ValueError if it cannot be done."""
        ...


def load(name: str) -> Command:
    """Import a command."""
    import backends  # noqa: F401 - started in `backends/`, this takes the folder off the path: it has a `numpy/`

    return cast("Command", import_module(f"benchmarks.commands.{name}"))


def make_parser(chosen: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return the parser of the command line; only the `chosen` commands are imported, for their arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parsers = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        added = parsers.add_parser(name, help=summary)
        if name in chosen:
            command = load(name)
            added.description = command.__doc__
            command.add_arguments(added)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status, which is 2 if the command could not do what was asked."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = make_parser(chosen=arguments[:1]).parse_args(arguments)
    from benchmarks.report.terminal.console import open_console

    try:
        return load(options.command).run(options, open_console())
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
