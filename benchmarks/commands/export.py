"""`python -m benchmarks export [RUN] --format FORMAT ...`: tables and pictures, for papers and pull requests.

RUN is a saved name (--benchmark-save), a number such as 0001, or a file; by default the last run. Options choose
among its cases before anything is computed, so speed-ups over NumPy need NumPy among them. Exit status: 0, or 2
if no case is left, or if you ask for pictures without matplotlib.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmarks.analysis import peers, tables
from benchmarks.analysis.limits import closeness
from benchmarks.plan import arguments
from benchmarks.record import saved
from benchmarks.record.atomic import replace
from benchmarks.record.frames import only_with
from benchmarks.record.run import Run
from benchmarks.report import pictures
from benchmarks.report.palette import Style, styles
from benchmarks.report.text import latex, markdown

Files = Mapping[str, str | bytes]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help="a saved name, a number such as 0001, or a file (the last run)"
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
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder (results/)")
    parser.add_argument("--output", type=Path, help="where to write (default: export/ in the results folder)")


def run(options: argparse.Namespace, console: Console) -> int:
    """Write the files and print their paths; return 0."""
    measured = saved.load_or_last(options.run, options.results)
    records = only_with(measured.records, arguments.filters(options))
    if tables.measured(records).empty:
        raise ValueError("export: nothing of what was asked for was measured successfully")
    output = options.output or options.results / "export"
    for name, table in _TABLES.items():
        if name in options.format:
            _write(table(records), output, console)
    drawn = [name for name in pictures.FORMATS if name in options.format]
    if drawn:
        if reason := pictures.missing():
            raise ValueError(f"--format: {', '.join(drawn)}: {reason}")
        _write(pictures.draw(peers.marked(records), _looks(measured), drawn), output, console)
    return 0


def _looks(measured: Run) -> dict[str, Style]:
    """Return the style of each backend, by its marked name: the same as in the run's report."""
    names = tables.backend_order(pd.concat([measured.records[["backend"]], measured.accuracy[["backend"]]]))
    marked = dict(zip(measured.records["backend"], peers.marked(measured.records)["backend"], strict=True))
    return {marked.get(name, name): style for name, style in styles(names).items()}


def _write(files: Files, output: Path, console: Console) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        console.print(f"Written: {replace(output / name, content)}", highlight=False, markup=False, soft_wrap=True)


def _markdown(records: pd.DataFrame) -> Files:
    marked = peers.marked(records)
    shares, against = closeness(marked), peers.against_peers(marked)
    files = {"medians.md": markdown.medians(marked)}
    if _has_baseline(records):
        files["speedups.md"] = markdown.speedups(marked)
    if len(shares):
        files["limits.md"] = markdown.limits(shares)
    if len(against):
        files["peers.md"] = markdown.peers(against)
    return {name: f"{text}\n{peers.KEY}\n" if peers.MARK in text else text for name, text in files.items()}


def _latex(records: pd.DataFrame) -> Files:
    marked = peers.marked(records)
    shares = closeness(marked)
    files = {"medians.tex": latex.medians(marked)}
    if _has_baseline(records):
        files["speedups.tex"] = latex.speedups(marked)
    if len(shares):
        files["limits.tex"] = latex.limits(marked, shares)
    return files


def _csv(records: pd.DataFrame) -> Files:
    return {
        f"{name}.csv": frame.to_csv(index=False, lineterminator="\n") for name, frame in _frames(records).items()
    }


def _parquet(records: pd.DataFrame) -> Files:
    return {f"{name}.parquet": _parquet_bytes(frame) for name, frame in _frames(records).items()}


def _parquet_bytes(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file, engine="pyarrow", index=False)
    return file.getvalue()


def _frames(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables as numbers, and all records."""
    frames = {"records": records, "medians": tables.medians(records).reset_index()}
    if _has_baseline(records):
        frames["speedups"] = tables.speedups(records, baseline_device="cpu").reset_index()
    shares = closeness(records)
    return frames | ({"limits": shares} if len(shares) else {})


def _has_baseline(records: pd.DataFrame) -> bool:
    return bool(tables.rate(records, baseline_device="cpu")["speedup"].notna().any())


_TABLES: Mapping[str, Callable[[pd.DataFrame], Files]] = {
    "md": _markdown,
    "csv": _csv,
    "parquet": _parquet,
    "latex": _latex,
}
