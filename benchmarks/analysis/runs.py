"""Several runs side by side, machines or versions: every result against the first run's, and what only some have.

Cases are the same whatever the machine: `KEYS`. Ratios are the first run's median over the other's, so that above
1 is faster than the first.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, Timed, assembled, entries, grouped
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import ENDINGS, first_line
from benchmarks.analysis.tables import Lead
from benchmarks.analysis.verdicts import UNKNOWN, Standing, of_medians
from benchmarks.record import schema
from benchmarks.record.run import Run, frame_together
from benchmarks.record.schema import CASE, POLICIES
from benchmarks.stats.ratios import INTERVAL

KEYS: tuple[str, ...] = (*schema.CASE, "backend")
"""What two runs' results must share to be compared."""
OPEN_KEYS: tuple[str, ...] = tuple(key for key in schema.CASE if key != "device")
"""What they share where each run answers with the fastest of its backends, on any of its devices."""
MEASURED = "measured"
CSV_COLUMNS = (
    "run", "run_id", "timestamp", "git_commit", "machine_id", "device_name", *KEYS, "backend_version", "threads",
    "settings", "status", "reason", "warning", "median_s", "ci95_low_s", "ci95_high_s", "ratio", "ratio_low",
    "ratio_high", "verdict",
)  # fmt: skip

MOST_BESIDE = 8
"""More runs than 8 have no room beside each other: each is shown with the first alone."""
_LONGEST_LABEL = 40


@dataclass(frozen=True, eq=False)
class Labelled:
    """A run's study, and what the run is called beside the others."""

    label: str
    study: Study

    @property
    def run(self) -> Run:
        """The run itself."""
        return self.study.run


@dataclass(frozen=True)
class OfRun(Timed):
    """A result of one of several runs, by its label."""

    run: str


@dataclass(frozen=True)
class Compared(OfRun):
    """A result of one of several runs, beside the first run's (see `gather`)."""

    ratio: float
    ratio_low: float
    ratio_high: float
    verdict: str
    doubt: str


@dataclass(frozen=True)
class Fastest(Compared):
    """The fastest result of one of several runs; `contenders` are it and who shares its lead."""

    contenders: str
    open_case: Annotated[Key, OPEN_KEYS]

    @property
    def names(self) -> list[str]:
        """The contenders, one by one."""
        return self.contenders.split(", ")


def label(runs: Sequence[tuple[str, Run]]) -> tuple[Labelled, ...]:
    """Return runs, each given with the name or file that was asked for, under labels that tell them apart.

    A label is the name that a run was saved under, or its file's; where runs share it, also the first of file,
    machine, date and id that differs between them, or else their turn.
    """
    frame_together([run for _, run in runs])
    plain = [first_line(run.saved_as, _LONGEST_LABEL) or _stem(name) for name, run in runs]
    labels = list(plain)
    for name in [name for name, n in Counter(plain).items() if n > 1]:
        places = [i for i, other in enumerate(plain) if other == name]
        for i, detail in zip(places, _details([runs[i] for i in places]), strict=True):
            labels[i] = f"{name} ({detail})"
    if len(set(labels)) < len(labels):  # a run was saved as what another came to be called
        labels = [f"{i}. {name}" for i, name in enumerate(labels, start=1)]
    return tuple(Labelled(name, Study(run)) for name, (_, run) in zip(labels, runs, strict=True))


def started(run: Run) -> str:
    """Return when the first case of a run ended, to the minute; empty where that is not known."""
    times = run.records["timestamp"].dropna()
    return str(min(times))[:16].replace("T", " ") if len(times) else ""


def measured(runs: Sequence[Labelled]) -> pd.DataFrame:
    """Return the measured rows of all runs (`tables.measured`) with their `run`."""
    return tables.measured(_records(runs), apart=("run",))


