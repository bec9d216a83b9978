"""The journal: what a run found out, on disk before its next group of cases starts.

One JSON object a line, its `type` first: `run` (machine and command), `plan` (what is to be measured),
`bandwidth`, `cost`, `function`, `accuracy`, `curve`, `begin` and `group` (the cases that are compared with each
other, before and after they are measured), `warning`, `end`, `saved` and `regressed`. A run that is killed loses
nothing it measured: `python -m benchmarks report` makes the report of what there is. One that is cut short has no
`end`; where it could still write, it has a `stop`. If it goes on, `resume` and a new `plan` follow. That of a
merged run has a `part` before the lines of each run that it was merged of (see `merged`).

Each line ends in a checksum of itself and of where it stands, so that a changed digit, or a line that is missing
in the middle, does not go unnoticed. Lines before the first one with a checksum, as older versions wrote them, are
read as they are.

JSON knows no NaN and no infinities: NaN is written as null, which reads as "not measured", and infinities as the
strings "Infinity" and "-Infinity", which `schema.to_frame` reads back as numbers in columns of numbers.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from benchmarks.machine import roofline
from benchmarks.machine.caveat import Caveat
from benchmarks.quantities import listing
from benchmarks.record import contents, merged
from benchmarks.record.atomic import encoded
from benchmarks.record.damage import UnreadableError, content_of, first_wrong, named
from benchmarks.record.frames import require_shapes, to_frame
from benchmarks.record.planned import Plan, plan_from, unmeasured
from benchmarks.record.privacy import without_homes
from benchmarks.record.run import Run, best_samples, burst_frame, bursts_of
from benchmarks.record.schema import (
    ACCURACY_COLUMNS,
    CASE_KEYS,
    COST_COLUMNS,
    PAIR_COLUMNS,
    case_from,
    case_of,
)

JOURNALS = "runs/journals"
"""The folder of journals within the results."""
Line = dict[str, Any]
"""A line of a journal as it is read, before it becomes part of a Run."""
BESIDE = {"bursts_s", "burst_medians_s", "every_round", "every_iterations"}
"""What stands beside a case's columns in a line."""
_CHECKSUM = re.compile(rb'(?:, )?"crc32": "([0-9a-f]{8})"\}\Z')
_CHECKSUM_LENGTH = 24
REMEDY = "copy it again, or name another run"


def write_journal_line(file: TextIO, record: Mapping[str, object]) -> bytes:
    """Append `record` to an open journal, without the names of home folders, and wait until it is on disk.

    Returns the line. Where that fails, as on a full disk, OSError is raised and nothing of it is left behind.
    """
    # Past the file's buffer, which would keep what could not be written and write it later.
    descriptor = file.fileno()
    start = os.lseek(descriptor, 0, os.SEEK_END)
    line = journal_line(record, start)
    left = memoryview(line)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, start)
        raise
    return line


def journal_line(record: Mapping[str, object], start: int) -> bytes:
    """Return a record as a line that begins at byte `start` of its journal, without the names of home folders."""
    return sealed(json.dumps(plain(record), allow_nan=False), start)


def sealed(written: str, start: int) -> bytes:
    """Return a JSON object as a line that begins at byte `start` of its journal, with its checksum."""
    text = written.encode()
    separator = b", " if len(text) > len("{}") else b""
    return b'%s%s"crc32": "%08x"}\n' % (text[:-1], separator, zlib.crc32(text, start % 2**32))


def read_journal(path: Path) -> list[Line]:
    """Return the records of a journal; a last line cut short by the end of its run is left out.

    Any other line that is not a JSON object or not what its checksum says raises UnreadableError with its number.
    """
    return [record for _, record in numbered_lines(content_of(path), path)]


