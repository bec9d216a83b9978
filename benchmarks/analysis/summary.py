"""What came out, in plain words: one sentence per finding, honest about doubts and gaps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

import pandas as pd

from benchmarks import invocation, quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, entries, parted
from benchmarks.analysis.ranges import Contest, Range, size_classes
from benchmarks.analysis.tables import CaseLead, Mean
from benchmarks.analysis.troubles import Trouble
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

ENDINGS = {"timeout": "timed out", "out_of_memory": "out of memory"}


@dataclass(frozen=True)
class Summary:
    """Findings by topic. `headline` answers in a few lines; `speed` has a sentence per op and mode."""

    headline: tuple[str, ...]
    speed: tuple[str, ...]
    accuracy: tuple[str, ...]
    doubts: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """All of them, in reading order."""
        return [*self.headline, *self.speed, *self.accuracy, *self.doubts, *self.problems]


@dataclass(frozen=True)
class _Rated:
    case: Annotated[Key, schema.CASE]
    backend: str
    speedup: float
    doubt: str


def headline_sentences(
    records: pd.DataFrame,
    winners: pd.DataFrame,
    means: pd.DataFrame,
    tally: Sequence[str],
    beside_host: pd.DataFrame,
) -> list[str]:
    """Say which backend wins most often, and by how much at the smallest and the largest size.

    `winners` and `means` are those of `tables.best` and `tables.overall`, `tally` of `tally_sentences`,
    `beside_host` of `devices.against_host`.
    """
    if not winners.empty:
        return [*tally, *_overall_sentences(means), *_device_sentences(beside_host)]
    if records.empty:
        return ["Nothing was measured: the run has no records."]
    return [f"Nothing was measured successfully: all {len(records)} cases ended without a result."]


def tally_sentences(winners: pd.DataFrame, named: Sequence[str]) -> list[str]:
    """Say how often each backend wins, for each set of policies: a sum would count a case once for each set.

    `named` are the policies that vary.
    """
    if winners.empty:
        return []
    if not named:
        return [_tally(winners, "")]
    groups = sorted(winners.groupby(list(named), sort=False), key=lambda found: _unusual(named, found[0]))
    return [_tally(group, f" under {', '.join(map(str, policies))}") for policies, group in groups]


def leaders_sentence(winners: pd.DataFrame) -> str:
    """Say which backend is fastest most often at which sizes, the largest first; nothing without rivals."""
    contested = winners[winners["runner_up"] != ""]
    if contested.empty:
        return ""
    near = size_classes(contested["n_elements"])
    by_size = parted(entries(contested, CaseLead), lambda case: near[case.n_elements])
    largest_first = sorted(by_size.items(), reverse=True)
    ranges = [
        (names, list(group)) for names, group in groupby(largest_first, key=lambda each: _most_often(each[1]))
    ]
    return f"{'; '.join(_led(i, len(ranges), *each) for i, each in enumerate(ranges))}."


def _most_often(cases: Sequence[CaseLead]) -> tuple[str, ...]:
    """Return who is first in the most cases: nobody, where all are too close to call."""
    counts = Counter(case.first for case in cases if case.first)
    return tuple(sorted(name for name, n in counts.items() if n == max(counts.values())))


def _called(first: str) -> str:
    """Return who is first, as a sentence names it."""
    return f"{first} ({EQUAL})" if " = " in first else first


def _led(i: int, n_ranges: int, names: Sequence[str], sizes: Sequence[tuple[int, list[CaseLead]]]) -> str:
    """Return a clause on the `i`-th range of sizes, and who is first in the most of its cases."""
    largest, smallest = (quantities.count(sizes[end][0]) for end in (0, -1))
    cases = [case for _, group in sizes for case in group]
    where = f"at {largest}" if len(sizes) == 1 else f"from {smallest} to {largest}"
    if len(sizes) > 1 and i == 0:
        where = "at every size" if n_ranges == 1 else f"from {smallest}"
    elif len(sizes) > 1 and i == n_ranges - 1:
        where = f"up to {largest}"
    if i == 0:
        elements = f" element{'s' * (where != 'at 1')}" * (where != "at every size")
        where = f"{where.capitalize()}{elements}{' on' * where.startswith('from')}"
    if not names:
        surely = f"the fastest in any of {len(cases)} groups" if len(cases) > 1 else "surely the fastest"
        return f"{where} none is {surely}"
    verb = f" {_are(names)} fastest" * (i == 0)
    each = " each" * (len(names) > 1)
    n_won = sum(case.first == names[0] for case in cases)
    of = quantities.plural(len(cases), "group") if i == 0 else quantities.count(len(cases))
    return f"{where} {quantities.listing([*map(_called, names)])}{verb} in {n_won}{each} of {of}"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 and " = " not in names[0] else "are"


def _unusual(names: Sequence[str], values: Sequence[object]) -> int:
    """Return how many policies differ from the usual ones, which come first."""
    return sum(value != schema.DEFAULTS[name] for name, value in zip(names, values, strict=True))


def speed_sentences(contests: Iterable[Contest], rated: pd.DataFrame, named: Sequence[str]) -> list[str]:
    """Say for each op and mode which backend is fastest at which sizes, and how much faster than the baseline."""
    ratings = {(row.case, row.backend): row for row in entries(rated, _Rated)}
    sentences = []
    for contest in contests:
        about = contest.keys
        policies = "".join(f", {about[policy]}" for policy in named)
        clauses = "; ".join(_clauses(contest.ranges, ratings))
        sentences.append(
            f"{about['op']} {about['mode']}, {about['dtype']} on {about['device']}{policies}: {clauses}."
        )
    return sentences


def accuracy_sentences(accuracy: pd.DataFrame, problems: Sequence[Trouble]) -> list[str]:
    """Say how many results were within budget, which backends deviate in a known way, and what failed."""
    if accuracy.empty:
        return ["Accuracy was not checked in this run."]
    good = accuracy[accuracy["status"] == "ok"]
    sentences = [f"{len(good)} of {quantities.plural(len(accuracy), 'accuracy check')} are within budget"]
    if good["max_ulp"].notna().any():
        worst = good.sort_values("max_ulp", na_position="first").iloc[-1]
        error, budget = quantities.number(worst["max_ulp"]), quantities.number(worst["budget_ulp"])
        sentences[0] += f"; the largest error among them is {error} ULP ({_check(worst)}, budget {budget} ULP)"
    sentences[0] += "."
    known = accuracy[accuracy["status"] == "known_deviation"]
    sentences += [_known_sentence(name, known[known["backend"] == name]) for name in tables.backend_order(known)]
    sentences += [f"Accuracy, {sentence}" for sentence in problem_sentences(problems)]
    return [*sentences, *unchecked_sentences(accuracy)]


def unchecked_sentences(accuracy: pd.DataFrame) -> list[str]:
    """Say which types and modes were not checked, and how to have them checked; nothing where none was."""
    if accuracy.empty:
        return []
    missing = [dtype for dtype in schema.DTYPES if dtype not in set(accuracy["dtype"])]
    missing += [mode for mode in ("forward", "backward") if mode not in set(accuracy["mode"])]
    if not missing:
        return []
    was = "was" if len(missing) == 1 else "were"
    check = invocation.as_called("pytest benchmarks --check all")
    return [f"{quantities.listing(missing)} {was} not checked: {check}."]


def doubt_sentences(doubts: Iterable[Trouble]) -> list[str]:
    """Say which results are doubtful, each reason once."""
    return [
        f"Doubtful: {quantities.plural(each.n_cases, 'result')} of {quantities.listing(each.backends)} "
        f"({quantities.listing(each.ops, 4)}), since {first_line(each.reason)}."
        for each in doubts
    ]


def problem_sentences(problems: Iterable[Trouble]) -> list[str]:
    """Say what has no result, each reason once; where several were taken for one, an example."""
    return [
        f"{quantities.listing(each.backends)}: {quantities.plural(each.n_cases, 'case')} {ending(each.status)} "
        f"({quantities.listing(each.ops, 4)}): {'for example, ' * (each.n_reasons > 1)}{reason(each)}."
        for each in problems
    ]


def ending(status: str) -> str:
    """Return how a case ended, in words."""
    return ENDINGS.get(status, status.replace("_", " "))


def reason(trouble: Trouble) -> str:
    """Return the first line of a trouble's reason, or that there is none."""
    return first_line(trouble.reason) or "no reason given"


