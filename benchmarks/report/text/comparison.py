"""A comparison of two sides, for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from backends import peer_names
from benchmarks.exits import Exit
from benchmarks.judge.compare import Judged
from benchmarks.quantities import number, plural, seconds
from benchmarks.record.atomic import replace
from benchmarks.record.rows import is_missing
from benchmarks.record.schema import CASE_KEYS, DEFAULTS
from benchmarks.report.table import Cell, Table, of_rows
from benchmarks.report.terminal.console import text_for
from benchmarks.report.terminal.table import print_named
from benchmarks.report.text import markdown
from benchmarks.report.text.markdown import escape
from benchmarks.stats import verdicts
from benchmarks.stats.effects import Criteria

QUIET = (verdicts.SAME, verdicts.UNAVAILABLE)
"""Verdicts that are counted and not listed."""
_STYLES = {
    verdicts.CHEATED: "bold red",
    verdicts.FAILING: "bold red",
    verdicts.SLOWER: "bold red",
    verdicts.WRONG: "bold red",
    verdicts.AMBIGUOUS: "yellow",
    verdicts.BROKEN: "yellow",
    verdicts.MISSING: "yellow",
    verdicts.FASTER: "green",
    verdicts.FIXED: "green",
}
_MARKS = {
    verdicts.CHEATED: "✗",
    verdicts.FAILING: "✗",
    verdicts.SLOWER: "▲",
    verdicts.WRONG: "✗",
    verdicts.AMBIGUOUS: "?",
    verdicts.BROKEN: "✗",
    verdicts.MISSING: "−",
    verdicts.FASTER: "▼",
    verdicts.FIXED: "✓",
    verdicts.NEW: "+",
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """What became of each case between `base` and `head`, and notes on it.

    `samples` says what a value rests on, such as `sittings`. With `shares`, values are fractions of the bandwidth
    and not seconds; `ratio` is then base's over head's, so that more than 1 is slower in either case.
    """

    base: str
    head: str
    cases: Sequence[Judged]
    criteria: Criteria
    samples: str
    notes: tuple[str, ...] = ()
    shares: bool = False

    @property
    def exit_status(self) -> Exit:
        """What the verdicts say of the head, by the worst of them; peers that are wrong fail nothing."""
        found, peers = {case.verdict for case in self.cases}, peer_names()
        if verdicts.CHEATED in found:
            return Exit.CHEATED
        if found & set(verdicts.REGRESSIONS):
            return Exit.WORSE
        if any(case.verdict == verdicts.WRONG and case.backend not in peers for case in self.cases):
            return Exit.WRONG
        return Exit.FINE if found & set(verdicts.JUDGED) else Exit.UNSURE

    def headline(self) -> str:
        """Return the answer in one sentence."""
        counts = Counter(case.verdict for case in self.cases)
        found = [f"{counts[name]} {name}" for name in verdicts.VERDICTS if name in counts]
        return f"{plural(len(self.cases), 'case')}, {self.head} against {self.base}: {', '.join(found) or 'none'}."

    def terms(self) -> str:
        """Return what the verdicts mean."""
        percent, criteria = f"{100 * self.criteria.threshold:g} %", self.criteria
        return (
            f"slower, faster: the {100 * criteria.confidence:g} % interval lies wholly beyond {percent}, and at "
            f"most {100 * criteria.false_discovery_rate:g} % of such findings are expected to be false; same: "
            f"it lies wholly within {percent}; ambiguous: neither."
        )


def render(comparison: Comparison, console: Console) -> None:
    """Print the comparison on `console`, fitted to its width: what changed, line by line, the rest in numbers."""
    listed, say = _listed(comparison), partial(text_for, console)
    if listed:
        styles = [_STYLES.get(case.verdict, "") for case in listed]
        print_named(_table(comparison, listed), console, name="case", wraps=True, styles=styles, say=say)
    worse = comparison.exit_status not in (Exit.FINE, Exit.UNSURE)
    console.print(say(comparison.headline(), "bold red" if worse else "bold"))
    for note in comparison.notes:
        console.print(say(f"Note: {note}"))
    console.print(say(comparison.terms(), "dim"))


def to_markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown: for a pull request, a job's summary, a file."""
    lines = [f"### {escape(comparison.headline())}", ""]
    listed = _listed(comparison)
    same = [case for case in comparison.cases if case.verdict == verdicts.SAME]
    if listed:
        lines += [markdown.grid(_table(comparison, listed)), ""]
    if same:
        lines += [f"<details><summary>{plural(len(same), 'case')} the same</summary>", ""]
        lines += [markdown.grid(_table(comparison, same)), "", "</details>", ""]
    lines += [f"- {escape(note)}" for note in comparison.notes]
    lines += ["", f"<sub>{comparison.terms()}</sub>", ""]
    return "\n".join(lines)


