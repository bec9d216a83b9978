"""What came out, in plain words: one sentence per finding, honest about ties and gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import Key, entries
from benchmarks.analysis.ranges import Contest, Range
from benchmarks.analysis.tables import CaseLead, Mean
from benchmarks.analysis.troubles import Trouble
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES

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
    records: pd.DataFrame, winners: pd.DataFrame, means: pd.DataFrame, tally: Sequence[str]
) -> list[str]:
    """Say which backend wins most often, and by how much at the smallest and the largest size.

    `winners` and `means` are those of `tables.best` and `tables.overall`, `tally` of `tally_sentences`.
    """
    if not winners.empty:
        return [*tally, *_overall_sentences(means), *_device_sentences(winners)]
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
    groups = winners.groupby(list(named), sort=False)
    return [_tally(group, f" under {', '.join(map(str, policies))}") for policies, group in groups]


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
    return sentences + [f"Accuracy, {sentence}" for sentence in problem_sentences(problems)]


def doubt_sentences(doubts: Iterable[Trouble]) -> list[str]:
    """Say which results are doubtful, each reason once."""
    return [
        f"Doubtful: {quantities.plural(each.n_cases, 'result')} of {quantities.listing(each.backends)} "
        f"({quantities.listing(each.ops, 4)}), since {first_line(each.reason)}."
        for each in doubts
    ]


def unstable_sentences(rows: pd.DataFrame, precision: float) -> list[str]:
    """Say how many medians are known less precisely than `precision` (a share of them), and which least."""
    half_width = (rows["ci95_high_s"] - rows["ci95_low_s"]) / 2 / rows["median_s"]
    # Too few rounds leave an interval without an end, which is as wide as can be; an unknown one says nothing.
    wide = rows.assign(half_width=half_width)[half_width > precision]
    wide = wide.sort_values("half_width", ascending=False, kind="stable")
    if wide.empty:
        return []
    worst = wide.iloc[0]
    by = "too few rounds" if math.isinf(worst["half_width"]) else f"±{quantities.percent(worst['half_width'])}"
    case = f"{worst['backend']} {worst['op']} {worst['mode']} at {quantities.count(worst['n_elements'])}"
    n_wide = quantities.count(len(wide))
    sentence = (
        f"Unstable: {n_wide} of {quantities.plural(len(rows), 'time')} have a 95 % interval wider than "
        f"±{quantities.percent(precision)}; the widest: {case} ({by})."
    )
    return [sentence]


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
    clear = winners[~winners["tie"].astype(bool)]
    counts = clear["fastest"].value_counts()
    won = [f"{name}{' is fastest' if i == 0 else ''} in {counts[name]}" for i, name in enumerate(counts.index)]
    parts = [quantities.listing(won, 12)] if won else []
    n_ties = len(winners) - len(clear)
    if n_ties:
        parts.append(f"{n_ties} {'is a tie' if n_ties == 1 else 'are ties'}, too close to call")
    ops = quantities.plural(len(winners["op"].unique()), "op")
    cases = f"{quantities.plural(len(winners), 'comparable case')}{policies}"
    return f"Of {cases} ({ops}), {'; '.join(parts)}."


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
                f"{quantities.plural(at[0].n_cases, 'case')} that they share)."
            )
    return sentences


def _varies(rows: pd.DataFrame, name: str) -> bool:
    return len(rows[name].unique()) > 1


def _device_sentences(winners: pd.DataFrame) -> list[str]:
    """Say how often the other devices beat the host, where both were measured."""
    here = winners.set_index([key for key in schema.CASE if key != "device"])
    host = here[here["device"] == "cpu"]["median_s"]
    sentences = []
    for device in [name for name in here["device"].unique() if name != "cpu"]:
        ratio = (host / here[here["device"] == device]["median_s"]).dropna()
        if len(ratio):
            won = ratio[ratio > 1]
            by = f", by {quantities.span(list(won))} times" if len(won) else ""
            sentences.append(
                f"With inputs already on the device, the best on {device} beats the best on cpu in "
                f"{len(won)} of {quantities.plural(len(ratio), 'case')}{by}."
            )
    return sentences


Ratings = Mapping[tuple[Key, str], _Rated]
"""Measured rows with their speed-ups, by case and backend."""


def _clauses(found: Sequence[Range], ratings: Ratings) -> list[str]:
    """Return a clause for each range of sizes with the same winners."""
    clauses: list[str] = []
    for each in found:
        winners, where = each.winners, each.where
        detail = _detail(each.cases, winners, ratings)
        if any(case.doubtful or ratings[case.case, case.fastest].doubt for case in each.cases):
            detail += ", doubtful"
        if clauses:  # later clauses leave out what the first one says
            verb, where = "" if len(winners) == 1 else " tie", where.replace(" elements", "")
        else:
            verb = " is fastest" if len(winners) == 1 else " tie for fastest"
        clauses.append(f"{quantities.listing(winners)}{verb} {where}{detail}")
    return clauses


def _detail(cases: Sequence[CaseLead], winners: tuple[str, ...], ratings: Ratings) -> str:
    if tables.BASELINE not in winners:
        ratios = [ratings[case.case, case.fastest].speedup for case in cases]
        known = [ratio for ratio in ratios if not math.isnan(ratio)]
        if known:
            return f" ({quantities.span(known)} times {tables.BASELINE})"
    if len(winners) > 1:
        return ""
    behind = [case for case in cases if not math.isnan(case.ratio)]
    if not behind:
        return " (the only result)"
    next_ones = {case.runner_up for case in behind}
    name = f", {next(iter(next_ones))}" if len(next_ones) == 1 else ""
    return f" ({quantities.span([case.ratio for case in behind])} times the runner-up{name})"


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
