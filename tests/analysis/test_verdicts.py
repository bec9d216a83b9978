"""Verdicts: one source for all that a report says of who is faster, so that no two statements contradict."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.analysis import peers
from benchmarks.analysis.answer import Question
from benchmarks.analysis.entries import Timed, entries
from benchmarks.analysis.grounds import Grounds
from benchmarks.analysis.recommend import decision_table, recommend
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import CaseLead
from benchmarks.analysis.verdicts import Verdicts, lasting
from benchmarks.measure import plausibility
from benchmarks.record import saved
from benchmarks.record.frames import to_frame
from benchmarks.record.rows import to_rows
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE, PAIR_COLUMNS
from benchmarks.report.files import write
from benchmarks.report.sections import heatmap, wide, winners
from benchmarks.report.views import by_device
from tests import synthetic
from tests.synthetic import pairs_of, record

DRIFT = "the machine was 8 % slower than usual meanwhile"


def timed(backend: str, median_s: float, n: int = 1024, width: float = 0.02, **more: object) -> dict[str, object]:
    ends = {"ci95_low_s": median_s * (1 - width / 2), "ci95_high_s": median_s * (1 + width / 2)}
    return record(backend, n=n, median_s=median_s, **{"warning": None, **ends, **more})


def turns(median_s: float, n: int = 60, seed: int = 0) -> list[float]:
    """Return the seconds of turns with a noise of 1 %."""
    return list(median_s * np.random.default_rng(seed).lognormal(0, 0.01, n))


def paired(rows: list[dict[str, object]], taken: dict[str, list[float]]) -> Study:
    """Return the study of one group, with the pairs of these turns."""
    return Study(Run(to_frame(rows), pairs=to_frame(pairs_of(rows[0], taken), PAIR_COLUMNS)))


# --- the source -----------------------------------------------------------------------------------------------


def test_turns_decide_where_medians_cannot() -> None:
    rows = [timed("numpy", 1.2e-3, width=0.8), timed("torch", 1e-3, width=0.8)]
    assert Study(Run(to_frame(rows))).winners["outcome"].tolist() == ["too close to call"]
    (lead,) = entries(paired(rows, {"numpy": turns(1.2e-3), "torch": turns(1e-3, seed=1)}).winners, CaseLead)
    assert (lead.fastest, lead.verdict, lead.decided) == ("torch", "faster", True)
    assert lead.ratio == pytest.approx(1.2, rel=0.01)
    assert 1.18 < lead.low < lead.ratio < lead.high < 1.22


def test_a_comparison_reads_the_same_from_either_side() -> None:
    study = paired(
        [timed("numpy", 1.2e-3), timed("torch", 1e-3)], {"numpy": turns(1.2e-3), "torch": turns(1e-3, seed=1)}
    )
    numpy, torch = entries(study.rows, Timed)
    there, back = study.verdicts.over(numpy, torch), study.verdicts.over(torch, numpy)
    assert (there.ahead, there.behind, back.ahead, back.behind) == (True, False, False, True)
    assert [back.ratio, back.low, back.high] == pytest.approx([1 / there.ratio, 1 / there.high, 1 / there.low])
    assert study.rated.set_index("backend").loc["torch", "speedup"] == there.ratio
    assert study.verdicts.over(torch, torch).verdict == "equal"


def test_the_margin_is_the_one_that_the_run_was_measured_by() -> None:
    rows = [timed("numpy", 1.03e-3), timed("torch", 1e-3)]
    study = paired(rows, {"numpy": turns(1.03e-3), "torch": turns(1e-3, seed=1)})
    assert study.winners["outcome"].tolist() == ["equal"]
    narrow = Study(replace(study.run, pairs=study.run.pairs.assign(margin=0.01)))
    assert narrow.winners["outcome"].tolist() == ["faster"]
    assert narrow.verdicts.margin == 0.01


def test_what_medians_and_turns_disagree_about_is_not_decided() -> None:
    rows = [timed("numpy", 1e-3), timed("torch", 2e-3)]
    (lead,) = entries(paired(rows, {"numpy": turns(2e-3), "torch": turns(1e-3)}).winners, CaseLead)
    assert (lead.fastest, lead.outcome) == ("numpy", "too close to call")


def test_results_of_two_policies_or_without_turns_are_compared_by_their_medians() -> None:
    rows = [timed("numpy", 2e-3), timed("torch", 1e-3), timed("numpy", 1e-3, allocation="reuse")]
    study = paired(rows, {})
    assert study.winners["outcome"].tolist()[0] == "faster"
    assert study.side_by_side["reuse_verdict"].tolist() == ["faster"]
    assert study.side_by_side["reuse_ratio"].tolist() == [2.0]


def test_a_machine_that_changed_its_speed_is_a_doubt_about_times_alone() -> None:
    rows = [timed("numpy", 2e-3, warning=DRIFT), timed("torch", 1e-3, warning=DRIFT)]
    taken = {"numpy": turns(2e-3), "torch": turns(1e-3, seed=1)}
    (lead,) = entries(paired(rows, taken).winners, CaseLead)
    assert (lead.time_doubtful, lead.verdict_doubtful) == (True, False)
    assert paired(rows, taken).rated["doubt"].tolist() == ["", ""]
    assert recommend(paired(rows, taken).run, Question("sigmoid", 1024)).sure
    (lead,) = entries(Study(Run(to_frame(rows))).winners, CaseLead)
    assert lead.verdict_doubtful, "medians are of all the time that they were measured in"
    rows[0]["warning"] = f"{DRIFT}; 3 % of the numbers are subnormal, which slows some kernels down"
    (lead,) = entries(paired(rows, taken).winners, CaseLead)
    assert lead.verdict_doubtful


def test_the_warning_of_drift_is_known_by_its_words() -> None:
    for drift in (0.081, -0.5):
        assert (told := plausibility.doubts(0.0, drift, 0.0))
        assert lasting(told) == ""
    assert lasting(f"{DRIFT}; other") == "other"


def test_a_run_without_pairs_has_none_and_marked_names_keep_theirs() -> None:
    assert (
        Verdicts(Run().pairs)
        .over(*entries(Study(Run(to_frame([timed("numpy", 2.0), timed("jax", 1.0)]))).rows, Timed))
        .ahead
    )
    rows = [timed("numpy", 2e-3), timed("keras-jax", 1e-3, peer=True)]
    study = paired(rows, {"numpy": turns(2e-3), "keras-jax": turns(1e-3)})
    found = peers.marked_pairs(study.run.pairs, study.run.records)
    assert (found["backend"].tolist(), found["other"].tolist()) == (["keras-jax†"], ["numpy"])


def test_a_report_keeps_the_pairs_beside_its_records(tmp_path) -> None:
    rows = [timed("numpy", 1.2e-3, width=0.8), timed("torch", 1e-3, width=0.8)]
    study = paired(rows, {"numpy": turns(1.2e-3), "torch": turns(1e-3, seed=1)})
    write(study, tmp_path / "latest")
    again = saved.load_or_last(None, tmp_path)
    assert again.pairs.equals(study.run.pairs)
    assert Study(again).winners["outcome"].tolist() == ["faster"]


# --- no two statements of one report contradict ---------------------------------------------------------------

BACKENDS = ("numpy", "numba", "jax", "torch", "keras-jax")
SIZES = (100, 1_000, 10_000)


@dataclass(frozen=True)
class Made:
    """A made-up run of one op at several sizes, with frames and as rows, and the sizes."""

    run: Run
    as_rows: Run
    sizes: tuple[int, ...]


@st.composite
def runs(draw: st.DrawFn) -> Made:
    """Make a run: medians that lie near each other or far apart, turns that agree with them or not."""
    names = draw(st.lists(st.sampled_from(BACKENDS), min_size=2, max_size=5, unique=True))
    sizes = draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=3, unique=True))
    older = draw(st.booleans())
    rows, pairs = [], []
    for n in sizes:
        there = [name for name in names if draw(st.integers(0, 9))] or names[:1]
        taken, group = {}, []
        for name in there:
            factor = draw(st.sampled_from([1.0, 1.001, 1.02, 1.05, 1.06, 1.2, 2.0, 400.0]))
            width = draw(st.sampled_from([0.002, 0.02, 0.2, 2.5, math.nan]))
            warning = draw(st.sampled_from([None, None, DRIFT, "3 % of the numbers are subnormal"]))
            group.append(timed(name, 1e-9 * n * factor, n, width, warning=warning, peer=name == "keras-jax"))
            rng = np.random.default_rng(draw(st.integers(0, 999)))
            noise = draw(st.sampled_from([0.001, 0.03, 0.3]))
            bias = draw(st.sampled_from([1.0, 1.0, 1.0, 0.9, 1.1]))
            n_turns = draw(st.sampled_from([0, 5, 12, 60]))
            taken[name] = list(1e-9 * n * factor * bias * rng.lognormal(0, noise, n_turns))
        known = {name: values for name, values in taken.items() if values}
        rows += group
        # Pairs are written in the order of the medians that the records have.
        pairs += _in_order(pairs_of(group[0], known), {str(row["backend"]): row["median_s"] for row in group})
    made = [
        Run(make(rows), pairs=make([] if older else pairs, PAIR_COLUMNS))  # type: ignore[operator]
        for make in (to_frame, to_rows)
    ]
    return Made(*made, tuple(sorted(sizes)))


def _in_order(pairs: list[dict[str, object]], medians: dict[str, object]) -> list[dict[str, object]]:
    """Turn pairs round whose turns and medians disagree, as a run writes them."""
    found = []
    for pair in pairs:
        first, second = ((medians[str(pair[name])], pair[name]) for name in ("backend", "other"))
        if first > second:  # type: ignore[operator]
            ratio, low, high = (
                1 / float(str(pair[name])) if pair[name] else math.inf for name in ("ratio", "high", "low")
            )
            pair = pair | {
                "backend": pair["other"],
                "other": pair["backend"],
                "ratio": ratio,
                "low": low,
                "high": high,
            }
            pair["verdict"] = "equal" if pair["verdict"] == "equal" else "too close to call"
        found.append(pair)
    return found


class Said:
    """All that a report says of one run, and what its verdicts are."""

    def __init__(self, made: Made) -> None:
        self.study = Study(made.run)
        self.rows = {(row.n_elements, row.backend): row for row in entries(self.study.rows, Timed)}
        self.leads = {lead.n_elements: lead for lead in entries(self.study.winners, CaseLead)}

    def beats(self, n: int, one: str, other: str) -> bool:
        """Tell whether one backend is surely faster than another at a size."""
        return self.study.verdicts.over(self.rows[n, other], self.rows[n, one]).ahead

    def others(self, n: int, name: str) -> list[str]:
        return [other for size, other in self.rows if size == n and other != name]


@settings(max_examples=8, deadline=None)
@given(runs())
def test_no_two_statements_contradict(made: Made) -> None:
    said = Said(made)
    _check_leads(said)
    _check_pairs(said, made)
    _check_ranges(said)
    _check_crossovers(said, made)
    _check_marks(said)
    _check_answers(said, made)
    assert decision_table(made.as_rows) == decision_table(made.run)
    assert Grounds(made.as_rows).noise == said.study.noise


def _check_leads(said: Said) -> None:
    for n, lead in said.leads.items():
        others = said.others(n, lead.fastest)
        shared = set(lead.names[1:])
        assert lead.sole == (not shared) == all(said.beats(n, lead.fastest, other) for other in others)
        assert {other for other in others if not said.beats(n, lead.fastest, other)} == shared
        assert shared == set(filter(None, (*lead.equal.split(", "), *lead.open.split(", "))))
        assert lead.decided == (lead.open == "")
        assert not any(said.beats(n, other, lead.fastest) for other in others)
        assert lead.outcome == ("faster" if not shared else "too close to call" if lead.open else "equal")
    (tally,) = said.study.tally
    assert ("fastest in" in tally) == any(lead.decided for lead in said.leads.values())
    n_open = sum(not lead.decided for lead in said.leads.values())
    assert (f"in {n_open} it is too close to call" in tally) == (n_open > 0)
    for who in {frozenset(lead.names) for lead in said.leads.values() if lead.decided}:
        n_first = sum(frozenset(lead.names) == who for lead in said.leads.values() if lead.decided)
        equals = " = ".join(sorted(who)) + " (equal)" * (len(who) > 1)
        assert re.search(rf"(?<!= )\b{re.escape(equals)}( (is|are) fastest)? in {n_first}\b", tally)


def _check_pairs(said: Said, made: Made) -> None:
    """Hold that a verdict from turns is the one that the run wrote."""
    for pair in made.run.pairs.itertuples():
        slower, faster = (said.rows[int(pair.shape), name] for name in (pair.other, pair.backend))
        assert said.study.verdicts.over(slower, faster).verdict == pair.verdict


def _check_ranges(said: Said) -> None:
    for contest in said.study.contests:
        covered = [case.n_elements for each in contest.ranges for case in each.cases]
        assert covered == sorted(said.leads)
        for each in contest.ranges:
            for case in each.cases:
                assert (case.fastest, set(case.names)) == (each.winners[0], set(each.winners))
    (sentence,) = said.study.summary.speed
    clauses = sentence.split(": ", 1)[1]
    assert ("is fastest" in clauses) == said.leads[min(said.leads)].sole
    assert ("too close to call" in clauses) == any(lead.open for lead in said.leads.values())
    assert ("equal" in clauses) == any(lead.outcome == "equal" for lead in said.leads.values())
    table = winners.by_range(said.study)
    shown = {column.name: [cell.text for cell in column.cells] for column in table.columns}
    if "fastest" in shown:
        for contest in said.study.contests:
            leads = [
                lead
                for each in contest.ranges
                for lead in (each.cases if not each.cases[-1].runner_up else each.cases[-1:])
            ]
            for lead, first, over in zip(leads, shown["fastest"], shown["lead over"], strict=True):
                assert first.split()[0] == lead.fastest
                assert (" " in first) == (not lead.sole)
                if "more" not in first:
                    assert (" = " in first, " ? " in first) == (bool(lead.equal), bool(lead.open))
                # Ahead of those who have no share in the lead, and of nobody else.
                assert not over or over.split("× ")[1] not in lead.names


def _check_crossovers(said: Said, made: Made) -> None:
    for found in said.study.crossovers.itertuples():
        assert said.leads[found.n_elements].sole
        assert said.leads[found.n_elements].fastest == found.winner
        for n in made.sizes:
            if n >= found.n_elements and (n, found.beaten) in said.rows:
                assert said.beats(n, found.winner, found.beaten)


def _check_marks(said: Said) -> None:
    (view,) = by_device(said.study.rows, "mode")
    table = heatmap.build(view, said.study)
    places = [(int(size.replace(",", "")), name) for size in table.sizes for name, _ in table.contestants]
    bold = wide.medians(said.study)
    for (n, name), tile in zip(places, table.rows[0][1], strict=True):
        lead = said.leads[n]
        assert bool(tile.mark) == (name in lead.names)
        assert (tile.mark == "★") == (lead.sole and name == lead.fastest)
        if tile.mark:
            assert not any(said.beats(n, other, lead.fastest) for other in said.others(n, lead.fastest))
            assert name == lead.fastest or not said.beats(n, lead.fastest, name)
            assert (tile.tip.count("\nfastest") == 1) == lead.sole
    for column in bold.columns:
        for n, cell in zip(sorted(said.leads), column.cells, strict=True):
            assert cell.best == (column.name in said.leads[n].names)
    for surprise in said.study.surprises:
        if ", the fastest" in surprise.sentence:
            n = int(re.search(r"at ([\d,]+):", surprise.sentence)[1].replace(",", ""))  # type: ignore[index]
            assert said.leads[n].sole
            assert f"of {said.leads[n].fastest}, the fastest" in surprise.sentence


def _check_answers(said: Said, made: Made) -> None:
    table = decision_table(made.run)
    for n in made.sizes:
        if n not in said.leads:
            continue
        lead, answer = said.leads[n], recommend(made.run, Question("sigmoid", n))
        assert answer.unchecked.startswith("Accuracy was not checked in this run. To check")
        told = answer.as_dict()
        assert (told["backend"], told["runner_up"]) == (lead.fastest, lead.runner_up or None)
        assert (told["verdict"], told["outcome"]) == (lead.verdict or None, lead.outcome)
        for name, value in (("ratio", lead.ratio), ("low", lead.low), ("high", lead.high)):
            known = told[name] if told[name] != "Infinity" else math.inf
            assert known == value or (known is None and math.isnan(value))
        assert told["equal_to"] == lead.equal.split(", ") * bool(lead.equal)
        assert told["too_close_to"] == lead.open.split(", ") * bool(lead.open)
        assert not told["sure"] or lead.sole
        for entry in table["entries"]:  # type: ignore[attr-defined]
            chosen = [choice for choice in entry["choices"] if choice["from_elements"] <= n][-1]
            for name in ("backend", "runner_up", "verdict", "outcome", "equal_to", "too_close_to", "sure"):
                assert chosen[name] == told[name], name
    for below, above in zip(sorted(said.leads), sorted(said.leads)[1:], strict=False):
        _check_between(said, made, below, above)


def _check_between(said: Said, made: Made, below: int, above: int) -> None:
    """Between two sizes, nobody is faster who is not at both."""
    try:
        answer = recommend(made.run, Question("sigmoid", below * 3))
    except ValueError:  # nobody was measured at both
        return
    for other, standing in zip(answer.ranking[1:], answer.behind, strict=True):
        at_both = all(
            (n, name) in said.rows for n in (below, above) for name in (other.backend, answer.best.backend)
        )
        if standing.verdict == "faster" and at_both:
            assert all(said.beats(n, answer.best.backend, other.backend) for n in (below, above))


def test_the_whole_made_up_run_is_told_without_a_contradiction_with_its_pairs() -> None:
    rows = [row for row in synthetic.records() if row.get("allocation") == "fresh"]
    study = Study(synthetic.run(records=to_frame(rows), pairs=to_frame(synthetic.all_pairs(rows), PAIR_COLUMNS)))
    assert {"faster", "too close to call"} <= set(study.winners["outcome"])
    for lead in entries(study.winners, CaseLead)[::5]:  # of most ops and modes one size, by turns
        case = dict(zip(CASE, lead.case, strict=True))
        answer = recommend(study.run, Question(lead.op, lead.n_elements, mode=case["mode"], max_ulp=math.inf))
        assert (answer.best.backend, answer.outcome) == (lead.fastest, lead.outcome)