def gather(runs: Sequence[Labelled]) -> pd.DataFrame:
    """Return the measured rows of all runs with their `run` and how they compare with the first run's.

    `ratio`, with `ratio_low` and `ratio_high`, its 95 % interval, is NaN where the first run lacks the case.
    `verdict` is that of the two, from their medians' intervals, and empty for the first run's own; `doubt` says
    what makes either of the two doubtful.
    """
    return _against_first(measured(runs), KEYS, runs[0].label)


def fastest(runs: Sequence[Labelled]) -> pd.DataFrame:
    """Return the fastest result of each run and case on any backend and device, with the columns of `gather`.

    `contenders` are it and who shares its lead within its run.
    """
    rows, keys = measured(runs), ["run", *OPEN_KEYS]
    if rows.empty:
        return gather(runs).assign(contenders="")
    verdicts = {each.label: each.study.verdicts for each in runs}
    leads = [
        (case, tables.lead(timed, verdicts[case[0]], across_devices=True))
        for case, timed in grouped(rows, keys, Timed).items()
    ]
    winners = assembled(keys, leads, Lead).rename(columns={"fastest": "backend", "fastest_device": "device"})
    winners = winners[[*keys, "backend", "device", "contenders"]]
    rows = rows.merge(winners, on=[*keys, "backend", "device"])
    # Devices are part of the answer here, and must not part the sizes of an op.
    rows = tables.ordered(rows.assign(place=rows["device"], device=""), rows)
    return _against_first(rows.assign(device=rows.pop("place")), OPEN_KEYS, runs[0].label)


