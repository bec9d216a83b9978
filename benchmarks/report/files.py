"""The files of a report: one web page, Markdown and CSV tables, each replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from benchmarks.analysis.study import Study
from benchmarks.record import tables
from benchmarks.record.run import best_samples, read_accuracy
from benchmarks.report.pages import report
from benchmarks.report.sections import accuracy, results, threads, wide
from benchmarks.report.table import Table
from benchmarks.report.text import csv, markdown


def write(study: Study, directory: Path) -> dict[str, Path]:
    """Write all reports of a run into `directory` and return their paths by file name.

    Each file is replaced as a whole, so that a reader never sees half of one; checksums lie beside them. Files
    about which this run has nothing to say are removed.
    """
    run = study.run
    contents = {
        "records.csv": csv.page(run.records),
        **_accuracy(run.accuracy),
        "medians.csv": csv.page(study.medians.reset_index()),
        "medians.md": markdown.page(wide.medians(study)),
        "speedups.csv": csv.page(study.speedups.reset_index()),
        "speedups.md": markdown.page(wide.speedups(study)),
        "report.html": report.render(study),
    }
    for name, (frame_of, table_of) in _EXTRAS.items():
        frame = frame_of(study)
        names = [f"{name}.csv", *[f"{name}.md"] * (table_of is not None)]
        if frame.empty:
            for each in names:
                (directory / each).unlink(missing_ok=True)
        else:
            contents[f"{name}.csv"] = csv.page(frame)
            if table_of is not None:
                contents[f"{name}.md"] = markdown.page(table_of(study))
    return tables.write(directory, contents)


_EXTRAS: Mapping[str, tuple[Callable[[Study], pd.DataFrame], Callable[[Study], Table] | None]] = {
    "pairs": (lambda study: study.run.pairs, None),
    "limits": (lambda study: study.shares, results.limits),
    "peers": (lambda study: study.beside_peers, results.peers),
    "policies": (lambda study: study.side_by_side, results.policies),
    "threads": (lambda study: study.thread_gains, lambda study: threads.gains(study.thread_gains)),
    "types": (lambda study: study.type_gains, results.types),
    "fusions": (lambda study: study.fusions, results.fusions),
    "costs": (lambda study: study.run.costs, None),
    "break_even": (lambda study: study.break_even, None),
    "rounds": (lambda study: study.run.rounds, None),
}
"""What only some runs have: the numbers, and a table of them for people, or None."""


def write_accuracy(found: pd.DataFrame, directory: Path) -> dict[str, Path]:
    """Write the accuracy table alone, over what an earlier search found of other ops and backends."""
    merged = best_samples(pd.concat([read_accuracy(directory).frame(), found], ignore_index=True))
    return tables.write(directory, _accuracy(merged))


def _accuracy(rows: pd.DataFrame) -> dict[str, str]:
    document = markdown.document("Accuracy", [accuracy.KEY], accuracy.errors(rows, means=True))
    return {"accuracy.csv": csv.page(rows), "accuracy.md": document}
