"""Does a second thread pay? Each backend beside itself under several teams, where more threads took effect."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks.analysis.entries import Timed, assembled, entries, grouped, parted
from benchmarks.analysis.ranges import from_on, size_classes
from benchmarks.analysis.tables import backend_order, geometric_mean, varying
from benchmarks.analysis.verdicts import Verdicts
from benchmarks.quantities import count, listing, number, plural, times
from benchmarks.record import teams
from benchmarks.record.schema import POLICIES
from benchmarks.stats.pairs import FASTER

_OTHERS = tuple(name for name in POLICIES if name != "team")
CURVE = ("op", "mode", "dtype", *_OTHERS, "device", "backend")
"""What the sizes share over which more threads may pay."""
KEYS = (*CURVE, "shape", "n_elements")
"""What results share that differ in their team alone."""


@dataclass(frozen=True)
class Gain:
    """A case with the fewest threads and with more: `ratio` is the time with `few` over that with `many`.

    Above 1, more threads took less. The numbers are those that took effect. `verdict` is that of the two results.
    """

    few: int
    many: int
    few_s: float
    many_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    verdict: str
    few_warning: str
    many_warning: str


@dataclass(frozen=True)
class _Call(Timed):
    team: str
    threads: float


def gains(rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return a `Gain` for each case of measured rows, and each number of threads beyond the fewest."""
    found = []
    for key, calls in grouped(rows[rows["team"] != teams.USUAL], KEYS, _Call).items():
        # Of two teams of which as many took effect, the smaller one: the rest has nothing to do.
        ascending = sorted(calls, key=lambda call: teams.size_of(call.team) or 0, reverse=True)
        known = {int(call.threads): call for call in ascending if not math.isnan(call.threads)}
        ordered = sorted(known.items())
        found += [(key, _gain(ordered[0], many, verdicts)) for many in ordered[1:]]
    return assembled(KEYS, found, Gain)


def _gain(few: tuple[int, _Call], many: tuple[int, _Call], verdicts: Verdicts) -> Gain:
    (n_few, fewer), (n_many, more) = few, many
    standing = verdicts.over(fewer, more)
    return Gain(
        few=n_few,
        many=n_many,
        few_s=fewer.median_s,
        many_s=more.median_s,
        ratio=standing.ratio,
        ratio_low=standing.low,
        ratio_high=standing.high,
        verdict=standing.verdict,
        few_warning=fewer.warning,
        many_warning=more.warning,
    )


@dataclass(frozen=True)
class Payoff:
    """The least size measured from which on `many` threads are surely faster than `few` at every larger one.

    Infinite where they are not at the `largest` size measured.
    """

    few: int
    many: int
    elements: float
    largest: int


def payoffs(gains: pd.DataFrame) -> pd.DataFrame:
    """Return a `Payoff` for each backend, op, mode, dtype and set of other policies, and each pair of numbers."""
    found = []
    for _, group in gains.groupby([*CURVE, "few", "many"], sort=False):
        ordered = group.sort_values("n_elements")
        last = ordered.iloc[-1]
        elements = from_on(ordered["n_elements"], ordered["ratio"], ordered["verdict"])
        payoff = Payoff(int(last["few"]), int(last["many"]), elements, int(last["n_elements"]))
        found.append((tuple(last[list(CURVE)]), payoff))
    return assembled(CURVE, found, Payoff)


@dataclass(frozen=True)
class _Case(Gain):
    backend: str
    op: str
    mode: str
    n_elements: int

    @property
    def doubtful(self) -> bool:
        return bool(self.few_warning or self.many_warning)


@dataclass(frozen=True)
class _Payoff(Payoff):
    backend: str


@dataclass(frozen=True)
class _Found:
    """What was found of one backend with two numbers of threads.

    `near` has the class of each size; `what` names what the curves differ in, such as op and mode.
    """

    backend: str
    few: int
    many: int
    cases: Sequence[_Case]
    curves: Sequence[_Payoff]
    near: Mapping[int, int]
    what: Sequence[str]

    @property
    def largest(self) -> int:
        return max(self.near.values())

    @property
    def at_largest(self) -> list[_Case]:
        return [case for case in self.cases if self.near[case.n_elements] == self.largest]

    @property
    def mean(self) -> float:
        """The geometric mean of the ratios at the largest size."""
        return geometric_mean(pd.Series([case.ratio for case in self.at_largest]))

    @property
    def starts(self) -> list[int]:
        """The sizes from which on more threads pay, ascending, of each curve on which they do."""
        return sorted(self.near[int(curve.elements)] for curve in self.curves if math.isfinite(curve.elements))

    @property
    def subject(self) -> str:
        """What may pay."""
        return "a second thread" if self.is_second else f"{self.many} threads instead of {self.few}"

    @property
    def is_second(self) -> bool:
        """Whether it is about two threads instead of one."""
        return (self.few, self.many) == (1, 2)

    @property
    def curves_in_words(self) -> str:
        """How many curves there are: `12 ops`, `24 combinations of op and mode`."""
        n = len(self.curves)
        return plural(n, "op") if len(self.what) == 1 else f"{plural(n, 'combination')} of {listing(self.what)}"


