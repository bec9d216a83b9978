"""A run that was cut short is known as such, says what it lacks, and can be gone on with in its own journal."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from benchmarks.machine.fingerprint import fingerprint
from benchmarks.record import recorder, saved, unfinished
from benchmarks.record.journal import JOURNALS, load_run, read_journal
from benchmarks.record.planned import Plan, differences, plan_from, plan_of, unmeasured
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import Case, Ending, Measured, Rounds, case_from, row

PLACES = ("numpy", "torch")
CASES = [Case("relu", "forward", "float32", (n,), name, "cpu") for n in (1000, 2000, 3000) for name in PLACES]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Ask the machine and the repository once, and not for each run."""
    monkeypatch.setattr(recorder.fingerprint, "fingerprint", _fingerprint)
    monkeypatch.setattr(recorder, "get_commit_info", dict)
    monkeypatch.setattr(recorder.doubts, "busy_share", float)


_fingerprint = cache(fingerprint)


def measured(case):
    return Measured(
        case=case, kind="elementwise", n_elements=case.n_elements, peer=False, ending=Ending(status="ok")
    )


def record(results, n_groups=3, *, saved_as="", ends=True, earlier=None, conditions=None, **more):
    """Record a run of which some groups were measured."""
    made = Recorder(results, saved_as=saved_as, command="pytest", threads=1, earlier=earlier)
    made.intend(plan_of(CASES, conditions or {"seed": "1"}))
    for i in range(0, 2 * n_groups, 2):
        pair = CASES[i : i + 2]
        if earlier and pair[0] in earlier.cases:
            continue
        made.begin(pair)
        made.group(list(map(measured, pair)), [Rounds(bursts_s=((1e-6, 2e-6),))] * 2)
    if ends:
        made.end({"rounds": 1.0}, complete=n_groups == 3, **more)
    made.close()
    return made.path


# The plan


def test_a_plan_survives_its_line():
    plan = plan_of(CASES, {"seed": "1"})
    assert (
        plan_from(
            json.loads(json.dumps({"shares": [vars(each) for each in plan.shares], "conditions": {"seed": "1"}}))
        )
        == plan
    )
    assert plan.n_groups == 3
    assert set(plan.members) == {(case.group, case.place) for case in CASES}


def test_ten_thousand_cases_are_planned_in_less_than_a_tenth_of_a_megabyte():
    many = [
        Case("sigmoid", "forward", "float32", (n,), f"backend-{i}", "cpu") for n in range(2000) for i in range(5)
    ]
    assert len(json.dumps([vars(each) for each in plan_of(many, {}).shares])) < 100_000


def test_what_is_missing_is_named_by_its_group_and_by_places_where_others_are_there():
    plan = plan_of(CASES, {})
    found = {(case.group, case.place) for case in CASES[:3]}
    assert unmeasured(plan, found) == ("relu-forward-float32-2000 (torch-cpu)", "relu-forward-float32-3000")
    assert unmeasured(plan, set(plan.members)) == ()


def test_a_case_is_made_again_of_its_record():
    case = Case("linear", "backward", "float16", (8, 2), "jax", "cuda", cache="cold", team="2threads")
    assert case_from(row(case)) == case


def test_differences_are_listed():
    then, now = plan_of(CASES, {"seed": "1", "numpy": "2.0"}), plan_of(CASES[1:], {"seed": "1", "numpy": "2.1"})
    assert differences(then, then) == []
    assert differences(then, now) == [
        "1 case no longer asked for: relu-forward-float32-1000 on numpy-cpu",
        "numpy: 2.0 then, 2.1 now",
    ]
    assert differences(now, Plan(shares=then.shares)) == [
        "1 case asked for now and not then: relu-forward-float32-1000 on numpy-cpu",
        "seed: 1 then, none now",
        "numpy: 2.1 then, none now",
    ]


# A run that was cut short


def test_a_run_that_was_cut_short_says_what_it_lacks(tmp_path):
    run = load_run(record(tmp_path, 1))
    assert not run.complete
    assert (run.n_groups, run.unmeasured) == (3, ("relu-forward-float32-2000", "relu-forward-float32-3000"))
    assert run.shortfall == f"The run was cut short, 2 of 3 groups not measured: {' and '.join(run.unmeasured)}."
    assert (run.time_s, run.elapsed_s is not None) == ({"rounds": 1.0}, True)


def test_a_complete_run_lacks_nothing(tmp_path):
    run = load_run(record(tmp_path))
    assert (run.complete, run.unmeasured, run.shortfall) == (True, (), "")


def test_it_never_stands_in_for_a_complete_run_of_its_name(tmp_path):
    whole = record(tmp_path, saved_as="main")
    record(tmp_path, 1, saved_as="main")
    assert saved.load("main", tmp_path).run_id == whole.stem


def test_its_table_is_no_complete_run_either(tmp_path):
    run = load_run(record(tmp_path, 1))
    (tmp_path / "latest").mkdir()
    run.records.to_csv(tmp_path / "latest" / "records.csv", index=False)
    assert not saved.load(str(tmp_path / "latest" / "records.csv"), tmp_path).complete


