"""Which backend to use: the fastest of those that are accurate enough, by how much, and how sure that is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

from backends.catalogue import OPS
from benchmarks.analysis.answer import Answer, Candidate, Question, facts
from benchmarks.analysis.entries import Key, parted
from benchmarks.analysis.grounds import Grounds, Result
from benchmarks.analysis.verdicts import Standing, Verdicts, between, of_medians
from benchmarks.exits import CannotTell
from benchmarks.quantities import count, listing, number
from benchmarks.quantities import size as amount
from benchmarks.record import teams
from benchmarks.record.rows import keys_of, listed
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE, DEFAULTS, OPTIONS
from benchmarks.record.shapes import default_shape

_FACTS = ("op", "mode", "dtype", "device", "shape", *DEFAULTS)
_AT = {name: CASE.index(name) for name in _FACTS}
Places = Mapping[Key, Sequence[Result]]
"""What was measured on each backend and device, in ascending size."""


def recommend(run: Run, question: Question) -> Answer:
    """Answer a question from a run.

    Times between two measured sizes are interpolated, both axes logarithmic, and a verdict is the weaker of those
    at the two. Raises CannotTell where the run has no answer, and says what it has.
    """
    grounds, question = Grounds(run), as_measured(question, run)
    rows = _asked_for(grounds.results, question)
    several = list(dict.fromkeys(row.shape for row in rows if row.n_elements == question.size))
    if len(several) > 1:
        raise ValueError(
            f"--shape: must be one of {listing(several, 20)}, which all have {count(question.size)} elements"
        )
    return _answer(_by_place(rows), question, grounds)


def _answer(places: Places, question: Question, grounds: Grounds) -> Answer:
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
        tuple(_over(other, best, question, grounds.verdicts) for other in ranking[1:]),
        tuple(_over(best, other, question, grounds.verdicts) for other in excluded),
        _doubts(grounds),
    )


def _doubts(grounds: Grounds) -> tuple[str, ...]:
    """Return what makes the whole run doubtful, as its summary at the terminal says it."""
    run, noise = grounds.run, grounds.noise
    low = bool(noise.n_groups) and noise.level == "low"
    found = [" ".join([f"Confidence in this run is low: {noise.brief}.", *noise.remedies])] * low
    found += [run.shortfall] * bool(run.shortfall)
    found += [f"This run failed a comparison: {run.regression}."] * bool(run.regression)
    # An answer holds no share of the bandwidth, and groups that had no time left were not asked about.
    return (*found, *(str(each) for each in noise.warnings if not (low and each.about == "load")))


def _nearest(places: Places, size: int) -> dict[Key, Sequence[Result]]:
    """Return, by place, what was measured at a size, or at the two sizes closest around it.

    Only places that were measured there compete: what one did farther away is no answer to what the others do
    here, least of all if it failed here.
    """
    found: dict[Key, Sequence[Result]] = {}
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
    grounds = Grounds(run)
    rows = _of_usual_shapes(grounds.results)
    keys = ("op", "mode", "dtype", *DEFAULTS)
    entries: list[dict[str, object]] = []
    unchecked: dict[str, None] = {}
    for values, group in parted(rows, lambda row: tuple(_fact(row, key) for key in keys)).items():
        asked: dict[str, Any] = dict(zip(keys, values, strict=True))
        places = _by_place(group)
        for device in ("any", *dict.fromkeys(row.device for row in group)):
            here = {place: rows for place, rows in places.items() if device in ("any", place[1])}
            question = Question(**asked, size=0, max_ulp=max_ulp, max_memory=max_memory, transfer=transfer)
            answers = _answers(here, question, grounds)
            unchecked |= dict.fromkeys(answer.unchecked for answer in answers if answer.unchecked)
            entries.append({**asked, "device": device, "choices": list(_choices(answers))})
    return {
        "format": 2,
        "warnings": list(_doubts(grounds)),
        "unchecked": list(unchecked),
        "run_id": run.run_id,
        "machine_id": run.machine.get("machine_id"),
        "max_ulp": "the op's budget" if max_ulp is None else max_ulp if math.isfinite(max_ulp) else "any",
        "max_memory": "any" if max_memory is None else max_memory,
        "transfer": "included" if transfer else "excluded",
        "backend_versions": {row.backend: row.backend_version for row in rows if row.backend_version},
        "entries": entries,
    }


def _of_usual_shapes(rows: Sequence[Result]) -> list[Result]:
    """Return the rows of the first shape that was measured of each op and size: a table has no room for more."""
    usual: dict[tuple[str, int], str] = {}
    return [row for row in rows if row.shape == usual.setdefault((row.op, row.n_elements), row.shape)]


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


def _answers(places: Places, question: Question, grounds: Grounds) -> list[Answer]:
    """Return the answer for each size that has one."""
    found = []
    for size in _sizes(places):
        with suppress(CannotTell):  # no backend is accurate enough
            found.append(_answer(places, replace(question, size=size), grounds))
    return found


def _choices(answers: Sequence[Answer]) -> Iterator[dict[str, object]]:
    """Yield what to use, with the size from which on it applies: wherever anything of it changes."""
    before: list[object] = []
    for answer in answers:
        told = facts(answer)
        now = [told[name] for name in _SAME]
        if now != before:
            yield {"from_elements": answer.question.size} | {name: told[name] for name in _CHOICE}
        before = now


def _sizes(places: Places) -> list[int]:
    return sorted({row.n_elements for rows in places.values() for row in rows})


def as_measured(question: Question, run: Run) -> Question:
    """Return the question as the run can answer it, where it asks for the same in other words.

    That is with the usual team, where it asks for the one number of threads that the run had; and with the whole
    rows that a number of elements has for an op along an axis, where that many were not measured.
    """
    if question.op in OPS and question.shape is None:
        sizes = {size for op, size in keys_of(run.at_hand("records"), ("op", "n_elements")) if op == question.op}
        rows = prod(default_shape(OPS[question.op], question.size)) if question.size else 0
        if question.size not in sizes and rows in sizes:
            question = replace(question, size=rows)
    n_threads = teams.size_of(question.team)
    had = run.machine.get("threads") == n_threads and set(listed(run.at_hand("records")["team"])) == {teams.USUAL}
    return replace(question, team=teams.USUAL) if had else question


def _asked_for(rows: Sequence[Result], question: Question) -> Sequence[Result]:
    """Return the rows that answer; raise CannotTell where there is none, with what to run."""
    asked: list[str] = []
    for name in _FACTS:
        wanted = getattr(question, name)
        if wanted is None:
            continue
        there = list(dict.fromkeys(_fact(row, name) for row in rows))
        rows = [row for row in rows if _fact(row, name) == wanted]
        value = (teams.size_of(wanted) if name == "team" else None) or wanted
        asked += [f"{OPTIONS[name]} {value}"] if wanted != DEFAULTS.get(name) else []
        if not rows:
            known = f"it has {listing(there, 70)}" if there else "it measured nothing"
            raise CannotTell(
                f"{OPTIONS[name]}: this run did not measure {name} {wanted}{_of(asked)}; {known}. "
                f"Run: pytest benchmarks {' '.join([asked[0], *_sized(question), *asked[1:]])}"
            )
    return rows


def _sized(question: Question) -> Sequence[str]:
    """Return the option that measures the size in question, where no shape says it."""
    return [f"--size {question.size}"] if question.size and question.shape is None else []


def _fact(row: Result, name: str) -> str:
    """Return what a row has of its case, by the name of the column."""
    return str(row.case[_AT[name]])


def _of(asked: Sequence[str]) -> str:
    """Return what was asked for before the last option: `, with --op relu`."""
    return f" with {' '.join(asked[:-1])}" if len(asked) > 1 else ""


def _by_place(rows: Sequence[Result]) -> Places:
    """Return the rows of each backend and device in ascending size, the first of each size."""
    first: dict[Key, Result] = {}
    for row in sorted(rows, key=lambda row: row.n_elements):
        first.setdefault((row.backend, row.device, row.n_elements), row)
    return parted(first.values(), lambda row: (row.backend, row.device))


def _candidate(place: Key, near: Sequence[Result], question: Question) -> Candidate:
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


def _at(size: int, near: Sequence[Result], seconds: Sequence[float]) -> float:
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


def _at_size(one: Result, other: Result, question: Question, verdicts: Verdicts) -> Standing:
    if not question.transfer or one.device == other.device == "cpu":
        return verdicts.over(one, other)
    times = [
        (row.median_s + row.transfer_s, row.ci95_low_s + row.transfer_s, row.ci95_high_s + row.transfer_s)
        for row in (one, other)
    ]
    # Transfers are measured apart from the turns.
    return replace(of_medians(times[0], times[1], verdicts.margin), doubts=(one.warning, other.warning))


def _share(size: int, near: Sequence[Result]) -> float:
    """Return how far a size is from the one below to the one above, on logarithms."""
    below, above = (math.log(row.n_elements) for row in near)
    return (math.log(size) - below) / (above - below)
