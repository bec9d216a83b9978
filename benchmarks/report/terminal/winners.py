"""Who wins where, at the terminal: views of one answer, from the most detailed to the shortest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.ranges import GROUP, Range, by_group
from benchmarks.analysis.summary import tally_sentences
from benchmarks.record import schema
from benchmarks.record.schema import DEFAULTS

Say = Callable[..., Text]
"""`say(sentence, style="")` returns text in signs that the terminal has."""

_OPS_NAMED = (12, 6, 3, 0)
"""How many of a backend's ops a tally names: as many as there is room for."""
_TALLY_WIDTH = 24
"""Columns that a tally takes at least, where it wraps."""
_RIGHT = {"time", "lead", f"over {tables.BASELINE}"}


@dataclass(frozen=True)
class Hanging:
    """Text of which all lines but the first are indented."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n  ").join(self.text.wrap(console, max(1, options.max_width - 2)))


@dataclass(frozen=True)
class _Line:
    """A range of sizes of an op in words: `label` are the values that tell the ops' lines apart."""

    label: tuple[str, ...]
    where: str
    cells: Mapping[str, str]

    @property
    def clause(self) -> str:
        """The line as a part of a sentence: `numba up to 32,768`."""
        return f"{self.cells['fastest']} {self.where}"

    @property
    def figures(self) -> str:
        """Time and lead: `(9.20 µs, 1.30×)`."""
        return f"({', '.join(filter(None, [self.cells['time'], self.cells['lead']]))})"


def views(records: pd.DataFrame, say: Say) -> Iterator[list[RenderableType]]:
    """Yield the parts of each view of a run that measured something: sentences, and at most one table."""
    winners = tables.best(records)
    keys = _keys(records)
    lines = list(_lines(records, winners, keys))
    alone = bool(winners["runner_up"].isna().all())
    heading = say(_heading(records, keys, lines, at="a range's largest size", alone=alone), "bold")
    choices = _columns(alone=alone)
    for columns in choices:
        yield [heading, _flat(lines, keys, columns, say)]
    yield [heading, _stacked(lines, keys, choices[-1], say)]
    yield [heading, *_sentences(lines, say)]
    ending = say(_heading(records, keys, lines, at="the largest size", alone=alone), "bold")
    yield [ending, *_sentences(lines, say, at_end=True)]
    tally = [say(sentence) for sentence in tally_sentences(records)]
    title = say(f"Fastest by number of ops{_shared(records, keys)}:", "bold")
    for most in _OPS_NAMED:
        yield [title, _tallies(winners, keys[1:], most, say), *tally]
    yield [title, _tallies(winners, [], 0, say), *tally]
    yield [*tally]


def _keys(records: pd.DataFrame) -> list[str]:
    return ["op", *tables.telling(tables.measured(records), GROUP[1:])]


def _shared(records: pd.DataFrame, keys: Sequence[str]) -> str:
    """Return what all cases share, in brackets: mode, dtype and device, and policies other than the usual."""
    first = tables.measured(records).iloc[0]
    named = [first[key] for key in GROUP[1:] if key not in keys and first[key] not in (DEFAULTS.get(key), "")]
    return f" ({', '.join(named)})" if named else ""


def _heading(records: pd.DataFrame, keys: Sequence[str], lines: Sequence[_Line], *, at: str, alone: bool) -> str:
    parts = [f"{'Time of a call' if alone else 'Fastest'}{_shared(records, keys)}"]
    if not alone:
        several = any(" " in line.where.removeprefix("at ") for line in lines)
        parts.append(f"time and lead over the next{f' at {at}' if several else ''}")
    if any("~" in line.cells["time"] for line in lines):
        parts.append("~ is doubtful")
    return f"{'; '.join(parts)}:"


def _columns(*, alone: bool) -> list[list[str]]:
    """Return the columns of flat tables, the widest first."""
    if alone:
        return [["elements", "backend", "time"]]
    narrow = ["elements", "fastest", "time", "lead"]
    return [[*narrow, "runner-up", f"over {tables.BASELINE}"], [*narrow, "runner-up"], narrow]


def _lines(records: pd.DataFrame, winners: pd.DataFrame, keys: Sequence[str]) -> Iterator[_Line]:
    speedups = (
        tables.rate(records, baseline_device="cpu").set_index([*schema.CASE, "backend"])["speedup"].to_dict()
    )
    for shared, found in by_group(records, winners):
        label = tuple(shared[key] for key in keys)
        for each in found:
            # What has no rival is no winner over a range: each size is told.
            parts: list[Range] = list(each.singly()) if pd.isna(each.cases[-1]["runner_up"]) else [each]
            for part in parts:
                yield _Line(label, _where(part), _cells(part, speedups))


