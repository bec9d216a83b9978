"""What some lines of a journal hold, as tables: the bandwidth, bursts, rounds, and curves of a run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any

from benchmarks.machine import roofline
from benchmarks.machine.limit import Bandwidth
from benchmarks.machine.roofline import BANDWIDTH, Limit
from benchmarks.record.rows import Later, Rows, no_rows
from benchmarks.record.run import CURVE_COLUMNS, CURVE_ERROR_COLUMNS, ROUND_COLUMNS, burst_rows, bursts_of
from benchmarks.record.schema import case_of

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]


def limits(lines: Sequence[Line]) -> list[Limit]:
    """Return the bandwidth of each device, from all that was measured of it in the course of the run."""
    found: defaultdict[str, list[Bandwidth]] = defaultdict(list)
    for line in lines:
        _require_numbers(line, "n_bytes", "copy", "read")
        found[line["device"]].append(Bandwidth(*(tuple(line[each.name]) for each in fields(Bandwidth))))
    return [limit for device, measured in found.items() for limit in roofline.settle(device, measured)]


def bandwidth(found: Sequence[Limit]) -> Later | Rows:
    """Return the same as a table (BANDWIDTH)."""
    return _table([astuple(limit) for limit in found], BANDWIDTH) if found else no_rows(BANDWIDTH)


def bursts(cases: Sequence[Line]) -> Rows:
    """Return the seconds of each burst of cases (BURST_COLUMNS)."""
    return burst_rows((case, found) for case in cases if (found := bursts_of(case)))


def rounds(cases: Sequence[Line]) -> Later:
    """Return every round of cases, where they were kept (ROUND_COLUMNS)."""
    rows = [
        (*case_of(case).values(), i, j, k, n, seconds / n)
        for case in cases
        if "every_round" in case
        for i, (bursts, n) in enumerate(zip(case["every_round"], case["every_iterations"], strict=True))
        for j, burst in enumerate(bursts)
        for k, seconds in enumerate(burst)
    ]
    return _table(rows, ROUND_COLUMNS, "seconds_per_call")


def curves(lines: Sequence[Line]) -> Later:
    """Return the functions to draw (CURVE_COLUMNS)."""
    rows = [
        (line["op"], *map(_number, point))
        for line in lines
        for point in zip(line["x"], line["y"], line["derivative"], strict=True)
    ]
    return _table(rows, CURVE_COLUMNS, *CURVE_COLUMNS[1:])


def curve_errors(lines: Sequence[Line]) -> Later:
    """Return the errors of backends along these curves (CURVE_ERROR_COLUMNS)."""
    rows = [
        (line["op"], line["mode"], line["backend"], line["device"], float(x), float(ulp))
        for line in lines
        for x, ulp in zip(line["x"], line["ulp"], strict=True)
    ]
    return _table(rows, CURVE_ERROR_COLUMNS)


def _table(rows: Sequence[tuple[object, ...]], columns: Sequence[str], *numbers: str) -> Later:
    """Return a table of these rows, some of whose columns hold numbers even if there are no rows."""

    def make() -> pd.DataFrame:
        import pandas as pd  # late: most commands that read a run need none of these tables

        return pd.DataFrame(rows, columns=list(columns)).astype(dict.fromkeys(numbers, "float64"))

    return Later(make)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _require_numbers(line: Line, *names: str) -> None:
    for name in names:
        if not all(isinstance(each, (int, float)) for each in line[name]):
            raise ValueError(f"{name}: must be numbers; got {line[name]!r:.80}")