def sentences(gains: pd.DataFrame, payoffs: pd.DataFrame) -> list[str]:
    """Say of each backend from which size on more threads pay, what they gain in the end, and cost before."""
    return [
        f"{found.backend}: {found.subject} {_where(found)}. {_by_how_much(found)}."
        for found in _by_backend(gains, payoffs)
    ]


def brief(gains: pd.DataFrame, payoffs: pd.DataFrame) -> list[str]:
    """Say in a line for each two numbers of threads which backends gain how much at the largest size.

    A mean that a doubtful time is part of is marked.
    """
    lines = []
    for subject, each in parted(_by_backend(gains, payoffs), lambda found: found.subject).items():
        told = [
            f"{found.backend} {_doubt(found)}{times(found.mean)} ({'pays in ' * (i == 0)}{len(found.starts)} of "
            f"{found.curves_in_words if i == 0 else len(found.curves)})"
            for i, found in enumerate(sorted(each, key=lambda found: -found.mean))
        ]
        lines.append(f"{_capital(subject)}, at the largest size: {listing(told)}.")
    return lines


def _by_backend(gains: pd.DataFrame, payoffs: pd.DataFrame) -> Iterator[_Found]:
    """Yield what was found of each backend, for the fewest threads more first."""
    what = ["op", *(name for name in varying(payoffs, CURVE) if name not in {"op", "backend"})]
    cases = parted(entries(gains, _Case), lambda case: (case.few, case.many, case.backend))
    curves = parted(entries(payoffs, _Payoff), lambda curve: (curve.few, curve.many, curve.backend))
    order = backend_order(payoffs)
    for few, many, backend in sorted(cases, key=lambda which: (*which[:2], order.index(which[2]))):
        own = cases[few, many, backend]
        near = size_classes(case.n_elements for case in own)
        yield _Found(backend, few, many, own, curves[few, many, backend], near, what)


def _where(found: _Found) -> str:
    """Say from which size on more threads pay, on how many curves."""
    verb = "pays" if found.is_second else "pay"
    starts, all_curves = found.starts, found.curves_in_words
    if not starts:
        return f"{verb} at the largest size in none of {all_curves}"
    if len(set(found.near.values())) == 1:
        return f"{verb} at {plural(starts[0], 'element')}, the only size, in {len(starts)} of {all_curves}"
    first, *later = sorted(set(starts))
    told = [f"from {plural(first, 'element')} on in {starts.count(first)} of {all_curves}"]
    told += [f"from {count(size)} on in {sum(start <= size for start in starts)}" for size in later]
    never = len(found.curves) - len(starts)
    told += [f"not at the largest size in {never}"] * bool(never)
    return f"{verb} {listing(told, len(told))}"


def _by_how_much(found: _Found) -> str:
    """Say what more threads gain at the largest size, on all curves, and what they cost where they cost most."""
    mean = " (geometric mean)" * (len(found.curves) > 1)
    said = f"At {plural(found.largest, 'element')} a call {_told(found.mean)}{mean}"
    slower = [case for case in found.cases if case.verdict == FASTER and case.ratio < 1]
    if slower:
        worst = min(slower, key=lambda case: case.ratio)
        where = f"{worst.op} {worst.mode}, {plural(worst.n_elements, 'element')}"
        said += f"; at worst it {_told(worst.ratio)} ({where})"
    n_doubtful = sum(case.doubtful for case in found.cases)
    doubt = f"; doubtful: {n_doubtful} of {plural(len(found.cases), 'case')}"
    return said + doubt * bool(n_doubtful)


def _told(ratio: float) -> str:
    return f"is {number(ratio, 2)} times as fast" if ratio >= 1 else f"takes {number(1 / ratio, 2)} times as long"


def _doubt(found: _Found) -> str:
    return "~" * any(case.doubtful for case in found.at_largest)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
