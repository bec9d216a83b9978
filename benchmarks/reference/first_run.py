"""What a run said at the terminal, told anew from its journal: the output that the page for newcomers shows."""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from textwrap import wrap

from rich.console import Console

from benchmarks import invocation
from benchmarks.analysis.answer import Question
from benchmarks.analysis.recommend import recommend
from benchmarks.analysis.study import Study
from benchmarks.record import journal
from benchmarks.record.run import Run
from benchmarks.report.terminal.summary import render_summary

WIDTH = 80
"""Columns of the terminal."""
_BEGINNING = 8
"""Lines that show what the table looks like: that of the fence, two of a title, one of headings, and four rows."""
_REPORT = Path("results/latest/report.html")


def load(path: Path) -> Run:
    """Return the run of a compressed journal (`.jsonl.xz`); raise UnreadableError if it is damaged."""
    return journal.run_of(lzma.decompress(path.read_bytes()), path)


def summary(run: Run) -> str:
    """Return the closing summary of a run, as a block of text for a page."""
    stream = StringIO()
    render_summary(Study(run), _REPORT, Console(file=stream, width=WIDTH, color_system=None))
    return _block(stream.getvalue())


def beginning(summary: str) -> str:
    """Return the first lines of a summary, and what it says of its confidence."""
    lines = summary.splitlines()
    sure = next(i for i, line in enumerate(lines) if line.startswith("Confidence"))
    end = next(i for i in range(sure + 1, len(lines)) if not lines[i].startswith(" "))
    return "\n".join([*lines[:_BEGINNING], "...", *lines[sure:end], lines[-1]])


def answer(run: Run, question: Question) -> str:
    """Return what `recommend` answers, as a block of text for a page."""
    found = recommend(run, question)
    lines = [*found.lines, f"To call {found.best.backend}:", *(f"    {line}".rstrip() for line in found.call)]
    stream = StringIO()
    console = Console(file=stream, width=WIDTH, color_system=None, highlight=False, markup=False)
    for line in lines:
        console.print(line, soft_wrap=line.startswith(" "))  # code is not wrapped
    return _block(stream.getvalue())


def answers(run: Run, questions: Mapping[str, Question]) -> str:
    """Return what `recommend` answers to questions, by the options that ask them, as a block of text for a page.

    What it says of the run as a whole is left out, and so are the lines that call the winner.
    """
    lines = []
    for asked, question in questions.items():
        lines += [f"$ {invocation.command()} recommend {asked}", *wrap(recommend(run, question).sentence, WIDTH)]
    return _block("\n".join(lines))


def _block(text: str) -> str:
    return "\n".join(["```text", *(line.rstrip() for line in text.strip().splitlines()), "```"])
