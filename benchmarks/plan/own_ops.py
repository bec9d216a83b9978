"""`--op-spec`: ops of somebody's own, which the catalogue must hear of before anything imports it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import backends
from backends.interface import OP_SPECS

CATALOGUE = f"{backends.__name__}.catalogue"


def add_option(add: Callable[..., Any]) -> None:
    """Declare the option; what it does is done by `learn`, before options are parsed."""
    add(
        "--op-spec",
        action="append",
        metavar="FILE",
        help="a file with ops of your own, in a tuple OPS; may be repeated (default: none; docs/extending.md)",
    )


def learn(given: Sequence[str]) -> None:
    """Let the catalogue have the ops of the files that a command line names, here and in every worker.

    Raises ValueError where a file cannot be read, holds no ops, or comes too late.
    """
    files = _named(given)
    if not files:
        return
    for file in files:
        if not Path(file).is_file():
            raise ValueError(f"--op-spec: there is no file {file!r}")
    listed = os.environ.get(OP_SPECS, "").split(os.pathsep)
    every = dict.fromkeys(filter(None, [*listed, *(str(Path(file).resolve()) for file in files)]))
    if CATALOGUE in sys.modules and not every.keys() <= set(listed):
        raise ValueError(f"--op-spec: the catalogue is loaded already; set {OP_SPECS}={os.pathsep.join(every)}")
    os.environ[OP_SPECS] = os.pathsep.join(every)
    import_module(CATALOGUE)


def _named(given: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_option(parser.add_argument)
    try:
        return parser.parse_known_args(list(given))[0].op_spec or []
    except argparse.ArgumentError:
        return []  # the parser of the whole command line says what is wrong
