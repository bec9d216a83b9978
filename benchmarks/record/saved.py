"""Saved runs: found by name, by pytest-benchmark's number, or as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.quantities import listing
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS, load_run
from benchmarks.record.run import Run, burst_frame, bursts_of, read_accuracy, read_pairs
from benchmarks.record.schema import COLUMNS


def load(name: str, results: Path) -> Run:
    """Return a run: a file, a number such as 0001, a saved name, or a run's id.

    Files are journals, pytest-benchmark's JSON, and the records.csv of a report. Of several runs of one name, the
    newest that did not fail a comparison and was not cut short. Raises ValueError for what is none of these, with
    what there is.
    """
    if Path(name).is_file():
        return _read(Path(name), results)
    if name.isdigit() and (numbered := sorted(results.glob(f"runs/*/{name:0>4}_*.json"))):
        return _read(numbered[-1], results)
    named = [path for path, saved_as, run_id in _saved(results) if name in (saved_as, run_id)]
    if not named:
        known = list(dict.fromkeys(saved_as for _, saved_as, _ in _saved(results)))
        there_is = f"saved are {listing(known, most=20)}" if known else f"nothing is saved in {results}"
        raise ValueError(f"{name}: no such run, number or file; {there_is}")
    good = (run for run in map(load_run, named) if run.complete and not run.regression)
    return next(good, None) or load_run(named[0])


def load_or_last(name: str | None, results: Path) -> Run:
    """Return a run by `name` as `load` does, or without one the last run that left a report."""
    if name is not None:
        return load(name, results)
    latest = results / "latest" / "records.csv"
    if not latest.is_file():
        raise ValueError(f"results: no run has left {latest}; run `pytest benchmarks` first, or name a saved run")
    found = load(str(latest), results)
    journal = results / JOURNALS / f"{found.run_id}.jsonl"
    # The journal also knows what makes the run doubtful; the report, what earlier searches found of accuracy.
    return replace(load_run(journal), accuracy=found.accuracy) if journal.is_file() else found


def _saved(results: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the journal, name and id of each run that was saved under a name, the newest first."""
    for path in sorted((results / JOURNALS).glob("*.jsonl"), reverse=True):
        with path.open(encoding="utf-8") as file:
            try:
                opening = json.loads(file.readline())
            except ValueError:
                continue  # cut short in its first line: there is nothing in it
        if opening.get("saved_as"):
            yield path, opening["saved_as"], opening["run_id"]


def _read(path: Path, results: Path) -> Run:
    if path.suffix == ".jsonl":
        return load_run(path)
    if path.suffix == ".csv":
        return _from_table(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        records = [row["extra_info"] for row in content["benchmarks"] if "op" in row["extra_info"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: neither .jsonl, .csv nor saved by pytest-benchmark: {error!r}") from None
    if not records:
        raise ValueError(f"{path}: holds no case that was timed here")
    journal = results / JOURNALS / f"{records[0]['run_id']}.jsonl"
    return load_run(journal) if journal.is_file() else _from_extra_info(records)


def _from_table(path: Path) -> Run:
    try:
        rows: list[Any] = pd.read_csv(path).to_dict("records")
        # A report's records lie beside the accuracy and the pairs that go with them.
        found = _from_records(to_frame(rows))
        return replace(found, accuracy=read_accuracy(path.parent), pairs=read_pairs(path.parent))
    except ValueError as error:  # pandas' own among them
        raise ValueError(f"{path}: is not a report's records.csv: {error}") from error


def _from_extra_info(records: list[dict[str, Any]]) -> Run:
    """Return what pytest-benchmark's file alone says of a run: its good cases, and not what failed."""
    names = [column.name for column in COLUMNS]
    frame = to_frame([{key: record[key] for key in record.keys() & set(names)} for record in records])
    return replace(_from_records(frame), bursts=burst_frame((record, bursts_of(record)) for record in records))


def _from_records(records: pd.DataFrame) -> Run:
    """Return what records alone say of a run."""
    if records.empty:
        raise ValueError("records: there are none")
    first = records.iloc[0]
    saved_as = "" if pd.isna(first["saved_as"]) else first["saved_as"]
    return Run(
        records=records,
        machine={"machine_id": first["machine_id"]},
        saved_as=saved_as,
        run_id=first["run_id"],
    )