def first_line(reason: str, width: int = 200) -> str:
    """Return the first line of a reason, cut at `width` and without its full stop."""
    line = next(iter(reason.strip().splitlines()), "").rstrip(".")
    return line if len(line) <= width else line[: width - 1] + "…"


def _tally(winners: pd.DataFrame, policies: str) -> str:
    counts = Counter(case.first for case in entries(winners, CaseLead))
    n_open = counts.pop("", 0)
    first = counts.most_common()
    won = [f"{_called(name)}{f' {_are([name])} fastest' * (i == 0)} in {n}" for i, (name, n) in enumerate(first)]
    parts = [quantities.listing(won, 12)] if won else []
    parts += [f"in {n_open} it is too close to call"] * bool(n_open)
    ops = quantities.plural(len(winners["op"].unique()), "op")
    groups = f"{quantities.plural(len(winners), 'group')}{policies}"
    return f"Of {groups} ({ops}), {'; '.join(parts)}."


def _overall_sentences(means: pd.DataFrame) -> list[str]:
    means = means[means["backend"] != tables.BASELINE]
    sentences = []
    for (dtype, device, *policies), group in means.groupby(["dtype", "device", *POLICIES], sort=False):
        # The sizes that only some ops have say little about all of them.
        broad = group[group["n_cases"] * 2 >= group["n_cases"].max()]
        named = "".join(f", {p}" for p, name in zip(policies, POLICIES, strict=True) if _varies(means, name))
        for n_elements in sorted({broad["n_elements"].min(), broad["n_elements"].max()}):
            at = entries(broad[broad["n_elements"] == n_elements].sort_values("speedup", ascending=False), Mean)
            each = [
                f"{mean.backend} {'~' * (mean.n_doubtful > 0)}{quantities.number(mean.speedup)}" for mean in at
            ]
            sentences.append(
                f"At {quantities.plural(int(n_elements), 'element')}, {dtype} on {device}{named}: "
                f"{quantities.listing(each, 12)} times {tables.BASELINE} (geometric mean of "
                f"{quantities.plural(at[0].n_cases, 'group')} that they share)."
            )
    return sentences


