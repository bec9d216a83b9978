"""One screen about a function that was tried: is it right, where not, and how fast beside the others."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from benchmarks.analysis.trials import Heat, is_refused, is_wrong
from benchmarks.analysis.verdicts import Standing
from benchmarks.exits import Exit
from benchmarks.quantities import count, listing, number, plural, seconds
from benchmarks.record.trials import Judged, Trial
from benchmarks.report.terminal.console import text_for
from benchmarks.report.terminal.summary import Hanging
from benchmarks.stats.pairs import CLOSE, EQUAL

ISOLATED = (
    "These are times of single calls. Inside a model that is compiled as a whole, an op is fused with its "
    "neighbours, and neither reads nor writes memory of its own."
)
_ENDS = {
    Exit.FINE: ("RIGHT", "bold green"),
    Exit.WORSE: ("RIGHT, but slower", "bold yellow"),
    Exit.UNSURE: ("COULD NOT TELL", "bold yellow"),
    Exit.WRONG: ("WRONG", "bold red"),
    Exit.CHEATED: ("CHEATED", "bold red"),
}
LONGEST = 160
"""Letters of a reason."""


def render(
    trial: Trial,
    heats: Sequence[Heat],
    ended: Exit,
    console: Console,
    *,
    than: str = "",
    report: Path | None = None,
) -> None:
    """Print what was found, the verdict first."""

    def say(text: str, style: str = "") -> None:
        console.print(Hanging(text_for(console, text, style)))

    word, style = _ENDS[ended]
    say(f"{trial.name} as {trial.op}: {word}{_because(trial, heats, ended, than)}", style)
    say(f"{trial.sentence}; {trial.settings}")
    console.print()
    console.print(_accuracy(trial, console))
    for line in (*_regions(trial), *_specials(trial), *_layouts(trial), f"gradient: {trial.gradient}"):
        say(line)
    console.print()
    if heats:
        console.print(_speed(heats, console, than))
    for line in (*_untimed(heats), *trial.notes, *_checks(heats)):
        say(line)
    if any(heat.own_s for heat in heats):
        say(ISOLATED)
    if report is not None:
        console.print(text_for(console, f"Report: {os.path.relpath(report)}"), soft_wrap=True)


def verdict(standing: Standing | None) -> str:
    """Return how a function's time compares with another's, in words: `1.8 times faster`."""
    if standing is None:
        return ""
    if standing.verdict in (CLOSE, EQUAL):
        return "as fast" if standing.verdict == EQUAL else "too close to call"
    slower = standing.ratio > 1
    ratio = number(standing.ratio if slower else 1 / standing.ratio)
    return f"{'~' * standing.doubtful}{ratio} times {'slower' if slower else 'faster'}"


def _because(trial: Trial, heats: Sequence[Heat], ended: Exit, than: str) -> str:
    """Return the reason for the verdict, as the end of its sentence."""
    if ended is Exit.CHEATED:
        return f": {next(heat.reason for heat in heats if heat.status == 'cheated')}"
    if ended is Exit.WRONG:
        return f": {_short(_first_wrong(trial, heats))}"
    if ended is Exit.UNSURE and not all(each.right for each in trial.deciding if each.mode == "forward"):
        return f": {_short(next(each.ending.reason for each in trial.deciding if not each.right))}"
    where = f" in {listing(trial.decisive)}"
    if not than:
        return where + _lead(heats)
    slower = [heat for heat in heats if heat.than and heat.than.ahead]
    if slower:
        return f" than {than} in {len(slower)} of {plural(sum(heat.than is not None for heat in heats), 'case')}"
    return f"{where}, and not slower than {than}" if ended is Exit.FINE else f" whether it is slower than {than}"


def _lead(heats: Sequence[Heat]) -> str:
    """Say in how many cases it is the fastest."""
    timed = [heat for heat in heats if heat.standing]
    first = [heat for heat in timed if heat.standing and heat.standing.behind]
    return f"; faster than all others in {len(first)} of {plural(len(timed), 'case')}" if timed else ""


def _first_wrong(trial: Trial, heats: Sequence[Heat]) -> str:
    for each in trial.deciding:
        if not each.right and each.ending.status != "unavailable":
            return f"{each.mode} in {each.dtype}: {_point(each) or each.ending.reason}"
    if is_wrong(trial):
        return next(
            f"{each.name}: {each.ending.reason}"
            for each in trial.layouts
            if each.ending.status != "ok" and not is_refused(each.ending.reason)
        )
    return next((heat.reason for heat in heats if heat.status not in ("ok", "unavailable")), "")


def _accuracy(trial: Trial, console: Console) -> Grid:
    table = _grid("accuracy", "", "max ULP", "allowed", "at the worst point", right=(2, 3), wrapped=(4,))
    for each in trial.judged:
        if each.mode == "backward" and each.ending.status == "unavailable":
            continue  # the line about the gradient says why
        errors = each.verdict
        known = each.ending.status == "known_deviation"
        cells = (
            each.mode,
            each.dtype,
            number(errors.max_ulp) if errors else "",
            number(errors.budget_ulp) if errors else "",
            _short(_point(each) + f" ({each.ending.reason})" * known if errors else each.ending.reason),
        )
        style = "" if each.right or each.ending.status == "unavailable" else "red"
        table.add_row(*(text_for(console, cell, style) for cell in cells))
    return table


def _point(each: Judged) -> str:
    """Return the worst point in words; nothing where all is exact, or there is none."""
    if each.verdict is None or each.worst is None:
        return ""
    if each.worst.ulp == 0:
        return "exact everywhere"
    return f"{each.worst.given}: got {each.worst.got}, exact {each.worst.exact}"


def _regions(trial: Trial) -> Iterator[str]:
    for each in trial.deciding[:1]:
        if each.regions:
            parts = [f"{region.label}: {number(region.max_ulp, 2)}" for region in each.regions]
            yield f"max ULP by input, {each.mode} in {each.dtype}: {'; '.join(parts)}"


def _specials(trial: Trial) -> Iterator[str]:
    if not trial.specials:
        return
    allowed = next((each.verdict.budget_ulp for each in trial.deciding if each.verdict), 0.0)
    # Of one that is not finite, no error is small enough, however many ULP are allowed.
    wrong = [point for point in trial.specials if point.ulp > allowed or math.isinf(point.ulp)]
    right = [_value(point.given) for point in trial.specials if point not in wrong]
    zeros = [f"{_value(p.given)} gives {p.got}" for p in trial.specials if _value(p.given) in ("0", "-0")]
    said = [f"{_value(p.given)} gives {p.got}, exact {p.exact}" for p in wrong]
    parts = [*[f"WRONG: {'; '.join(said)}"] * bool(said), f"right at {listing(right, len(right))}", *zeros]
    yield f"special values: {'; '.join(parts)}"


def _value(given: str) -> str:
    return given.rpartition(" = ")[2]


def _layouts(trial: Trial) -> Iterator[str]:
    if not trial.layouts:
        return
    fine = [each.name for each in trial.layouts if each.ending.status in ("ok", "known_deviation")]
    bad = [f"{each.name}: {_short(each.ending.reason)}" for each in trial.layouts if each.name not in fine]
    parts = [*bad, *[f"right: {', '.join(fine)}"] * bool(fine)]
    yield f"layouts: {'; '.join(parts)}"


def _speed(heats: Sequence[Heat], console: Console, than: str) -> Grid:
    versus = [f"than {than}"] * bool(than)
    names = ("speed", "", "elements", "yours", "fastest other", "", "verdict", *versus)
    table = _grid(*names, right=(2, 3, 5), wrapped=(6, 7))
    for heat in heats:
        cells = [heat.mode, heat.dtype, count(heat.n_elements)]
        if heat.own_s is None:
            cells += [heat.status, "", "", ""]
        else:
            rival = ("", "") if heat.rival_s is None else (heat.rival, seconds(heat.rival_s))
            cells += [seconds(heat.own_s), *rival, verdict(heat.standing)]
        cells += [verdict(heat.than)] * bool(than)
        style = "" if heat.own_s or heat.status == "unavailable" else "red"
        table.add_row(*(text_for(console, cell, style) for cell in cells))
    return table


def _untimed(heats: Sequence[Heat]) -> Iterator[str]:
    for heat in heats:
        if heat.own_s is None:
            yield f"{heat.mode}, {heat.dtype}, {count(heat.n_elements)}: {heat.status}: {_short(heat.reason)}"


def _checks(heats: Sequence[Heat]) -> Iterator[str]:
    """Say which checks against cheating every timed case has passed."""
    timed = [heat for heat in heats if heat.own_s]
    if timed:
        passed = [check for check in timed[0].checks if all(check in heat.checks for heat in timed)]
        yield f"checks passed in every timed case (docs/cheats.md): {', '.join(passed)}"


def _grid(*names: str, right: Sequence[int], wrapped: Sequence[int]) -> Grid:
    """Return a table whose columns `right` are of numbers, and whose columns `wrapped`, of texts, may wrap."""
    table = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for i, name in enumerate(names):
        table.add_column(
            name, justify="right" if i in right else "left", no_wrap=i not in wrapped, overflow="fold"
        )
    return table


def _short(reason: str) -> str:
    reason = " ".join(reason.split())
    return reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 3]}..."
