"""Fusions: an op that computes what several others do one after the other, beside these (`OpSpec.fuses`).

The time of the parts is the sum of theirs. They are groups of their own, which take no turns with the fused op:
the verdict rests on medians, and the ends of the sum's interval are the sums of the ends, as if all erred alike.
What a call of both in one compiled function would save is left out, and what handing an array over between two
libraries costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from backends.catalogue import OPS
from benchmarks.analysis.dtypes import BEST
from benchmarks.analysis.entries import Key, assembled, grouped
from benchmarks.analysis.errors import Erring
from benchmarks.analysis.verdicts import Verdicts, fastest_first, of_medians
from benchmarks.quantities import bounds, number, plural, seconds
from benchmarks.record import schema
from benchmarks.stats.pairs import FASTER

KEYS = tuple(name for name in schema.CASE if name != "op")
"""What a fused op shares with its parts: the shape of the first input, too."""


@dataclass(frozen=True)
class Fused:
    """A fused op beside its parts: `ratio` is the time of all parts over that of the fused op.

    Above 1, the fused op took less. `fused` is its backend and `apart` those of the parts: one and the same, or of
    a row of `BEST` the fastest accurate one of each.
    """

    op: str
    parts: str
    backend: str
    fused: str
    apart: str
    fused_s: float
    parts_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    verdict: str
    fused_warning: str
    parts_warning: str


def fusions(rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return a `Fused` for each case of `errors.with_errors` of an op whose parts were measured too."""
    known = {name: OPS[name].fuses for name in rows["op"].unique() if name in OPS and OPS[name].fuses}
    concerned = rows[rows["op"].isin([*known, *(part for parts in known.values() for part in parts)])]
    found: list[tuple[Key, Fused]] = []
    for case, group in grouped(concerned, KEYS, Erring).items():
        by_op = {op: [row for row in group if row.op == op] for op in {row.op for row in group}}
        for op, parts in known.items():
            if by_op.keys() >= {op, *parts}:
                apart = [by_op[part] for part in parts]
                found += [(case, each) for each in _beside(by_op[op], apart, verdicts.margin)]
    return assembled(KEYS, found, Fused)


def _beside(fused: Sequence[Erring], apart: Sequence[Sequence[Erring]], margin: float) -> Iterator[Fused]:
    best = [next((row for row in fastest_first(rows) if row.accurate), None) for rows in (fused, *apart)]
    if first := best[0]:
        rest = [row for row in best[1:] if row]
        if len(rest) == len(apart):
            yield _fused(BEST, first, rest, margin)
    for row in fused:
        own = [each for rows in apart for each in rows if each.backend == row.backend]
        if len(own) == len(apart):
            yield _fused(row.backend, row, own, margin)


def _fused(name: str, fused: Erring, apart: Sequence[Erring], margin: float) -> Fused:
    together = [sum(values) for values in zip(*map(_interval, apart), strict=True)]
    standing = of_medians((together[0], together[1], together[2]), _interval(fused), margin)
    return Fused(
        op=fused.op,
        parts=" + ".join(row.op for row in apart),
        backend=name,
        fused=fused.backend,
        apart=" + ".join(dict.fromkeys(row.backend for row in apart)),
        fused_s=fused.median_s,
        parts_s=together[0],
        ratio=standing.ratio,
        ratio_low=standing.low,
        ratio_high=standing.high,
        verdict=standing.verdict,
        fused_warning=fused.warning,
        parts_warning="; ".join(dict.fromkeys(row.warning for row in apart if row.warning)),
    )


def _interval(row: Erring) -> tuple[float, float, float]:
    return row.median_s, row.ci95_low_s, row.ci95_high_s


@dataclass(frozen=True)
class FusedCase(Fused):
    """A row of `fusions` with its size."""

    n_elements: int
    mode: str
    dtype: str

    @property
    def sentence(self) -> str:
        """What the fused op gains over its parts, in words."""
        doubt = "; doubtful" * bool(self.fused_warning or self.parts_warning)
        unsure = f"; {self.verdict}" * (self.verdict != FASTER)
        return (
            f"{self.op} {self.mode}, {self.dtype}, {plural(self.n_elements, 'element')}: {seconds(self.fused_s)} "
            f"({self.fused}); its parts {self.parts}: {seconds(self.parts_s)} ({self.apart}). Fused it is "
            f"{number(self.ratio)} times as fast ({bounds(self.ratio_low, self.ratio_high)}{unsure}{doubt})."
        )