def _varies(rows: pd.DataFrame, name: str) -> bool:
    return len(rows[name].unique()) > 1


def _device_sentences(beside_host: pd.DataFrame) -> list[str]:
    """Say how often the other devices beat the host, where both were measured."""
    sentences = []
    for device, group in beside_host.groupby("device", sort=False):
        won = group.loc[(group["verdict"] == FASTER) & (group["ratio"] > 1), "ratio"]
        by = f", by {quantities.span(list(won))} times" if len(won) else ""
        sentences.append(
            f"With inputs already on the device, the best on {device} beats the best on cpu in "
            f"{len(won)} of {quantities.plural(len(group), 'case')}{by}."
        )
    return sentences


Ratings = Mapping[tuple[Key, str], _Rated]
"""Measured rows with their speed-ups, by case and backend."""


def _clauses(found: Sequence[Range], ratings: Ratings) -> list[str]:
    """Return a clause for each range of sizes with the same winners."""
    clauses: list[str] = []
    for each in found:
        where = each.where.replace(" elements", "") if clauses else each.where
        # Later clauses leave out what the first one says.
        verb = " is fastest" * (not clauses) if each.outcome == FASTER else ""
        doubtful = any(case.verdict_doubtful or ratings[case.case, case.fastest].doubt for case in each.cases)
        detail = f" ({'; '.join(told)})" if (told := _detail(each, ratings)) else ""
        clauses.append(f"{_standing(each.outcome, each.winners)}{verb} {where}{detail}{', doubtful' * doubtful}")
    return clauses


def _standing(outcome: str, names: Sequence[str]) -> str:
    """Return who leads, and who shares the lead: the leader is the first of `names`, which are all of them."""
    if outcome == CLOSE:
        return f"{CLOSE}: {', '.join(names)}"
    return f"{' = '.join(names)} ({EQUAL})" if outcome == EQUAL else names[0]


def _detail(each: Range, ratings: Ratings) -> list[str]:
    """Say by how much a leader is ahead: of the baseline, or of the runner-up where that shares the lead, too."""
    cases = [case for case in each.cases if case.runner_up]
    found = []
    if cases and all(case.shared for case in cases):
        ratio = quantities.span([case.ratio for case in cases])
        bounds = quantities.bounds(min(case.low for case in cases), max(case.high for case in cases))
        found.append(f"{ratio} times the runner-up{_next(cases)}, 95 % interval {bounds}")
    if tables.BASELINE not in each.winners:
        ratios = [ratings[case.case, case.fastest].speedup for case in each.cases]
        known = [ratio for ratio in ratios if not math.isnan(ratio)]
        found += [f"{quantities.span(known)} times {tables.BASELINE}"] if known else []
    if not found and each.outcome == FASTER:
        told = f"{quantities.span([case.ratio for case in cases])} times the runner-up" if cases else ""
        found = [f"{told}{_next(cases)}" if told else "the only result"]
    return found


def _next(cases: Sequence[CaseLead]) -> str:
    """Return the runner-up's name after a comma, where it is the same in all cases."""
    names = {case.runner_up for case in cases}
    return f", {next(iter(names))}" if len(names) == 1 else ""


def _check(row: pd.Series) -> str:
    return f"{row['backend']} {row['op']} {row['mode']}, {row['dtype']} on {row['device']}"


def _known_sentence(backend: str, rows: pd.DataFrame) -> str:
    worst = rows.sort_values("max_ulp", na_position="first").iloc[-1]
    where = "" if pd.isna(worst["worst_input"]) else f" at x = {quantities.number(worst['worst_input'])}"
    return (
        f"{backend} has known deviations in {quantities.plural(len(rows), 'check')}; the largest, "
        f"{quantities.number(worst['max_ulp'])} ULP, is {worst['op']} {worst['mode']} in {worst['dtype']}{where}: "
        f"{first_line(str(worst['reason'])) or 'no reason given'}."
    )
