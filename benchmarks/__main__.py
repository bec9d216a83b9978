"""Command line for what comes after a run: `python -m benchmarks COMMAND`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console

from benchmarks.commands import ab, compare, export, recommend, report, trend
from benchmarks.report.terminal.summary import open_console


class Command(Protocol):
    """What a module in `benchmarks.commands` has."""

    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, options: argparse.Namespace, console: Console) -> int:
        """Carry the command out; return the exit status. Raises OSError or ValueError for what cannot be done."""
        ...


COMMANDS: Mapping[str, Command] = {
    "report": report,
    "recommend": recommend,
    "compare": compare,
    "ab": ab,
    "trend": trend,
    "export": export,
}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parsers = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        command.add_arguments(parsers.add_parser(name, help=command.SUMMARY, description=command.__doc__))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 2 for a command that could not do what was asked."""
    options = make_parser().parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options, open_console())
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
