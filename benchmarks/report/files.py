"""The files of a report: one web page, Markdown and CSV tables, each replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmarks.analysis.costs import break_even
from benchmarks.analysis.limits import closeness
from benchmarks.analysis.peers import against_peers
from benchmarks.analysis.policies import side_by_side
from benchmarks.analysis.tables import medians, speedups
from benchmarks.record.atomic import replace
from benchmarks.record.run import Run, best_samples, read_accuracy
from benchmarks.report.pages import report
from benchmarks.report.text import markdown


def write(run: Run, directory: Path) -> dict[str, Path]:
    """Write all reports of `run` into `directory` and return their paths by file name.

    Each file is replaced as a whole, so that a reader never sees half of one. Files of which this run has nothing
    to say are removed.
    """
    contents = {
        "records.csv": _csv(run.records),
        "accuracy.csv": _csv(run.accuracy),
        "accuracy.md": markdown.accuracy(run.accuracy),
        "medians.csv": _csv(medians(run.records).reset_index()),
        "medians.md": markdown.medians(run.records),
        "speedups.csv": _csv(speedups(run.records, baseline_device="cpu").reset_index()),
        "speedups.md": markdown.speedups(run.records),
        "report.html": report.render(run),
    }
    extras = _extras(run)
    for name in _EXTRAS - set(extras):
        (directory / name).unlink(missing_ok=True)
    return _write(contents | extras, directory)


_EXTRAS = {
    "policies.csv",
    "policies.md",
    "limits.csv",
    "limits.md",
    "peers.csv",
    "peers.md",
    "costs.csv",
    "break_even.csv",
    "rounds.csv",
}


def _extras(run: Run) -> dict[str, str]:
    """Return what only some runs have: limits, several policies, costs, a baseline to pay back, kept rounds."""
    policies, paid, shares = side_by_side(run.records), break_even(run.records), closeness(run.records)
    extras: dict[str, str] = {}
    if len(shares):
        extras |= {"limits.csv": _csv(shares), "limits.md": markdown.limits(shares)}
    peers = against_peers(run.records)
    if len(peers):
        extras |= {"peers.csv": _csv(peers), "peers.md": markdown.peers(peers)}
    if len(policies):
        extras |= {"policies.csv": _csv(policies), "policies.md": markdown.policies(run.records)}
    if len(run.costs):
        extras["costs.csv"] = _csv(run.costs)
    if len(paid):
        extras["break_even.csv"] = _csv(paid)
    if len(run.rounds):
        extras["rounds.csv"] = _csv(run.rounds)
    return extras


def write_accuracy(accuracy: pd.DataFrame, directory: Path) -> dict[str, Path]:
    """Write the accuracy table alone, over what an earlier search found of other ops and backends."""
    merged = best_samples(pd.concat([read_accuracy(directory), accuracy], ignore_index=True))
    return _write({"accuracy.csv": _csv(merged), "accuracy.md": markdown.accuracy(merged)}, directory)


def _write(contents: Mapping[str, str], directory: Path) -> dict[str, Path]:
    directory.mkdir(parents=True, exist_ok=True)
    return {name: replace(directory / name, text) for name, text in contents.items()}


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")
