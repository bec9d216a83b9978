"""Saved runs: found by name, by pytest-benchmark's number, or as a file.

A merged run may have been measured on several machines. It is then as many runs as machines, each of which also
goes by the name with the machine after it: `nightly@a1b2c3`, the beginning of its id or of its host's.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.quantities import listing
from benchmarks.record import contents, tables
from benchmarks.record.assembly import Line
from benchmarks.record.damage import UnreadableError, content_of, first_wrong, pass_over, said
from benchmarks.record.journal import JOURNALS, REMEDY, load_runs, opening
from benchmarks.record.rows import Rows, is_missing, keys_of, listed, require_shapes, to_rows
from benchmarks.record.run import Run, read_accuracy, read_pairs
from benchmarks.record.schema import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

AT = "@"
"""Stands between a run's name and that of one of its machines."""
_MOST = 6
"""Machines that a message names."""


def load(name: str, results: Path) -> Run:
    """Return a run: a file, a number such as 0001, a saved name, or a run's id; as `load_each` does.

    Raises ValueError where it was measured on several machines, with their names.
    """
    return _only_one(load_each(name, results), name)


def load_each(name: str, results: Path) -> tuple[Run, ...]:
    """Return a run, or of a merged one a run a machine: a file, a number such as 0001, a saved name, or its id.

    Files are journals, pytest-benchmark's JSON, and the records.csv of a report. Of several runs of one name, the
    newest that did not fail a comparison and was not cut short; one that is damaged is passed over. Raises
    ValueError for what is none of these, with what there is, and UnreadableError for a damaged file.
    """
    try:
        return _load(name, results)
    except UnreadableError:
        raise
    except ValueError:
        whole, at, machine = name.rpartition(AT)
        if not at or not whole:
            raise
    found = _load(whole, results)
    chosen = tuple(run for run in found if any(each.startswith(machine) for each in _ids(run)))
    if not chosen:
        there_is = listing([run.machine_name for run in found], most=_MOST)
        raise ValueError(f"{name}: was not measured on a machine {machine!r}; there are {there_is}")
    return chosen


def _ids(run: Run) -> Iterator[str]:
    """Yield what a run's machine goes by."""
    yield run.machine_name
    if host := run.machine.get("host"):
        yield str(host)


def _only_one(found: Sequence[Run], name: str) -> Run:
    """Return the run of the only machine; raise ValueError where there are several."""
    if len(found) > 1:
        machines = listing([run.machine_name for run in found], most=_MOST)
        example = f"{name}{AT}{found[0].machine_name}"
        raise ValueError(f"{name}: was measured on several machines, {machines}; name one, as in {example}")
    return found[0]


def _load(name: str, results: Path) -> tuple[Run, ...]:
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
        return load_runs(found[0])
    newest_of_all = None
    for runs in _readable(found):
        if all(run.complete and not run.regression for run in runs):
            return runs
        newest_of_all = newest_of_all or runs
    return newest_of_all or load_runs(found[0])


def load_or_last(name: str | None, results: Path) -> Run:
    """Return a run by `name` as `load` does, or without one the last run that left a report."""
    if name is not None:
        return load(name, results)
    latest = results / "latest" / "records.csv"
    if not latest.is_file():
        raise ValueError(f"results: no run has left {latest}; run `pytest benchmarks` first, or name a saved run")
    try:
        # The journal also knows what makes the run doubtful; the report, what earlier searches found of accuracy.
        if whole := _from_its_journal([tables.first_cell(latest, each) for each in _ORIGIN], results):
            return whole.changed(accuracy=read_accuracy(latest.parent))
        return _only_one(_read(latest, results), str(latest))
    except (OSError, UnreadableError) as error:
        pass_over(latest, error)
        return newest(results)


def newest(results: Path) -> Run:
    """Return the last run that timed something; raise ValueError without one, or for several machines."""
    found = newest_each(results)
    return _only_one(found, found[0].saved_as)


def newest_each(results: Path) -> tuple[Run, ...]:
    """Return the last run that timed something, a run a machine; raise ValueError if there is none."""
    for runs in _readable(sorted((results / JOURNALS).glob("*.jsonl"), reverse=True)):
        if any(_has_timed(run) for run in runs):
            return runs
    raise ValueError(f"results: no run in {results / JOURNALS} has timed anything; run `pytest benchmarks` first")


