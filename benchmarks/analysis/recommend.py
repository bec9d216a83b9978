"""Which backend to use: the fastest of those that are accurate enough, by how much, and how sure that is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, grouped
from benchmarks.analysis.errors import Erring
from benchmarks.analysis.study import Study
from benchmarks.quantities import count, listing, number, plural, seconds
from benchmarks.record.run import Run
from benchmarks.record.schema import DEFAULTS, Policies
from benchmarks.stats.ratios import ratio_interval

_FACTS = ("op", "mode", "dtype", "device", "shape", *DEFAULTS)


@dataclass(frozen=True)
class _Row(Erring):
    host_to_device_s: float
    device_to_host_s: float

    @property
    def transfer_s(self) -> float:
        return 0.0 if self.device == "cpu" else self.host_to_device_s + self.device_to_host_s


Places = Mapping[Key, Sequence[_Row]]
"""What was measured on each backend and device, in ascending size."""


@dataclass(frozen=True)
class Question(Policies):
    """What is asked for. Without a device, all devices compete; without `max_ulp`, the op's own budget holds.

    `transfer` adds the time to bring the inputs to the device and the output back, which is nothing on the host.
    """

    op: str
    size: int
    dtype: str = "float32"
    mode: str = "forward"
    device: str | None = None
    shape: str | None = None
    max_ulp: float | None = None
    transfer: bool = False


@dataclass(frozen=True)
class Candidate:
    """A backend on a device, in seconds per call with the 95 % interval; `excluded` says why it cannot win.

    `measured` is false where its time is interpolated between two sizes.
    """

    backend: str
    device: str
    seconds: float
    low: float
    high: float
    max_ulp: float
    excluded: str = ""
    doubt: str = ""
    measured: bool = True


@dataclass(frozen=True)
class Answer:
    """The candidates that are accurate enough, the fastest first, and those that are not, the fastest first."""

    question: Question
    ranking: tuple[Candidate, ...]
    excluded: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The fastest that is accurate enough."""
        return self.ranking[0]

    @property
    def lead(self) -> tuple[float, float, float]:
        """The runner-up's time over the best one's, with its 95 % interval; NaN without a runner-up."""
        return _over(self.ranking[1], self.best) if len(self.ranking) > 1 else (math.nan,) * 3

    @property
    def tied(self) -> tuple[Candidate, ...]:
        """The backends too close to the best to call: the interval of the ratio of their times includes 1."""
        return tuple(other for other in self.ranking[1:] if not _over(other, self.best)[1] > 1)

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        return " ".join([f"{_asked(self.question)}: {_told(self)}.", *_left_out(self)])

    def as_dict(self) -> dict[str, object]:
        """Return the answer as a program reads it: JSON has no NaN, so what is unknown is None."""
        ratio, low, high = (None if math.isnan(value) else value for value in self.lead)
        return {
            **_question_dict(self.question),
            **_candidate_dict(self.best),
            "sure": len(self.ranking) > 1 and not self.tied and not self.best.doubt,
            "runner_up": self.ranking[1].backend if len(self.ranking) > 1 else None,
            "runner_up_device": self.ranking[1].device if len(self.ranking) > 1 else None,
            "ratio": ratio,
            "ratio_low": low,
            "ratio_high": high,
            "tied_with": [_named(other, self) for other in self.tied],
            "ranking": [_candidate_dict(candidate) for candidate in self.ranking],
            "excluded": [
                _candidate_dict(candidate) | {"reason": candidate.excluded} for candidate in self.excluded
            ],
        }


def recommend(run: Run, question: Question) -> Answer:
    """Answer a question from a run.

    Times between two measured sizes are interpolated, both axes logarithmic. Raises ValueError where the run
    cannot answer, and says what it has.
    """
    rows = _asked_for(Study(run).erring, question)
    several = rows.loc[rows["n_elements"] == question.size, "shape"].unique()
    if len(several) > 1:
        raise ValueError(
            f"--shape: must be one of {listing(list(several), 20)}, which all have {count(question.size)} elements"
        )
    return _answer(_by_place(rows), question)


def _answer(places: Places, question: Question) -> Answer:
    found = [
        _candidate(place, rows, question)
        for place, rows in places.items()
        if rows[0].n_elements <= question.size <= rows[-1].n_elements
    ]
    if not found:
        sizes = listing([count(n) for n in _sizes(places)], 20)
        raise ValueError(
            f"--size: {count(question.size)} lies outside what was measured of {question.op}: {sizes} elements"
        )
    found.sort(key=lambda candidate: candidate.seconds)
    ranking = tuple(candidate for candidate in found if not candidate.excluded)
    excluded = tuple(candidate for candidate in found if candidate.excluded)
    if not ranking:
        reasons = listing([f"{c.backend} {c.excluded}" for c in excluded], 12)
        raise ValueError(f"--max-ulp: no backend is accurate enough: {reasons}")
    return Answer(question, ranking, excluded)


