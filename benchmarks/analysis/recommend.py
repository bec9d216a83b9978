"""Which backend to use: the fastest of those that are accurate enough, by how much, and how sure that is."""

from __future__ import annotations

import html
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import pandas as pd

from backends import calling
from backends.catalogue import OPS
from benchmarks import invocation
from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, grouped
from benchmarks.analysis.errors import Erring
from benchmarks.analysis.study import Study
from benchmarks.analysis.verdicts import UNKNOWN, Standing, Verdicts, between, of_medians, together
from benchmarks.exits import CannotTell
from benchmarks.quantities import count, listing, number, plural, seconds
from benchmarks.quantities import size as amount
from benchmarks.record import teams
from benchmarks.record.run import Run
from benchmarks.record.schema import DEFAULTS, OPTIONS, Policies
from benchmarks.record.shapes import default_shape
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

_FACTS = ("op", "mode", "dtype", "device", "shape", *DEFAULTS)


@dataclass(frozen=True)
class _Row(Erring):
    host_to_device_s: float
    device_to_host_s: float
    peak_bytes: float
    bytes_written: float
    allocation: str

    @property
    def extra_bytes(self) -> float:
        """What a call takes beyond its inputs and outputs, at its peak; NaN where that was not measured."""
        # What is unknown stays so: of NaN and another number, `max` returns the first.
        return max(self.peak_bytes - self.bytes_written * (self.allocation == "fresh"), 0.0)

    @property
    def transfer_s(self) -> float:
        return 0.0 if self.device == "cpu" else self.host_to_device_s + self.device_to_host_s


Places = Mapping[Key, Sequence[_Row]]
"""What was measured on each backend and device, in ascending size."""


@dataclass(frozen=True)
class Question(Policies):
    """What is asked for. Without a device, all devices compete; without `max_ulp`, the op's own budget holds.

    `max_memory` is how many bytes a call may use beyond its inputs and outputs, None for any. `transfer` adds the
    time to bring the inputs to the device and the output back, which is nothing on the host.
    """

    op: str
    size: int
    dtype: str = "float32"
    mode: str = "forward"
    device: str | None = None
    shape: str | None = None
    max_ulp: float | None = None
    max_memory: float | None = None
    transfer: bool = False


@dataclass(frozen=True)
class Candidate:
    """A backend on a device, in seconds per call with the 95 % interval; `excluded` says why it cannot win.

    `near` is what was measured of it: at the size, or at two sizes between which its time is interpolated.
    `checked` tells whether its accuracy was; if not, `max_ulp` is the error of the outputs that were timed.
    `extra_bytes` is the memory of a call beyond its inputs and outputs, NaN where that is not known.
    """

    backend: str
    device: str
    seconds: float
    low: float
    high: float
    max_ulp: float
    near: tuple[_Row, ...]
    excluded: str = ""
    doubt: str = ""
    checked: bool = True
    extra_bytes: float = math.nan

    @property
    def measured(self) -> bool:
        """Whether its time was measured, and not interpolated."""
        return len(self.near) == 1


