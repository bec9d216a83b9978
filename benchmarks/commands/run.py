"""`python -m benchmarks run [SUITE] [OPTION ...]`: check backends and time them, from any folder.

SUITE is `timing` or `correctness`, by default both. Results go to results/ in the current folder, or to --results.

pytest runs this, and takes its own options too. Its settings are ours alone: what a pytest.ini, a conftest.py,
PYTEST_ADDOPTS or an installed plugin of yours says is for your tests, and has no effect here. `-p NAME` adds a
plugin, as in `correctness -p xdist -n 2`.

Example: python -m benchmarks run --op gelu --size 1000 1e6 --backend numpy numba
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import invocation, processes
from benchmarks.plugin import suites

if TYPE_CHECKING:
    from rich.console import Console

OPTIONS = "--options"
"""What lists all options; `--help` would take a hundred lines to say how one begins."""
_OF_OTHER_TESTS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
"""Variables with which a user's shell changes every pytest that is started from it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the help lists: the options are pytest's."""
    parser.add_argument(
        "words", nargs="*", metavar="SUITE", help=f"{' or '.join(invocation.SUITES)} (default: both)"
    )
    parser.add_argument(
        OPTIONS, action="store_true", help="list all options of a run, and what each is by default (default: run)"
    )


def run(options: argparse.Namespace, console: Console) -> int:
    """Run pytest on our suites, with our settings alone; return its exit status."""
    del console
    words = ["--help" if word == OPTIONS else word for word in options.words]
    return int(pytest.main(pytest_arguments(words), plugins=[Typed(options.words)]))


def pytest_arguments(words: Sequence[str]) -> list[str]:
    """Return what pytest is given for the words of a command line; remove variables that would have a say, too."""
    for name in _OF_OTHER_TESTS:
        os.environ.pop(name, None)
    return [*_settings(), *_with_paths(words)]


class Typed:
    """A plugin of pytest: knows what was typed, and refuses tests that are not ours."""

    def __init__(self, words: Sequence[str]) -> None:
        self._called = f"{invocation.command()} {invocation.RUN}"
        self._words = words

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Let errors and help name the command, where pytest would name itself."""
        parser.prog = self._called

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Note the command; raise pytest.UsageError for a path to other tests."""
        config.stash[suites.COMMAND] = " ".join([self._called, *self._words])
        for argument in config.args:
            path = config.invocation_params.dir / argument.partition("::")[0]
            if not path.resolve().is_relative_to(processes.HOME / "benchmarks"):
                known = " or ".join(invocation.SUITES)
                raise pytest.UsageError(f"{invocation.RUN}: takes {known}, and options; got {argument!r}")


def _settings() -> list[str]:
    """Return the options that let nothing in but what is ours."""
    room = __package__.rpartition(".")[0]
    return [
        "-c",
        str(processes.HOME / "pyproject.toml"),  # its folder becomes pytest's root
        "--noconftest",
        "--disable-plugin-autoload",
        "-p",
        "no:cacheprovider",  # it would write beside our modules
        "-p",
        f"{room}.plugin.fixtures",
        "-p",
        f"{room}.plugin.hooks",
        "-W",
        "default",  # a library newer than ours may warn, which must not cost a run
        f"--results={Path('results').absolute()}",
    ]


def _with_paths(words: Sequence[str]) -> list[str]:
    """Return the words with the suite or test that they begin with as a path; with that of both suites without."""
    path, colons, test = (words[0] if words else "").partition("::")
    suite = invocation.SUITES.get(path, path)
    if suite in invocation.SUITES.values():
        return [f"{processes.HOME / suite}{colons}{test}", *words[1:]]
    return [str(processes.HOME / "benchmarks"), *words]