def decision_table(run: Run, *, max_ulp: float | None = None, transfer: bool = False) -> dict[str, object]:
    """Return what to use for everything that a run measured, for a program to load as JSON.

    `entries` are by op, mode, dtype and policies, on each `device` and on `any`. Each has `choices`, sorted by
    `from_elements`: use the last one whose `from_elements` is at most your size, or the first below all of them.
    An entry for which no backend is accurate enough has no choices.
    """
    rows = Study(run).erring
    rows = rows[rows["shape"] == _usual_shapes(rows)]
    keys = ["op", "mode", "dtype", *DEFAULTS]
    entries: list[dict[str, object]] = []
    for values, group in rows.groupby(keys, sort=False):
        asked: dict[str, Any] = dict(zip(keys, map(str, values), strict=True))
        places = _by_place(group)
        for device in ("any", *map(str, group["device"].unique())):
            here = {place: rows for place, rows in places.items() if device in ("any", place[1])}
            question = Question(**asked, size=0, max_ulp=max_ulp, transfer=transfer)
            entries.append({**asked, "device": device, "choices": list(_choices(here, question))})
    return {
        "format": 1,
        "run_id": run.run_id,
        "machine_id": run.machine.get("machine_id"),
        "max_ulp": "the op's budget" if max_ulp is None else max_ulp if math.isfinite(max_ulp) else "any",
        "transfer": "included" if transfer else "excluded",
        "backend_versions": _versions(rows),
        "entries": entries,
    }


def _usual_shapes(rows: pd.DataFrame) -> pd.Series:
    """Return, for each row, the first shape that was measured of its op and size: a table has no room for more."""
    return rows.groupby(["op", "n_elements"], sort=False)["shape"].transform("first")


def _choices(places: Places, question: Question) -> Iterator[dict[str, object]]:
    """Yield what to use, with the size from which on it applies."""
    before: tuple[object, ...] = ()
    for size in _sizes(places):
        try:
            answer = _answer(places, replace(question, size=size)).as_dict()
        except ValueError:  # no backend is accurate enough
            continue
        now = (answer["backend"], answer["device"])
        if now != before:
            facts = ("backend", "device", "seconds", "max_ulp", "ratio", "runner_up", "tied_with", "sure")
            yield {"from_elements": size} | {name: answer[name] for name in facts}
        before = now


def _sizes(places: Places) -> list[int]:
    return sorted({row.n_elements for rows in places.values() for row in rows})


