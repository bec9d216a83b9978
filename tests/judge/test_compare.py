"""Two runs compared: what is called a change, what is refused, and how far to trust it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmarks.judge import trust
from benchmarks.judge.comparable import differences, nothing_in_common
from benchmarks.judge.compare import Judged, compare
from benchmarks.judge.trust import Effect
from benchmarks.record.frames import to_frame
from benchmarks.record.run import BURST_COLUMNS, Run
from benchmarks.record.schema import CASE_KEYS
from benchmarks.report.text.comparison import Comparison, render, to_json, to_markdown
from benchmarks.stats.effects import Criteria
from tests.synthetic import failure, record

N_BURSTS = 12
MACHINE = {"machine_id": "a1b2", "cpu": "x", "threads": 2}


def a_run(seed=0, slower=None, shift=0.0, spread=0.0, noise=0.01, n_cases=40, reference_s=7e-5, **more):
    """Make a run of `n_cases`, in bursts that scatter by `noise`.

    `slower` adds to the logarithm of some cases' times, `shift` to all, `spread` is how far each is off by chance.
    """
    rng = np.random.default_rng(seed)
    true = math.log(1e-5) + shift + rng.normal(0, spread, n_cases)
    for i, effect in (slower or {}).items():
        true[i] += effect
    taken = np.exp(true[:, None] + rng.normal(0, noise, (n_cases, N_BURSTS)))
    ordered = np.sort(taken, axis=1)
    return Run(
        # The third and the tenth of twelve: the 96 % interval of the median.
        records=untimed(n_cases).assign(
            median_s=np.median(taken, axis=1), ci95_low_s=ordered[:, 2], ci95_high_s=ordered[:, 9], **more
        ),
        machine=MACHINE,
        bursts=untimed_bursts(n_cases).assign(seconds_per_call=taken.ravel()),
        reference_s=reference_s,
    )


@cache
def untimed(n_cases):
    """Make the records of so many cases, told apart by their shapes."""
    made = [record("numpy", "relu", n=1000 + i, bursts=N_BURSTS, settings="") for i in range(n_cases)]
    return to_frame(made)


@cache
def untimed_bursts(n_cases):
    """Make the bursts of so many cases, without their times."""
    repeated = untimed(n_cases)[list(CASE_KEYS)].loc[lambda frame: frame.index.repeat(N_BURSTS)]
    numbered = repeated.assign(process=0, burst=np.tile(np.arange(N_BURSTS), n_cases), seconds_per_call=0.0)
    return numbered.reset_index(drop=True)[[column.name for column in BURST_COLUMNS]]


def verdicts_of(base, head, **options):
    cases, _ = compare(base, head, Criteria(), **options)
    return pd.Series({int(case.key[CASE_KEYS.index("shape")]) - 1000: case.verdict for case in cases})


def notes_of(base, head):
    return " ".join(compare(base, head, Criteria())[1])


def with_failure(run, status="failed", i=0):
    """Return the run with its `i`-th case failed."""
    rows = run.records.to_dict("records")
    rows[i] = failure("numpy", status, "off by 12 ULP", op="relu", n=1000 + i)
    return Run(records=to_frame(rows), machine=run.machine, bursts=run.bursts, reference_s=run.reference_s)


def test_a_run_compared_with_itself_is_the_same_in_every_case():
    run = a_run()
    cases, _ = compare(run, run, Criteria())
    assert {(case.ratio, case.verdict) for case in cases} == {(1.0, "same")}


def test_one_slow_down_is_found_and_nothing_else_blamed():
    found = verdicts_of(a_run(1), a_run(2, slower={7: math.log(1.2), 9: -math.log(1.3)}))
    assert found[7] == "slower"
    assert found[9] == "faster"
    assert found.drop([7, 9]).isin(["same", "ambiguous"]).all()


@pytest.mark.parametrize("different", [{}, {"shift": 0.08}, {"spread": 0.05}, {"shift": 0.05, "spread": 0.05}])
def test_what_the_runs_differ_by_as_a_whole_is_nobody_s_regression(different):
    alarms = 0
    for seed in range(20):
        found = verdicts_of(a_run(2 * seed), a_run(2 * seed + 1, **different))
        alarms += found.isin(["slower", "faster"]).any()
    assert alarms <= 1


def test_runs_on_two_hosts_are_not_compared_where_both_know_theirs():
    one, two, unknown = a_run(host="a"), a_run(host="b"), a_run()
    assert differences(one, two) == ["host: a in the base, b in the head"]
    assert differences(one, two, any_host=True) == []
    assert differences(one, one) == differences(one, unknown) == differences(unknown, two) == []


def test_of_shards_on_several_hosts_the_cases_that_moved_are_counted():
    hosts = pd.Series(["a"] * 20 + ["b"] * 20, dtype="string")
    moved = hosts.copy()
    moved.iloc[18:20] = "b"
    assert differences(a_run(host=hosts), a_run(host=moved)) == [
        "host in 2 of 40 cases: a in the base, b in the head"
    ]


def test_another_driver_of_the_gpu_is_another_machine():
    (found,) = differences(a_run(driver="550"), a_run(driver="560"))
    assert found == "driver of numpy on cpu: 550 in the base, 560 in the head"


def test_of_few_cases_the_reference_kernel_says_how_fast_the_machine_was():
    base, head = a_run(1, n_cases=2), a_run(2, n_cases=2, shift=0.15, reference_s=7e-5 * math.exp(0.15))
    assert verdicts_of(base, head).eq("ambiguous").all()
    assert verdicts_of(base, a_run(2, n_cases=2, shift=0.15)).eq("slower").all()
    assert "Too few cases" in notes_of(base, head)


def test_a_failed_case_is_no_baseline():
    assert verdicts_of(with_failure(a_run()), a_run())[0] == "fixed"
    assert verdicts_of(with_failure(a_run()), with_failure(a_run(), "timeout"))[0] == "failing in both"


def test_a_case_that_fails_now_is_a_regression_with_its_reason():
    cases, _ = compare(a_run(), with_failure(a_run()), Criteria())
    assert (cases[0].verdict, cases[0].reason) == ("now failing", "head: off by 12 ULP")


def test_a_case_in_one_run_only_is_new_or_missing():
    few, many = a_run(n_cases=39), a_run(n_cases=40)
    assert verdicts_of(few, many)[39] == "new"
    assert verdicts_of(many, few)[39] == "missing"


def test_an_interval_without_bounds_decides_nothing():
    run = a_run()
    unbounded = Run(records=run.records.assign(ci95_low_s=-math.inf, ci95_high_s=math.inf), machine=MACHINE)
    assert verdicts_of(run, unbounded).eq("ambiguous").all()


def test_other_machines_threads_settings_and_devices_are_refused_by_name():
    base = a_run()
    assert differences(base, base) == []
    other = Run(records=base.records, machine=MACHINE | {"machine_id": "c3d4", "threads": 4})
    found = " ".join(differences(base, other))
    assert "machine_id: a1b2 in the base, c3d4 in the head" in found
    assert "threads: 2 in the base, 4 in the head" in found
    assert differences(base, a_run(threads=8)) == ["threads of numpy on cpu: 1 in the base, 8 in the head"]
    assert differences(base, a_run(device_name="Y"))[0].startswith("device of numpy on cpu: ")
    x64 = Run(records=base.records.assign(settings="x64=True"), machine=MACHINE)
    assert differences(base, x64) == ["settings of numpy on cpu: none in the base, x64=True in the head"]


def test_a_setting_that_an_older_run_did_not_record_is_no_difference():
    base = a_run()
    assert differences(Run(records=base.records.assign(settings=pd.NA), machine=MACHINE), base) == []


def test_runs_of_other_policies_have_nothing_in_common():
    fresh, reuse = a_run(), a_run(allocation="reuse")
    assert nothing_in_common(fresh.records, fresh.records) == []
    assert nothing_in_common(fresh.records, reuse.records) == ["allocation: fresh in the base, reuse in the head"]


def test_runs_of_several_numbers_of_threads_are_compared_under_the_same_number():
    base = a_run(team="2threads", threads=2)
    more = a_run(team="4threads", threads=4).records
    both = Run(records=pd.concat([base.records, more]), machine=MACHINE | {"threads": 4}, bursts=base.bursts)
    assert differences(base, both) == []
    assert nothing_in_common(base.records, both.records) == []
    assert nothing_in_common(base.records, more) == ["team: 2threads in the base, 4threads in the head"]
    capped = a_run(team="2threads", threads=1)
    assert differences(base, capped) == ["threads of numpy on cpu of 2threads: 2 in the base, 1 in the head"]
    usual = Run(records=a_run().records, machine=MACHINE | {"threads": 4})
    assert differences(base, usual) == ["threads: 2 in the base, 4 in the head"]


def test_across_machines_shares_of_the_bandwidth_are_compared():
    base = a_run()
    faster_machine = Run(
        records=base.records.assign(median_s=base.records["median_s"] / 3), machine={"machine_id": "other"}
    )
    assert verdicts_of(base, faster_machine, shares=True).eq("same").all()
    worse = base.records.assign(fraction_of_bandwidth=base.records["fraction_of_bandwidth"].where(
        base.records["shape"] != "1003", base.records["fraction_of_bandwidth"] / 1.5))  # fmt: skip
    found = verdicts_of(base, Run(records=worse, machine=MACHINE), shares=True)
    assert found[3] == "slower"
    unknown = Run(records=base.records.assign(fraction_of_bandwidth=math.nan), machine=MACHINE)
    assert verdicts_of(base, unknown, shares=True).eq("ambiguous").all()


def test_what_the_comparison_says_it_finds_is_what_it_finds():
    """The chance it states, from one pair of runs, against how often a slow-down is found in many pairs."""
    criteria = Criteria()
    found, stated = [], []
    for seed in range(25):
        base, head = a_run(2 * seed, noise=0.04), a_run(2 * seed + 1, noise=0.04, slower={5: math.log(1.15)})
        found.append(verdicts_of(base, head)[5] == "slower")
        cases = compare(base, head, criteria)[0]
        errors = {case.key: math.log(case.high / case.low) / (2 * 1.96) for case in cases}
        own = [
            Effect(key, effect, errors[key])
            for run in (base, head)
            for key, effect in trust.halves(run.bursts).items()
        ]
        stated.append(trust.chance_of_alarm(1.15, own, 0.005, criteria, len(cases)))
    assert np.mean(stated) == pytest.approx(np.mean(found), abs=0.2)
    assert 0.1 < np.mean(found) < 0.9, "or the test shows nothing"


def test_larger_slow_downs_are_found_more_often_and_none_hardly_ever():
    base, head = a_run(1), a_run(2)
    own = [Effect(key, effect, 0.01) for key, effect in trust.halves(base.bursts).items()]
    chances = [trust.chance_of_alarm(true, own, 0.005, Criteria(), 40) for true in (1, 1.05, 1.1, 1.2)]
    assert chances == sorted(chances)
    assert chances[0] < 1e-6
    assert chances[-1] > 0.99
    assert "false alarms in all" in notes_of(base, head)


def test_runs_without_bursts_say_that_their_trust_is_not_known():
    without = Run(records=a_run().records, machine=MACHINE)
    assert "is not known" in notes_of(without, without)


def test_halves_of_one_run_differ_by_what_changed_between_them():
    run = a_run(noise=0.0)
    later = run.bursts["burst"] >= N_BURSTS // 2
    drifted = run.bursts.assign(seconds_per_call=run.bursts["seconds_per_call"] * np.where(later, 1.1, 1.0))
    assert [*trust.halves(drifted).values()] == pytest.approx([math.log(1.1) / math.sqrt(2)] * 40)


@pytest.fixture
def comparison():
    base = a_run(1)
    head = with_failure(a_run(2, slower={7: math.log(1.5)}), i=3)
    cases, notes = compare(base, head, Criteria())
    return Comparison("main", "<script>|branch", cases, Criteria(), "bursts", tuple(notes))


def verdict_on(backend, verdict, ratio=1.0):
    key = tuple(backend if name == "backend" else "x" for name in CASE_KEYS)
    return Judged(key, *[1.0] * 2, ratio, *[1.0] * 5, verdict, "")


def test_the_worst_comes_first_and_the_largest_of_each_kind():
    found = {"same": 1.0, "slower": 1.2, "now failing": math.nan, "wrong": 1.0}
    cases = [verdict_on("numpy", *each) for each in (*found.items(), ("slower", 1.5))]
    text = to_markdown(Comparison("base", "head", cases, Criteria(), "bursts"))
    rows = [line.split("|") for line in text.splitlines() if "`" in line]
    assert [(cells[6].strip("* "), *cells[5].split()[:1]) for cells in rows][:4] == [
        ("now failing",), ("slower", "1.500"), ("slower", "1.200"), ("wrong", "1.000"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (["same", "faster"], 0),
        (["same", "ambiguous"], 0),
        (["same", "slower", "wrong"], 1),
        (["now failing"], 1),
        (["ambiguous", "missing"], 3),
        ([], 3),
        (["same", "wrong"], 4),
        (["slower", "cheated"], 5),
    ],
)
def test_the_exit_status_is_that_of_the_worst(found, status):
    cases = [verdict_on("numpy", verdict) for verdict in found]
    assert Comparison("base", "head", cases, Criteria(), "bursts").exit_status == status


def test_a_library_that_is_only_compared_with_fails_nothing_where_it_is_wrong():
    cases = [verdict_on("numpy", "same"), verdict_on("scipy", "wrong")]
    assert Comparison("base", "head", cases, Criteria(), "bursts").exit_status == 0


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_terminal_shows_what_changed_and_counts_the_rest(comparison, width):
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        render(comparison, console)
    output = captured.get()
    assert max(map(len, output.splitlines())) <= width
    assert "1 now failing, 1 slower" in " ".join(output.split())
    assert "relu-forward-float32-1007-numpy-cpu" in output


def test_markdown_shows_names_as_they_are(comparison):
    text = to_markdown(comparison)
    assert "<script>" not in text
    assert "| ▲ | `relu-forward-float32-1007-numpy-cpu` |" in " ".join(text.split())
    assert "<details><summary>" in text


def test_json_holds_every_case_and_the_exit_status(comparison):
    whole = json.loads(to_json(comparison))
    assert whole["exit_status"] == 1
    assert len(whole["cases"]) == 40
    assert {case["verdict"] for case in whole["cases"]} >= {"now failing", "slower", "same"}
    failed = next(case for case in whole["cases"] if case["verdict"] == "now failing")
    assert failed["ratio"] is None


def test_the_heading_says_which_way_round_a_ratio_is(comparison):
    shares = replace(comparison, shares=True)
    assert "head / base" in to_markdown(comparison)
    assert "base / head" in to_markdown(shares)
    console = Console(width=200, no_color=True)
    with console.capture() as captured:
        render(shares, console)
    assert "base / head" in captured.get()