def _where(part: Range) -> str:
    if part.briefly == "all sizes":
        return "at every size"
    if part.briefly.startswith(("up to ", "from ")):
        return part.briefly
    return f"{'at' if len(part.cases) == 1 else 'from'} {part.briefly}"


def _cells(part: Range, speedups: Mapping[Any, float]) -> dict[str, str]:
    case = part.cases[-1]
    speedup = float(speedups[tuple(case[key] for key in (*schema.CASE, "fastest"))])
    rival: str = "" if pd.isna(case["runner_up"]) else case["runner_up"]
    doubtful = any(each["doubtful"] for each in part.cases)
    names = _names(part.winners, case["fastest"])
    lead = "tie" if len(part.winners) > 1 else f"{quantities.number(case['ratio'])}×" if rival else ""
    return {
        "elements": part.briefly,
        "fastest": names,
        "backend": names,
        "time": "~" * doubtful + quantities.seconds(case["median_s"]),
        "lead": lead,
        "runner-up": "" if lead == "tie" else rival,
        f"over {tables.BASELINE}": quantities.times(speedup),
    }


def _names(winners: Sequence[str], fastest: str) -> str:
    """Return who wins or ties, the fastest first: of more than two, how many others."""
    others = [name for name in winners if name != fastest]
    return f"{fastest} and {len(others)} more" if len(others) > 1 else ", ".join([fastest, *others])


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for name in columns:
        table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=True)
    return table


def _flat(lines: Sequence[_Line], keys: Sequence[str], columns: Sequence[str], say: Say) -> Table:
    """Return a row for each range, with what the row before shares left out."""
    table = _table([*keys, *columns])
    before: tuple[str, ...] = ()
    for line in lines:
        label = line.label if line.label != before else [""] * len(keys)
        if before and line.label[0] == before[0]:
            label = ["", *label[1:]]
        before = line.label
        table.add_row(*map(say, label), *(say(line.cells[name]) for name in columns))
    return table


def _by_label(lines: Sequence[_Line]) -> dict[tuple[str, ...], list[_Line]]:
    groups: defaultdict[tuple[str, ...], list[_Line]] = defaultdict(list)
    for line in lines:
        groups[line.label].append(line)
    return groups


def _stacked(lines: Sequence[_Line], keys: Sequence[str], columns: Sequence[str], say: Say) -> Table:
    """Return a row for each op, its other keys below its name: for long names on a narrow terminal."""
    table = _table([", ".join(keys), *columns])
    for label, group in _by_label(lines).items():
        head = "\n  ".join(filter(None, [label[0], " ".join(label[1:])]))
        table.add_row(say(head), *(say("\n".join(line.cells[name] for line in group)) for name in columns))
    return table


def _sentences(lines: Sequence[_Line], say: Say, *, at_end: bool = False) -> Iterator[Hanging]:
    """Yield a sentence for each op; `at_end`, with the figures of its largest size alone."""
    for label, group in _by_label(lines).items():
        told = [line.clause + (f" {line.figures}" if line is group[-1] or not at_end else "") for line in group]
        yield Hanging(say(f"{' '.join(label)}: {'; '.join(told)}"))


def _tallies(winners: pd.DataFrame, keys: Sequence[str], most: int, say: Say) -> Table:
    """Return how many ops each backend is fastest in: a row for each size, with up to `most` of their names."""
    table = _table([*keys, "elements"])
    table.add_column("fastest in so many ops", min_width=_TALLY_WIDTH)
    groups: list[tuple[tuple[Any, ...], pd.DataFrame]] = list(winners.groupby([*keys, "n_elements"], sort=False))
    labels = list(dict.fromkeys(values[:-1] for values, _ in groups))  # in the records' order, sizes ascending
    for (*label, n_elements), group in sorted(groups, key=lambda g: (labels.index(g[0][:-1]), g[0][-1])):
        ops: defaultdict[str, list[str]] = defaultdict(list)
        for row in group.to_dict("records"):
            ops["tie" if row["tie"] else row["fastest"]].append(row["op"])
        order = sorted(ops, key=lambda name: (name == "tie", -len(ops[name])))
        told = [f"{name} {len(ops[name])}{_named(ops[name], most)}" for name in order]
        table.add_row(*map(say, label), say(quantities.count(int(n_elements))), say("; ".join(told)))
    return table


def _named(ops: Sequence[str], most: int) -> str:
    return f" ({', '.join(ops[:most])}{', …' if len(ops) > most else ''})" if most else ""
