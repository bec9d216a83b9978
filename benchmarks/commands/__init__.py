"""The commands of `python -m benchmarks`, a module each with `add_arguments` and `run`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.plan import arguments


def add_results(parser: argparse.ArgumentParser) -> None:
    """Declare the option that says where runs lie."""
    parser.add_argument(
        "--results", type=arguments.path, default=Path("results"), help="the results folder (default: results/)"
    )


def add_output(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare the option that says where to write; `text` is its help."""
    parser.add_argument("--output", type=arguments.path, help=text)
