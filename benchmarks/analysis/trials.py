"""A trial's verdict: how a function's times compare with the others', and how `try` ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.analysis.entries import Timed, entries, parted
from benchmarks.analysis.study import Study
from benchmarks.analysis.verdicts import Standing, fastest_first
from benchmarks.exits import Exit
from benchmarks.record.trials import Trial
from benchmarks.stats.pairs import CLOSE

LOST = ("unavailable", "timeout", "out_of_memory")
"""Statuses that leave a question open; what is none of these, and not right, is wrong."""


@dataclass(frozen=True)
class Heat:
    """One case of a function beside the others: its time, or the status and reason for there being none.

    `rival` is the fastest other backend, whose comparison with the function is `standing`: its ratio is the
    function's time over the other's. `than` compares it with the backend that was asked for.
    """

    mode: str
    dtype: str
    shape: str
    n_elements: int
    status: str
    reason: str = ""
    checks: tuple[str, ...] = ()
    own_s: float | None = None
    rival: str = ""
    rival_s: float | None = None
    standing: Standing | None = None
    than: Standing | None = None


@dataclass(frozen=True)
class _Own:
    op: str
    mode: str
    dtype: str
    shape: str
    n_elements: int
    backend: str
    status: str
    reason: str
    checks: str


def heats(study: Study, name: str, than: str = "") -> list[Heat]:
    """Return the cases of the function `name` in the order in which they were measured."""
    timed = parted(entries(study.rows, Timed), lambda row: (row.op, row.mode, row.dtype, row.shape))
    mine = [own for own in entries(study.run.records, _Own) if own.backend == name]
    return [_heat(study, own, timed.get((own.op, own.mode, own.dtype, own.shape), []), than) for own in mine]


def _heat(study: Study, own: _Own, timed: Sequence[Timed], than: str) -> Heat:
    by_name = {row.backend: row for row in timed}
    mine = by_name.pop(own.backend, None)
    rivals = fastest_first(list(by_name.values()))
    over = study.verdicts.over
    return Heat(
        own.mode,
        own.dtype,
        own.shape,
        own.n_elements,
        own.status,
        own.reason,
        tuple(filter(None, own.checks.split(", "))),
        own_s=mine.median_s if mine else None,
        rival=rivals[0].backend if rivals else "",
        rival_s=rivals[0].median_s if rivals else None,
        standing=over(mine, rivals[0]) if mine and rivals else None,
        than=over(mine, by_name[than]) if mine and than in by_name else None,
    )


def ended(trial: Trial, found: Sequence[Heat], than: str = "", *, n_missed: int = 0) -> Exit:
    """Return how `try` ends: cheated before wrong, wrong before unsure, and slower than `than` last.

    Without `than`, times decide nothing. With it, the function is not slower where no case says that it is and at
    least one says that it is not, unless `n_missed` cases of the types that decide had no time left.
    """
    if any(heat.status == "cheated" for heat in found):
        return Exit.CHEATED
    if any(not heat.own_s and heat.status not in (*LOST, "ok") for heat in found) or is_wrong(trial):
        return Exit.WRONG
    judged = [each for each in trial.deciding if each.mode == "forward"]
    if not judged or not all(each.right for each in judged):
        return Exit.UNSURE
    if not than:
        return Exit.FINE
    compared = [heat.than for heat in found if heat.than]
    if any(standing.ahead for standing in compared):
        return Exit.WORSE
    known = not n_missed and any(standing.verdict != CLOSE for standing in compared)
    return Exit.FINE if known else Exit.UNSURE


def is_wrong(trial: Trial) -> bool:
    """Tell whether a check says that a result is wrong, in a type that counts.

    A layout that the function refuses with an exception is not wrong: nobody gets a false number.
    """
    checks = [each.ending.status for each in trial.deciding]
    layouts = [each.ending.status for each in trial.layouts if not is_refused(each.ending.reason)]
    return any(status not in ("ok", "known_deviation", *LOST) for status in (*checks, *layouts))


def is_refused(reason: str) -> bool:
    """Tell whether a call ended with an exception of the function's own, and not with a wrong result."""
    kind, separator, _ = reason.partition(": ")
    return bool(separator) and kind.isidentifier() and kind != "WrongResult"