@dataclass(frozen=True)
class Answer:
    """The candidates that are accurate enough, the fastest first, and those that are not, the fastest first.

    `behind` says how each other of the ranking stands to the first, `beside` how the first stands to each that was
    left out. `warnings` are the run's.
    """

    question: Question
    ranking: tuple[Candidate, ...]
    excluded: tuple[Candidate, ...]
    behind: tuple[Standing, ...]
    beside: tuple[Standing, ...]
    warnings: tuple[str, ...] = ()

    @property
    def best(self) -> Candidate:
        """The fastest that is accurate enough."""
        return self.ranking[0]

    @property
    def lead(self) -> Standing:
        """How the runner-up stands to the best one; unknown without a runner-up."""
        return self.behind[0] if self.behind else UNKNOWN

    @property
    def outcome(self) -> str:
        """The weakest verdict of the best one against every other."""
        return together([standing.verdict for standing in self.behind])

    @property
    def sure(self) -> bool:
        """Whether the best one is faster than every other, and nothing makes that doubtful."""
        return bool(self.behind) and self.outcome == FASTER and not any(each.doubtful for each in self.behind)

    @property
    def unchecked(self) -> str:
        """That accuracy was not checked, of whom, and how to check it; empty where it was, or does not matter."""
        missing = [each for each in self.ranking if not each.checked]
        if not missing or self.question.max_ulp == math.inf:
            return ""
        return _unchecked(self, [] if len(missing) == len(self.ranking) and not self.excluded else missing)

    def with_verdict(self, verdict: str) -> list[str]:
        """Return the names of those that have this verdict against the best one."""
        others = zip(self.ranking[1:], self.behind, strict=True)
        return [_named(other, self) for other, standing in others if standing.verdict == verdict]

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        return " ".join([f"{_asked(self.question)}: {_told(self)}.", *_left_out(self)])

    @property
    def lines(self) -> list[str]:
        """The answer, after what of it was not checked, and before the doubts about the whole run."""
        return [*filter(None, [self.unchecked]), self.sentence, *(f"Warning: {text}" for text in self.warnings)]

    @property
    def call(self) -> tuple[str, ...]:
        """Lines of Python that import and call the best one, for code of your own; see `backends.calling`."""
        asked = self.question
        return calling.lines(
            self.best.backend,
            asked.op,
            mode=asked.mode,
            dtype=asked.dtype,
            device=self.best.device,
            allocation=asked.allocation,
            threads=teams.size_of(asked.team),
        )

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        text = "\n".join([*self.lines, "", *self.call])
        return f"<pre>{html.escape(text)}</pre>"

    def as_dict(self) -> dict[str, object]:
        """Return the answer as a program reads it: JSON has no NaN, so what is unknown is None."""
        return {**_told_dict(self), "call": list(self.call)}


def recommend(run: Run, question: Question) -> Answer:
    """Answer a question from a run.

    Times between two measured sizes are interpolated, both axes logarithmic, and a verdict is the weaker of those
    at the two. Raises CannotTell where the run has no answer, and says what it has.
    """
    study, question = Study(run), _as_measured(question, run)
    rows = _asked_for(study.erring, question)
    several = rows.loc[rows["n_elements"] == question.size, "shape"].unique()
    if len(several) > 1:
        raise ValueError(
            f"--shape: must be one of {listing(list(several), 20)}, which all have {count(question.size)} elements"
        )
    return _answer(_by_place(rows), question, study)


def _answer(places: Places, question: Question, study: Study) -> Answer:
    found = [_candidate(place, near, question) for place, near in _nearest(places, question.size).items()]
    if not found:
        sizes = listing([count(n) for n in _sizes(places)], 20)
        raise CannotTell(
            f"--size: {count(question.size)} lies outside what was measured of {question.op}: {sizes} elements"
        )
    found.sort(key=lambda candidate: (candidate.seconds, candidate.backend, candidate.device))
    ranking = tuple(candidate for candidate in found if not candidate.excluded)
    excluded = tuple(candidate for candidate in found if candidate.excluded)
    if not ranking:
        reasons = listing([f"{c.backend} {c.excluded}" for c in excluded], 12)
        limit = "--max-ulp: no backend is accurate enough"
        if question.max_memory is not None:
            limit = "--max-memory: no backend is accurate enough and needs no more memory"
        raise CannotTell(f"{limit}: {reasons}")
    best = ranking[0]
    return Answer(
        question,
        ranking,
        excluded,
        tuple(_over(other, best, question, study.verdicts) for other in ranking[1:]),
        tuple(_over(best, other, question, study.verdicts) for other in excluded),
        _doubts(study),
    )


def _doubts(study: Study) -> tuple[str, ...]:
    """Return what makes the whole run doubtful, as its summary at the terminal says it."""
    run, noise = study.run, study.noise
    low = bool(noise.n_groups) and noise.level == "low"
    found = [" ".join([f"Confidence in this run is low: {noise.brief}.", *noise.remedies])] * low
    found += [run.shortfall] * bool(run.shortfall)
    found += [f"This run failed a comparison: {run.regression}."] * bool(run.regression)
    return (*found, *(str(each) for each in run.warnings if not (low and each.about == "load")))


