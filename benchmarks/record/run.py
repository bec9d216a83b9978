"""A run as a whole: what was measured, on which machine, by which command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.machine.caveat import Caveat
from benchmarks.machine.roofline import BANDWIDTH
from benchmarks.quantities import count, listing, plural
from benchmarks.record import tables
from benchmarks.record.damage import UnreadableError, pass_over
from benchmarks.record.frames import to_frame
from benchmarks.record.schema import (
    ACCURACY_COLUMNS,
    CASE_KEYS,
    COLUMNS,
    COST_COLUMNS,
    PAIR_COLUMNS,
    SEARCHED,
    Column,
    case_of,
)

ROUND_COLUMNS = (*CASE_KEYS, "process", "burst", "round", "iterations", "seconds_per_call")
BURST_COLUMNS = (*CASE_KEYS, "process", "burst", "seconds_per_call")
CURVE_COLUMNS = ("op", "x", "y", "derivative")
CURVE_ERROR_COLUMNS = ("op", "mode", "backend", "device", "x", "ulp")


@cache
def _made_once(columns: tuple[str | Column, ...]) -> pd.DataFrame:
    dtypes = dict((c.name, c.dtype) if isinstance(c, Column) else (c, "float64") for c in columns)
    arrays = {name: pd.array([], dtype=dtype) for name, dtype in dtypes.items()}  # type: ignore[call-overload]
    return pd.DataFrame(arrays)


def no_rows(columns: tuple[str | Column, ...]) -> pd.DataFrame:
    """Return a frame of its own without rows; made from its columns each time, it would take ten times as long."""
    return _made_once(columns).copy()


@dataclass(frozen=True, eq=False)
class Run:
    """One run: what was measured, on which machine, by which command.

    `machine` is its fingerprint, as the version that made the run recorded it. `records`, `accuracy` and `costs`
    follow `COLUMNS`, `ACCURACY_COLUMNS` and `COST_COLUMNS`. `pairs` says how the backends of a group compare
    (`PAIR_COLUMNS`; none in older runs). `bandwidth` holds how fast bytes are copied and read, at each number of
    them; `curves` the functions and derivatives to draw, `curve_errors` the errors of each backend there; `bursts`
    the seconds of each burst of rounds, `rounds` every round, if kept. `warnings` say what makes the numbers
    doubtful; `seed` is that of the order in which backends took turns, `time_s` what the run spent its time on, in
    seconds, `elapsed_s` how long it took in all, `reference_s` how long a round of the reference kernel took.
    `precision` is the goal, half an interval's width over its median, where it is known. A run that was cut short
    is not `complete`; `n_groups` is how many groups were planned, where that is known, and `unmeasured` names
    those of them that have no result. `part` says which shards it is made of, where others are missing.
    `regression` says what comparison it failed.
    """

    records: pd.DataFrame = field(default_factory=lambda: no_rows(COLUMNS))
    accuracy: pd.DataFrame = field(default_factory=lambda: no_rows(ACCURACY_COLUMNS))
    machine: Mapping[str, object] = field(default_factory=dict)
    bandwidth: pd.DataFrame = field(default_factory=lambda: no_rows(BANDWIDTH))
    curves: pd.DataFrame = field(default_factory=lambda: no_rows(CURVE_COLUMNS))
    curve_errors: pd.DataFrame = field(default_factory=lambda: no_rows(CURVE_ERROR_COLUMNS))
    costs: pd.DataFrame = field(default_factory=lambda: no_rows(COST_COLUMNS))
    pairs: pd.DataFrame = field(default_factory=lambda: no_rows(PAIR_COLUMNS))
    bursts: pd.DataFrame = field(default_factory=lambda: no_rows(BURST_COLUMNS))
    rounds: pd.DataFrame = field(default_factory=lambda: no_rows(ROUND_COLUMNS))
    command: str = ""
    saved_as: str = ""
    warnings: tuple[Caveat, ...] = ()
    seed: int | None = None
    time_s: Mapping[str, float] = field(default_factory=dict)
    elapsed_s: float | None = None
    precision: float | None = None
    reference_s: float | None = None
    run_id: str = ""
    complete: bool = True
    n_groups: int | None = None
    unmeasured: tuple[str, ...] = ()
    part: str = ""
    regression: str = ""

    @property
    def machine_name(self) -> str:
        """What its machine goes by: its id, and the beginning of its host's, where that is known."""
        machine, host = (str(self.machine.get(name) or "") for name in ("machine_id", "host"))
        return f"{machine or 'unknown'}{f'-{host[:6]}' if host else ''}"

    @property
    def shortfall(self) -> str:
        """What a run that was cut short lacks, in a sentence; empty of one that is complete."""
        if self.complete:
            return ""
        said = f"This is {self.part} alone" if self.part else "The run was cut short"
        if not self.unmeasured or self.n_groups is None:
            return f"{said}."
        of = f"{count(len(self.unmeasured))} of {plural(self.n_groups, 'group')}"
        return f"{said}, {of} not measured: {listing(self.unmeasured, most=3)}."