def shared_times(rows: pd.DataFrame, keys: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Return the medians of the cases that all runs have: a row per case, a column per run."""
    wide = rows.pivot(  # noqa: PD010 - nothing to aggregate: one row per case and run
        index=list(keys), columns="run", values="median_s"
    )
    return wide.reindex(columns=list(labels)).dropna()


@dataclass(frozen=True)
class Missing:
    """Cases that are not measured in every run: `fates`, run by run, say what became of them.

    A fate is `measured`, how a case ended and why, or what of it the run does not have.
    """

    fates: tuple[str, ...]
    backends: tuple[str, ...]
    devices: tuple[str, ...]
    ops: tuple[str, ...]
    n_cases: int


def gaps(runs: Sequence[Labelled]) -> list[Missing]:
    """Return what is not measured in every run, and why; what was measured in some run comes first."""
    rows = entries(tables.keyed(_records(runs)), _Ended)
    ends, known = _ends(rows), _known(rows)
    groups: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
    for case in dict.fromkeys(row.key for row in rows):
        about = dict(zip(KEYS, case, strict=True))
        fates = tuple(ends[each.label].get(case) or _absence(about, known[each.label]) for each in runs)
        if set(fates) != {MEASURED}:
            groups.setdefault(fates, []).append(about)
    ordered = sorted(groups.items(), key=lambda item: MEASURED not in item[0])
    return [
        Missing(fates, _distinct(cases, "backend"), _distinct(cases, "device"), _distinct(cases, "op"), len(cases))
        for fates, cases in ordered
    ]


def flat(runs: Sequence[Labelled], rows: pd.DataFrame) -> pd.DataFrame:
    """Return every case of every run (CSV_COLUMNS), with the comparisons that `gather` found in `rows`."""
    compared = [*KEYS, "run", "ratio", "ratio_low", "ratio_high", "verdict"]
    every = tables.keyed(_records(runs)).fillna({"backend": ""}).drop_duplicates([*KEYS, "run"], keep="last")
    every = every.merge(rows[compared], on=[*KEYS, "run"], how="left")
    return every[list(CSV_COLUMNS)]


def _stem(name: str) -> str:
    path = Path(name)
    # Every report has a records.csv: the folder's name says more.
    told = path.resolve().parent.name if path.name == "records.csv" else path.stem
    return first_line(told, _LONGEST_LABEL) or "run"


def _details(runs: Sequence[tuple[str, Run]]) -> list[str]:
    """Return what tells runs of one name apart."""
    candidates = (
        [_stem(name) for name, _ in runs],
        [str(run.machine.get("machine_id") or "unknown machine") for _, run in runs],
        [run.machine_name for _, run in runs],
        [started(run) for _, run in runs],
        [run.run_id for _, run in runs],
    )
    numbers = [str(i) for i, _ in enumerate(runs, start=1)]
    return next((found for found in candidates if len(set(found)) == len(runs) and all(found)), numbers)


def _against_first(rows: pd.DataFrame, keys: Sequence[str], first: str) -> pd.DataFrame:
    taken = {name: f"first_{name}" for name in (*INTERVAL, "warning")}
    reference = rows.loc[rows["run"] == first, [*keys, *taken]].rename(columns=taken)
    rows = rows.merge(reference, on=list(keys), how="left")
    times = rows[[*(taken[name] for name in INTERVAL), *INTERVAL]].astype("float64")
    itself = rows["run"] == first
    found = [
        Standing(1.0, 1.0, 1.0, "") if own else UNKNOWN if math.isnan(ends[0]) else of_medians(ends[:3], ends[3:])
        for own, ends in zip(itself, times.itertuples(index=False, name=None), strict=True)
    ]
    rows["ratio"] = pd.Series([each.ratio for each in found], dtype="float64")
    rows["ratio_low"] = pd.Series([each.low for each in found], dtype="float64")
    rows["ratio_high"] = pd.Series([each.high for each in found], dtype="float64")
    rows["verdict"] = pd.Series([each.verdict for each in found], dtype="object")
    theirs = rows["first_warning"].fillna("").mask(itself, "")
    rows["doubt"] = tables.either_doubt(rows["warning"], theirs, first)
    return rows


def _records(runs: Sequence[Labelled]) -> pd.DataFrame:
    """Return the records of all runs with their `run`: one frame of them takes less than one of each."""
    labels = pd.Series([each.label for each in runs for _ in range(len(each.run.records))], dtype=str)
    return pd.concat([each.run.records for each in runs], ignore_index=True).assign(run=labels)


_TOLD = ("backend", "device", "op", "mode", "dtype", *POLICIES, "shape")
"""What a run may lack of a case, in the order in which we look for it."""


def _absence(case: Mapping[str, object], known: Mapping[str, set[object]]) -> str:
    missing = next((key for key in _TOLD if case[key] and case[key] not in known[key]), "case")
    return f"no such {missing} in this run"


@dataclass(frozen=True)
class _Ended:
    """How a case of one of several runs ended."""

    run: str
    case: Annotated[Key, CASE]
    backend: str
    status: str
    reason: str
    median_s: float

    @property
    def key(self) -> Key:
        """The values of KEYS."""
        return (*self.case, self.backend)

    @property
    def ending(self) -> str:
        """`measured`, or the status and the reason."""
        if self.status == "ok":
            return MEASURED if self.median_s > 0 else "ended without a time"
        status = self.status or "unknown"
        return f"{ENDINGS.get(status, status)}: {first_line(self.reason) or 'no reason given'}"


def _ends(rows: Iterable[_Ended]) -> Mapping[str, dict[Key, str]]:
    """Return how each case of each run ended: the last time, unless it was measured once."""
    ends: defaultdict[str, dict[Key, str]] = defaultdict(dict)
    for row in rows:
        if ends[row.run].get(row.key) != MEASURED:
            ends[row.run][row.key] = row.ending
    return ends


def _known(rows: Iterable[_Ended]) -> Mapping[str, Mapping[str, set[object]]]:
    """Return what each run has at all of each of KEYS."""
    known: defaultdict[str, dict[str, set[object]]] = defaultdict(lambda: {key: set() for key in KEYS})
    for row in rows:
        for key, value in zip(KEYS, row.key, strict=True):
            known[row.run][key].add(value)
    return known


def _distinct(cases: Iterable[Mapping[str, object]], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(case[key]) for case in cases if case[key]))