def _nearest(places: Places, size: int) -> dict[Key, Sequence[_Row]]:
    """Return, by place, what was measured at a size, or at the two sizes closest around it.

    Only places that were measured there compete: what one did farther away is no answer to what the others do
    here, least of all if it failed here.
    """
    found: dict[Key, Sequence[_Row]] = {}
    for place, rows in places.items():
        sizes = [row.n_elements for row in rows]
        if sizes[0] <= size <= sizes[-1]:
            at = bisect_left(sizes, size)
            found[place] = rows[at : at + 1] if sizes[at] == size else rows[at - 1 : at + 1]
    if not found:
        return {}
    closest = max((near[0].n_elements, -near[-1].n_elements) for near in found.values())
    return {place: near for place, near in found.items() if (near[0].n_elements, -near[-1].n_elements) == closest}


def decision_table(
    run: Run, *, max_ulp: float | None = None, max_memory: float | None = None, transfer: bool = False
) -> dict[str, object]:
    """Return what to use for everything that a run measured, for a program to load as JSON.

    `entries` are by op, mode, dtype and policies, on each `device` and on `any`. Each has `choices`, sorted by
    `from_elements`: use the last one whose `from_elements` is at most your size, or the first below all of them.
    Each has the verdict against the runner-up at that size. An entry for which no backend is accurate enough has
    no choices. `warnings` are what makes the run doubtful, and `unchecked` names what it did not check.
    """
    study = Study(run)
    rows = study.erring
    rows = rows[rows["shape"] == _usual_shapes(rows)]
    keys = ["op", "mode", "dtype", *DEFAULTS]
    entries: list[dict[str, object]] = []
    unchecked: dict[str, None] = {}
    for values, group in rows.groupby(keys, sort=False):
        asked: dict[str, Any] = dict(zip(keys, map(str, values), strict=True))
        places = _by_place(group)
        for device in ("any", *map(str, group["device"].unique())):
            here = {place: rows for place, rows in places.items() if device in ("any", place[1])}
            question = Question(**asked, size=0, max_ulp=max_ulp, max_memory=max_memory, transfer=transfer)
            answers = _answers(here, question, study)
            unchecked |= dict.fromkeys(answer.unchecked for answer in answers if answer.unchecked)
            entries.append({**asked, "device": device, "choices": list(_choices(answers))})
    return {
        "format": 2,
        "warnings": list(_doubts(study)),
        "unchecked": list(unchecked),
        "run_id": run.run_id,
        "machine_id": run.machine.get("machine_id"),
        "max_ulp": "the op's budget" if max_ulp is None else max_ulp if math.isfinite(max_ulp) else "any",
        "max_memory": "any" if max_memory is None else max_memory,
        "transfer": "included" if transfer else "excluded",
        "backend_versions": _versions(rows),
        "entries": entries,
    }


def _usual_shapes(rows: pd.DataFrame) -> pd.Series:
    """Return, for each row, the first shape that was measured of its op and size: a table has no room for more."""
    return rows.groupby(["op", "n_elements"], sort=False)["shape"].transform("first")


_SAME = (
    "backend",
    "device",
    "runner_up",
    "runner_up_device",
    "verdict",
    "outcome",
    "equal_to",
    "too_close_to",
    "sure",
)
"""What a choice says that holds for all of its sizes."""
_CHOICE = (*_SAME, "seconds", "max_ulp", "ratio", "low", "high", "verdict_doubt")


def _answers(places: Places, question: Question, study: Study) -> list[Answer]:
    """Return the answer for each size that has one."""
    found = []
    for size in _sizes(places):
        with suppress(CannotTell):  # no backend is accurate enough
            found.append(_answer(places, replace(question, size=size), study))
    return found


def _choices(answers: Sequence[Answer]) -> Iterator[dict[str, object]]:
    """Yield what to use, with the size from which on it applies: wherever anything of it changes."""
    before: list[object] = []
    for answer in answers:
        told = _told_dict(answer)
        now = [told[name] for name in _SAME]
        if now != before:
            yield {"from_elements": answer.question.size} | {name: told[name] for name in _CHOICE}
        before = now


def _sizes(places: Places) -> list[int]:
    return sorted({row.n_elements for rows in places.values() for row in rows})


def _as_measured(question: Question, run: Run) -> Question:
    """Return the question as the run can answer it, where it asks for the same in other words.

    That is with the usual team, where it asks for the one number of threads that the run had; and with the whole
    rows that a number of elements has for an op along an axis, where that many were not measured.
    """
    if question.op in OPS and question.shape is None:
        sizes = set(run.records.loc[run.records["op"] == question.op, "n_elements"])
        rows = prod(default_shape(OPS[question.op], question.size)) if question.size else 0
        if question.size not in sizes and rows in sizes:
            question = replace(question, size=rows)
    n_threads = teams.size_of(question.team)
    had = run.machine.get("threads") == n_threads and set(run.records["team"]) == {teams.USUAL}
    return replace(question, team=teams.USUAL) if had else question


