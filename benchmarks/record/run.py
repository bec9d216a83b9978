"""A run as a whole: what was measured, on which machine, by which command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from benchmarks.machine.caveat import Caveat
from benchmarks.machine.roofline import BANDWIDTH
from benchmarks.quantities import count, listing, plural
from benchmarks.record import tables
from benchmarks.record.damage import UnreadableError, pass_over
from benchmarks.record.rows import Later, Rows, SomeTable, joined, keys_of, listed, no_rows, taken
from benchmarks.record.schema import (
    ACCURACY_COLUMNS,
    CASE_KEYS,
    CHECK_KEYS,
    COLUMNS,
    COST_COLUMNS,
    PAIR_COLUMNS,
    SEARCHED,
    Column,
    case_of,
)

if TYPE_CHECKING:
    import pandas as pd

ROUND_COLUMNS = (*CASE_KEYS, "process", "burst", "round", "iterations", "seconds_per_call")
BURST_COLUMNS = (
    *(each for each in COLUMNS if each.name in CASE_KEYS),
    Column("process", "int64", "number of the process, from 0"),
    Column("burst", "int64", "number of the burst in it, from 0"),
    Column("seconds_per_call", "float64", "time per call in the burst", "s"),
)
CURVE_COLUMNS = ("op", "x", "y", "derivative")
CURVE_ERROR_COLUMNS = ("op", "mode", "backend", "device", "x", "ulp")


class _Table:
    """A table of a run: a frame, or what one is made of where somebody first asks for it."""

    def __init__(self, *columns: str | Column) -> None:
        self._default = no_rows(columns)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, run: None, owner: type) -> Rows: ...
    @overload
    def __get__(self, run: object, owner: type) -> pd.DataFrame: ...
    def __get__(self, run: object, owner: type) -> Rows | pd.DataFrame:
        if run is None:
            return self._default
        given = vars(run)[self._name]
        if isinstance(given, (Rows, Later)):
            vars(run)[self._name] = given.frame()
        found: pd.DataFrame = vars(run)[self._name]
        return found

    def __set__(self, run: object, given: pd.DataFrame | Rows | Later) -> None:
        vars(run)[self._name] = given


@dataclass(frozen=True, eq=False)
class Run:
    """One run: what was measured, on which machine, by which command.

    Its tables are frames, each of them made of the rows that it came as where somebody first asks for it.
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

    records: _Table = _Table(*COLUMNS)
    accuracy: _Table = _Table(*ACCURACY_COLUMNS)
    machine: Mapping[str, object] = field(default_factory=dict)
    bandwidth: _Table = _Table(*BANDWIDTH)
    curves: _Table = _Table(*CURVE_COLUMNS)
    curve_errors: _Table = _Table(*CURVE_ERROR_COLUMNS)
    costs: _Table = _Table(*COST_COLUMNS)
    pairs: _Table = _Table(*PAIR_COLUMNS)
    bursts: _Table = _Table(*BURST_COLUMNS)
    rounds: _Table = _Table(*ROUND_COLUMNS)
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

    def at_hand(self, name: str) -> Rows | pd.DataFrame:
        """Return a table as rows, where it came as such and no frame was made of it, or else as a frame."""
        given = vars(self)[name]
        at_hand: Rows | pd.DataFrame = given if isinstance(given, Rows) else getattr(self, name)
        return at_hand

    def changed(self, **fields: Any) -> Run:
        """Return the run with other values of some fields, and no frame made of the tables that it keeps.

        `dataclasses.replace` would ask for every table.
        """
        found = copy(self)
        vars(found).update(fields)
        return found

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


def frame_together(runs: Sequence[Run], names: Sequence[str] = ("records", "accuracy", "costs", "pairs")) -> None:
    """Make the frames of some tables of many runs at once, and give each run its part.

    A frame of fifty rows takes as long as one of ten thousand: most of it goes into its sixty columns.
    """
    for name in names:
        given = [(run, table) for run in runs if isinstance(table := vars(run)[name], Rows)]
        if len(given) > 1:
            whole = joined([table for _, table in given]).frame()
            ends = accumulate((len(table) for _, table in given), initial=0)
            for (run, _), (start, end) in zip(given, pairwise(ends), strict=True):
                vars(run)[name] = whole.iloc[start:end].reset_index(drop=True)


def id_at(moment: datetime) -> str:
    """Return the id of a run that begins at a moment in UTC: runs come in the order of their ids."""
    return moment.strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def bursts_of(case: Mapping[str, Any]) -> Sequence[Sequence[float]]:
    """Return the seconds of each burst, process by process, of a line that any version wrote of a case."""
    found: Sequence[Sequence[float]] = case.get("bursts_s", case.get("burst_medians_s", ()))
    return found


def burst_rows(cases: Iterable[tuple[Mapping[str, Any], Sequence[Sequence[float]]]]) -> Rows:
    """Return the bursts of cases (BURST_COLUMNS), each given with those of its processes."""
    values: dict[str, list[Any]] = {column.name: [] for column in BURST_COLUMNS}
    for case, processes in cases:
        for i, bursts in enumerate(processes):
            for name, value in (case_of(case) | {"process": i}).items():
                values[name] += [value] * len(bursts)
            values["burst"] += range(len(bursts))
            values["seconds_per_call"] += map(float, bursts)
    return Rows(values, BURST_COLUMNS)


def best_samples(accuracy: SomeTable) -> SomeTable:
    """Return one row per `Check`: that of the searched sample, where there is one."""
    places = keys_of(accuracy, CHECK_KEYS)
    searched = [sample == SEARCHED for sample in listed(accuracy["sample"])]
    best = {places[i]: i for i in sorted(range(len(places)), key=lambda i: searched[i])}
    return taken(accuracy, sorted(best.values()))


def with_certificates(run: Run, certified: pd.DataFrame) -> Run:
    """Return `run` with what an earlier search found about the same versions of its backends and its ops."""
    import pandas as pd

    same = certified[["backend", "backend_version", "device"]].apply(tuple, axis=1)
    known = set(run.accuracy[["backend", "backend_version", "device"]].itertuples(index=False, name=None))
    chosen = (
        certified[same.isin(known) & certified["op"].isin(run.accuracy["op"])] if len(certified) else certified
    )
    return run.changed(accuracy=best_samples(pd.concat([run.accuracy, chosen], ignore_index=True)))


def read_accuracy(directory: Path) -> Rows:
    """Return the accuracy table of a directory; without rows if there is none that can be read."""
    return _found_table(directory / "accuracy.csv", ACCURACY_COLUMNS)


def read_pairs(directory: Path) -> Rows:
    """Return the pairs of a directory; without rows if there are none that can be read."""
    return _found_table(directory / "pairs.csv", PAIR_COLUMNS)


def _found_table(path: Path, columns: Sequence[Column]) -> Rows:
    """Return a table that was not asked for by name: a bad one is passed over."""
    try:
        if path.exists():
            return tables.read(path, columns)
    except (OSError, UnreadableError) as error:
        pass_over(path, error)
    return no_rows(columns)
