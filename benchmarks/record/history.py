"""History: the records of every saved run, as one Parquet dataset in the results folder.

`history/machine_id=<id>/<run_id>.parquet`, a file per run that is never written again. Two histories become one by
copying their files together, as between a CI cache, a branch and a desk; any reader of hive partitions reads the
folder as it is (`pandas.read_parquet("results/history")`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import pandas as pd

from benchmarks.record.schema import COLUMNS, Column

FOLDER = "history"
_PARTITION = "machine_id="
_UNKNOWN = "unknown"


def append(records: pd.DataFrame, results: Path) -> Path:
    """Write the records of one run into the history in `results`; return the file's path.

    Runs written before are left alone; the same run written again replaces its own file. Raises ValueError unless
    the records are of one run on one machine, and OSError where the file cannot be written, which leaves none.
    """
    run_id, machine = _only(records, "run_id"), _only(records, "machine_id")
    folder = results / FOLDER / f"{_PARTITION}{quote(machine, safe='')}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{quote(run_id, safe='')}.parquet"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            # The folder's name holds the machine; in the file too, readers of partitions would find a conflict.
            records.drop(columns="machine_id").to_parquet(file, engine="pyarrow", index=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read(results: Path, names: Collection[str] | None = None) -> pd.DataFrame:
    """Return the records of all runs in the history, with exactly the columns and dtypes of COLUMNS.

    With `names`, only the columns of these names are read. Columns that an older version did not write are empty;
    columns that a newer one wrote are left out. Raises ValueError if there is no history, and for a file that
    cannot be read, with its name.
    """
    paths = sorted((results / FOLDER).glob(f"{_PARTITION}*/*.parquet"))
    if not paths:
        raise ValueError(
            f"results: no saved run in {results / FOLDER}; "
            "`pytest benchmarks --benchmark-save=NAME` appends one to the history"
        )
    columns = [column for column in COLUMNS if names is None or column.name in names]
    return pd.concat([_read_run(path, columns) for path in paths], ignore_index=True)


def _read_run(path: Path, columns: Sequence[Column]) -> pd.DataFrame:
    # Late, as a run only writes. Not pandas' reader: that one loads what reads whole folders, for a single file.
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            written = file.read([column.name for column in columns]).to_pandas()
    except (ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise ValueError(
            f"history: {path} is not a Parquet file, or damaged ({error}); delete it, or copy it again"
        ) from error
    machine = unquote(path.parent.name.removeprefix(_PARTITION))
    written["machine_id"] = machine
    return pd.DataFrame({column.name: _typed(written, column, path) for column in columns})


def _typed(written: pd.DataFrame, column: Column, path: Path) -> pd.Series:
    if column.name not in written:
        return pd.Series([None] * len(written), dtype=column.dtype)
    try:
        return written[column.name].astype(column.dtype)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError) as error:
        raise ValueError(f"history: {path}: {column.name} must hold {column.dtype}: {error}") from error


def _only(records: pd.DataFrame, name: str) -> str:
    found = [str(value) for value in records[name].fillna(_UNKNOWN).unique()]
    if len(found) != 1 or not found[0]:
        raise ValueError(f"records: a history's file holds one {name}; got {', '.join(found) or 'none'}")
    return found[0]