def _asked_for(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return the rows that answer; raise CannotTell where there is none, with what to run."""
    asked: list[str] = []
    for name in _FACTS:
        wanted = getattr(question, name)
        if wanted is None:
            continue
        there = list(map(str, rows[name].unique()))
        rows = rows[rows[name] == wanted]
        value = (teams.size_of(wanted) if name == "team" else None) or wanted
        asked += [f"{OPTIONS[name]} {value}"] if wanted != DEFAULTS.get(name) else []
        if rows.empty:
            known = f"it has {listing(there, 70)}" if there else "it measured nothing"
            raise CannotTell(
                f"{OPTIONS[name]}: this run did not measure {name} {wanted}{_of(asked)}; {known}. "
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


def _candidate(place: Key, near: Sequence[_Row], question: Question) -> Candidate:
    moved = [row.transfer_s if question.transfer else 0.0 for row in near]
    median, low, high = (
        _at(question.size, near, [value + s for value, s in zip(values, moved, strict=True)])
        for values in zip(*((row.median_s, row.ci95_low_s, row.ci95_high_s) for row in near), strict=True)
    )
    error = max(row.error_ulp for row in near)
    allowed = near[-1].budget_ulp if question.max_ulp is None else question.max_ulp
    unknown = "has no measured transfers" if any(map(math.isnan, moved)) else ""
    extra = _largest([row.extra_bytes for row in near])
    backend, device = place
    return Candidate(
        backend,
        device,
        median,
        low,
        high,
        error,
        tuple(near),
        excluded=unknown or _inaccurate(error, allowed) or _too_large(extra, question.max_memory),
        doubt="; ".join(dict.fromkeys(row.warning for row in near if row.warning)),
        checked=not math.isinf(near[-1].budget_ulp),
        extra_bytes=extra,
    )


def _at(size: int, near: Sequence[_Row], seconds: Sequence[float]) -> float:
    """Return a time at a size, on the line between its neighbours, both axes logarithmic."""
    if len(near) == 1:
        return seconds[0]
    share = _share(size, near)
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


def _largest(values: Sequence[float]) -> float:
    """Return the largest number; NaN where any is not known."""
    return math.nan if any(map(math.isnan, values)) else max(values)


def _too_large(extra: float, allowed: float | None) -> str:
    """Return why a call needs too much memory; empty where it does not."""
    if allowed is None or extra <= allowed:
        return ""
    if math.isnan(extra):
        return "has no known peak memory"
    return f"takes {amount(extra)} beside its inputs and outputs, more than {amount(allowed)}"


def _over(one: Candidate, other: Candidate, question: Question, verdicts: Verdicts) -> Standing:
    """Return how one's time compares with the other's, by the verdicts of the sizes that were measured."""
    found = [_at_size(*rows, question, verdicts) for rows in zip(one.near, other.near, strict=True)]
    if len(found) == 1:
        return found[0]
    below, above = found
    return between(below, above, _share(question.size, one.near))


def _at_size(one: _Row, other: _Row, question: Question, verdicts: Verdicts) -> Standing:
    if not question.transfer or one.device == other.device == "cpu":
        return verdicts.over(one, other)
    times = [
        (row.median_s + row.transfer_s, row.ci95_low_s + row.transfer_s, row.ci95_high_s + row.transfer_s)
        for row in (one, other)
    ]
    # Transfers are measured apart from the turns.
    return replace(of_medians(times[0], times[1], verdicts.margin), doubts=(one.warning, other.warning))


def _share(size: int, near: Sequence[_Row]) -> float:
    """Return how far a size is from the one below to the one above, on logarithms."""
    below, above = (math.log(row.n_elements) for row in near)
    return (math.log(size) - below) / (above - below)


def _unchecked(answer: Answer, missing: Sequence[Candidate]) -> str:
    """Return that accuracy was not checked, of these or, where there are none, of all."""
    asked = " ".join(f"{OPTIONS[name]} {value}" for name, value in _unusual(answer.question))
    of = f" of {listing([_named(each, answer) for each in missing], 12)}" if missing else ""
    again = invocation.as_called(f"pytest benchmarks {asked}")
    return f"Accuracy{of} was not checked in this run. To check and to measure again: `{again}`."


def _unusual(question: Question) -> Iterator[tuple[str, str]]:
    """Yield the op, and what else of a question a run must be asked for to answer it at its usual sizes."""
    yield "op", question.op
    always = {"dtype": (Question.dtype,), "mode": ("forward", "backward"), "device": (None, "cpu")}
    for name, measured in always.items():
        if getattr(question, name) not in measured:
            yield name, getattr(question, name)
    for name, usual in DEFAULTS.items():
        if getattr(question, name) != usual:
            value = getattr(question, name)
            yield name, str(teams.size_of(value)) if name == "team" else value


def _asked(question: Question) -> str:
    policies = [getattr(question, name) for name, usual in DEFAULTS.items() if getattr(question, name) != usual]
    where = f" on {question.device}" if question.device else ""
    how = [question.dtype, plural(question.size, "element"), *policies, *["with transfers"] * question.transfer]
    return f"{question.op} {question.mode}, {', '.join(how)}{where}"


def _told(answer: Answer) -> str:
    best, lead = answer.best, answer.lead
    where = "at worst" if best.checked else "in what was timed"
    error = f", {number(best.max_ulp)} ULP {where}" if not math.isnan(best.max_ulp) else ""
    about = "" if best.measured else ", interpolated"
    name, facts = _named(best, answer), f"({seconds(best.seconds)}{about}{error}"
    doubt = f"; doubtful: {best.doubt}" if best.doubt else ""
    if len(answer.ranking) == 1:
        return f"{name} {facts}{doubt}), the only backend {'within the limits' if answer.excluded else 'measured'}"
    next_one = _named(answer.ranking[1], answer)
    sure = f"{number(lead.ratio)} times as fast as {next_one} ({number(lead.low)} to {number(lead.high)})"
    # A doubt about the time, such as a machine that changed its speed, need be none about who is faster.
    sure += ", doubtful" * (lead.doubtful and not best.doubt)
    shared = [
        f"{verdict} {word} {listing(names)}"
        for verdict, word in ((EQUAL, "to"), (CLOSE, "with"))
        if (names := answer.with_verdict(verdict))
    ]
    return f"{name} {facts}{doubt}), {sure}{': ' * bool(shared)}{'; '.join(shared)}"


def _left_out(answer: Answer) -> Iterator[str]:
    """Yield which backends would have been the first, and why they do not count."""
    for other, standing in zip(answer.excluded, answer.beside, strict=True):
        name = _named(other, answer)
        if standing.ahead:
            yield f"({name} would be {number(standing.ratio)} times as fast but {other.excluded}.)"
        elif other.seconds < answer.best.seconds:
            yield f"({name} would be first, {standing.verdict}, but {other.excluded}.)"


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
        "max_memory_allowed": _known(question.max_memory),
    }


def _told_dict(answer: Answer) -> dict[str, object]:
    """Return all of an answer but how to call the best one, which a table of thousands has no room for."""
    lead, behind = answer.lead, answer.behind
    return {
        "warnings": list(answer.warnings),
        "unchecked": answer.unchecked or None,
        **_question_dict(answer.question),
        **_candidate_dict(answer.best),
        "sure": answer.sure,
        "runner_up": answer.ranking[1].backend if behind else None,
        "runner_up_device": answer.ranking[1].device if behind else None,
        "verdict": lead.verdict or None,
        "ratio": _known(lead.ratio),
        "low": _known(lead.low),
        "high": _known(lead.high),
        "verdict_doubt": "; ".join(dict.fromkeys(filter(None, lead.doubts))) or None,
        "outcome": answer.outcome,
        "equal_to": answer.with_verdict(EQUAL),
        "too_close_to": answer.with_verdict(CLOSE),
        "ranking": [_candidate_dict(candidate) for candidate in answer.ranking],
        "excluded": [_candidate_dict(candidate) | {"reason": candidate.excluded} for candidate in answer.excluded],
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
        "accuracy_checked": candidate.checked,
        "extra_bytes": _known(candidate.extra_bytes),
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
