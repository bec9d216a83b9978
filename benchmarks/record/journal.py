"""The journal: what a run found out, on disk before its next group of cases starts.

One JSON object a line, its `type` first: `run` (machine and command), `bandwidth`, `cost`, `function`, `accuracy`,
`curve`, `case`, `bursts`, `rounds`, `warning`, `end` and `regressed`. A run that is killed loses nothing it
measured: `python -m benchmarks report` makes the report from what there is.

JSON knows no NaN and no infinities: NaN is written as null, which reads as "not measured", and infinities as the
strings "Infinity" and "-Infinity", which `schema.to_frame` reads back as numbers in columns of numbers.
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from benchmarks.machine import roofline
from benchmarks.record.run import CURVE_COLUMNS, CURVE_ERROR_COLUMNS, ROUND_COLUMNS, Run, best_samples, burst_frame
from benchmarks.record.schema import ACCURACY_COLUMNS, COST_COLUMNS, to_frame

JOURNALS = "runs/journals"
"""The folder of journals within the results."""


def write_journal_line(file: TextIO, record: Mapping[str, object]) -> None:
    """Append `record` to an open journal and wait until it is on disk."""
    file.write(json.dumps(plain(record), allow_nan=False) + "\n")
    file.flush()
    os.fsync(file.fileno())


def read_journal(path: Path) -> list[dict[str, object]]:
    """Return the records of a journal; a last line cut short by the end of its run is left out.

    Any other line that is not a JSON object raises ValueError with its number.
    """
    records: list[dict[str, object]] = []
    lines = path.read_bytes().split(b"\n")
    for i, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            if i == len(lines):  # no newline followed: the run ended in the middle of this line
                break
            raise ValueError(f"{path}:{i}: is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"{path}:{i}: must be a JSON object; got {type(record).__name__}")  # noqa: TRY004 - the file is wrong
        records.append(record)
    return records


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NaN and what is missing as None, infinities as strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if value is pd.NA:
        return None
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def load_run(journal: Path) -> Run:
    """Read a journal, complete or cut short, as one run; raise ValueError if it lacks its first line."""
    by_type: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in read_journal(journal):
        by_type[str(line.pop("type", ""))].append(line)
    if not by_type["run"]:
        raise ValueError(f"journal: {journal} does not begin with a run; is it one of `results/{JOURNALS}`?")
    run = by_type["run"][0]
    measured = _bandwidth(by_type["bandwidth"])
    end = by_type["end"][-1] if by_type["end"] else {}
    records = to_frame(by_type["case"])
    # By what was measured at both ends of the run; a case's own line knows the beginning alone.
    records["fraction_of_bandwidth"] = roofline.fractions(records, measured)
    return Run(
        records=records,
        accuracy=best_samples(to_frame(by_type["accuracy"], ACCURACY_COLUMNS)),
        machine=run["machine"],
        bandwidth=measured,
        curves=_curves(by_type["function"]),
        curve_errors=_curve_errors(by_type["curve"]),
        costs=to_frame(by_type["cost"], COST_COLUMNS),
        bursts=burst_frame((line, line["processes"]) for line in by_type["bursts"]),
        rounds=_rounds(by_type["rounds"]),
        command=run["command"],
        saved_as=run["saved_as"],
        warnings=(*(line["text"] for line in by_type["warning"]), *roofline.doubts(measured)),
        seed=run["seed"],
        time_s=end.get("time_s", {}),
        elapsed_s=end.get("elapsed_s"),
        precision=run.get("precision"),
        reference_s=end.get("reference_s"),
        run_id=run["run_id"],
        complete=bool(end),
        regression="; ".join(line["reason"] for line in by_type["regressed"]),
    )


def _bandwidth(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    devices = dict.fromkeys(line["device"] for line in lines)
    frames = [roofline.settle([line for line in lines if line["device"] == device]) for device in devices]
    return pd.concat(frames, ignore_index=True) if frames else Run().bandwidth


def _rounds(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {name: line[name] for name in ROUND_COLUMNS if name in line and name != "iterations"}
        | {"process": i, "burst": j, "round": k, "iterations": n, "seconds_per_call": seconds / n}
        for line in lines
        for i, (bursts, n) in enumerate(zip(line["processes"], line["iterations"], strict=True))
        for j, burst in enumerate(bursts)
        for k, seconds in enumerate(burst)
    ]
    return pd.DataFrame(rows, columns=list(ROUND_COLUMNS))


def _curves(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {"op": line["op"], "x": x, "y": y, "derivative": slope}
        for line in lines
        for x, y, slope in zip(line["x"], line["y"], line["derivative"], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def _curve_errors(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = [name for name in CURVE_ERROR_COLUMNS if name not in {"x", "ulp"}]
    rows = [
        {name: line[name] for name in names} | {"x": float(x), "ulp": float(ulp)}
        for line in lines
        for x, ulp in zip(line["x"], line["ulp"], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_ERROR_COLUMNS))