def test_pytest_benchmark_s_file_says_by_itself_that_it_is_not_complete(tmp_path):
    run = load_run(record(tmp_path, 1))
    infos = run.records.astype(object).where(run.records.notna(), None).to_dict("records")
    path = tmp_path / "alone.json"
    content = {"benchmarks": [{"extra_info": info} for info in infos], "activation_bench": {"complete": False}}
    path.write_text(json.dumps(content))
    assert not saved.load(str(path), tmp_path / "elsewhere").complete


# Found again


def test_the_last_run_that_was_cut_short_is_found_and_named_ones_by_id_name_and_file(tmp_path):
    first, last = record(tmp_path, 1, saved_as="main"), record(tmp_path, 2)
    record(tmp_path, saved_as="main")
    assert unfinished.find(None, tmp_path).path == last
    for name in (first.stem, "main", str(first)):
        assert unfinished.find(name, tmp_path).path == first
    assert set(unfinished.find(None, tmp_path).cases) == set(CASES[:4])


@pytest.mark.parametrize(
    ("name", "words"),
    [(None, "was cut short and can go on"), ("else", "no such run that was cut short; none was")],
)
def test_without_one_it_says_so(tmp_path, name, words):
    record(tmp_path)
    with pytest.raises(ValueError, match=words):
        unfinished.find(name, tmp_path)


def test_a_complete_run_is_not_gone_on_with(tmp_path):
    path = record(tmp_path)
    with pytest.raises(ValueError, match="is complete"):
        unfinished.find(path.stem, tmp_path)


def test_a_run_that_was_ended_before_it_was_saved_is(tmp_path):
    path = record(tmp_path, saves=True)
    assert load_run(path).complete
    assert unfinished.find(None, tmp_path).path == path
    made = Recorder(tmp_path, saved_as="", command="pytest", threads=1, earlier=unfinished.find(None, tmp_path))
    made.end({}, saves=True)
    made.close()
    made.saved()
    with pytest.raises(ValueError, match="is complete"):
        unfinished.find(path.stem, tmp_path)


def test_a_journal_without_a_plan_cannot_be_gone_on_with(tmp_path):
    made = Recorder(tmp_path, saved_as="", command="pytest", threads=1)
    made.close()
    with pytest.raises(ValueError, match="before it wrote what to measure"):
        unfinished.find(made.path.stem, tmp_path)
    with pytest.raises(ValueError, match="was cut short and can go on"):
        unfinished.find(None, tmp_path)


def test_a_run_that_is_being_measured_is_left_alone(tmp_path):
    running = Recorder(tmp_path, saved_as="", command="pytest", threads=1)
    running.intend(plan_of(CASES, {}))
    with pytest.raises(ValueError, match="being measured by another process"):
        unfinished.find(running.path.stem, tmp_path)
    assert list(unfinished.cut_short(tmp_path)) == []
    running.close()
    assert [path for path, _ in unfinished.cut_short(tmp_path)] == [running.path]


# Gone on with


def test_it_goes_on_in_its_journal_and_each_case_is_there_once(tmp_path):
    path = record(tmp_path, 1)
    before = path.read_bytes()
    assert record(tmp_path, earlier=unfinished.find(None, tmp_path)) == path
    assert path.read_bytes().startswith(before)
    run = load_run(path)
    assert (run.complete, run.unmeasured, len(run.records)) == (True, (), 6)
    assert run.time_s == {"rounds": 2.0}
    assert len(list((tmp_path / JOURNALS).iterdir())) == 1


@pytest.mark.parametrize(("group", "cut"), [(1, 1), (1, 40), (0, 40)])
def test_half_a_line_is_taken_off_and_what_is_whole_is_kept(tmp_path, group, cut):
    path = record(tmp_path, 2, ends=False)
    content = path.read_bytes()
    groups = [match.start() for match in re.finditer(rb'{"type": "group"', content)]
    path.write_bytes(content[: content.index(b"\n", groups[group]) + 1 - cut])
    whole = unfinished.find(None, tmp_path)
    assert len(whole.cases) == 2 * group
    record(tmp_path, earlier=whole)
    run = load_run(path)
    assert (run.complete, len(run.records)) == (True, 6)
    assert not any("ended while" in str(each) for each in run.warnings)
    assert read_journal(path)[-1]["type"] == "end"


def test_nobody_goes_on_with_what_somebody_else_went_on_with(tmp_path):
    record(tmp_path, 1)
    found = unfinished.find(None, tmp_path)
    record(tmp_path, 2, earlier=found)
    with pytest.raises(OSError, match="is being measured by another process"):
        record(tmp_path, earlier=found)


def test_the_plan_that_counts_is_the_last(tmp_path):
    record(tmp_path, 1)
    record(tmp_path, 2, earlier=unfinished.find(None, tmp_path), conditions={"seed": "2"})
    assert unfinished.find(None, tmp_path).plan.conditions == {"seed": "2"}