def numbered_lines(content: bytes, path: Path) -> Iterator[tuple[int, Line]]:
    """Yield the records of a journal, each with the number of its line; raise as `read_journal` does."""
    start, checked = 0, False
    lines = content.split(b"\n")
    for i, line in enumerate(lines, start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                if i == len(lines):  # no newline followed: the run ended in the middle of this line
                    break
                raise UnreadableError(path, str(i), f"is not JSON: {error}", REMEDY) from error
            if not isinstance(record, dict):
                raise UnreadableError(path, str(i), f"must be a JSON object; got {type(record).__name__}", REMEDY)
            checked = _is_checked(line, start, since=checked, place=(path, i))
            record.pop("crc32", None)
            yield i, record
        start += len(line) + 1


def _is_checked(line: bytes, start: int, *, since: bool, place: tuple[Path, int]) -> bool:
    """Tell whether a line has a checksum; raise UnreadableError for a wrong one, or none after others had one."""
    found = _CHECKSUM.search(line, max(0, len(line) - _CHECKSUM_LENGTH))
    if found and int(found[1], 16) == zlib.crc32(line[: found.start()] + b"}", start % 2**32):
        return True
    if found or since:
        path, number = place
        raise UnreadableError(path, str(number), "was changed after it was written: its checksum differs", REMEDY)
    return False


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NaN and what is missing as None, infinities as strings, no home folders."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if value is pd.NA:
        return None
    if isinstance(value, str):
        value = value if value.isascii() else encoded(value).decode()  # other files have no place for halves
        return without_homes(value)  # before JSON escapes what a path may hold
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def opening(journal: Path) -> Line | None:
    """Return the first line of a journal, or None of one that was cut short in it: there is nothing in that.

    Raises UnreadableError if it is not that of a run, and OSError for what is no file.
    """
    if not journal.is_file():
        raise OSError(f"{named(journal)}: is not a file")
    with journal.open("rb") as file:
        line = next((record for _, record in numbered_lines(file.readline(), journal)), None)
    if line is not None:
        _require_run([line], journal)
        try:
            _require_kinds(line, _KINDS["run"])
        except ValueError as error:
            raise UnreadableError(journal, "1", error, REMEDY) from error
    return line


def load_run(journal: Path) -> Run:
    """Read a journal, complete or cut short, as one run.

    Raises UnreadableError if it lacks its first line, was written by a newer version, or is damaged, and
    ValueError if it is merged of runs on several machines.
    """
    return run_of(content_of(journal), journal)


def load_runs(journal: Path) -> tuple[Run, ...]:
    """Read a journal as `load_run` does; return a run a machine, of which a merged one may have several."""
    return _runs_of(content_of(journal), journal)


def run_of(content: bytes, journal: Path) -> Run:
    """Return the run that is in a journal's content; raise as `load_run` does."""
    found = _runs_of(content, journal)
    if len(found) > 1:
        raise ValueError(f"{named(journal)}: was measured on {len(found)} machines")
    return found[0]


def _runs_of(content: bytes, journal: Path) -> tuple[Run, ...]:
    numbered = list(numbered_lines(content, journal))
    lines = [line for _, line in numbered]
    try:
        _require_run(lines, journal)
        return _assemble_each(lines)
    except UnreadableError:
        raise
    except Exception as error:  # a file can hold anything
        number, _ = numbered[first_wrong(lines, _assemble_each)]
        raise UnreadableError(journal, str(number), error, REMEDY) from error


def _assemble_each(lines: Sequence[Line]) -> tuple[Run, ...]:
    """Return the runs that a journal's lines tell of: one, or of merged ones one a machine."""
    parts = list(merged.parts(lines))
    if not parts:
        return (_assemble(lines),)
    return merged.runs([replace(part, run=_assemble(part.lines)) for part in parts])


def _require_run(lines: Sequence[Line], journal: Path) -> None:
    """Raise UnreadableError for a journal without a run, or of a newer version."""
    run = next((line for line in lines if line.get("type") == "run"), None)
    if run is None:
        raise UnreadableError(journal, "1", "does not begin with a run", f"is it one of `results/{JOURNALS}`?")
    schema = run.get("schema", 1)
    if not isinstance(schema, int) or schema > merged.SCHEMA:
        reason = f"has schema {schema!r:.40}, and this version reads up to {merged.SCHEMA}"
        raise UnreadableError(journal, "1", reason, "read it with the version that wrote it")


def _assemble(lines: Sequence[Line]) -> Run:
    """Return the run that a journal's lines tell of; raise what their content makes it raise."""
    by_type: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        kind = str(line.get("type", ""))
        _require_kinds(line, _KINDS.get(kind, {}))
        by_type[kind].append({name: value for name, value in line.items() if name != "type"})
    run = by_type["run"][0]
    measured = contents.bandwidth(by_type["bandwidth"])
    ends = [*by_type["stop"], *by_type["end"]]
    plan = plan_from(by_type["plan"][-1]) if by_type["plan"] else None
    cases = _cases(by_type)
    whole = merged.names_of_whole(run)
    records = to_frame({name: case.get(name) for name in case.keys() - BESIDE} | whole for case in cases)
    require_shapes(records)
    # By what was measured at both ends of the run; a case's own line knows the beginning alone.
    records["fraction_of_bandwidth"] = roofline.fractions(records, measured)
    told = records["warning"].fillna("").str.cat(roofline.suspicious(records["fraction_of_bandwidth"]), sep="; ")
    records["warning"] = told.str.strip("; ")
    cut_short = _cut_short(by_type)
    return Run(
        records=records,
        accuracy=best_samples(to_frame(by_type["accuracy"], ACCURACY_COLUMNS)),
        machine=run["machine"],
        bandwidth=measured,
        curves=contents.curves(_last(by_type["function"], "op")),
        curve_errors=contents.curve_errors(_last(by_type["curve"], "op", "mode", "backend", "device")),
        # Where a run was gone on with, some of this was found out again.
        costs=to_frame(_last(by_type["cost"], "backend", "device"), COST_COLUMNS),
        bursts=burst_frame((case, bursts) for case in cases if (bursts := bursts_of(case))),
        pairs=to_frame((pair for group in by_type["group"] for pair in group.get("pairs", ())), PAIR_COLUMNS),
        rounds=contents.rounds(cases),
        command=run["command"],
        saved_as=run["saved_as"],
        warnings=(*cut_short, *dict.fromkeys(map(_caveat, by_type["warning"])), *roofline.doubts(measured)),
        seed=run["seed"],
        time_s=_spent(ends),
        elapsed_s=_elapsed_s(ends),
        precision=run.get("precision"),
        reference_s=ends[-1].get("reference_s") if ends else None,
        run_id=run["run_id"],
        complete=bool(by_type["end"]) and not (plan and plan.shard),
        part=f"shard {plan.shard}" if plan and plan.shard else "",
        n_groups=plan.n_groups if plan else None,
        unmeasured=_unmeasured(plan, cases),
        regression="; ".join(line["reason"] for line in by_type["regressed"]),
    )


def _last(lines: Sequence[Line], *names: str) -> list[Line]:
    """Return the last of the lines that agree in some of their values, in the order of the first."""
    return list({tuple(str(line.get(name)) for name in names): line for line in lines}.values())


def _spent(ends: Sequence[Line]) -> dict[str, float]:
    """Return what the parts of a run spent their time on, in seconds."""
    found: defaultdict[str, float] = defaultdict(float)
    for end in ends:
        for name, spent_s in end.get("time_s", {}).items():
            found[name] += float(spent_s)
    return dict(found)


def _elapsed_s(ends: Sequence[Line]) -> float | None:
    """Return how long the parts of a run took, as far as they could write it."""
    known = [end["elapsed_s"] for end in ends if end.get("elapsed_s") is not None]
    return sum(known) if known else None


def _unmeasured(plan: Plan | None, cases: Sequence[Line]) -> tuple[str, ...]:
    """Return the groups of a plan that have no line; none of a journal that has no plan."""
    if plan is None:
        return ()
    measured = map(case_from, cases)
    return unmeasured(plan, {(case.group, case.place) for case in measured})


def _require_kinds(line: Line, kinds: Mapping[str, Any]) -> None:
    """Raise ValueError for a line that lacks what its type has, or holds something else there."""
    for name, kind in kinds.items():
        if not isinstance(value := line.get(name), kind):
            raise ValueError(f"{name}: must be {_IN_JSON[kind]}; got {value!r:.80}")  # noqa: TRY004 - the file is wrong


_TEXT = str | None
_NUMBER = int | float | None
_IN_JSON: Mapping[Any, str] = {
    str: "a text",
    _TEXT: "a text or nothing",
    list: "a list",
    dict: "an object",
    _NUMBER: "a number or nothing",
}
_PLACE = {"op": str, "mode": str, "backend": str, "device": str}
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "run": {
        "run_id": str,
        "saved_as": str,
        "command": str,
        "machine": dict,
        "seed": _NUMBER,
        "precision": _NUMBER,
    },
    "plan": {"shares": list, "conditions": dict},
    "begin": {"cases": list},
    "group": {"cases": list},
    "bandwidth": {"device": str},
    "function": {"op": str},
    "curve": _PLACE,
    "warning": {"text": str},
    "regressed": {"reason": str},
    "stop": {"elapsed_s": _NUMBER, "reference_s": _NUMBER},
    "end": {"elapsed_s": _NUMBER, "reference_s": _NUMBER},
}
"""What the lines of a type hold at least, as JSON has it."""


