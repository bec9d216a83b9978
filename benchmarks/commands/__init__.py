"""The commands of `python -m benchmarks`, a module each with `add_arguments` and `run`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_results(parser: argparse.ArgumentParser) -> None:
    """Declare the option that says where runs lie."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder (results/)")
