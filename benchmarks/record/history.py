"""History: the records of every saved run, as one Parquet dataset in the results folder.

`history/machine_id=<id>/<run_id>.parquet`, a file per run that is never written again. Two histories become one by
copying their files together, as between a CI cache, a branch and a desk; any reader of hive partitions reads the
folder as it is (`pandas.read_parquet("results/history")`).

Each file has checksums: those of its pages, which any reader of Parquet can verify, and between the last page and
the footer, where readers do not look, a CRC-32 of each `_BLOCK` bytes of all the rest, the footer among it. Files
without them, as older versions wrote them, are read as they are.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from benchmarks.record.damage import UnreadableError, content_of, pass_over, said
from benchmarks.record.rows import Rows
from benchmarks.record.schema import COLUMNS, Column

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow import ChunkedArray, Table

FOLDER = "history"
_PARTITION = "machine_id="
_UNKNOWN = "unknown"
_REMEDY = "delete it, or copy it again"
_BLOCK = 4096
_CRC = 4
_COUNT = struct.Struct("<I")
"""How many checksums come before it."""
_SEAL = b"\0crc32\0\0"
"""What follows the checksums and their number; after it comes the footer."""
_TAIL = struct.Struct("<I4s")
"""How a Parquet file ends: the length of its footer, and its sign."""


def append(records: pd.DataFrame, results: Path) -> Path:
    """Write the records of one run into the history in `results`; return the file's path.

    Runs written before are left alone; the same run written again replaces its own file. Raises ValueError unless
    the records are of one run on one machine, and OSError where the file cannot be written, which leaves none.
    """
    run_id, machine = _only(records, "run_id"), _only(records, "machine_id")
    folder = results / FOLDER / f"{_PARTITION}{quote(machine, safe='')}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{quote(run_id, safe='')}.parquet"
    written = io.BytesIO()
    # The folder's name holds the machine; in the file too, readers of partitions would find a conflict.
    records.drop(columns="machine_id").to_parquet(written, engine="pyarrow", index=False, write_page_checksum=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(_sealed(written.getvalue()))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read(results: Path, names: Collection[str] | None = None) -> pd.DataFrame:
    """Return the records of all runs in the history as a frame; as `rows` does."""
    return rows(results, names).frame()


def rows(results: Path, names: Collection[str] | None = None) -> Rows:
    """Return the records of all runs in the history, with exactly the columns of COLUMNS.

    With `names`, only the columns of these names are read. Columns that an older version did not write are empty;
    columns that a newer one wrote are left out. A file that cannot be read is passed over. Raises ValueError if
    there is no history, or none of its files can be read.
    """
    paths = sorted((results / FOLDER).glob(f"{_PARTITION}*/*.parquet"))
    if not paths:
        raise ValueError(
            f"results: no saved run in {results / FOLDER}; "
            "`pytest benchmarks --benchmark-save=NAME` appends one to the history"
        )
    columns = [column for column in COLUMNS if names is None or column.name in names]
    found = list(_readable(paths, columns))
    if not found:
        raise ValueError(f"results: none of the files in {results / FOLDER} can be read; copy them again")
    return _rows(found, columns)


def read_file(path: Path, columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Return the records in one file of a history, with exactly `columns`, in their order and dtypes.

    Raises UnreadableError for a file that is damaged or none of a history.
    """
    return _rows([_read(path, columns)], columns).frame()


@dataclass(frozen=True, eq=False)
class _File:
    """What is in one file as Arrow has it, and the machine, which its folder names."""

    machine_id: str
    table: Table


def _read(path: Path, columns: Sequence[Column]) -> _File:
    """Return what is in one file, with exactly `columns`; raise as `read_file` does."""
    # Late, as a run only writes. Not pandas' reader: that one loads what reads whole folders, for a single file.
    from pyarrow import BufferReader, table
    from pyarrow.parquet import ParquetFile

    content = content_of(path)
    if at := _changed(content):
        raise UnreadableError(
            path, f"byte {at}", "was changed after it was written: its checksum differs", _REMEDY
        )
    try:
        with ParquetFile(BufferReader(content), page_checksum_verification=True) as file:
            written = file.read([column.name for column in columns])
        found = table({column.name: _typed(written, column) for column in columns})
        found.validate(full=True)  # or texts that are none would be noticed where all files are one
    except Exception as error:  # what a Parquet file can hold, pandas' own notes among it, can be anything
        raise UnreadableError(path, "", f"is not a Parquet file, or damaged: {said(error)}", _REMEDY) from error
    return _File(unquote(path.parent.name.removeprefix(_PARTITION)), found)


