"""Tables: the CSV files of a run, which commands read back.

`checksums.json` beside them has a CRC-32 of each line of those that are read back, so that a changed digit does
not go unnoticed; tables without it, as of older versions or from elsewhere, are read as they are.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.record import atomic
from benchmarks.record.damage import UnreadableError, content_of, said
from benchmarks.record.rows import Rows, integer, to_rows
from benchmarks.record.schema import RETIRED, Column

CHECKSUMS = "checksums.json"
"""The file beside the tables with their checksums: by name, those of a content, or of two while it is replaced."""
READ_BACK = ("records.csv", "accuracy.csv", "pairs.csv")
"""The tables that commands read."""
REMEDY = "copy it again, or name another file"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a text begins that a spreadsheet computes, and one that was made harmless already."""
_QUOTED = re.compile(r"'+[=+\-@\t\r]")


def harmless(text: str) -> str:
    """Return a text as it stands in a CSV file: one that a spreadsheet would take for a formula after a `'`.

    A number keeps its sign. `raw` gives the text back.
    """
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def raw(cell: str) -> str:
    """Return the text of a cell that `harmless` wrote."""
    return cell[1:] if _QUOTED.match(cell) else cell


def write(directory: Path, contents: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Write files into a folder, each as a whole, and checksums of those that are read back; return the paths.

    Until all are there, `checksums.json` holds the old content's beside the new one's: a reader accepts either.
    """
    directory.mkdir(parents=True, exist_ok=True)
    new = {name: [_checksums(_bytes(contents[name]))] for name in READ_BACK if name in contents}
    path = directory / CHECKSUMS
    if not new:
        return {name: atomic.replace(directory / name, content) for name, content in contents.items()}
    atomic.replace(path, json.dumps({name: sums + _now(directory / name) for name, sums in new.items()}))
    paths = {name: atomic.replace(directory / name, content) for name, content in contents.items()}
    atomic.replace(path, json.dumps(new))
    return paths


def read(path: Path, columns: Sequence[Column]) -> Rows:
    """Return a table with exactly `columns`.

    Raises UnreadableError for a file that is no such table or does not agree with its checksums, with the line.
    """
    content = _intact(path)
    # Not pandas' reader: that one takes the name 0001 for the number 1, and fills a line that was cut with gaps.
    reader = csv.reader(io.StringIO(_text(path, content), newline=""), strict=True)
    dtypes = {column.name: column.dtype for column in columns}
    try:
        names = _names(next(reader, []), dtypes)
        return to_rows([_row(names, cells, dtypes) for cells in reader if cells], columns)
    except (ValueError, csv.Error) as error:
        reason = f"is no table of a run: {said(error)}"
        raise UnreadableError(path, str(max(reader.line_num, 1)), reason, REMEDY) from error


def first_cell(path: Path, name: str) -> str:
    """Return what the first row of a table has in a column, "" if there is neither; little else is read.

    Raises UnreadableError for a table that does not agree with its checksums.
    """
    lines = csv.DictReader(io.StringIO(_text(path, _intact(path)), newline=""))
    try:
        return raw(next(lines, {}).get(name) or "")
    except csv.Error as error:
        raise UnreadableError(path, str(max(lines.line_num, 1)), error, REMEDY) from error


def _intact(path: Path) -> bytes:
    """Return the content of a table; raise UnreadableError if it does not agree with its checksums."""
    content = content_of(path)
    _check(path, content)
    return content


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(path, f"byte {error.start + 1}", "is not UTF-8", REMEDY) from error


def _names(names: list[str], dtypes: Mapping[str, str]) -> list[str]:
    """Return the names in a table's first line; raise ValueError for others than it may have."""
    if not names:
        raise ValueError("it is empty")
    if unknown := sorted({*names} - {*dtypes, *RETIRED}):
        raise ValueError(f"unknown columns {', '.join(unknown)}")
    if len(set(names)) < len(names):
        raise ValueError("a column is there twice")
    return names


def _row(names: Sequence[str], cells: Sequence[str], dtypes: Mapping[str, str]) -> dict[str, object]:
    if len(cells) != len(names):
        raise ValueError(f"{len(cells)} cells under {len(names)} names")
    return {
        name: _value(name, cell, dtypes[name]) for name, cell in zip(names, cells, strict=True) if name in dtypes
    }


def _value(name: str, cell: str, dtype: str) -> object:
    """Return what a cell holds, of its column's type."""
    if not cell:
        return None
    try:
        match dtype:
            case "Int64":
                return integer(int(cell.removesuffix(".0")))
            case "float64":
                return float(cell)
            case "boolean":
                return {"true": True, "false": False}[cell.lower()]
    except (ValueError, OverflowError, KeyError):
        raise ValueError(f"{name}: must hold {dtype}; got {cell[:40]!r}") from None
    return raw(cell)


def _check(path: Path, content: bytes) -> None:
    """Raise UnreadableError for a table that is not the one whose checksums were written."""
    known = _known(path.with_name(CHECKSUMS)).get(path.name)
    found = _checksums(content)
    if known is None or found in known:
        return
    line = next((i for i, (was, now) in enumerate(zip(known[0], found, strict=False)) if was != now), None)
    at = 1 + (min(len(known[0]), len(found)) if line is None else line)
    raise UnreadableError(
        path,
        str(at),
        f"was changed after it was written: {CHECKSUMS} beside it differs",
        f"write the report again, or delete {CHECKSUMS} if you changed the table yourself",
    )


def _known(path: Path) -> dict[str, list[list[str]]]:
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_bytes())
        return {str(name): [list(map(str, sums)) for sums in each] for name, each in known.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(path, "", error, "write the report again, or delete this file") from error


def _now(path: Path) -> list[list[str]]:
    try:
        return [_checksums(path.read_bytes())]
    except OSError:
        return []


def _checksums(content: bytes) -> list[str]:
    """Return a CRC-32 of each line, ends of lines included."""
    return [f"{zlib.crc32(line):08x}" for line in content.splitlines(keepends=True)]


def _bytes(content: str | bytes) -> bytes:
    return atomic.encoded(content) if isinstance(content, str) else content


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
