"""The first screen: what was measured and where, and who wins, as one picture that fits the window.

The picture is a map of the leaders, an op a row, where all of it can be read; with more ops or sizes, it is a bar
for each mode and size, of how many ops each backend wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis.entries import Key, entries, parted
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import Lead
from benchmarks.record.run import Run
from benchmarks.record.schema import POLICIES
from benchmarks.report.views import Facets, split
from benchmarks.stats.pairs import EQUAL

MOST_OPS, MOST_SIZES = 10, 10
"""More rows or columns do not fit a phone."""
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_IN_EVERY_NAME = re.compile(r"\((?:R|TM)\)|\b(?:Processor|CPU)\b|\b\d+-Core\b|@.*$")

KNOWN = {
    "numba": "this project's kernels",
    "numba-parallel": "the same on all threads",
    "jax": "jax.jit",
    "jax-eager": "without jax.jit",
    "torch-compile": "torch.compile",
}
"""What the names of some backends do not say."""


@dataclass(frozen=True)
class Square:
    """Who leads one case: `names` are the leader and who shares its lead; `said` is the lead, or the verdict."""

    names: tuple[str, ...]
    time: str
    said: str
    sole: bool
    doubtful: bool
    tip: str


@dataclass(frozen=True)
class Bar:
    """How many ops of one mode and size each backend wins; those without a winner come last, without a name."""

    mode: str
    size: str
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Picture:
    """Who wins, for one dtype, device and set of policies: `rows` of (op, squares), or `bars`.

    `columns` has, for each mode, its sizes, each in full and in brief.
    """

    label: str
    facets: Facets
    columns: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    rows: tuple[tuple[str, tuple[Square | None, ...]], ...] = ()
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True)
class _Leader(Lead):
    op: str
    mode: str
    size: Annotated[Key, ("n_elements", "shape")]
    n_elements: int


def title(run: Run) -> str:
    """Return what was measured, on what and when: `Six functions on AMD EPYC, 2 threads, 27 Nov 2026`."""
    records = run.records
    if records.empty:
        return "A run without results"
    ops = list(records["op"].dropna().unique())
    what = str(ops[0]) if len(ops) == 1 else f"{_count(len(ops))} functions".capitalize()
    devices = " and ".join([_processor(run), *_others(records)])
    threads = run.machine.get("threads")
    return ", ".join(
        [
            f"{what} on {devices}",
            *([quantities.plural(threads, "thread")] if isinstance(threads, int) else []),
            *_dates(records),
        ]
    )


def _count(n: int) -> str:
    return _COUNTS[n] if n < len(_COUNTS) else str(n)


def _processor(run: Run) -> str:
    names = [
        str(run.machine.get("cpu") or ""),
        *map(str, _models(run.records, on_host=True)),
        "an unknown processor",
    ]
    return " ".join(_IN_EVERY_NAME.sub("", next(filter(None, names))).split())


def _others(records: pd.DataFrame) -> list[str]:
    return [str(name) for name in _models(records, on_host=False)]


def _models(records: pd.DataFrame, *, on_host: bool) -> Sequence[object]:
    here = (records["device"] == "cpu").fillna(value=True)
    return list(records.loc[here if on_host else ~here, "device_name"].dropna().unique())


def _dates(records: pd.DataFrame) -> Iterator[str]:
    for stamp in sorted(map(str, records["timestamp"].dropna()))[:1]:
        day = datetime.fromisoformat(stamp)
        yield f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def pictures(study: Study) -> list[Picture]:
    """Return who wins, for each dtype, device and set of policies."""
    contested = study.winners[study.winners["runner_up"] != ""]
    found = []
    for view in split(contested, ("dtype", "device", *POLICIES)):
        leaders = _in_columns(entries(view.rows, _Leader))
        modes = parted(sorted(leaders, key=lambda each: each.n_elements), lambda each: each.mode)
        modes = {mode: modes[mode] for mode in dict.fromkeys(each.mode for each in leaders)}
        sizes = {mode: tuple(dict.fromkeys(each.size for each in own)) for mode, own in modes.items()}
        found.append(_picture(view.label, view.facets, leaders, sizes))
    return found


def _in_columns(leaders: Sequence[_Leader]) -> list[_Leader]:
    """Let rows share the column of lines of as many elements, unless an op has several shapes of so many."""
    shapes = parted(leaders, lambda each: (each.op, each.mode, each.n_elements))
    lines = {each.size for each in leaders if "x" not in each.size[1]}
    line_of = {n_elements: (n_elements, shape) for n_elements, shape in lines}
    if any(len({each.size for each in own}) > 1 for own in shapes.values()):
        return list(leaders)
    return [replace(each, size=line_of.get(each.n_elements, each.size)) for each in leaders]


def _picture(label: str, facets: Facets, leaders: Sequence[_Leader], sizes: dict[str, tuple[Key, ...]]) -> Picture:
    columns = tuple((mode, tuple(map(_size, own))) for mode, own in sizes.items())
    by_op = parted(leaders, lambda each: each.op)
    if len(by_op) > MOST_OPS or sum(map(len, sizes.values())) > MOST_SIZES:
        return Picture(label, facets, columns, bars=tuple(_bars(leaders, sizes)))
    rows = []
    for op, own in by_op.items():
        squares = {(each.mode, each.size): _square(each) for each in own}
        rows.append((op, tuple(squares.get((mode, size)) for mode, several in sizes.items() for size in several)))
    return Picture(label, facets, columns, rows=tuple(rows))


def _size(size: Key) -> tuple[str, str]:
    n_elements, shape = size
    return (shape, shape) if "x" in shape else (quantities.count(n_elements), quantities.brief(n_elements))


def _square(lead: _Leader) -> Square:
    verdict = EQUAL if lead.outcome == EQUAL else "close"
    others = lead.names[1:]
    shared = f"{lead.outcome} with {quantities.listing(others)}" if others else "fastest"
    bounds = quantities.bounds(lead.low, lead.high)
    tip = (
        f"{lead.fastest}: {quantities.seconds(lead.median_s)}, {shared}\n"
        f"next {lead.runner_up}: {quantities.seconds(lead.runner_up_median_s)}, "
        f"{quantities.number(lead.ratio)} times as long ({bounds})"
    )
    doubtful = lead.time_doubtful or lead.verdict_doubtful
    return Square(
        names=tuple(lead.names),
        time=quantities.seconds(lead.median_s),
        said=quantities.times(lead.ratio) if lead.sole else verdict,
        sole=lead.sole,
        doubtful=doubtful,
        tip=tip + "\ndoubtful: see All results" * doubtful,
    )


def _bars(leaders: Sequence[_Leader], sizes: dict[str, tuple[Key, ...]]) -> Iterator[Bar]:
    by_column = parted(leaders, lambda each: (each.mode, each.size))
    for mode, several in sizes.items():
        for size in several:
            won = parted(by_column[mode, size], lambda each: each.fastest if each.sole else "")
            order = sorted(won, key=lambda name: (name == "", -len(won[name])))
            yield Bar(mode, _size(size)[0], tuple((name, len(won[name])) for name in order))
