"""Runs that were cut short: found among the journals, with what each has measured, to be gone on with.

A run goes on in its own journal. What it has measured stays where it is, checksums and all; only a last line that
was cut in the middle is taken off.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quantities import count, listing, plural
from benchmarks.record import lock, merged
from benchmarks.record.assembly import Line
from benchmarks.record.damage import UnreadableError, content_of, named, pass_over, said
from benchmarks.record.journal import JOURNALS, REMEDY, load_runs, numbered_lines, opening
from benchmarks.record.planned import Plan, plan_from
from benchmarks.record.run import Run
from benchmarks.record.schema import Case, case_from

_TAIL = 2**16
"""Bytes at the end of a journal in which its `end` is looked for."""
_END, _SAVED = b'{"type": "end"', b'{"type": "saved"'
_SAVES = b'"saves": true'
_MOST_READ = 3
"""Merged runs that are read as a whole to find out whether they are complete."""


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A run that was cut short: its journal of `length` bytes, and what is in its whole lines, up to `size`.

    `cases` holds the line of each case that has a result, or a reason for none; `accuracy` those of the checks.
    """

    path: Path
    size: int
    length: int
    opening: Line
    plan: Plan
    cases: Mapping[Case, Line]
    accuracy: tuple[Line, ...]


def find(name: str | None, results: Path) -> Unfinished:
    """Return the run that goes by a file, an id or the name it was to be saved as; the last cut short without one.

    Raises ValueError where there is none, it is complete, or another process is at it; UnreadableError for a
    damaged journal.
    """
    if name is None:
        for path, _ in cut_short(results):
            if (found := _read(path)) is not None:
                return found
        raise ValueError(f"no run in {named(results / JOURNALS)} was cut short and can go on")
    path = Path(name) if Path(name).is_file() else _by_name(name, results)
    if _is_merged(opening(path)):
        raise ValueError(f"{name}: is merged of several runs; go on with the one that was cut short")
    if _is_over(path):
        raise ValueError(f"{name}: is complete, so nothing of it is left to measure")
    if lock.is_taken(path):
        raise ValueError(f"{name}: is being measured by another process")
    if (found := _read(path)) is None:
        raise ValueError(f"{name}: was cut short before it wrote what to measure; start a new run")
    return found


def incomplete(results: Path, complete: Collection[str]) -> Iterator[str]:
    """Yield, for each run that was to be saved and is not complete, its id and what it lacks, the newest first.

    That is one that was cut short, and a merged one which lacks a shard, or the rest of a part. `complete` holds
    the ids of the runs in the history. Of merged runs that are not among them, which take long to read, the newest
    `_MOST_READ` are looked at.
    """
    left = _MOST_READ
    for path in sorted((results / JOURNALS).glob("*.jsonl"), reverse=True):
        try:
            first = opening(path)
            if not first or not first["saved_as"] or first["run_id"] in complete:
                continue
            if not _is_merged(first):
                if _is_cut_short(path):
                    yield f"{path.stem} was cut short; see docs/interrupted.md"
            elif left:
                left -= 1
                runs = load_runs(path)
                if lacking := [run for run in runs if not run.complete]:
                    yield f"{path.stem}, merged as {first['saved_as']!r}, {_lacks(lacking, len(runs))}"
        except (OSError, UnreadableError) as error:
            pass_over(path, error)


def cut_short(results: Path) -> Iterator[tuple[Path, Line]]:
    """Yield the journal of each run that was cut short, with its first line, the newest first.

    That is also one which was ended after its last case and before it was saved. One that cannot be read is passed
    over, and one that is being written is not cut short yet.
    """
    for path in sorted((results / JOURNALS).glob("*.jsonl"), reverse=True):
        try:
            # The first line first: what is no file, such as a pipe that nobody writes to, is refused there.
            first = opening(path)
            if first and not _is_merged(first) and _is_cut_short(path):
                yield path, first
        except (OSError, UnreadableError) as error:
            pass_over(path, error)


def _by_name(name: str, results: Path) -> Path:
    """Return the newest journal of a run of this id or name, one that was cut short if there is one."""
    found = [path for path, first in cut_short(results) if name in (first["saved_as"], first["run_id"])]
    if found:
        return found[0]
    if (path := results / JOURNALS / f"{name}.jsonl").is_file():
        return path
    known = [str(first["saved_as"] or first["run_id"]) for _, first in cut_short(results)]
    there_is = f"cut short were {listing(known, most=6)}" if known else "none was cut short"
    raise ValueError(f"{name}: no such run that was cut short; {there_is}")


def _is_merged(first: Line | None) -> bool:
    """Tell whether a journal is merged of others, of which each goes on by itself."""
    return first is not None and first.get("schema") == merged.SCHEMA


def _is_cut_short(path: Path) -> bool:
    """Tell whether a journal is not over, and nobody is writing it."""
    return not _is_over(path) and not lock.is_taken(path)


def _lacks(lacking: Sequence[Run], n_machines: int) -> str:
    """Return what some of a merged run's machines lack: the first in full."""
    first = lacking[0]
    if n_machines == 1:
        return f"is not complete. {first.shortfall}"
    machines = f"{count(len(lacking))} of {plural(n_machines, 'machine')}"
    return f"is not complete on {machines}. On {first.machine_name}: {first.shortfall}"


def _is_over(path: Path) -> bool:
    """Tell whether a journal has its `end`, and the run is saved if it was to be: there is nothing left to do."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        lines = file.read().split(b"\n")
    ends = [line for line in lines if line.startswith(_END)]
    is_saved = any(line.startswith(_SAVED) for line in lines)
    return bool(ends) and (is_saved or _SAVES not in ends[-1])


def _read(path: Path) -> Unfinished | None:
    """Return what a journal holds; None without a plan, as in those of older versions."""
    content = content_of(path)
    whole = content[: content.rfind(b"\n") + 1]
    lines = [line for _, line in numbered_lines(whole, path)]
    plans = [line for line in lines if line.get("type") == "plan"]
    if not plans or not (first := opening(path)):
        return None
    try:
        cases = [case for line in lines if line.get("type") == "group" for case in line["cases"]]
        return Unfinished(
            path,
            len(whole),
            len(content),
            first,
            plan_from(plans[-1]),
            {case_from(case): case for case in cases},
            tuple(line for line in lines if line.get("type") == "accuracy"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(path, "", said(error), REMEDY) from error
