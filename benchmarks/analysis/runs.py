"""Several runs side by side, machines or versions: every result against the first run's, and what only some have.

Cases are the same whatever the machine: `KEYS`. Ratios are the first run's median over the other's, so that above
1 is faster than the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, Timed
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import ENDINGS, first_line
from benchmarks.analysis.verdicts import UNKNOWN, Standing, of_medians
from benchmarks.record import schema
from benchmarks.record.run import Run
from benchmarks.record.schema import POLICIES
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
class Compared(Timed):
    """A result of one of several runs, beside the first run's (see `gather`)."""

    run: str
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
    plain = [first_line(run.saved_as, _LONGEST_LABEL) or _stem(name) for name, run in runs]
    labels = list(plain)
    for name in {name for name in plain if plain.count(name) > 1}:
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


def gather(runs: Sequence[Labelled]) -> pd.DataFrame:
    """Return the measured rows of all runs with their `run` and how they compare with the first run's.

    `ratio`, with `ratio_low` and `ratio_high`, its 95 % interval, is NaN where the first run lacks the case.
    `verdict` is that of the two, from their medians' intervals, and empty for the first run's own; `doubt` says
    what makes either of the two doubtful.
    """
    rows = pd.concat([each.study.rows.assign(run=each.label) for each in runs])
    return _against_first(tables.ordered(rows, rows), KEYS, runs[0].label)


def fastest(runs: Sequence[Labelled]) -> pd.DataFrame:
    """Return the fastest result of each run and case on any backend and device, with the columns of `gather`.

    `contenders` are it and who shares its lead within its run.
    """
    found = [rows for each in runs if len(rows := _fastest_of(each))]
    if not found:
        return gather(runs).assign(contenders="")
    rows = pd.concat(found)
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
    ends = [_ends(each.study) for each in runs]
    known = [{key: set(each.run.records[key].dropna()) for key in _TOLD} for each in runs]
    groups: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
    for case in dict.fromkeys(case for each in ends for case in each):
        about = dict(zip(KEYS, case, strict=True))
        fates = tuple(each.get(case) or _absence(about, has) for each, has in zip(ends, known, strict=True))
        if set(fates) != {MEASURED}:
            groups.setdefault(fates, []).append(about)
    ordered = sorted(groups.items(), key=lambda item: MEASURED not in item[0])
    return [
        Missing(fates, _distinct(cases, "backend"), _distinct(cases, "device"), _distinct(cases, "op"), len(cases))
        for fates, cases in ordered
    ]


def flat(runs: Sequence[Labelled], rows: pd.DataFrame) -> pd.DataFrame:
    """Return every case of every run (CSV_COLUMNS), with the comparisons that `gather` found in `rows`."""
    every = pd.concat([each.run.records.assign(run=each.label) for each in runs])
    compared = [*(key for key in KEYS), "run", "ratio", "ratio_low", "ratio_high", "verdict"]
    every = tables.keyed(every).fillna({"backend": ""}).drop_duplicates([*KEYS, "run"], keep="last")
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


def _fastest_of(each: Labelled) -> pd.DataFrame:
    rows = each.study.rows
    if rows.empty:
        return rows
    places = {"fastest": "backend", "fastest_device": "device"}
    winners = each.study.winners_anywhere.rename(columns=places)
    keys = [*OPEN_KEYS, *places.values()]
    return rows.merge(winners[[*keys, "contenders"]], on=keys).assign(run=each.label)


_TOLD = ("backend", "device", "op", "mode", "dtype", *POLICIES, "shape")
"""What a run may lack of a case, in the order in which we look for it."""


def _absence(case: Mapping[str, object], known: Mapping[str, set[object]]) -> str:
    missing = next((key for key in _TOLD if case[key] and case[key] not in known[key]), "case")
    return f"no such {missing} in this run"


def _ends(study: Study) -> dict[Key, str]:
    """Return how each case ended: `measured`, or its status and reason."""
    rows = tables.keyed(study.run.records).fillna({"backend": "", "status": "unknown", "reason": ""})
    ends = dict(zip(_cases(rows), map(_ending, rows["status"], rows["reason"]), strict=True))
    return ends | dict.fromkeys(_cases(study.rows), MEASURED)


def _cases(rows: pd.DataFrame) -> Iterable[Key]:
    return rows[list(KEYS)].itertuples(index=False, name=None)


def _ending(status: str, reason: str) -> str:
    if status == "ok":
        return "ended without a time"
    return f"{ENDINGS.get(status, status)}: {first_line(reason) or 'no reason given'}"


def _distinct(cases: Iterable[Mapping[str, object]], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(case[key]) for case in cases if case[key]))