def _readable(paths: Sequence[Path], columns: Sequence[Column]) -> Iterator[_File]:
    """Yield what is in each file that can be read."""
    for path in paths:
        try:
            yield _read(path, columns)
        except (OSError, UnreadableError) as error:
            pass_over(path, error)


_ARROW = {"string": "large_string", "Int64": "int64", "float64": "double", "boolean": "bool"}
"""What Arrow calls the dtypes of columns."""


def _typed(written: Table, column: Column) -> ChunkedArray:
    """Return a column as Arrow has its dtype: one that our own writer did not make, as pandas converts it."""
    from pyarrow import array, chunked_array, nulls

    kind = _ARROW[column.dtype]
    if column.name not in written.column_names:
        return chunked_array([nulls(written.num_rows, kind)])
    found = written[column.name]
    if str(found.type) == kind:
        return found
    try:
        converted = found.to_pandas().astype(column.dtype)
        return chunked_array([array(converted, type=kind, from_pandas=True)])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{column.name} must hold {column.dtype}: {error}") from error


def _rows(files: Sequence[_File], columns: Sequence[Column]) -> Rows:
    """Return what is in files as rows."""
    from pyarrow import concat_tables

    # Converted once: of a thousand files each by itself, that would take ten times as long as to read them.
    written = concat_tables([file.table for file in files])
    machines = [file.machine_id for file in files for _ in range(file.table.num_rows)]
    values = {column.name: _values(written[column.name]) for column in columns}
    # Arrow would import pandas to make a column of what is no array.
    return Rows(values | {"machine_id": machines}, tuple(columns))


def _values(column: ChunkedArray) -> list[Any]:
    """Return the values of a column; of texts, each once: many rows say the same."""
    if str(column.type) != _ARROW["string"]:
        values: list[Any] = column.to_pylist()
        return values
    coded = column.combine_chunks().dictionary_encode()
    texts = coded.dictionary.to_pylist()
    return [None if i is None else texts[i] for i in coded.indices.to_pylist()]


def _sealed(content: bytes) -> bytes:
    """Return a Parquet file with checksums before its footer."""
    footer = len(content) - _TAIL.size - _TAIL.unpack(content[-_TAIL.size :])[0]
    known = _checksums(content)
    return content[:footer] + b"".join(known) + _COUNT.pack(len(known)) + _SEAL + content[footer:]


def _changed(content: bytes) -> int:
    """Return near which byte, from 1, a Parquet file is not what its checksums say; 0 if it is, or has none."""
    seal = content.rfind(_SEAL)
    if seal < _COUNT.size:
        return 0
    (n_blocks,) = _COUNT.unpack(content[seal - _COUNT.size : seal])
    pages, footer = content[: max(0, seal - _COUNT.size - _CRC * n_blocks)], content[seal + len(_SEAL) :]
    known = content[len(pages) : seal - _COUNT.size]
    for i, block in enumerate(found := _checksums(pages + footer)):
        if known[i * _CRC : (i + 1) * _CRC] != block:
            between = seal + len(_SEAL) - len(pages) if i * _BLOCK >= len(pages) else 0
            return 1 + i * _BLOCK + between
    return 0 if len(found) == n_blocks else len(content)


def _checksums(content: bytes) -> list[bytes]:
    blocks = (content[i : i + _BLOCK] for i in range(0, len(content), _BLOCK))
    return [zlib.crc32(block).to_bytes(_CRC, "little") for block in blocks]


def _only(records: pd.DataFrame, name: str) -> str:
    found = [str(value) for value in records[name].fillna(_UNKNOWN).unique()]
    if len(found) != 1 or not found[0]:
        raise ValueError(f"records: a history's file holds one {name}; got {', '.join(found) or 'none'}")
    return found[0]
