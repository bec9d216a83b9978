"""Which backend wins where, in few lines: by ranges of sizes, or as a tally where there are too many ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, entries, grouped, parted
from benchmarks.analysis.ranges import GROUP, Contest, Range
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import CaseLead
from benchmarks.record.schema import CASE, DEFAULTS
from benchmarks.report.table import Cell, Column, Table, of_rows

BESIDE = ("runner-up", f"over {tables.BASELINE}")
"""What a narrow terminal goes without."""
TALLY = "fastest, in how many ops"
_NUMERIC = {"time", "lead", f"over {tables.BASELINE}"}


@dataclass(frozen=True)
class _Speedup:
    case: Annotated[Key, CASE]
    backend: str
    speedup: float


def by_range(study: Study) -> Table:
    """Return a row for each range of sizes with the same winners; its numbers are those of its largest size."""
    keys = _keys(study)
    alone = bool((study.winners["runner_up"] == "").all())
    names = ["elements", "backend", "time"] if alone else ["elements", "fastest", "time", "lead", *BESIDE]
    speedups = {(row.case, row.backend): row.speedup for row in entries(study.rated, _Speedup)}
    labels, lines = [], []
    for contest in study.contests:
        for part in _parts(contest):
            labels.append(tuple(contest.keys[key] for key in keys))
            lines.append(_cells(part, speedups[part.cases[-1].case, part.cases[-1].fastest]))
    columns = [
        Column(key, cells, numeric=False)
        for key, cells in zip(keys, zip(*_once(labels), strict=True), strict=True)
    ]
    columns += [Column(name, tuple(line[name] for line in lines), numeric=name in _NUMERIC) for name in names]
    several = any(len(part.cases) > 1 for contest in study.contests for part in _parts(contest))
    doubtful = any(line["time"].doubtful for line in lines)
    return Table(tuple(columns), _title(_shared(study, keys), alone=alone, several=several, doubtful=doubtful))


def _title(shared: str, *, alone: bool, several: bool, doubtful: bool) -> str:
    if alone:
        said = f"Time of a call{shared}."
    else:
        at = " (measured at the largest size of the row)" if several else ""
        said = f"Fastest backend{shared}, its time, and how much faster it is than the next{at}."
    return f"{said} ~ means: do not rely on it." if doubtful else said


def _keys(study: Study) -> list[str]:
    return ["op", *tables.varying(study.rows, GROUP[1:])]


def _shared(study: Study, keys: Sequence[str]) -> str:
    """Return what all cases share, in brackets: mode, dtype and device, and policies other than the usual."""
    first = study.contests[0].keys
    named = [first[key] for key in GROUP[1:] if key not in keys and first[key] not in (DEFAULTS.get(key), "")]
    return f" ({', '.join(named)})" if named else ""


def _parts(contest: Contest) -> list[Range]:
    """Return the ranges of a contest; a backend without a rival wins no range, so each size has a row."""
    return [part for each in contest.ranges for part in ([each] if each.cases[-1].runner_up else each.singly())]


def _once(labels: Sequence[tuple[str, ...]]) -> list[tuple[Cell, ...]]:
    """Return the labels of lines without what the line before says already."""
    found = [tuple(map(Cell, label)) for label in labels[:1]]
    for before, label in pairwise(labels):
        shown = [""] * len(label) if label == before else ["", *label[1:]] if label[0] == before[0] else label
        found.append(tuple(map(Cell, shown)))
    return found


def _cells(part: Range, speedup: float) -> Mapping[str, Cell]:
    case, tie = part.cases[-1], len(part.winners) > 1
    names = Cell(_names(part.winners, case.fastest))
    lead = "tie" if tie else f"{quantities.number(case.ratio)}×" if case.runner_up else ""
    doubt = "a result of this range is doubtful" if any(each.doubtful for each in part.cases) else ""
    return {
        "elements": Cell(part.briefly),
        "fastest": names,
        "backend": names,
        "time": Cell(quantities.seconds(case.median_s), case.median_s, doubt),
        "lead": Cell(lead, case.ratio),
        "runner-up": Cell("" if tie else case.runner_up),
        f"over {tables.BASELINE}": Cell(quantities.times(speedup), speedup),
    }


def _names(winners: Sequence[str], fastest: str) -> str:
    """Return the winner or the tied backends, the fastest first: of more than two, how many others."""
    others = [name for name in winners if name != fastest]
    return f"{fastest} and {len(others)} more" if len(others) > 1 else ", ".join([fastest, *others])


def tally(study: Study, most: int, *, by_size: bool = False) -> Table:
    """Return in how many ops each backend is fastest, with up to `most` of the ops' names.

    There is a row for each size of each mode, dtype and so on; with `by_size`, for each size alone.
    """
    keys = _keys(study)
    apart = [] if by_size else keys[1:]
    lines = []
    groups = grouped(study.winners, [*apart, "n_elements"], CaseLead)
    order = list(dict.fromkeys(key[:-1] for key in groups))  # as the records have them, sizes ascending
    for (*label, n_elements), cases in sorted(groups.items(), key=lambda g: (order.index(g[0][:-1]), g[0][-1])):
        won = parted(cases, lambda case: "tie" if case.tie else case.fastest)
        names = sorted(won, key=lambda name: (name == "tie", -len(won[name])))
        counts = [f"{name} {len(won[name])}{_named([case.op for case in won[name]], most)}" for name in names]
        lines.append((*map(Cell, label), Cell(quantities.count(n_elements)), Cell("; ".join(counts))))
    headings = (*apart, "elements", TALLY)
    return of_rows(headings, lines, (False,) * len(headings), f"Fastest by number of ops{_shared(study, keys)}:")


def _named(ops: Sequence[str], most: int) -> str:
    return f" ({', '.join(ops[:most])}{', …' if len(ops) > most else ''})" if most else ""
