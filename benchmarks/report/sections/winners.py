"""Which backend wins where, in few lines: by ranges of sizes, or as a tally where there are too many ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, Timed, entries, grouped, parted
from benchmarks.analysis.ranges import GROUP, Contest, Range, size_classes
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import CaseLead
from benchmarks.analysis.verdicts import UNKNOWN, Standing, fastest_first
from benchmarks.record import teams
from benchmarks.record.schema import CASE, DEFAULTS, IN_WORDS
from benchmarks.report.table import Cell, Column, Table, of_rows
from benchmarks.stats.pairs import CLOSE

WIDE = f"over {tables.BASELINE}"
"""What a narrow terminal goes without."""
FIRST, TALLY = "fastest", "fastest, in how many ops"
_NUMERIC = {"time", WIDE}
_MOST_NAMES = 3


@dataclass(frozen=True)
class _Speedup:
    case: Annotated[Key, CASE]
    backend: str
    speedup: float
    doubt: str


class _Field:
    """Who takes part in each case: for what a leader is ahead of whoever is clearly slower."""

    def __init__(self, study: Study) -> None:
        self._verdicts = study.verdicts
        self._rows = grouped(study.rows, CASE, Timed)

    def beaten(self, case: CaseLead) -> tuple[str, Standing]:
        """Return the first backend that has no share in the lead, and how it compares with the leader."""
        leader, *others = fastest_first(self._rows[case.case])
        for row in others:
            if row.backend not in case.names:
                return row.backend, self._verdicts.over(row, leader)
        return "", UNKNOWN


def by_range(study: Study) -> Table:
    """Return a row for each range of sizes with the same leaders; its numbers are of its largest size."""
    keys, field = _keys(study), _Field(study)
    names = ["elements", *_headings(study)]
    speedups = {(row.case, row.backend): row for row in entries(study.rated, _Speedup)}
    labels, lines = [], []
    for contest in study.contests:
        for part in _parts(contest):
            labels.append(tuple(contest.keys[key] for key in keys))
            rated = speedups[part.cases[-1].case, part.cases[-1].fastest]
            speedup = Cell(quantities.times(rated.speedup), rated.speedup, rated.doubt)
            lines.append({"elements": Cell(part.briefly), **_cells(part.cases, field), WIDE: speedup})
    columns = [
        Column(key, cells, numeric=False)
        for key, cells in zip(keys, zip(*_once(labels), strict=True), strict=True)
    ]
    names += [] if _is_alone(study) else [WIDE]
    columns += [Column(name, tuple(line[name] for line in lines), numeric=name in _NUMERIC) for name in names]
    several = any(len(part.cases) > 1 for contest in study.contests for part in _parts(contest))
    said = _fastest(study, "", keys)
    said += " Time and lead are those of the largest size of a row." * several
    return Table(tuple(columns), f"{said}{_marks(lines)}")


def at_size(study: Study, *, abreast: bool = False) -> Table:
    """Return the winners at the largest size that most ops have; the modes side by side if they are `abreast`."""
    field, keys = _Field(study), _keys(study)
    size, cases = _at_common_size(study)
    across = ["mode"] if abreast else []
    down = [key for key in keys if key not in across]
    modes = list(dict.fromkeys(about["mode"] for about, _ in cases)) if abreast else [""]
    found: dict[tuple[str, ...], dict[str, Mapping[str, Cell]]] = {}
    for about, case in cases:
        label = (*(about[key] for key in down), case.shape)
        found.setdefault(label, {})[about["mode"] if abreast else ""] = _cells([case], field)
    headings = _headings(study)
    lines = [
        [cell for mode in modes for cell in (row.get(mode, {}).get(name, Cell()) for name in headings)]
        for row in found.values()
    ]
    labels = _once([label[:-1] for label in found])
    names = [name if mode == "" else mode if name == headings[0] else name for mode in modes for name in headings]
    numeric = [*(False for _ in down), *(name in _NUMERIC for name in names)]
    rows = [(*label, *line) for label, line in zip(labels, lines, strict=True)]
    at = f" at {size}"
    marks = _marks([cells for row in found.values() for cells in row.values()])
    return of_rows((*down, *names), rows, numeric, f"{_fastest(study, at, keys)}{marks}")


def _keys(study: Study) -> list[str]:
    return ["op", *tables.varying(study.rows, GROUP[1:])]


def _shared(study: Study, keys: Sequence[str]) -> str:
    """Return what all cases share, in brackets: mode, type, device, threads, and policies other than the usual."""
    first = study.contests[0].keys
    said = [first[key] for key in GROUP[1:] if key not in keys and first[key] not in (DEFAULTS.get(key), "")]
    said = [IN_WORDS.get(value, value) for value in said]
    threads = study.run.machine.get("threads")
    # A team says its number itself.
    alike = first["team"] == teams.USUAL and "team" not in keys
    said += [quantities.plural(threads, "thread")] if isinstance(threads, int) and alike else []
    return f" ({', '.join(said)})" if said else ""


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


def _cells(cases: Sequence[CaseLead], field: _Field) -> Mapping[str, Cell]:
    """Return who is first, its time and its lead, of the last of cases that have the same leader and rivals."""
    case = cases[-1]
    name, standing = field.beaten(case)
    # A machine that changed its speed is a doubt about times, and need be none about who is faster.
    timed = "a time of this range is doubtful" * any(each.time_doubtful for each in cases)
    compared = "a lead of this range is doubtful" * any(field.beaten(each)[1].doubtful for each in cases)
    lead = Cell(f"{quantities.times(standing.ratio)} {name}", standing.ratio, compared) if name else Cell()
    time = Cell(quantities.seconds(case.median_s), case.median_s, timed)
    return {FIRST: Cell(named(case)), "backend": Cell(case.fastest), "time": time, "lead over": lead}


def named(case: CaseLead) -> str:
    """Return who leads: `a = b` are equal, and `a ? b` are too close to call."""
    said = [case.fastest]
    said += [f"{sign} {name}" for sign, names in (("=", case.equal), ("?", case.open)) for name in _split(names)]
    more = len(said) - _MOST_NAMES
    return " ".join([*said[: _MOST_NAMES - 1], f"and {more + 1} more"] if more > 0 else said)


def _split(names: str) -> list[str]:
    return names.split(", ") if names else []


def _headings(study: Study) -> list[str]:
    return ["backend", "time"] if _is_alone(study) else [FIRST, "time", "lead over"]


def _is_alone(study: Study) -> bool:
    """Tell whether no backend has a rival."""
    return bool((study.winners["runner_up"] == "").all())


def _fastest(study: Study, where: str, keys: Sequence[str]) -> str:
    return f"{'Time of a call' if _is_alone(study) else 'Fastest'}{where}{_shared(study, keys)}."


def _marks(lines: Sequence[Mapping[str, Cell]]) -> str:
    """Explain the marks that a table has."""
    cells = [cell for line in lines for cell in line.values()]
    said = ["= equal"] * any(" = " in cell.text for cell in cells)
    said += ["? too close"] * any(" ? " in cell.text for cell in cells)
    said += ["~ do not rely on it"] * any(cell.doubtful for cell in cells)
    return f" {', '.join(said)}." if said else ""


def _at_common_size(study: Study) -> tuple[str, list[tuple[Mapping[str, str], CaseLead]]]:
    """Return the largest size that most ops have, in words, and the cases of about that size."""
    near = size_classes(study.winners["n_elements"])
    n_ops = study.winners.groupby(study.winners["n_elements"].map(near))["op"].nunique()
    size = max(n_ops.index, key=lambda n: (n_ops[n], n))
    cases = [
        (contest.keys, case)
        for contest in study.contests
        for part in contest.ranges
        for case in part.cases
        if near[case.n_elements] == size
    ]
    about = "about " * (len({case.n_elements for _, case in cases}) > 1)
    return f"{about}{quantities.plural(size, 'element')}", cases


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
        won = parted(cases, lambda case: case.first or CLOSE)
        names = sorted(won, key=lambda name: (name == CLOSE, -len(won[name])))
        counts = [f"{name} {len(won[name])}{_named([case.op for case in won[name]], most)}" for name in names]
        lines.append((*map(Cell, label), Cell(quantities.count(n_elements)), Cell("; ".join(counts))))
    headings = (*apart, "elements", TALLY)
    return of_rows(headings, lines, (False,) * len(headings), f"Fastest by number of ops{_shared(study, keys)}:")


def _named(ops: Sequence[str], most: int) -> str:
    return f" ({', '.join(ops[:most])}{', …' if len(ops) > most else ''})" if most else ""
