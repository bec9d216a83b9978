"""The journal: what a run found out, on disk before its next group of cases starts.

One JSON object a line, its `type` first: `run` (machine and command), `bandwidth`, `cost`, `function`, `accuracy`,
`curve`, `begin` and `group` (the cases that are compared with each other, before and after they are measured),
`warning`, `end` and `regressed`. A run that is killed loses nothing it measured: `python -m benchmarks report`
makes the report from what there is.

JSON knows no NaN and no infinities: NaN is written as null, which reads as "not measured", and infinities as the
strings "Infinity" and "-Infinity", which `schema.to_frame` reads back as numbers in columns of numbers.
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from benchmarks.machine import roofline
from benchmarks.machine.bandwidth import Bandwidth
from benchmarks.machine.caveat import Caveat
from benchmarks.quantities import listing
from benchmarks.record.frames import to_frame
from benchmarks.record.privacy import without_homes
from benchmarks.record.run import (
    CURVE_COLUMNS,
    CURVE_ERROR_COLUMNS,
    ROUND_COLUMNS,
    Run,
    best_samples,
    burst_frame,
    bursts_of,
)
from benchmarks.record.schema import ACCURACY_COLUMNS, COST_COLUMNS, PAIR_COLUMNS, SCHEMA, case_of

JOURNALS = "runs/journals"
"""The folder of journals within the results."""
Line = dict[str, Any]
"""A line of a journal as it is read, before it becomes part of a Run."""
_BESIDE = {"bursts_s", "burst_medians_s", "every_round", "every_iterations"}
"""What stands beside a case's columns in a line."""


def write_journal_line(file: TextIO, record: Mapping[str, object]) -> None:
    """Append `record` to an open journal, without the names of home folders, and wait until it is on disk."""
    file.write(json.dumps(plain(record), allow_nan=False) + "\n")
    file.flush()
    os.fsync(file.fileno())


def read_journal(path: Path) -> list[Line]:
    """Return the records of a journal; a last line cut short by the end of its run is left out.

    Any other line that is not a JSON object raises ValueError with its number.
    """
    records: list[Line] = []
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
    """Return a value as JSON has it: NaN and what is missing as None, infinities as strings, no home folders."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if value is pd.NA:
        return None
    if isinstance(value, str):
        return without_homes(value)  # before JSON escapes what a path may hold
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def load_run(journal: Path) -> Run:
    """Read a journal, complete or cut short, as one run.

    Raises ValueError if it lacks its first line, or was written by a newer version.
    """
    by_type: defaultdict[str, list[Line]] = defaultdict(list)
    for line in read_journal(journal):
        by_type[str(line.pop("type", ""))].append(line)
    if not by_type["run"]:
        raise ValueError(f"journal: {journal} does not begin with a run; is it one of `results/{JOURNALS}`?")
    run = by_type["run"][0]
    if run.get("schema", 1) > SCHEMA:
        raise ValueError(
            f"journal: {journal} has schema {run['schema']}, and this version reads up to {SCHEMA}; "
            "read it with the version that wrote it"
        )
    measured = _bandwidth(by_type["bandwidth"])
    end = by_type["end"][-1] if by_type["end"] else {}
    cases = _cases(by_type)
    records = to_frame({name: case.get(name) for name in case.keys() - _BESIDE} for case in cases)
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
        curves=_curves(by_type["function"]),
        curve_errors=_curve_errors(by_type["curve"]),
        costs=to_frame(by_type["cost"], COST_COLUMNS),
        bursts=burst_frame((case, bursts) for case in cases if (bursts := bursts_of(case))),
        pairs=to_frame((pair for group in by_type["group"] for pair in group.get("pairs", ())), PAIR_COLUMNS),
        rounds=_rounds(cases),
        command=run["command"],
        saved_as=run["saved_as"],
        warnings=(*cut_short, *map(_caveat, by_type["warning"]), *roofline.doubts(measured)),
        seed=run["seed"],
        time_s=end.get("time_s", {}),
        elapsed_s=end.get("elapsed_s"),
        precision=run.get("precision"),
        reference_s=end.get("reference_s"),
        run_id=run["run_id"],
        complete=bool(end),
        regression="; ".join(line["reason"] for line in by_type["regressed"]),
    )


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
    return [*alone, *found]


def _key(case: Line) -> tuple[object, ...]:
    return tuple(case_of(case).values())


def _caveat(line: Line) -> Caveat:
    """Return a warning; older journals do not tell what it is about."""
    return Caveat(line["text"], line.get("about", "times"))


def _cut_short(by_type: Mapping[str, Sequence[Line]]) -> Iterator[Caveat]:
    """Yield what was being measured when the run ended."""
    begun = [case for line in by_type["begin"] for case in line["cases"]]
    n_missing = len(begun) - sum(len(line["cases"]) for line in by_type["group"])
    if n_missing > 0:
        missing = listing(begun[-n_missing:], most=3)
        yield Caveat(f"The run ended while it measured {missing}: there is no result of that.")


def _bandwidth(lines: Sequence[Line]) -> pd.DataFrame:
    found: defaultdict[str, list[Bandwidth]] = defaultdict(list)
    for line in lines:
        found[line["device"]].append(Bandwidth(*(tuple(line[each.name]) for each in fields(Bandwidth))))
    frames = [roofline.settle(device, measurements) for device, measurements in found.items()]
    return pd.concat(frames, ignore_index=True) if frames else Run().bandwidth


def _rounds(cases: Sequence[Line]) -> pd.DataFrame:
    rows = [
        case_of(case) | {"process": i, "burst": j, "round": k, "iterations": n, "seconds_per_call": seconds / n}
        for case in cases
        if "every_round" in case
        for i, (bursts, n) in enumerate(zip(case["every_round"], case["every_iterations"], strict=True))
        for j, burst in enumerate(bursts)
        for k, seconds in enumerate(burst)
    ]
    return pd.DataFrame(rows, columns=list(ROUND_COLUMNS))


def _curves(lines: Sequence[Line]) -> pd.DataFrame:
    rows = [
        {"op": line["op"], "x": x, "y": y, "derivative": slope}
        for line in lines
        for x, y, slope in zip(line["x"], line["y"], line["derivative"], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def _curve_errors(lines: Sequence[Line]) -> pd.DataFrame:
    rows = [
        (line["op"], line["mode"], line["backend"], line["device"], float(x), float(ulp))
        for line in lines
        for x, ulp in zip(line["x"], line["ulp"], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_ERROR_COLUMNS))