def to_json(comparison: Comparison) -> str:
    """Return the comparison as JSON, every case included; what is not known is null."""
    rows = [dict(zip(CASE_KEYS, map(_plain, case.key), strict=True)) | _told(case) for case in comparison.cases]
    whole = {
        "base": comparison.base,
        "head": comparison.head,
        "exit_status": comparison.exit_status,
        "headline": comparison.headline(),
        "criteria": asdict(comparison.criteria),
        "unit": "fraction of bandwidth" if comparison.shares else "seconds per call",
        "samples": comparison.samples,
        "notes": list(comparison.notes),
        "cases": rows,
    }
    return json.dumps(whole, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


TEXTS = {"md": to_markdown, "json": to_json}


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `comparison.md` and `comparison.json` into `folder`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"comparison.md": to_markdown(comparison), "comparison.json": to_json(comparison)}
    return [replace(folder / name, text) for name, text in texts.items()]


def reasons_in_common(cases: Iterable[Judged]) -> Iterator[str]:
    """Yield a note for each reason why cases could not be measured on either side."""
    reasons = Counter(case.reason for case in cases if case.verdict == verdicts.UNAVAILABLE)
    for reason, n in reasons.items():
        yield f"{plural(n, 'case')} unavailable: {reason}"


def _listed(comparison: Comparison) -> list[Judged]:
    """Return the cases that are listed, in the order of `VERDICTS`; the largest changes first in each."""
    shown = [case for case in comparison.cases if case.verdict not in QUIET]
    return sorted(shown, key=lambda case: (verdicts.VERDICTS.index(case.verdict), -_size(case.ratio)))


def _size(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else 0.0


def _name(case: Judged) -> str:
    """Return a case as its test id says it: policies only where they are not the default."""
    pairs = zip(CASE_KEYS, case.key, strict=True)
    return "-".join(str(value) for key, value in pairs if value != DEFAULTS.get(key))


def _told_ratio(case: Judged) -> str:
    """Return a ratio with its interval."""
    if math.isnan(case.ratio):
        return ""
    known = case.low > 0 and case.high < 1e6
    return f"{case.ratio:.3f} " + (f"({case.low:.3f} to {case.high:.3f})" if known else "(unbounded)")


def _table(comparison: Comparison, cases: Sequence[Judged]) -> Table:
    """Return a row for each case. A ratio above 1 is slower; with shares, it is the base's over the head's."""
    unit = (lambda value: f"{number(100 * value)} %") if comparison.shares else seconds
    lines = []
    for case in cases:
        values = (Cell("" if math.isnan(value) else unit(value), value) for value in (case.base, case.head))
        said = f"{case.verdict}: {case.reason}" if case.reason else case.verdict
        mark, name = Cell(_MARKS.get(case.verdict, "")), Cell(_name(case), style="code")
        lines.append((mark, name, *values, Cell(_told_ratio(case), case.ratio), Cell(said, best=True)))
    ratio = "base / head" if comparison.shares else "head / base"
    headings = ("", "case", "base", "head", f"{ratio} (interval)", "verdict")
    return of_rows(headings, lines, (False, False, True, True, False, False))


def _told(case: Judged) -> dict[str, object]:
    """Return a verdict as JSON has it."""
    told = {name: _plain(getattr(case, name)) for name in verdicts.VERDICT_COLUMNS}
    return told | {"samples": _plain(case.samples) and int(case.samples)}


def _plain(value: Any) -> Any:
    return None if is_missing(value) or (isinstance(value, float) and math.isinf(value)) else value
