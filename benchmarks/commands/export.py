"""`python -m benchmarks export [RUN] --format FORMAT ...`: tables and pictures, for papers and pull requests.

RUN is a saved name (--benchmark-save), a number such as 0001, or a file; by default the last run. Options choose
among its cases before anything is computed, so speed-ups over NumPy need NumPy among them. Exit status: 0, 3
if no case is left, 2 if you ask for pictures without matplotlib.

Example: python -m benchmarks export --format md png --op gelu silu --mode forward
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmarks.analysis import peers
from benchmarks.analysis.study import Study
from benchmarks.commands import add_output, add_results
from benchmarks.exits import CannotTell, Exit
from benchmarks.plan import arguments
from benchmarks.record import atomic, saved
from benchmarks.record.frames import only_with
from benchmarks.record.run import Run
from benchmarks.report import pictures
from benchmarks.report.pages.report import looks_of
from benchmarks.report.palette import Style
from benchmarks.report.sections import results, wide
from benchmarks.report.table import Table
from benchmarks.report.text import csv, latex, markdown

_Files = Mapping[str, str | bytes]
_Writer = Callable[[Study, Study], _Files]
"""Returns files by name, from a run as it is and with its peers marked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run",
        type=arguments.given,
        metavar="RUN",
        nargs="?",
        help="a saved name, a number such as 0001, or a file (default: the last run)",
    )
    parser.add_argument(
        "--format",
        required=True,
        action="extend",
        nargs="+",
        choices=(*_TABLES, *pictures.FORMATS),
        help=f"what to write: {', '.join(_TABLES)} for tables, {', '.join(pictures.FORMATS)} for pictures",
    )
    arguments.add_filters(parser.add_argument)
    add_results(parser)
    add_output(parser, "where to write (default: export/ in the results folder)")


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Write the files and print their paths."""
    measured = saved.load_or_last(options.run, options.results)
    records = only_with(measured.records, arguments.filters(options))
    study = Study(replace(measured, records=records))
    if study.rows.empty:
        raise CannotTell("export: nothing of what was asked for was measured successfully")
    pairs = peers.marked_pairs(measured.pairs, measured.records)
    marked = Study(replace(measured, records=peers.marked(records), pairs=pairs))
    output = options.output or options.results / "export"
    for name, files_of in _TABLES.items():
        if name in options.format:
            _write(files_of(study, marked), output, console)
    drawn = [name for name in pictures.FORMATS if name in options.format]
    if drawn:
        if reason := pictures.missing():
            raise ValueError(f"--format: {', '.join(drawn)}: {reason}")
        _write(pictures.draw(marked, _looks(measured), drawn), output, console)
    return Exit.FINE


def _looks(measured: Run) -> dict[str, Style]:
    """Return the style of each backend, by its marked name: the same as in the run's report."""
    marked = dict(zip(measured.records["backend"], peers.marked(measured.records)["backend"], strict=True))
    return {marked.get(name, name): style for name, style in looks_of(measured).items()}


def _write(files: _Files, output: Path, console: Console) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        console.print(
            f"Written: {atomic.replace(output / name, content)}", highlight=False, markup=False, soft_wrap=True
        )


_NUMBERS: Mapping[str, Callable[[Study], pd.DataFrame]] = {
    "records": lambda study: study.run.records,
    "medians": lambda study: study.medians.reset_index(),
    "speedups": lambda study: study.speedups.reset_index(),
    "limits": lambda study: study.shares,
}
_MARKDOWN: Mapping[str, Callable[[Study], Table]] = {
    "medians": wide.medians,
    "speedups": wide.speedups,
    "limits": results.limits,
    "peers": results.peers,
}
_LATEX: Mapping[str, Callable[[Study], Table]] = {
    "medians": wide.medians,
    "speedups": wide.speedups,
    "limits": wide.shares,
}


def _has(study: Study, name: str) -> bool:
    """Tell whether a run has anything to say in one of its tables."""
    match name:
        case "speedups":
            return study.has_baseline
        case "limits":
            return not study.shares.empty
        case "peers":
            return not study.beside_peers.empty
    return True


def _parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file, engine="pyarrow", index=False)
    return file.getvalue()


def _pages(tables: Mapping[str, Callable[[Study], Table]], ending: str, page: Callable[[Table], str]) -> _Writer:
    """Return what writes tables for people, who see peers marked."""
    return lambda _, marked: {f"{n}.{ending}": page(of(marked)) for n, of in tables.items() if _has(marked, n)}


def _data(ending: str, page: Callable[[pd.DataFrame], str | bytes]) -> _Writer:
    """Return what writes numbers for programs, which have a column for peers."""
    return lambda study, _: {f"{n}.{ending}": page(of(study)) for n, of in _NUMBERS.items() if _has(study, n)}


_TABLES: Mapping[str, _Writer] = {
    "md": _pages(_MARKDOWN, "md", markdown.page),
    "csv": _data("csv", csv.page),
    "parquet": _data("parquet", _parquet),
    "latex": _pages(_LATEX, "tex", latex.page),
}
