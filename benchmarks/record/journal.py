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
strings "Infinity" and "-Infinity", which `rows.to_rows` reads back as numbers in columns of numbers.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from benchmarks.record import merged
from benchmarks.record.assembly import Line, assemble, require_kinds
from benchmarks.record.atomic import encoded
from benchmarks.record.damage import UnreadableError, content_of, first_wrong, named
from benchmarks.record.privacy import without_homes
from benchmarks.record.rows import is_missing
from benchmarks.record.run import Run

JOURNALS = "runs/journals"
"""The folder of journals within the results."""
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
    if is_missing(value):
        return None
    if isinstance(value, str):
        value = value if value.isascii() else encoded(value).decode()  # other files have no place for halves
        return without_homes(value)  # before JSON escapes what a path may hold
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity"
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
            require_kinds(line)
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
        return _runs(lines)
    except UnreadableError:
        raise
    except Exception as error:  # a file can hold anything
        number, _ = numbered[first_wrong(lines, _runs)]
        raise UnreadableError(journal, str(number), error, REMEDY) from error


def _runs(lines: Sequence[Line]) -> tuple[Run, ...]:
    """Return the runs that a journal's lines tell of: one, or of merged ones one a machine."""
    parts = list(merged.parts(lines))
    if not parts:
        return (assemble(lines),)
    return merged.runs(parts, [assemble(part.lines) for part in parts])


def _require_run(lines: Sequence[Line], journal: Path) -> None:
    """Raise UnreadableError for a journal without a run, or of a newer version."""
    run = next((line for line in lines if line.get("type") == "run"), None)
    if run is None:
        raise UnreadableError(journal, "1", "does not begin with a run", f"is it one of `results/{JOURNALS}`?")
    schema = run.get("schema", 1)
    if not isinstance(schema, int) or schema > merged.SCHEMA:
        reason = f"has schema {schema!r:.40}, and this version reads up to {merged.SCHEMA}"
        raise UnreadableError(journal, "1", reason, "read it with the version that wrote it")
