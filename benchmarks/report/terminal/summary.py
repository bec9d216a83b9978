"""The closing lines at the terminal: which backend wins, what is slow or missing, and where the report is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from benchmarks import quantities
from benchmarks.analysis import troubles
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import problem_sentences, unstable_sentences
from benchmarks.record.run import Run
from benchmarks.report.sections import winners
from benchmarks.report.table import Table
from benchmarks.report.terminal.glyphs import spelled
from benchmarks.report.terminal.table import grid

MOST_LINES = 39
"""Most lines of a summary, with the empty line before it 40; more on terminals narrower than 80 columns."""
MOST_SURPRISES = 5
_ROOMS = {"surprise": 7, "failure": 6, "doubt": 4, "gap": 4, "warning": 4}
"""Most lines for each kind of sentence. The winners get the lines that are left."""
_NAMED_OPS = 3
"""Ops that a tally names for each backend, where there is room."""
_UNBOUNDED = 10_000


def render_summary(study: Study, report_path: Path | None, console: Console) -> None:
    """Print the summary of a run on `console`, fitted to its width and to `MOST_LINES`.

    `report_path` is printed relative to the working directory.
    """
    page = _Page(console)
    notes = [*_notes(study, page), *page.texts(_closing(study))]
    below = [line for part in (_surprises(study, page), notes) if part for line in (Text(), *part)]
    room = page.most_lines - 1 - sum(map(page.height, below))
    for part in [*_winners(study, page, room), *below]:
        console.print(part)
    if report_path is not None:
        console.print(page.text(f"Report: {os.path.relpath(report_path)}"), soft_wrap=True)  # copied as a whole


@dataclass(frozen=True)
class Hanging:
    """Text of which all lines but the first are indented."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n  ").join(self.text.wrap(console, max(1, options.max_width - 2)))


class _Page:
    """A console's width and signs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.width = console.width
        self.most_lines = max(MOST_LINES, MOST_LINES * 80 // console.width)

    def text(self, sentence: str, style: str = "") -> Text:
        return Text(spelled(sentence, self._console.encoding), style)

    def texts(self, sentences: Iterable[str], style: str = "") -> list[RenderableType]:
        return [Hanging(self.text(sentence, style)) for sentence in sentences]

    def table(self, table: Table) -> list[RenderableType]:
        return [self.text(table.title, "bold"), grid(table, wrapped=[winners.TALLY], say=self.text)]

    def height(self, part: RenderableType) -> int:
        return len(self._console.render_lines(part, pad=False))

    def fits(self, parts: Sequence[RenderableType], room: int) -> bool:
        """Tell whether all parts take at most `room` lines, and no table is squeezed."""
        free = self._console.options.update_width(_UNBOUNDED)  # a measure never exceeds the width it is given
        for table in (part for part in parts if isinstance(part, Grid)):
            needed = self._console.measure(table, options=free)
            may_wrap = not all(column.no_wrap for column in table.columns)
            if table.row_count > room or (needed.minimum if may_wrap else needed.maximum) > self.width:
                return False
        return sum(map(self.height, parts)) <= room

    def fitted(self, sentences: Iterable[str], kind: str, style: str = "") -> list[RenderableType]:
        """Return the first sentences, at least one, that fit the room for their kind."""
        room = _ROOMS[kind] * self.most_lines // MOST_LINES
        shown: list[RenderableType] = []
        for part in self.texts(sentences, style):
            room -= self.height(part)
            if shown and room < 0:
                break
            shown.append(part)
        return shown

    def listed(self, sentences: Sequence[str], kind: str, style: str) -> list[RenderableType]:
        """Return the first sentences, and how many more are in the report."""
        shown = self.fitted(sentences, kind, style)
        more = quantities.plural(len(sentences) - len(shown), f"more {kind}")
        return [*shown, self.text(f"  and {more}: see the report")] if len(shown) < len(sentences) else shown


def _winners(study: Study, page: _Page, room: int) -> list[RenderableType]:
    """Return the winners in as much detail as there is room for."""
    if study.run.records.empty:
        return []  # a run that only checked
    if study.rows.empty:
        return [page.text("No case was measured successfully.", "bold red")]
    parts: list[RenderableType] = []
    for parts in _answers(study, page):
        if page.fits(parts, room):
            break
    return parts


def _answers(study: Study, page: _Page) -> Iterator[list[RenderableType]]:
    """Yield the answer from the most detailed to the shortest."""
    ranges = winners.by_range(study)
    yield page.table(ranges)
    narrow = tuple(column for column in ranges.columns if column.name not in winners.BESIDE)
    yield page.table(replace(ranges, columns=narrow))
    for tally in (
        winners.tally(study, _NAMED_OPS),
        winners.tally(study, 0),
        winners.tally(study, 0, by_size=True),
    ):
        yield [*page.table(tally), *page.texts(study.tally)]
    yield page.texts(study.tally)


def _surprises(study: Study, page: _Page) -> list[RenderableType]:
    found = study.surprises
    if not found:
        return []
    shown = page.fitted([f"  {surprise.sentence}" for surprise in found[:MOST_SURPRISES]], "surprise")
    which = f", the worst {len(shown)} of {len(found)}" if len(shown) < len(found) else ""
    return [page.text(f"Slower than expected{which}:", "bold"), *shown]


def _notes(study: Study, page: _Page) -> Iterator[RenderableType]:
    """Yield what is wrong with the results: failures, doubts, gaps, and warnings about the run as a whole."""
    run = study.run
    problems, checks = (troubles.problems(rows, alike=True) for rows in (run.records, run.accuracy))
    gaps = [each for each in problems if each.status == "unavailable"]
    failures = problem_sentences(each for each in problems if each.status != "unavailable")
    failures += [
        f"Accuracy, {sentence}"
        for sentence in problem_sentences(each for each in checks if each.status != "unavailable")
    ]
    doubts = list(study.summary.doubts)
    if run.precision:
        doubts = [*unstable_sentences(study.rows, run.precision), *doubts]
    yield from page.listed(failures, "failure", "red")
    yield from page.listed(doubts, "doubt", "yellow")
    yield from page.listed(problem_sentences(gaps), "gap", "yellow")
    yield from page.listed([f"Warning: {warning}" for warning in run.warnings], "warning", "bold yellow")


def _closing(study: Study) -> Iterator[str]:
    if len(study.run.accuracy):
        yield _accuracy_sentence(study.run.accuracy["status"])
    if sentence := _extent(study.run, len(study.rows)):
        yield f"{sentence}."


def _extent(run: Run, n_measured: int) -> str:
    """Say how many cases there were, and how long they took."""
    n = len(run.records)
    few = f", {quantities.count(n_measured)} of them" if n_measured < n else ""
    cases = [f"{quantities.plural(n, 'case')}{few} measured"] if n else []
    took = [] if run.elapsed_s is None else [f"{'in' if n else 'Took'} {quantities.duration(run.elapsed_s)}"]
    short = [] if run.complete else ["(cut short)"]
    return " ".join(cases + took + short)


def _accuracy_sentence(statuses: pd.Series) -> str:
    counts = Counter(statuses)
    n_ok, n_known, n_missing = (counts.pop(status, 0) for status in ("ok", "known_deviation", "unavailable"))
    parts = [
        f"{quantities.count(n_ok)} of {quantities.plural(len(statuses), 'check')} within budget",
        quantities.plural(n_known, "known deviation"),
        *(f"{n} {status.replace('_', ' ')}" for status, n in counts.items()),
        f"{n_missing} unavailable",
    ]
    return f"Accuracy: {', '.join(parts)}."
