"""A comparison of two sides, for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from rich.console import Console

from backends import peer_names
from benchmarks.analysis.entries import Key, entries
from benchmarks.exits import Exit
from benchmarks.quantities import number, plural, seconds
from benchmarks.record.atomic import replace
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
    """What became of each case (COMPARISON_COLUMNS) between `base` and `head`, and notes on it.

    `samples` says what a value rests on, such as `sittings`. With `shares`, values are fractions of the bandwidth
    and not seconds; `ratio` is then base's over head's, so that more than 1 is slower in either case.
    """

    base: str
    head: str
    cases: pd.DataFrame
    criteria: Criteria
    samples: str
    notes: tuple[str, ...] = ()
    shares: bool = False

    @property
    def exit_status(self) -> Exit:
        """What the verdicts say of the head, by the worst of them; peers that are wrong fail nothing."""
        own = ~self.cases["backend"].isin(peer_names())
        found, wrong = set(self.cases["verdict"]), (self.cases["verdict"] == verdicts.WRONG) & own
        if verdicts.CHEATED in found:
            return Exit.CHEATED
        if found & set(verdicts.REGRESSIONS):
            return Exit.WORSE
        if wrong.any():
            return Exit.WRONG
        return Exit.FINE if found & set(verdicts.JUDGED) else Exit.UNSURE

    def headline(self) -> str:
        """Return the answer in one sentence."""
        counts = self.cases["verdict"].value_counts()
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
    if len(listed):
        styles = [_STYLES.get(verdict, "") for verdict in listed["verdict"]]
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
    same = comparison.cases[comparison.cases["verdict"] == verdicts.SAME]
    if len(listed):
        lines += [markdown.grid(_table(comparison, listed)), ""]
    if len(same):
        lines += [f"<details><summary>{plural(len(same), 'case')} the same</summary>", ""]
        lines += [markdown.grid(_table(comparison, same)), "", "</details>", ""]
    lines += [f"- {escape(note)}" for note in comparison.notes]
    lines += ["", f"<sub>{comparison.terms()}</sub>", ""]
    return "\n".join(lines)


def to_json(comparison: Comparison) -> str:
    """Return the comparison as JSON, every case included; what is not known is null."""
    rows = [{key: _plain(value) for key, value in row.items()} for row in comparison.cases.to_dict("records")]
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


def reasons_in_common(cases: pd.DataFrame) -> Iterable[str]:
    """Yield a note for each reason why cases could not be measured on either side."""
    absent = cases[cases["verdict"] == verdicts.UNAVAILABLE]
    for reason, rows in absent.groupby("reason", sort=False):
        yield f"{plural(len(rows), 'case')} unavailable: {reason}"


def _listed(comparison: Comparison) -> pd.DataFrame:
    return verdicts.in_order(comparison.cases[~comparison.cases["verdict"].isin(QUIET)])


@dataclass(frozen=True)
class _Case:
    key: Annotated[Key, CASE_KEYS]
    base: float
    head: float
    ratio: float
    low: float
    high: float
    verdict: str
    reason: str

    @property
    def name(self) -> str:
        """The case as its test id says it: policies only where they are not the default."""
        pairs = zip(CASE_KEYS, self.key, strict=True)
        return "-".join(str(value) for key, value in pairs if value != DEFAULTS.get(key))

    @property
    def told_ratio(self) -> str:
        """The ratio with its interval."""
        if math.isnan(self.ratio):
            return ""
        known = self.low > 0 and self.high < 1e6
        return f"{self.ratio:.3f} " + (f"({self.low:.3f} to {self.high:.3f})" if known else "(unbounded)")


def _table(comparison: Comparison, cases: pd.DataFrame) -> Table:
    """Return a row for each case. A ratio above 1 is slower; with shares, it is the base's over the head's."""
    unit = (lambda value: f"{number(100 * value)} %") if comparison.shares else seconds
    lines = []
    for case in entries(cases, _Case):
        values = (Cell("" if math.isnan(value) else unit(value), value) for value in (case.base, case.head))
        said = f"{case.verdict}: {case.reason}" if case.reason else case.verdict
        mark, name = Cell(_MARKS.get(case.verdict, "")), Cell(case.name, style="code")
        lines.append((mark, name, *values, Cell(case.told_ratio, case.ratio), Cell(said, best=True)))
    ratio = "base / head" if comparison.shares else "head / base"
    headings = ("", "case", "base", "head", f"{ratio} (interval)", "verdict")
    return of_rows(headings, lines, (False, False, True, True, False, False))


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value