def id_at(moment: datetime) -> str:
    """Return the id of a run that begins at a moment in UTC: runs come in the order of their ids."""
    return moment.strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def bursts_of(case: Mapping[str, Any]) -> Sequence[Sequence[float]]:
    """Return the seconds of each burst, process by process, of a line that any version wrote of a case."""
    found: Sequence[Sequence[float]] = case.get("bursts_s", case.get("burst_medians_s", ()))
    return found


def burst_frame(cases: Iterable[tuple[Mapping[str, Any], Sequence[Sequence[float]]]]) -> pd.DataFrame:
    """Return the bursts of cases (BURST_COLUMNS), each given with those of its processes."""
    known = [(case_of(case), processes) for case, processes in cases]
    rows = [
        (i, j, seconds)
        for _, processes in known
        for i, medians in enumerate(processes)
        for j, seconds in enumerate(medians)
    ]
    found = pd.DataFrame(rows, columns=["process", "burst", "seconds_per_call"])
    # A row a case, repeated: a dictionary a burst would take most of the time and memory of reading a run.
    of_case = pd.DataFrame([case for case, _ in known], columns=list(CASE_KEYS))
    counts = [sum(map(len, processes)) for _, processes in known]
    repeated = of_case.loc[of_case.index.repeat(counts)].reset_index(drop=True)
    return pd.concat([repeated, found], axis=1).astype({"seconds_per_call": "float64"})[list(BURST_COLUMNS)]


def best_samples(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return one row per op, mode, dtype, backend and device: that of the searched sample, where there is one."""
    if accuracy.empty:
        return accuracy
    keys = ["op", "mode", "dtype", "backend", "device"]
    searched = accuracy["sample"].eq(SEARCHED).fillna(value=False)
    best = pd.concat([accuracy[~searched], accuracy[searched]]).drop_duplicates(keys, keep="last")
    return best.sort_index().reset_index(drop=True)


def with_certificates(run: Run, certified: pd.DataFrame) -> Run:
    """Return `run` with what an earlier search found about the same versions of its backends and its ops."""
    same = certified[["backend", "backend_version", "device"]].apply(tuple, axis=1)
    known = set(run.accuracy[["backend", "backend_version", "device"]].itertuples(index=False, name=None))
    chosen = (
        certified[same.isin(known) & certified["op"].isin(run.accuracy["op"])] if len(certified) else certified
    )
    return replace(run, accuracy=best_samples(pd.concat([run.accuracy, chosen], ignore_index=True)))


def read_accuracy(directory: Path) -> pd.DataFrame:
    """Return the accuracy table of a directory; without rows if there is none that can be read."""
    return _found_table(directory / "accuracy.csv", ACCURACY_COLUMNS)


def read_pairs(directory: Path) -> pd.DataFrame:
    """Return the pairs of a directory; without rows if there are none that can be read."""
    return _found_table(directory / "pairs.csv", PAIR_COLUMNS)


def _found_table(path: Path, columns: Sequence[Column]) -> pd.DataFrame:
    """Return a table that was not asked for by name: a bad one is passed over."""
    try:
        if path.exists():
            return tables.read(path, columns)
    except (OSError, UnreadableError) as error:
        pass_over(path, error)
    return to_frame([], columns)
