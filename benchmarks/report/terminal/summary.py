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

from benchmarks import invocation, quantities
from benchmarks.analysis import dtypes, threads, troubles
from benchmarks.analysis.answer import Question
from benchmarks.analysis.entries import entries
from benchmarks.analysis.fusions import FusedCase
from benchmarks.analysis.study import Study
from benchmarks.analysis.summary import problem_sentences, unchecked_sentences
from benchmarks.record import teams
from benchmarks.record.run import Run
from benchmarks.record.schema import DEFAULTS, OPTIONS
from benchmarks.report.sections import winners
from benchmarks.report.table import Table
from benchmarks.report.terminal.console import text_for
from benchmarks.report.terminal.table import grid

MOST_LINES = 26
"""Most lines of a summary; more on terminals narrower than 80 columns, and where much went wrong."""
LEAST_WINNERS = 20
"""Lines for the winners whatever went wrong: the quick preset's at one size, where some share the lead."""
MOST_WINNERS = 24
"""Lines for them where nothing shorter is to be had: some names of leaders take two."""
_ROOMS = {"failure": 5, "gap": 2, "warning": 4}
"""Most lines for each kind of sentence. The winners get the lines that are left."""
MOST_WARNINGS = 2
FAR_BEHIND = 10.0
"""Of what is slower than expected, the terminal names what is so by ten times more than its rule allows."""
OWN = ("numba", "numba-parallel")
"""Backends that are this project's kernels, which their names do not say."""
_NAME_WIDTH = 16
"""Where it is narrow, names of ops and backends may wrap at this width."""
_NAMED_OPS = 3
"""Ops that a tally names for each backend, where there is room."""
_UNBOUNDED = 10_000


def render_summary(study: Study, report_path: Path | None, console: Console) -> None:
    """Print the summary of a run on `console`, fitted to its width and to `MOST_LINES`.

    `report_path` is printed relative to the working directory.
    """
    page = _Page(console)
    answers = [*_overall(study, page), *page.texts([*_threads(study), *_types(study)])]
    below = [*answers, *_notes(study, page), *page.texts(_closing(study))]
    room = page.most_lines - 3 - sum(map(page.height, below))  # an empty line, and the last two
    above = _winners(study, page, room)
    for part in [*above, *[Text()] * bool(above), *below]:
        console.print(part)
    if report_path is not None:
        console.print(page.text(f"Report: {os.path.relpath(report_path)}"), soft_wrap=True)  # copied as a whole
    if question := _question(study):
        console.print(page.text(question), soft_wrap=True)


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
        return text_for(self._console, sentence, style)

    def texts(self, sentences: Iterable[str], style: str = "") -> list[RenderableType]:
        return [Hanging(self.text(sentence, style)) for sentence in sentences]

    def table(self, table: Table) -> list[RenderableType]:
        return [self.text(table.title, "bold"), grid(table, wrapped=[winners.TALLY], say=self.text)]

    def squeezed(self, table: Table) -> list[RenderableType]:
        """Return a table whose names wrap; nothing where it is too wide even so."""
        names = ("op", winners.FIRST)
        widths = [max(len(text) for text in (c.heading, *(cell.shown for cell in c.cells))) for c in table.columns]
        least = [
            min(width, _NAME_WIDTH) if column.name in names else width
            for column, width in zip(table.columns, widths, strict=True)
        ]
        if sum(least) + 2 * (len(least) - 1) > self.width:
            return []
        return [self.text(table.title, "bold"), grid(table, wrapped=names, say=self.text, least_width=_NAME_WIDTH)]

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
        return [*shown, *self.more(len(sentences) - len(shown), kind)]

    def more(self, n: int, kind: str) -> list[RenderableType]:
        """Say how many more there are in the report."""
        return [self.text(f"  and {quantities.plural(n, f'more {kind}')}: see the report")] * bool(n)


