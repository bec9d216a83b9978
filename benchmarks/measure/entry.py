"""One case on its way through the measurement: what is known of it, and how what fails a step ends it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.check import accuracy
from benchmarks.check.references import Reference
from benchmarks.measure.disturbance import Reading, Undisturbed
from benchmarks.measure.pool import CaseError
from benchmarks.measure.sampling import MOST_CALLS, QUEUED_ROUND_S, ROUND_S, Sampling
from benchmarks.record.schema import Case, Check, Closer, Ending, Preparation, Verdict, WorkerFacts


@dataclass
class Entry:
    """One case on its way, and what is known of it so far.

    `ending` is how it ended, where something ended it early; `error` is a mistake of ours, to be raised when the
    case's own test runs. `drift` says how much slower the machine was than usual meanwhile, as a share, and
    `others` what share of its processors other programs used, and `load` what slowed its GPU down, in words.
    `readings` are all its bursts, those of calibration too, and `checks` the names of what it has been checked for
    and passed.
    """

    case: Case
    worker: WorkerFacts | None = None
    preparation: Preparation | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    oracle: str = ""
    subnormal: float = 0.0
    sampling: Sampling | None = None
    sources: list[Undisturbed] = field(default_factory=list)
    drift: float = 0.0
    others: float = 0.0
    load: str = ""
    closer: Closer | None = None
    readings: list[Reading] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    ending: Ending | None = None
    error: Exception | None = None

    @property
    def alive(self) -> bool:
        """Whether nothing has failed yet."""
        return self.ending is None

    @property
    def round_s(self) -> float:
        """Seconds that a round of the case takes, at least."""
        return QUEUED_ROUND_S if self.case.timing == "throughput" else ROUND_S

    @property
    def at_most(self) -> int:
        """How many calls a round of the case may have."""
        return (self.preparation and self.preparation.at_most) or MOST_CALLS

    @contextmanager
    def step(self) -> Iterator[None]:
        """Take one step; what it raises ends this entry and no other."""
        try:
            yield
        except CaseError as error:
            self.ending = error.ending
        except Exception as error:  # ours, or the oracle's: it too must not cost the record
            self.error = error
            self.ending = Ending(status="failed", reason=f"{type(error).__name__}: {error}")


def expected(entries: Iterable[Entry], evaluate: Callable[[Case], Sequence[Reference]]) -> Sequence[Reference]:
    """Evaluate the oracle for comparable cases, which share their outputs; none where nothing is left to check.

    A mistake of the oracle ends the entry that it was evaluated for, and no other.
    """
    for entry in entries:
        if entry.alive:
            with entry.step():
                return evaluate(entry.case)
    return []


def verdicts_on(
    case: Case, due: Sequence[Reference], outputs: Sequence[Any], *, flushed: bool = False
) -> list[Verdict]:
    """Compare a case's outputs with the references; raise CaseError where one is wrong.

    `flushed` says that subnormal numbers were taken for zero where they were computed.
    """
    found = []
    for reference, got in zip(due, outputs, strict=True):
        if str(got.dtype) != case.dtype or got.shape != reference.expected.high.shape:
            raise CaseError(
                "failed",
                f"{reference.mode}: result is {got.dtype} of shape {got.shape} where {case.dtype} of shape "
                f"{reference.expected.high.shape} is due",
            )
        verdict = accuracy.assess(
            got,
            reference.expected,
            Check(case.op, reference.mode, case.dtype, case.backend, case.device, case.saved),
            first_input=reference.first_input,
            n_summed=reference.n_summed,
            complete=False,
            flushed=flushed,
        )
        if verdict.status in ("failed", "inaccurate"):
            raise CaseError(verdict.status, f"{reference.mode} cross-check: {verdict.reason}")
        found.append(verdict)
    return found
