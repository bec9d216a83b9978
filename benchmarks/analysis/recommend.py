"""Which backend to use: the fastest of those that are accurate enough, by how much, and how sure that is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.errors import with_errors
from benchmarks.quantities import count, listing, number, plural, seconds
from benchmarks.record.run import Run
from benchmarks.record.schema import DEFAULTS, Policies
from benchmarks.stats.ratios import INTERVAL, ratio_interval

Row = Mapping[Hashable, Any]
Places = dict[tuple[Any, ...], list[Row]]
"""What was measured on each backend and device, in ascending size."""
_FACTS = ("op", "mode", "dtype", "device", "shape", *DEFAULTS)


@dataclass(frozen=True)
class Question(Policies):
    """What is asked for. Without a device, all compete; without `max_ulp`, the op's own budget holds.

    `transfer` adds bringing the inputs to the device and the output back, which is nothing on the host.
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
        """Those that cannot be told from the best: the interval of the ratio of their times includes 1."""
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

    Between two sizes that were measured, times are interpolated on logarithms. Raises ValueError where the run
    cannot answer, with what it has.
    """
    rows = _asked_for(with_errors(run.records, run.accuracy), question)
    several = rows.loc[rows["n_elements"] == question.size, "shape"].unique()
    if len(several) > 1:
        raise ValueError(f"--shape: must be one of {listing(list(several), 20)}, all of that many elements")
    return _answer(_by_place(rows), question)


def _answer(places: Places, question: Question) -> Answer:
    found = [
        _candidate(place, rows, question)
        for place, rows in places.items()
        if rows[0]["n_elements"] <= question.size <= rows[-1]["n_elements"]
    ]
    if not found:
        sizes = sorted({int(row["n_elements"]) for rows in places.values() for row in rows})
        raise ValueError(
            f"--size: {count(question.size)} lies outside of what was measured of {question.op}: "
            f"{listing([count(n) for n in sizes], 20)} elements"
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

    `entries` are by op, mode, dtype and policies, on each `device` and on `any`; each has `choices` in ascending
    size. The last whose `from_elements` is not above the size counts, below the first the first. What no backend
    is accurate enough for has no choice.
    """
    rows = with_errors(run.records, run.accuracy)
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
    """Yield what to use from each size on at which that changes."""
    before: tuple[object, ...] = ()
    for size in sorted({int(row["n_elements"]) for rows in places.values() for row in rows}):
        try:
            answer = _answer(places, replace(question, size=size)).as_dict()
        except ValueError:  # no backend is accurate enough
            continue
        now = (answer["backend"], answer["device"])
        if now != before:
            facts = ("backend", "device", "seconds", "max_ulp", "ratio", "runner_up", "tied_with", "sure")
            yield {"from_elements": size} | {name: answer[name] for name in facts}
        before = now


def _asked_for(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return the rows that answer; raise ValueError where there is none, naming what is not to be had."""
    for name in _FACTS:
        wanted = getattr(question, name)
        if wanted is None:
            continue
        there = list(map(str, rows[name].unique()))
        rows = rows[rows[name] == wanted]
        if rows.empty:
            known = f"measured are {listing(there, 70)}" if there else "nothing was measured"
            raise ValueError(f"--{name}: the run has no {wanted!r} of what was asked for before; {known}")
    return rows


def _by_place(rows: pd.DataFrame) -> Places:
    """Return the rows of each backend and device in ascending size, one of each size."""
    rows = rows.sort_values("n_elements", kind="stable").drop_duplicates(["backend", "device", "n_elements"])
    return tables.grouped(rows.to_dict("records"), ("backend", "device"))


def _candidate(place: tuple[Any, ...], rows: list[Row], question: Question) -> Candidate:
    sizes = [int(row["n_elements"]) for row in rows]
    at = bisect_left(sizes, question.size)
    near = rows[at : at + 1] if sizes[at] == question.size else rows[at - 1 : at + 1]
    moved = [_transfer_s(row) if question.transfer else 0.0 for row in near]
    median, low, high = (
        _at(question.size, near, [float(row[name]) + s for row, s in zip(near, moved, strict=True)])
        for name in INTERVAL
    )
    error = max(float(row["error_ulp"]) for row in near)
    allowed = float(near[-1]["budget_ulp"]) if question.max_ulp is None else question.max_ulp
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
        doubt="; ".join(dict.fromkeys(str(row["warning"]) for row in near if row["warning"])),
        measured=len(near) == 1,
    )


def _transfer_s(row: Row) -> float:
    return 0.0 if row["device"] == "cpu" else float(row["host_to_device_s"]) + float(row["device_to_host_s"])


def _at(size: int, near: list[Row], seconds: list[float]) -> float:
    """Return a time at a size, on the line between its neighbours, both axes logarithmic."""
    if len(near) == 1:
        return seconds[0]
    below, above = (math.log(row["n_elements"]) for row in near)
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
        return f"{name} {facts}{doubt}), the only one"
    if answer.tied:
        others = listing([_named(other, answer) for other in answer.tied])
        return f"{name} {facts}{doubt}), in a tie with {others}: no difference that is sure"
    sure = (
        f"{number(ratio)} times as fast as {_named(answer.ranking[1], answer)} ({number(low)} to {number(high)})"
    )
    return f"{name} {facts}{doubt}), {sure}"


def _left_out(answer: Answer) -> Iterator[str]:
    """Yield who would have been faster, and why it does not count."""
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
