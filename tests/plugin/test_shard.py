"""`--shard`: a run keeps one part of the tests, whole groups and all checks of an op, and says so."""

from __future__ import annotations

from itertools import chain
from types import SimpleNamespace

import pytest

from benchmarks.__main__ import make_parser
from benchmarks.commands import merge
from benchmarks.plugin import hooks, shard
from benchmarks.plugin.fixtures import HARNESS, UNDONE
from benchmarks.plugin.suites import timed_cases
from benchmarks.record import history
from benchmarks.record.planned import SHARD, WHOLE, Shard, plan_of
from benchmarks.record.saved import load, load_or_last
from benchmarks.record.schema import CASE_KEYS
from benchmarks.report.terminal.console import open_console
from tests.job import Job
from tests.plugin.test_pace import quick


@pytest.fixture(scope="module")
def tests():
    return quick()


def config_of(asked):
    option = SimpleNamespace(shard=asked, benchmark_max_time="0.25", processes=1, benchmark_save=None)
    left: list[object] = []
    hook = SimpleNamespace(pytest_deselected=lambda *, items: left.extend(items))
    return SimpleNamespace(option=option, stash=pytest.Stash(), hook=hook, left=left)


def chosen(asked, tests):
    """Return the tests of a shard, and the configuration of its run."""
    config, items = config_of(asked), list(tests)
    shard.choose(config, items)
    return items, config


def test_the_shards_make_up_the_whole_and_no_group_is_divided(tests):
    parts = [chosen(Shard(number, 3), tests)[0] for number in (1, 2, 3)]
    groups = [{case.group for case in timed_cases(part)} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups)) == len({case.group for case in timed_cases(tests)})
    ids = [[item.nodeid for item in part if "call_cost" not in item.nodeid] for part in parts]
    assert sorted(chain(*ids)) == sorted(item.nodeid for item in tests if "call_cost" not in item.nodeid)
    checked = [
        {item.callspec.params["op"] for item in part if item.nodeid.startswith("test_acc")} for part in parts
    ]
    assert sum(map(len, checked)) == 6, "the checks of an op are together"


def test_what_a_call_costs_is_measured_on_each_machine(tests):
    for number in (1, 2):
        items, _ = chosen(Shard(number, 2), tests)
        assert sum("call_cost" in item.nodeid for item in items) == 5


def test_without_shards_nothing_is_left_out(tests):
    items, config = chosen(None, tests)
    assert items == tests
    assert shard.conditions(config) == {SHARD: "none"}
    assert shard.elsewhere(config, items) == []


def test_the_plan_knows_what_other_shards_measure(tests):
    items, config = chosen(Shard(2, 3), tests)
    plan = plan_of(timed_cases(items), shard.conditions(config), timed_cases(shard.elsewhere(config, items)))
    assert plan.shard == Shard(2, 3)
    assert plan.n_groups == len({case.group for case in timed_cases(tests)})
    assert len(config.left) == len(tests) - len(items)
    other = chosen(Shard(1, 3), tests)[1]
    assert shard.conditions(other)[WHOLE] == plan.conditions[WHOLE]
    assert shard.conditions(chosen(Shard(1, 3), tests[1:])[1])[WHOLE] != plan.conditions[WHOLE]


def test_more_shards_than_there_are_groups_are_refused(tests):
    with pytest.raises(pytest.UsageError, match=r"--shard: there is enough for 54 shards; got 1/99"):
        chosen(Shard(1, 99), tests)


def test_pytest_benchmark_saves_no_shard(tests):
    _, config = chosen(Shard(1, 3), tests)
    theirs = SimpleNamespace(save="main", autosave=True)
    config.pluginmanager = SimpleNamespace(getplugin=lambda name: theirs)
    config.option.benchmark_disable = True
    config.stash[UNDONE] = set()
    config.stash[HARNESS] = SimpleNamespace(complete=True, close=lambda complete: None)
    hooks._conclude(config, [])
    assert (theirs.save, theirs.autosave) == (None, False)


def test_a_shard_says_how_it_becomes_a_whole(tests, tmp_path, capsys):
    _, config = chosen(Shard(1, 3), tests)
    recorder = SimpleNamespace(path=tmp_path / "a.jsonl", run_id="a")
    config.stash[HARNESS] = SimpleNamespace(complete=True, recorder=recorder)
    hooks._say_how_to_go_on(config)
    said, command = capsys.readouterr().out.splitlines()
    assert said.startswith("Shard 1/3 is in ")
    assert command.endswith("benchmarks merge JOURNAL ... --into NAME")


def test_shards_measured_apart_make_the_run_that_one_would(tmp_path):
    asked = (
        "--op",
        "sigmoid",
        "relu",
        "--size",
        "1000",
        "3000",
        "--mode",
        "forward",
        "--backend",
        "numpy",
        "numba",
    )
    whole = Job(tmp_path / "whole", *asked, check=0)
    for number in (1, 2):
        job = Job(tmp_path / f"{number}", *asked, "--shard", f"{number}/2", "--benchmark-save=nightly", check=0)
        assert f"Shard {number}/2 is in " in job.output
        assert not job.saved
    options = make_parser(("merge",)).parse_args(
        ["merge", str(tmp_path / "1"), str(tmp_path / "2"), "--results", str(tmp_path)]
    )
    assert merge.run(options, open_console()) == 0
    found = load("nightly", tmp_path)
    keys = list(CASE_KEYS)
    assert found.complete
    # A table of text has shapes of one number as numbers.
    shapes = {"shape": str}
    apart, once = found.records[keys].astype(shapes), whole.records[keys].astype(shapes)
    assert sorted(map(tuple, apart.values)) == sorted(map(tuple, once.values))
    assert len(found.accuracy) == len(load_or_last(None, tmp_path / "whole").accuracy)
    assert found.records["fraction_of_bandwidth"].notna().any()
    assert len(history.read(tmp_path)) == len(found.records)
