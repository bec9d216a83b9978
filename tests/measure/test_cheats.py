"""Every cheat that is publicly known is refused, and honest backends that look like one are measured."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.job import SMALL, WRONG, Job

CHEATS = {
    "remembers-addresses": ("cheated", "with new values in its inputs it returns what the old ones give"),
    "remembers-some-values": ("cheated", "with new values in its inputs it returns what the old ones give"),
    "remembers-contents": ("cheated", "results are remembered"),
    "recycles-memory": ("cheated", "with new values in its inputs it returns what the old ones give"),
    "cheap-in-turns": ("failed", "values exceed 8 ULP"),
    "cheap-before-the-last": ("cheated", "right in the last call of a round alone"),
    "slow-clock": ("cheated", "times as long by the clock of another process"),
    "slightly-slow-clock": ("cheated", "the harness is not what it was: benchmarks.measure.prepared.perf_counter"),
    "own-stopwatch": ("cheated", "times as long by the clock of another process"),
    "forged-replies": ("cheated", "a reply that answers no request"),
    "lazy-subclass": ("invalid", "not the type of the backend's arrays"),
    "lazy-arrays": ("cheated", "it is computed only when it is fetched"),
    "helper-process": ("cheated", "processes that it started computed"),
    "other-priority": ("cheated", "a thread has priority"),
}
HONEST = ("keeps-a-workspace", "remembers-a-constant", "branches", "answers-at-bind", "numpy")


def run(folder, *backends, arguments=SMALL, check=1):
    return Job(folder, *arguments, "-m", "timing", "--backend", *backends, pythonpath=WRONG, check=check)


def assert_refused(row, status, reason):
    assert reason in row["reason"]
    assert row["status"] == status
    assert pd.isna(row["median_s"])


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    arguments = (*SMALL, "--threads", "2")
    found = run(tmp_path_factory.mktemp("every"), *CHEATS, *HONEST, "uses-two-threads", arguments=arguments)
    return found.records.set_index("backend")


@pytest.mark.parametrize("cheat", CHEATS)
def test_every_cheat_is_refused(every, cheat):
    assert_refused(every.loc[cheat], *CHEATS[cheat])


@pytest.mark.parametrize("honest", [*HONEST, "uses-two-threads"])
def test_whoever_is_honest_is_measured(every, honest):
    row = every.loc[honest]
    assert (row["status"], row["median_s"] > 0) == ("ok", True), row["reason"]
    checks = "result, timed result, new values, no memory, waits, clock, inputs, fetched, alone, seal"
    assert set(checks.split(", ")) <= set(row["checks"].split(", "))


def test_an_answer_that_was_computed_when_it_was_bound_is_not_used(every):
    assert every.loc["answers-at-bind", "median_s"] > 3 * every.loc["keeps-a-workspace", "median_s"]


def test_more_threads_than_allowed_are_noticed(tmp_path):
    found = run(tmp_path, "more-threads", "branches", arguments=(*SMALL, "--threads", "1"), check=None).records
    row = found.set_index("backend").loc["more-threads"]
    if "other programs used" in str(row["warning"]):
        pytest.skip("other programs leave no second processor to be noticed")
    assert_refused(row, "invalid", "processors where 1 were allowed")


def test_inputs_that_calls_change_are_noticed(tmp_path):
    arguments = ("--op", "relu", "--size", "1000", "--mode", "forward")
    found = run(tmp_path, "overwrites-inputs", "numpy", arguments=arguments).records.set_index("backend")
    assert_refused(found.loc["overwrites-inputs"], "invalid", "calls have changed their inputs")
    assert found.loc["numpy", "status"] == "ok"