def _has_timed(run: Run) -> bool:
    return not all(map(is_missing, listed(run.at_hand("records")["median_s"])))


def checksums(benchmarks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a CRC-32 of what is read back of each benchmark in pytest-benchmark's JSON: its `extra_info`."""
    texts = (json.dumps(row["extra_info"], sort_keys=True) for row in benchmarks)
    return [f"{zlib.crc32(text.encode()):08x}" for text in texts]


def _readable(journals: Iterable[Path]) -> Iterator[tuple[Run, ...]]:
    """Yield the runs of journals that were found in their folder: those that cannot be read are passed over."""
    for journal in journals:
        try:
            yield load_runs(journal)
        except (OSError, UnreadableError) as error:
            pass_over(journal, error)


_ORIGIN = ("run_id", "machine_id", "host")
"""The columns that say which journal a record is from, and which of the machines in it."""


def _from_its_journal(origin: Iterable[object], results: Path) -> Run | None:
    """Return the whole run of a record's origin (_ORIGIN), if its journal is still there and can be read."""
    run_id, machine_id, host = origin
    journal = results / JOURNALS / f"{run_id}.jsonl"
    found = next(_readable([journal] if journal.is_file() else []), ())
    if len(found) > 1:
        found = tuple(run for run in found if _is_on(run, machine_id, host))
    return found[0] if len(found) == 1 else None


def _is_on(run: Run, machine_id: object, host: object) -> bool:
    hosts = _known(run.at_hand("records"), "host")
    return run.machine.get("machine_id") == machine_id and (not hosts or host in hosts)


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


def _read(path: Path, results: Path) -> tuple[Run, ...]:
    if path.suffix == ".jsonl":
        return load_runs(path)
    if path.suffix == ".csv":
        found = _from_table(path)
        whole = _from_its_journal(keys_of(found.at_hand("records"), _ORIGIN)[0], results)
        return (_ending_as(found, whole) if whole else found,)
    records, complete = _timed(path)
    whole = _from_its_journal([records[0].get(name) for name in _ORIGIN], results)
    if whole:
        return (whole,)
    try:
        return (_from_extra_info(records).changed(complete=complete),)
    except Exception as error:  # a file can hold anything
        number = first_wrong(records, _from_extra_info) + 1
        raise UnreadableError(path, f"case {number}", error, REMEDY) from error


def _ending_as(found: Run, whole: Run) -> Run:
    """Return a run of which records alone are known, with how it ended, which its journal tells."""
    return found.changed(
        complete=whole.complete,
        n_groups=whole.n_groups,
        unmeasured=whole.unmeasured,
        part=whole.part,
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
    if not len(records):
        raise UnreadableError(path, "1", "there are no records in it", REMEDY)
    try:
        found = _from_records(records)
    except ValueError as error:
        raise UnreadableError(path, "", error, REMEDY) from error
    # A report's records lie beside the accuracy and the pairs that go with them.
    return found.changed(accuracy=read_accuracy(path.parent), pairs=read_pairs(path.parent))


def _from_extra_info(records: Sequence[dict[str, Any]]) -> Run:
    """Return what pytest-benchmark's file alone says of a run: its good cases, and not what failed."""
    names = [column.name for column in COLUMNS]
    rows = to_rows([{key: record[key] for key in record.keys() & set(names)} for record in records])
    return _from_records(rows).changed(bursts=contents.bursts(records))


def _from_records(records: Rows) -> Run:
    """Return what records alone say of a run; raise ValueError for a shape that is none."""
    require_shapes(records)
    run_id, saved_as, machine_id = (records[name][0] for name in ("run_id", "saved_as", "machine_id"))
    hosts = _known(records, "host")
    machine = {"machine_id": machine_id} | ({"host": hosts[0]} if len(hosts) == 1 else {})
    return Run(records=records, machine=machine, saved_as=saved_as or "", run_id=run_id or "")


def _known(records: Rows | pd.DataFrame, name: str) -> list[Any]:
    """Return the values of a column, each once."""
    return [value for value in dict.fromkeys(listed(records[name])) if not is_missing(value)]
