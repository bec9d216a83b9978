"""Which backend to use: the fastest of those that are accurate enough, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.analysis import tables
from benchmarks.analysis.policies import DEFAULTS
from benchmarks.analysis.quantities import count, listing, number, plural, seconds
from benchmarks.analysis.ratios import ratio_interval
from benchmarks.analysis.store import Run

Row = Mapping[Hashable, Any]
_FACTS = ("op", "mode", "dtype", "device", "shape", *DEFAULTS)
_TIMES = ("median_s", "ci95_low_s", "ci95_high_s")


@dataclass(frozen=True)
class Question:
    """What is asked for. Without a device, all compete; without `max_ulp`, the op's own budget holds.

    `transfer` adds bringing the inputs to the device and the output back, which is nothing on the host.
    """

    op: str
    size: int
    dtype: str = "float32"
    mode: str = "forward"
    device: str | None = None
    shape: str | None = None
    allocation: str = DEFAULTS["allocation"]
    cache: str = DEFAULTS["cache"]
    timing: str = DEFAULTS["timing"]
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
    rows = _asked_for(tables.measured(run.records), question)
    found = [
        _candidate(place, group, question, run)
        for place, group in rows.groupby(["backend", "device"], sort=False)
        if group["n_elements"].min() <= question.size <= group["n_elements"].max()
    ]
    if not found:
        raise ValueError(
            f"--size: {count(question.size)} lies outside of what was measured of {question.op}: "
            f"{listing([count(n) for n in sorted(rows['n_elements'].unique())], 20)} elements"
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
    rows = tables.measured(run.records)
    rows = rows[rows["shape"] == _usual_shapes(rows)]
    keys = ["op", "mode", "dtype", *DEFAULTS]
    entries: list[dict[str, object]] = []
    for values, group in rows.groupby(keys, sort=False):
        asked = dict(zip(keys, map(str, values), strict=True))
        sizes = [int(n) for n in sorted(group["n_elements"].unique())]
        for device in ("any", *map(str, group["device"].unique())):
            where = None if device == "any" else device
            question = Question(**asked, size=0, device=where, max_ulp=max_ulp, transfer=transfer)  # type: ignore[arg-type]
            choices = list(_choices(replace(run, records=group), question, sizes))
            entries.append({**asked, "device": device, "choices": choices})
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


def _choices(run: Run, question: Question, sizes: list[int]) -> Iterator[dict[str, object]]:
    """Yield what to use from each size on at which that changes."""
    before: tuple[object, ...] = ()
    for size in sizes:
        try:
            answer = recommend(run, replace(question, size=size)).as_dict()
        except ValueError:
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
    several = rows.loc[rows["n_elements"] == question.size, "shape"].unique()
    if len(several) > 1:
        raise ValueError(
            f"--shape: must be one of {listing(list(several), 20)}, which all have that many elements"
        )
    return rows.drop_duplicates(["backend", "device", "n_elements"])


def _candidate(place: Any, group: pd.DataFrame, question: Question, run: Run) -> Candidate:
    backend, device = place
    group = group.sort_values("n_elements")
    known = group["n_elements"].to_numpy(float)
    times = {name: group[name].to_numpy(float) for name in _TIMES}
    reason = ""
    if question.transfer and device != "cpu":
        moved = (group["host_to_device_s"] + group["device_to_host_s"]).to_numpy(float)
        times = {name: values + moved for name, values in times.items()}
        reason = "" if np.isfinite(moved).all() else "has no measured transfers"
    median, low, high = (_at(question.size, known, times[name]) for name in _TIMES)
    neighbours = known[known <= question.size].max(), known[known >= question.size].min()
    near = group[group["n_elements"].isin(neighbours)]
    error, inaccurate = _accuracy(run.accuracy, near, question, backend, device)
    return Candidate(
        backend,
        device,
        median,
        low,
        high,
        error,
        excluded=reason or inaccurate,
        doubt="; ".join(dict.fromkeys(w for w in near["warning"] if w)),
        measured=bool((known == question.size).any()),
    )


def _at(size: int, sizes: np.ndarray, values: np.ndarray) -> float:
    """Return a time at a size, on the line between its neighbours, both axes logarithmic."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.exp(np.interp(math.log(size), np.log(sizes), np.log(values))))


def _accuracy(
    accuracy: pd.DataFrame, timed: pd.DataFrame, question: Question, backend: str, device: str
) -> tuple[float, str]:
    """Return the largest error of a backend, known deviations included, and why that is too much, if it is.

    Without an accuracy check of the op, the error is that of the outputs that were checked before timing.
    """
    mode = question.mode.split("+")
    here = accuracy[
        (accuracy["op"] == question.op)
        & accuracy["mode"].isin(mode)
        & (accuracy["dtype"] == question.dtype)
        & (accuracy["backend"] == backend)
        & (accuracy["device"] == device)
        & accuracy["max_ulp"].notna()
    ]
    if here.empty:
        error, allowed = float(timed["max_ulp"].max()), math.inf
    else:
        worst = here.loc[(here["max_ulp"] / here["budget_ulp"].clip(lower=0.5)).idxmax()]
        error, allowed = float(worst["max_ulp"]), float(worst["budget_ulp"])
    if question.max_ulp is not None:
        allowed = question.max_ulp
    if error <= allowed or (math.isinf(error) and math.isinf(allowed)):
        return error, ""
    if math.isnan(error):
        return error, "" if question.max_ulp is None else "has no known accuracy"
    return error, f"errs by {number(error)} ULP, more than {number(allowed)}"


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