def _cases(by_type: Mapping[str, Sequence[Line]]) -> list[Line]:
    """Return the cases of all groups, each with what is kept of its rounds.

    In a journal of schema 1 each has a line of its own, and its bursts and rounds have others.
    """
    found = [dict(case) for group in by_type["group"] for case in group["cases"]]
    alone = [dict(case) for case in by_type["case"]]
    by_key = {_key(case): case for case in alone}
    for line in by_type["bursts"]:
        by_key.get(_key(line), {})["bursts_s"] = line["processes"]
    for line in by_type["rounds"]:
        by_key.get(_key(line), {}).update(every_round=line["processes"], every_iterations=line["iterations"])
    for case in (*alone, *found):
        _require_kinds(case_of(case), dict.fromkeys(CASE_KEYS, _TEXT))
    return [*alone, *found]


def _key(case: Line) -> tuple[object, ...]:
    return tuple(case_of(case).values())


def _caveat(line: Line) -> Caveat:
    """Return a warning; older journals do not tell what it is about."""
    return Caveat(line["text"], line.get("about", "times"))


def _cut_short(by_type: Mapping[str, Sequence[Line]]) -> Iterator[Caveat]:
    """Yield what was being measured when the run ended, unless that was measured when it was gone on with."""
    begun = dict.fromkeys(case for line in by_type["begin"] for case in line["cases"])
    n_missing = len(begun) - sum(len(line["cases"]) for line in by_type["group"])
    if n_missing > 0:
        missing = listing(list(begun)[-n_missing:], most=3)
        yield Caveat(f"The run ended while it measured {missing}: there is no result of that.")