def _winners(study: Study, page: _Page, room: int) -> list[RenderableType]:
    """Return the winners in as much detail as there is room for."""
    if study.run.records.empty:
        return []  # a run that only checked
    if study.rows.empty:
        return [page.text("No case was measured successfully.", "bold red")]
    least, most = (n * page.most_lines // MOST_LINES for n in (LEAST_WINNERS, MOST_WINNERS))
    answers = [parts for parts in _answers(study, page) if parts]
    tries = [(answers, max(room, least)), (_counts(study, page), room), (answers, max(room, most))]
    return next((parts for several, lines in tries for parts in several if page.fits(parts, lines)), [])


def _answers(study: Study, page: _Page) -> Iterator[list[RenderableType]]:
    """Yield the winners of each op, from the most detailed to the shortest."""
    ranges = winners.by_range(study)
    yield page.table(ranges)
    ranges = replace(ranges, columns=tuple(c for c in ranges.columns if c.name != winners.WIDE))
    yield page.table(ranges)
    yield page.squeezed(ranges)
    if len(study.rows["mode"].unique()) > 1:
        yield page.table(winners.at_size(study, abreast=True))
    for shown in (page.table, page.squeezed):
        yield shown(winners.at_size(study))


def _counts(study: Study, page: _Page) -> Iterator[list[RenderableType]]:
    """Yield in how many ops each backend is fastest, from the most detailed to the shortest."""
    for most, by_size in ((_NAMED_OPS, False), (0, False), (0, True)):
        yield page.table(winners.tally(study, most, by_size=by_size))


def _overall(study: Study, page: _Page) -> list[RenderableType]:
    """Say in a sentence who is fastest most often, and whose kernels these are."""
    if study.rows.empty or not study.leaders:
        return []
    own = [name for name in OWN if name in study.backends]
    whose = f" ({quantities.listing(own)}: this project's kernels)" if own else ""
    return page.texts([f"{study.leaders.removesuffix('.')}{whose}."])


def _threads(study: Study) -> list[str]:
    """Say whether more threads pay, where several numbers of them were measured: of two numbers at most."""
    if "team" not in study.varied:
        return []
    lines = threads.brief(study.thread_gains, study.thread_payoffs)
    return [*lines[:1], *lines[1:][-1:]] or ["No backend used more threads where it was given more."]


def _types(study: Study) -> list[str]:
    """Say what other types gain and cost, two at most, and what a fused op gains, the largest."""
    fused = [each for each in entries(study.fusions, FusedCase) if each.backend == dtypes.BEST]
    largest = sorted(fused, key=lambda each: each.n_elements)[-1:]
    return [*dtypes.sentences(study.type_gains)[:2], *(each.sentence for each in largest)]


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
    yield from page.listed(failures, "failure", "red")
    yield from page.texts(_far_behind(study))
    yield from page.texts(*_confidence(study))
    # Load is told with the confidence; cut short or lost comes first in the list.
    told = [f"Warning: {each}".replace("`", "") for each in run.warnings if each.about not in ("load", "budget")]
    warnings = told + list(study.summary.doubts)
    shown = page.fitted(warnings[:MOST_WARNINGS], "warning", "yellow")
    yield from [*shown, *page.more(len(warnings) - len(shown), "warning")]
    yield from page.listed(problem_sentences(gaps), "gap", "yellow")


def _far_behind(study: Study) -> list[str]:
    """Say what is slower than expected, where it is so by far: the worst."""
    far = [surprise for surprise in study.surprises if surprise.excess > FAR_BEHIND]
    more = f"; {len(study.surprises) - 1} more in the report" if len(study.surprises) > 1 else ""
    return [f"Slower than expected: {far[0].sentence}{more}."] if far else []


def _confidence(study: Study) -> tuple[list[str], str]:
    """Say how far the answers can be relied on, and what to do where they cannot; with a style."""
    noise = study.noise
    if not (noise.n_groups or noise.n_missed):
        return [], ""
    low = noise.level == "low"
    said = f"Confidence: {noise.level.upper() if low else noise.level}: {noise.brief}."
    return [" ".join([said, *noise.remedies]).replace("`", "")], "yellow" if low else ""


def _question(study: Study) -> str:
    """Return a command that answers a question about the run."""
    if study.rows.empty:
        return ""
    rows = study.rows[study.rows["op"] == study.rows["op"].iloc[0]]
    usual = {"dtype": Question.dtype, "mode": Question.mode, **DEFAULTS}
    for name, value in usual.items():
        rows = same if len(same := rows[rows[name] == value]) else rows
    row = rows.nlargest(1, "n_elements", keep="last").iloc[0]
    given = {name: str(row[name]) for name, value in usual.items() if row[name] != value}
    if "team" in given:
        given["team"] = str(teams.size_of(given["team"]))
    asked = f"--op {row['op']} --size {row['n_elements']}"
    asked = " ".join([asked, *(f"{OPTIONS[name]} {value}" for name, value in given.items())])
    return f"Ask:    {invocation.command()} recommend {asked}"


def _closing(study: Study) -> Iterator[str]:
    if len(study.run.accuracy):
        yield " ".join([_accuracy_sentence(study.run.accuracy), *unchecked_sentences(study.run.accuracy)])
    if sentence := _extent(study.run, len(study.rows)):
        yield f"{sentence}{_not_reached(study.run)}."


def _not_reached(run: Run) -> str:
    """Say how many groups a run has not measured, since it was cut short or had no time left for them."""
    if not run.unmeasured or run.n_groups is None:
        return ""
    of = f"{quantities.count(len(run.unmeasured))} of {quantities.plural(run.n_groups, 'group')}"
    return f"; {of} not measured: {quantities.listing(run.unmeasured, most=3)}"


def _extent(run: Run, n_measured: int) -> str:
    """Say how many cases there were, and how long they took."""
    n = len(run.records)
    few = f", {quantities.count(n_measured)} of them" if n_measured < n else ""
    cases = [f"{quantities.plural(n, 'case')}{few} measured"] if n else []
    took = [] if run.elapsed_s is None else [f"{'in' if n else 'Took'} {quantities.duration(run.elapsed_s)}"]
    short = [] if run.complete else [f"({run.part or 'cut short'})"]
    return " ".join(cases + took + short)


def _accuracy_sentence(checks: pd.DataFrame) -> str:
    """Say whether everything is as accurate as it should be, and who is not."""
    counts = Counter(checks["status"])
    n_ok, n_missing = counts.pop("ok", 0), counts.pop("unavailable", 0)
    known = checks.loc[checks["status"] == "known_deviation", "backend"].value_counts()
    counts.pop("known_deviation", None)
    n_known = int(known.sum())
    if counts:
        said = f"{n_ok} of {quantities.plural(len(checks), 'check')} within budget"
        said += "".join(f", {n} {status.replace('_', ' ')}" for status, n in counts.items())
        said += f", {quantities.plural(n_known, 'known deviation')}" * bool(n_known)
    else:
        n_good = len(checks) - n_missing
        said = f"{'all ' * (n_good > 1)}{quantities.plural(n_good, 'check')} within budget"
        whose = [f"{n} of {name}" for name, n in known.items()]
        said += f", but for {quantities.listing(whose)} (known deviations)" * bool(whose)
    return f"Accuracy: {said}{f', {n_missing} unavailable' * bool(n_missing)}."
