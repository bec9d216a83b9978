"""Saved runs: found by name, by pytest-benchmark's number, or as a file."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.quantities import listing
from benchmarks.record import tables
from benchmarks.record.damage import UnreadableError, content_of, first_wrong, pass_over, said
from benchmarks.record.frames import require_shapes, to_frame
from benchmarks.record.journal import JOURNALS, REMEDY, Line, load_run, opening
from benchmarks.record.run import Run, burst_frame, bursts_of, read_accuracy, read_pairs
from benchmarks.record.schema import COLUMNS


def load(name: str, results: Path) -> Run:
    """Return a run: a file, a number such as 0001, a saved name, or a run's id.

    Files are journals, pytest-benchmark's JSON, and the records.csv of a report. Of several runs of one name, the
    newest that did not fail a comparison and was not cut short; one that is damaged is passed over. Raises
    ValueError for what is none of these, with what there is, and UnreadableError for a damaged file.
    """
    if Path(name).is_file():
        return _read(Path(name), results)
    if name.isdigit() and (numbered := sorted(results.glob(f"runs/*/{name:0>4}_*.json"))):
        return _read(numbered[-1], results)
    found = [path for path, run in _saved(results) if name in (run["saved_as"], run["run_id"])]
    if not found:
        known = list(dict.fromkeys(run["saved_as"] for _, run in _saved(results)))
        there_is = f"saved are {listing(known, most=20)}" if known else f"nothing is saved in {results}"
        raise ValueError(f"{name}: no such run, number or file; {there_is}")
    if len(found) == 1:
        return load_run(found[0])
    newest_of_all = None
    for run in _readable(found):
        if run.complete and not run.regression:
            return run
        newest_of_all = newest_of_all or run
    return newest_of_all or load_run(found[0])


def load_or_last(name: str | None, results: Path) -> Run:
    """Return a run by `name` as `load` does, or without one the last run that left a report."""
    if name is not None:
        return load(name, results)
    latest = results / "latest" / "records.csv"
    if not latest.is_file():
        raise ValueError(f"results: no run has left {latest}; run `pytest benchmarks` first, or name a saved run")
    try:
        # The journal also knows what makes the run doubtful; the report, what earlier searches found of accuracy.
        if whole := _from_its_journal(tables.first_cell(latest, "run_id"), results):
            return replace(whole, accuracy=read_accuracy(latest.parent))
        return _read(latest, results)
    except (OSError, UnreadableError) as error:
        pass_over(latest, error)
        return newest(results)


def newest(results: Path) -> Run:
    """Return the last run that timed something; raise ValueError if there is none."""
    for run in _readable(sorted((results / JOURNALS).glob("*.jsonl"), reverse=True)):
        if run.records["median_s"].notna().any():
            return run
    raise ValueError(f"results: no run in {results / JOURNALS} has timed anything; run `pytest benchmarks` first")


def checksums(benchmarks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a CRC-32 of what is read back of each benchmark in pytest-benchmark's JSON: its `extra_info`."""
    texts = (json.dumps(row["extra_info"], sort_keys=True) for row in benchmarks)
    return [f"{zlib.crc32(text.encode()):08x}" for text in texts]


def _readable(journals: Iterable[Path]) -> Iterator[Run]:
    """Yield the runs of journals that were found in their folder: those that cannot be read are passed over."""
    for journal in journals:
        try:
            yield load_run(journal)
        except (OSError, UnreadableError) as error:
            pass_over(journal, error)


def _from_its_journal(run_id: object, results: Path) -> Run | None:
    """Return the whole run, if its journal is still there and can be read."""
    journal = results / JOURNALS / f"{run_id}.jsonl"
    return next(_readable([journal] if journal.is_file() else []), None)


def _saved(results: Path) -> Iterator[tuple[Path, Line]]:
    """Yield the journal of each run that was saved under a name, with its first line, the newest first."""
    for journal in sorted((results / JOURNALS).glob("*.jsonl"), reverse=True):
        try:
            run = opening(journal)
        except (OSError, UnreadableError) as error:
            pass_over(journal, error)
        else:
            if run and run["saved_as"]:
                yield journal, run


def _read(path: Path, results: Path) -> Run:
    if path.suffix == ".jsonl":
        return load_run(path)
    if path.suffix == ".csv":
        found = _from_table(path)
        whole = _from_its_journal(found.run_id, results)
        return _ending_as(found, whole) if whole else found
    records, complete = _timed(path)
    whole = _from_its_journal(records[0].get("run_id"), results)
    if whole:
        return whole
    try:
        return replace(_from_extra_info(records), complete=complete)
    except Exception as error:  # a file can hold anything
        number = first_wrong(records, _from_extra_info) + 1
        raise UnreadableError(path, f"case {number}", error, REMEDY) from error


def _ending_as(found: Run, whole: Run) -> Run:
    """Return a run of which records alone are known, with how it ended, which its journal tells."""
    return replace(
        found,
        complete=whole.complete,
        n_groups=whole.n_groups,
        unmeasured=whole.unmeasured,
        regression=whole.regression,
    )


def _timed(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return what pytest-benchmark's file has of the cases that were timed here, and whether those are all."""
    try:
        content = json.loads(content_of(path))
        rows = content["benchmarks"]
        records = [info for row in rows if "op" in (info := dict(row["extra_info"]))]
        ours = content.get("activation_bench", {})
        known = ours.get("crc32")
        wrong = [i for i, each in enumerate(checksums(rows)) if known[i : i + 1] != [each]] if known else []
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        place = str(error.lineno) if isinstance(error, json.JSONDecodeError) else ""
        reason = f"neither .jsonl, .csv nor saved by pytest-benchmark: {said(error)}"
        raise UnreadableError(path, place, reason, REMEDY) from error
    if wrong or len(known or rows) != len(rows):
        place = f"benchmark {min(wrong, default=len(rows)) + 1}"
        raise UnreadableError(path, place, "was changed after it was written: its checksum differs", REMEDY)
    if not records:
        raise UnreadableError(path, "", "holds no case that was timed here", REMEDY)
    return records, bool(ours.get("complete", True))


def _from_table(path: Path) -> Run:
    records = tables.read(path, COLUMNS)
    if records.empty:
        raise UnreadableError(path, "1", "there are no records in it", REMEDY)
    try:
        found = _from_records(records)
    except ValueError as error:
        raise UnreadableError(path, "", error, REMEDY) from error
    # A report's records lie beside the accuracy and the pairs that go with them.
    return replace(found, accuracy=read_accuracy(path.parent), pairs=read_pairs(path.parent))


def _from_extra_info(records: Sequence[dict[str, Any]]) -> Run:
    """Return what pytest-benchmark's file alone says of a run: its good cases, and not what failed."""
    names = [column.name for column in COLUMNS]
    frame = to_frame([{key: record[key] for key in record.keys() & set(names)} for record in records])
    return replace(_from_records(frame), bursts=burst_frame((record, bursts_of(record)) for record in records))


def _from_records(records: pd.DataFrame) -> Run:
    """Return what records alone say of a run; raise ValueError for a shape that is none."""
    require_shapes(records)
    first = records.iloc[0]
    run_id, saved_as = ("" if pd.isna(first[name]) else str(first[name]) for name in ("run_id", "saved_as"))
    return Run(records=records, machine={"machine_id": first["machine_id"]}, saved_as=saved_as, run_id=run_id)
