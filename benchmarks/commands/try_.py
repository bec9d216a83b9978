"""`python -m benchmarks try FILE:FUNCTION --op OP`: say whether a function of yours is right, and fast.

It says where the function is wrong, how far from exact it is and where, what it makes of special values, types,
layouts and the gradient, and how its times compare with those of the other backends. Its framework is recognised
by the imports of its file, or named by `--framework`. Exit status: 0 right (and, with `--than`, not slower),
1 slower than that, 2 it cannot be found, imported or called, 3 could not tell, 4 wrong, 5 it cheated.

Example: python -m benchmarks try kernels.py:fast_gelu --op gelu
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from time import monotonic

from rich.console import Console

import backends
from backends.candidates import FRAMEWORKS
from backends.catalogue import OPS
from benchmarks.analysis import trials
from benchmarks.analysis.study import Study
from benchmarks.analysis.trials import Heat
from benchmarks.commands import add_results
from benchmarks.exits import CannotTell, Exit
from benchmarks.measure import trial as measure
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.trial import Examiner
from benchmarks.plan import arguments, candidates, own_ops
from benchmarks.plan.candidates import Planned
from benchmarks.plan.spelling import Read
from benchmarks.quantities import plural
from benchmarks.record import places
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import DEVICES, DTYPES, Accuracy, Case, Check
from benchmarks.record.shapes import default_shape
from benchmarks.record.trials import Judged, Trial
from benchmarks.report import files
from benchmarks.report.terminal import trial as screen

SMALL, LARGE = 1_024, 1_048_576
"""Elements to time at, where nothing else is asked for: where calls cost most, and where memory does."""
CLOSING_S = 2.0
"""Seconds of the time budget for the report."""
START_S = 120.0
"""A worker may take so long to start: importing a framework takes 20 s on a machine that has much else to do."""
LEAST_S = 4.0
"""The rounds have at least these seconds, whatever the checks took."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("function", type=candidates.parse, metavar="FILE:FUNCTION", help="a file or module, and a function in it")
    text = "the op that your function computes, such as gelu (docs/ops.md)"
    add("--op", action=Read, parse=arguments.op_name, required=True, metavar="OP", help=text)
    candidates.add_options(add)
    add(
        "--like",
        action=Read,
        parse=arguments.backend_name,
        metavar="BACKEND",
        help="allow your function this backend's error and known deviations (default: the op's budget)",
    )
    text = "end with status 1 if your function is slower than this backend (default: slow is no failure)"
    add("--than", action=Read, parse=arguments.backend_name, metavar="BACKEND", help=text)
    for option, parse, noun in (
        ("--backend", arguments.backend_name, "backends to compare with (default: all that are installed)"),
        (
            "--dtype",
            arguments.dtype,
            f"types in which it must be right and is timed (default: {DTYPES[0]})",
        ),
        ("--size", arguments.size, f"numbers of elements to time (default: {SMALL} and {LARGE})"),
        ("--shape", arguments.shape, "whole shapes to time, such as 64x32000 (default: sizes)"),
    ):
        add(option, action=Read, nargs="+", parse=parse, metavar=option[2:].upper(), help=noun)
    arguments.add_reading(add, "--device", f"the device to compute on (default: {DEVICES[0]})", default=DEVICES[0])
    add(
        "--threads",
        type=arguments.positive,
        nargs=1,
        metavar="N",
        help="threads that each backend may use (default: as many as physical cores)",
    )
    add(
        "--time-budget",
        type=arguments.seconds,
        default=30.0,
        metavar="TIME",
        help="time for the whole trial (default: 30s)",
    )
    add(
        "--case-timeout",
        type=arguments.seconds,
        default=20.0,
        metavar="TIME",
        help="end a call that takes longer than this, compiling included (default: 20s)",
    )
    arguments.add_margin(add)
    own_ops.add_option(add)
    add_results(parser)


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Check, time and print; return the verdict."""
    folder = options.results / "try"
    if reason := places.unusable(folder):
        raise ValueError(reason)
    begun = monotonic()
    (planned,) = candidates.asked(options, [options.function], [options.op])
    if options.like:
        allowed = max(planned.max_ulp or 0.0, _error_of(options.like, options))
        planned = replace(planned, max_ulp=allowed, like=options.like)
    with candidates.known([planned]), _status(console):
        if lacks := backends.missing(planned.candidate.name):
            raise ValueError(lacks)
        sitting = Sitting(planned, options, folder, begun)
        pool = _pool(options)  # of those that are timed, which start while another is checked
        with measure.started(pool, [sitting.name, *sitting.rivals], options.device) as have_started:
            found = sitting.checked()
            have_started()
            study, report = sitting.timed(found, pool)
    heats = trials.heats(study, found.name, options.than or "") if study else []
    if study:
        found = replace(found, notes=(*found.notes, *_shortfall(sitting.n_cases(found), heats, study)))
    n_timed = sum(heat.dtype in found.decisive for heat in heats)
    n_missed = sitting.n_cases(found, found.decisive) - n_timed if study else 0
    ended = trials.ended(found, heats, options.than or "", n_missed=n_missed)
    screen.render(found, heats, ended, console, than=options.than or "", report=report)
    return ended


@dataclass(frozen=True)
class Sitting:
    """One function in its worker, and the others beside it; `begun` is when the clock of the budget started."""

    planned: Planned
    options: argparse.Namespace
    results: Path
    begun: float

    @property
    def name(self) -> str:
        """The function's name as a backend."""
        return self.planned.candidate.name

    @property
    def op(self) -> str:
        """The op that it computes."""
        return self.planned.candidate.op

    @property
    def rivals(self) -> list[str]:
        """The other backends, of those that are installed and have the device."""
        declared = backends.declarations()
        named = [*(self.options.backend or backends.names()), *filter(None, [self.options.than])]
        return [
            name
            for name in dict.fromkeys(named)
            if name != self.name
            and self.options.device in declared[name].devices
            and backends.missing(name) is None
        ]

    def checked(self) -> Trial:
        """Return what the checks find; raise ValueError where the function cannot be called at all."""
        with _workers(self.options) as pool:
            try:
                facts = pool.facts(self.name, self.options.device)
            except CaseError as error:
                kind = CannotTell if error.ending.status == "timeout" else ValueError
                raise kind(error.ending.reason) from None
            examiner = Examiner(pool, self.name, self.op, self.options.device)
            decisive, judged = self._judged(examiner)
            found = Trial(
                self.name,
                self.op,
                self.planned.sentence,
                f"{FRAMEWORKS[self.planned.framework].name} {facts.backend_version}, {facts.threads} threads",
                decisive,
                judged,
                gradient=self._gradient(judged),
                notes=self._notes(examiner),
            )
            modes = [each.mode for each in judged if each.dtype == decisive[0] and each.verdict]
            if not modes:
                return found
            try:
                return replace(
                    found,
                    specials=examiner.specials(decisive[0]),
                    layouts=tuple(examiner.layouts(modes, decisive[0])),
                )
            except CaseError as error:
                return replace(found, notes=(*found.notes, f"special values: {error.ending.reason}"))

    def timed(self, found: Trial, pool: Pool) -> tuple[Study | None, Path | None]:
        """Time what is right beside the others in fresh workers, and write the report of it."""
        cases = list(self._cases(found))
        if not cases:
            return None, None
        seed = secrets.randbits(32)
        threads = arguments.threads(self.options)
        command = f"try {self.planned.label} --op {self.op}"
        recorder = Recorder(
            self.results,
            saved_as="",
            command=command,
            threads=threads,
            seed=seed,
            precision=measure.RULE.precision,
        )
        try:
            for each in found.judged:
                check = Check(self.op, each.mode, each.dtype, self.name, self.options.device)
                recorder.accuracy(
                    Accuracy(
                        check=check,
                        kind=OPS[self.op].kind,
                        backend_version=None,
                        sample="designed",
                        found=each.ending,
                    )
                )
            left_s = self.options.time_budget - CLOSING_S - (monotonic() - self.begun)
            measure.time(
                cases, pool, recorder, budget_s=max(LEAST_S, left_s), seed=seed, margin=self.options.margin
            )
        finally:
            recorder.close()
        study = Study(recorder.run())
        return study, files.write(study, self.results / "latest")["report.html"]

    def n_cases(self, found: Trial, dtypes: Collection[str] = DTYPES) -> int:
        """Return how many cases of the function were to be timed in these types."""
        return sum(case.backend == self.name and case.dtype in dtypes for case in self._cases(found))

    def _judged(self, examiner: Examiner) -> tuple[tuple[str, ...], tuple[Judged, ...]]:
        """Return the types that decide, and what was judged: deeply in these, and forward alone in the others.

        It ends with what costs the process: the next call would do so too.
        """
        try:
            decisive = tuple(dict.fromkeys(self.options.dtype or ())) or self._usual(examiner)
        except CaseError as error:
            return DTYPES[:1], (Judged(measure.MODES[0], DTYPES[0], error.ending),)
        others = [dtype for dtype in DTYPES if dtype not in decisive]
        found: list[Judged] = []
        for dtype, mode in (*product(decisive, measure.MODES), *product(others, measure.MODES[:1])):
            found.append(examiner.judged(mode, dtype, deep=dtype in decisive))
            if found[-1].ending.status in ("crashed", "timeout"):
                break
        return decisive, tuple(found)

    def _usual(self, examiner: Examiner) -> tuple[str, ...]:
        """Return float32, or the first type that the function takes."""
        return next(((dtype,) for dtype in DTYPES if not examiner.lacks("forward", dtype)), DTYPES[:1])

    def _gradient(self, judged: Sequence[Judged]) -> str:
        backward = next((each for each in judged if each.mode == "backward"), None)
        if backward is None or backward.ending.status == "unavailable":
            return "not checked" if backward is None else backward.ending.reason
        by = self.planned.candidate.vjp or f"{self.planned.framework}'s own differentiation"
        return f"by {by}, {'right' if backward.right else 'WRONG'}"

    def _notes(self, examiner: Examiner) -> tuple[str, ...]:
        reduced = examiner.is_reduced and "it takes no reduction: the mean of all losses was compared"
        allowed = (
            self.planned.max_ulp is not None and f"allowed by you: an error of {self.planned.max_ulp:.3g} ULP"
        )
        return tuple(filter(None, (reduced or "", allowed or "")))

    def _cases(self, found: Trial) -> Iterator[Case]:
        """Yield what to time, the most telling first: what is right in the types that decide, and one more."""
        right = [(each.mode, each.dtype) for each in found.judged if each.right]
        asked = self.options.size or self.options.shape
        shapes = [default_shape(OPS[self.op], n) for n in self.options.size or () if asked] + [
            *(self.options.shape or ())
        ]
        usual = [default_shape(OPS[self.op], n) for n in (LARGE, SMALL)]
        plan = [
            (mode, dtype, shape) for mode, dtype in right if dtype in found.decisive for shape in (shapes or usual)
        ]
        if not self.options.dtype:
            plan += [
                ("forward", dtype, (shapes or usual)[0])
                for mode, dtype in right
                if mode == "forward" and dtype in DTYPES[:2] and dtype not in found.decisive
            ]
        for (mode, dtype, shape), name in product(dict.fromkeys(plan), [self.name, *self.rivals]):
            yield Case(self.op, mode, dtype, shape, name, self.options.device)


