"""Reports, comparisons and advice, most of them from finished runs of `pytest benchmarks`."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Container, Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Protocol, cast

from benchmarks import invocation, processes
from benchmarks.exits import CannotTell, Exit
from benchmarks.plan import spelling

if TYPE_CHECKING:
    from rich.console import Console

COMMANDS: Mapping[str, str] = {
    invocation.RUN: "check backends and time them, from any folder",
    "report": "write the report of a run, finished or cut short, or of several runs side by side",
    "merge": "make one run of shards, or of the runs of several machines",
    "fleet": "measure one plan on the nodes of a Ray cluster",
    "recommend": "say which backend to use: the fastest that is accurate enough",
    "try": "say whether a function of yours is right, how exact it is, and how fast beside the others",
    "compare": "compare two saved runs, case by case",
    "ab": "measure two git revisions, or two Python environments, against each other",
    "init": "write a workflow that turns a pull request red where a kernel of yours gets slower",
    "trend": "show how a metric changed over all saved runs",
    "export": "write tables and pictures of a run, for papers and pull requests",
    "leads": "show how far our own kernels are ahead of the fastest accurate alternative",
    "validate": "test the measurement itself: against other timers, and against known changes",
    "docs": "write the generated parts of the documentation, or check that they are up to date",
}
"""Each command, a module in `benchmarks.commands`, and what it does. A module is imported when it is chosen."""

NEW_OBJECTS = 50_000
"""Python looks for cycles after so many new objects, not after its 700.

Tables are made of millions that hold none: the report of 10,000 cases takes a fifth less time, and no more memory.
"""
_OURS = ("activation_bench", "backends", "benchmarks")


class Command(Protocol):
    """What a module in `benchmarks.commands` offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, options: argparse.Namespace, console: Console) -> int:
        """Carry the command out; raise OSError or ValueError if that cannot be done, CannotTell for no answer."""
        ...


def load(name: str) -> Command:
    """Import a command."""
    _import_backends()
    return cast("Command", import_module(f"{__package__}.commands.{name}{'_' * iskeyword(name)}"))


def _import_backends() -> None:
    """Import our backends: a project's own folder `backends/`, first on the path, would hide them."""
    sys.path.insert(0, str(processes.ROOT))
    import backends  # noqa: F401 - started in `backends/`, this takes the folder off the path: it has a `numpy/`

    sys.path.remove(str(processes.ROOT))


def make_parser(chosen: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return the parser of the command line; only the `chosen` commands are imported, for their arguments."""
    ends = ", ".join(f"{int(each)} {each.name.lower()}" for each in Exit)
    parser = spelling.Parser(
        prog=invocation.command(),
        description=invocation.as_called(str(__doc__)),
        epilog=f"Exit statuses (docs/ci.md): {ends}.",
    )
    parsers = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        added = parsers.add_parser(name, help=invocation.as_called(summary))
        if name in chosen:
            command = load(name)
            added.description = invocation.as_called(command.__doc__ or "")
            command.add_arguments(added)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return how it ended: an `Exit`, or what pytest ended a run with."""
    gc.set_threshold(NEW_OBJECTS)
    try:
        try:
            return _carry_out(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # what cannot be written is found out here, and not when the interpreter ends
    except BrokenPipeError:
        _abandon_output()
        return Exit.UNREAD
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        _abandon_output()
        return _ended_by(error)


def _ended_by(error: Exception) -> Exit:
    """Say what went wrong: in a line where it is not our mistake, otherwise with its traceback."""
    match error:
        case CannotTell():
            ended = Exit.UNSURE
        case OSError() | ValueError():
            ended = Exit.USAGE
        case ModuleNotFoundError(name=str(name)) if name.partition(".")[0] not in _OURS:
            error = ModuleNotFoundError(f"the package {name!r} is not installed; see docs/install.md")
            ended = Exit.USAGE
        case _:
            traceback.print_exception(error)
            return Exit.FAULT
    print(f"error: {invocation.as_called(str(error))}", file=sys.stderr)
    return ended


def _carry_out(arguments: Sequence[str]) -> int:
    from benchmarks.report.terminal.glyphs import never_fail

    never_fail(sys.stdout)
    if any(each.startswith("--op-spec") for each in arguments):
        _import_backends()
        from benchmarks.plan import own_ops

        own_ops.learn(arguments)
    options = _parsed(arguments)
    for sentence in spelling.readings(options):
        print(sentence, file=sys.stderr)  # not beside JSON
    from benchmarks.report.terminal.console import open_console

    return load(options.command).run(options, open_console())


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command line's options; those of a run are pytest's to parse, unless help is asked for."""
    if arguments[:1] == [invocation.RUN] and not {"-h", "--help"} & set(arguments):
        return argparse.Namespace(command=invocation.RUN, words=arguments[1:])
    if arguments[:1] == ["fleet"] and "--" in arguments:
        end = arguments.index("--")
        options = make_parser(chosen=["fleet"]).parse_args(arguments[:end])
        options.words = [*arguments[end + 1 :]]  # a run's
        return options
    return make_parser(chosen=arguments[:1]).parse_args(arguments)


def _abandon_output() -> None:
    """Let what is left of the output go nowhere where it cannot be written: that would change the exit status."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