def _asked_for(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return the rows that answer; raise ValueError where there is none, with what to run."""
    asked: list[str] = []
    for name in _FACTS:
        wanted = getattr(question, name)
        if wanted is None:
            continue
        there = list(map(str, rows[name].unique()))
        rows = rows[rows[name] == wanted]
        asked += [f"--{name} {wanted}"] if wanted != DEFAULTS.get(name) else []
        if rows.empty:
            known = f"it has {listing(there, 70)}" if there else "it measured nothing"
            raise ValueError(
                f"--{name}: this run did not measure {name} {wanted}{_of(asked)}; {known}. "
                f"Run: pytest benchmarks {' '.join(asked)}"
            )
    return rows


def _of(asked: Sequence[str]) -> str:
    """Return what was asked for before the last option: `, with --op relu`."""
    return f" with {' '.join(asked[:-1])}" if len(asked) > 1 else ""


def _by_place(rows: pd.DataFrame) -> Places:
    """Return the rows of each backend and device in ascending size, one of each size."""
    rows = rows.sort_values("n_elements", kind="stable").drop_duplicates(["backend", "device", "n_elements"])
    return grouped(rows, ("backend", "device"), _Row)


def _candidate(place: Key, rows: Sequence[_Row], question: Question) -> Candidate:
    sizes = [row.n_elements for row in rows]
    at = bisect_left(sizes, question.size)
    near = rows[at : at + 1] if sizes[at] == question.size else rows[at - 1 : at + 1]
    moved = [row.transfer_s if question.transfer else 0.0 for row in near]
    median, low, high = (
        _at(question.size, near, [value + s for value, s in zip(values, moved, strict=True)])
        for values in zip(*((row.median_s, row.ci95_low_s, row.ci95_high_s) for row in near), strict=True)
    )
    error = max(row.error_ulp for row in near)
    allowed = near[-1].budget_ulp if question.max_ulp is None else question.max_ulp
    unknown = "has no measured transfers" if any(map(math.isnan, moved)) else ""
    backend, device = place
    return Candidate(
        backend,
        device,
        median,
        low,
        high,
        error,
        excluded=unknown or _inaccurate(error, allowed),
        doubt="; ".join(dict.fromkeys(row.warning for row in near if row.warning)),
        measured=len(near) == 1,
    )


def _at(size: int, near: Sequence[_Row], seconds: Sequence[float]) -> float:
    """Return a time at a size, on the line between its neighbours, both axes logarithmic."""
    if len(near) == 1:
        return seconds[0]
    below, above = (math.log(row.n_elements) for row in near)
    share = (math.log(size) - below) / (above - below)
    if not all(0 < value < math.inf for value in seconds):
        return math.nan
    return math.exp((1 - share) * math.log(seconds[0]) + share * math.log(seconds[1]))


def _inaccurate(error: float, allowed: float) -> str:
    """Return why an error is too large; empty where it is not."""
    if error <= allowed or math.isinf(allowed):
        return ""
    return (
        f"errs by {number(error)} ULP, more than {number(allowed)}" if error > allowed else "has no known accuracy"
    )


def _over(slower: Candidate, faster: Candidate) -> tuple[float, float, float]:
    times = (slower.seconds, slower.low, slower.high, faster.seconds, faster.low, faster.high)
    return slower.seconds / faster.seconds, *ratio_interval(*times)


def _asked(question: Question) -> str:
    policies = [getattr(question, name) for name, usual in DEFAULTS.items() if getattr(question, name) != usual]
    where = f" on {question.device}" if question.device else ""
    how = [question.dtype, plural(question.size, "element"), *policies, *["with transfers"] * question.transfer]
    return f"{question.op} {question.mode}, {', '.join(how)}{where}"


def _told(answer: Answer) -> str:
    best, (ratio, low, high) = answer.best, answer.lead
    error = f", {number(best.max_ulp)} ULP at worst" if not math.isnan(best.max_ulp) else ""
    about = "" if best.measured else ", interpolated"
    name, facts = _named(best, answer), f"({seconds(best.seconds)}{about}{error}"
    doubt = f"; doubtful: {best.doubt}" if best.doubt else ""
    if len(answer.ranking) == 1:
        return f"{name} {facts}{doubt}), the only backend measured"
    if answer.tied:
        others = listing([_named(other, answer) for other in answer.tied])
        return f"{name} {facts}{doubt}), in a tie with {others}: too close to call"
    sure = (
        f"{number(ratio)} times as fast as {_named(answer.ranking[1], answer)} ({number(low)} to {number(high)})"
    )
    return f"{name} {facts}{doubt}), {sure}"


def _left_out(answer: Answer) -> Iterator[str]:
    """Yield which backends would have been faster, and why they do not count."""
    for other in answer.excluded:
        if other.seconds < answer.best.seconds:
            faster = number(answer.best.seconds / other.seconds)
            yield f"({_named(other, answer)} would be {faster} times as fast but {other.excluded}.)"


def _named(candidate: Candidate, answer: Answer) -> str:
    several = len({other.device for other in (*answer.ranking, *answer.excluded)}) > 1
    return tables.label(candidate.backend, candidate.device, across_devices=several)


def _question_dict(question: Question) -> dict[str, object]:
    return {
        "op": question.op,
        "mode": question.mode,
        "dtype": question.dtype,
        "n_elements": question.size,
        **{name: getattr(question, name) for name in DEFAULTS},
        "transfer": "included" if question.transfer else "excluded",
        "max_ulp_allowed": _known(question.max_ulp),
    }


def _candidate_dict(candidate: Candidate) -> dict[str, object]:
    return {
        "backend": candidate.backend,
        "device": candidate.device,
        "seconds": candidate.seconds,
        "seconds_low": _known(candidate.low),
        "seconds_high": _known(candidate.high),
        "max_ulp": _known(candidate.max_ulp),
        "interpolated": not candidate.measured,
        "doubt": candidate.doubt or None,
    }


def _known(value: float | None) -> object:
    """Return a number as JSON has it: None for what is unknown, a word for infinity."""
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity"


def _versions(rows: pd.DataFrame) -> dict[str, str]:
    known = rows.dropna(subset=["backend_version"])
    return dict(zip(known["backend"].map(str), known["backend_version"].map(str), strict=True))