def _shortfall(n_cases: int, heats: Sequence[Heat], study: Study) -> Iterator[str]:
    """Yield what was not timed, and what makes the times doubtful."""
    if len(heats) < n_cases:
        yield f"{n_cases - len(heats)} of {plural(n_cases, 'case')} not timed: a longer --time-budget reaches them"
    yield from (f"Warning: {warning}" for warning in study.run.warnings[:1] if warning.about != "budget")


@contextmanager
def _workers(options: argparse.Namespace) -> Iterator[Pool]:
    pool = _pool(options)
    try:
        yield pool
    finally:
        pool.close()


def _pool(options: argparse.Namespace) -> Pool:
    # What NumPy warns of is what the checks look at.
    variables = {"PYTHONWARNINGS": "ignore"}
    return Pool(
        arguments.threads(options),
        timeout_s=options.case_timeout,
        start_timeout_s=max(START_S, options.case_timeout),
        variables=variables,
    )


@contextmanager
def _status(console: Console) -> Iterator[None]:
    """Show, in a terminal, that something goes on."""
    with console.status("checking, then timing ..."):
        yield


def _error_of(backend: str, options: argparse.Namespace) -> float:
    """Return the largest error of a backend where numbers are ordinary; raise CannotTell if it has none."""
    dtype = (options.dtype or DTYPES)[0]
    with _workers(options) as pool:
        try:
            return measure.usual_error(Examiner(pool, backend, options.op, options.device), dtype)
        except CaseError as error:
            raise CannotTell(f"--like: {error.ending.reason}") from None
