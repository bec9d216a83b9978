"""What some lines of a journal hold, as frames: the bandwidth, rounds, and curves of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pandas as pd

from benchmarks.machine import roofline
from benchmarks.machine.bandwidth import Bandwidth
from benchmarks.record.run import CURVE_COLUMNS, CURVE_ERROR_COLUMNS, ROUND_COLUMNS, no_rows
from benchmarks.record.schema import case_of

Line = Mapping[str, Any]


def bandwidth(lines: Sequence[Line]) -> pd.DataFrame:
    """Return the bandwidth of each device, from all that was measured of it in the course of the run."""
    found: defaultdict[str, list[Bandwidth]] = defaultdict(list)
    for line in lines:
        _require_numbers(line, "n_bytes", "copy", "read")
        found[line["device"]].append(Bandwidth(*(tuple(line[each.name]) for each in fields(Bandwidth))))
    frames = [roofline.settle(device, measurements) for device, measurements in found.items()]
    return pd.concat(frames, ignore_index=True) if frames else no_rows(roofline.BANDWIDTH)


def rounds(cases: Sequence[Line]) -> pd.DataFrame:
    """Return every round of cases, where they were kept (ROUND_COLUMNS)."""
    rows = [
        case_of(case) | {"process": i, "burst": j, "round": k, "iterations": n, "seconds_per_call": seconds / n}
        for case in cases
        if "every_round" in case
        for i, (bursts, n) in enumerate(zip(case["every_round"], case["every_iterations"], strict=True))
        for j, burst in enumerate(bursts)
        for k, seconds in enumerate(burst)
    ]
    return pd.DataFrame(rows, columns=list(ROUND_COLUMNS)).astype({"seconds_per_call": "float64"})


def curves(lines: Sequence[Line]) -> pd.DataFrame:
    """Return the functions to draw (CURVE_COLUMNS)."""
    rows = [
        {"op": line["op"], "x": x, "y": y, "derivative": slope}
        for line in lines
        for x, y, slope in zip(line["x"], line["y"], line["derivative"], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS)).astype(dict.fromkeys(CURVE_COLUMNS[1:], "float64"))


def curve_errors(lines: Sequence[Line]) -> pd.DataFrame:
    """Return the errors of backends along these curves (CURVE_ERROR_COLUMNS)."""
    rows = [
        (line["op"], line["mode"], line["backend"], line["device"], float(x), float(ulp))
        for line in lines
        for x, ulp in zip(line["x"], line["ulp"], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_ERROR_COLUMNS))


def _require_numbers(line: Line, *names: str) -> None:
    for name in names:
        if not all(isinstance(each, (int, float)) for each in line[name]):
            raise ValueError(f"{name}: must be numbers; got {line[name]!r:.80}")
