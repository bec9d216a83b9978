"""Every cheat that is publicly known is refused, and honest backends that look like one are measured.

So is every mistake that is much like one of `test_wrong_backends`, in the same run.
"""

from __future__ import annotations

import os

import pandas as pd
import pytest

from tests.job import SMALL, STATED, WRONG, Job

AFTER_A_PAUSE = (
    "with new values in its inputs it returns what the old ones give|on the same inputs, or after a pause"
)
CHEATS = {
    "remembers-addresses": ("cheated", "with new values in its inputs it returns what the old ones give"),
    "remembers-some-values": ("cheated", "with new values in its inputs it returns what the old ones give"),
    "remembers-contents": ("cheated", "results are remembered"),
    "recycles-memory": ("cheated", "with new values in its inputs it returns what the old ones give"),
    "cheap-in-turns": ("failed", "values exceed 8 ULP"),
    "cheap-before-the-last": ("cheated", "right in the last call of a round alone"),
    "slow-clock": ("cheated", "times as long by the clock of another process|perf_counter"),
    "slightly-slow-clock": ("cheated", "the harness is not what it was: benchmarks.measure.prepared.perf_counter"),
    "own-stopwatch": ("cheated", "times as long by the clock of another process"),
    "forged-replies": ("cheated", "a reply that answers no request"),
    "lazy-subclass": ("invalid", "not the type of the backend's arrays"),
    "lazy-arrays": ("cheated", "it is computed only when it is fetched"),
    "helper-process": ("cheated", "processes that it started computed"),
    "works-while-stopped": ("cheated", "s while it was stopped"),
    "other-priority": ("invalid", "a thread has priority"),
    "works-in-instalments": ("cheated", "only after some calls on the same inputs|with new values in its inputs"),
    "remembers-what-recurs": ("cheated", "results are remembered"),
    "makes-fewer-calls": ("cheated", "the harness is not what it was: Prepared._clock"),
    "hides-a-builtin": ("cheated", "is not what it was: __main__.tuple|by the clock of another process"),
    "pickles-other-times": ("cheated", "benchmarks.measure.disturbance.Reading|by the clock of another process"),
    "computes-after-a-pause": ("cheated", AFTER_A_PAUSE),
    "computes-when-it-goes-on": ("cheated", AFTER_A_PAUSE),
    "finishes-when-looked-at": (
        "cheated",
        "in its process the harness is not what it was: numpy.array and numpy.asarray",
    ),
    "shortens-its-replies": (
        "cheated",
        "multiprocessing.connection._ForkingPickler|by the clock of another process",
    ),
    "counts-processor-time": ("cheated", "times as long by the clock of another process"),
    "lends-its-results": ("invalid", "a result that was kept has changed while others were computed"),
}
MISTAKES = {
    "constant": ("failed", "values exceed 8 ULP"),
    "wrong-shape": ("failed", "of shape"),
    "right-at-first": ("failed", "values exceed 8 ULP"),
    "queued-in-secret": ("invalid", "were not waited for"),
    "queued-one-behind": ("invalid", "were not waited for"),
    "wrong-in-the-middle": ("failed", "4 of 1000 outputs are not finite"),
}
HONEST = (
    "keeps-a-workspace",
    "remembers-a-constant",
    "branches",
    "answers-at-bind",
    "keeps-what-is-let-go",
    "slow-at-first",
    "numpy",
)


def run(folder, *backends, arguments=SMALL, check=1):
    return Job(folder, *STATED, *arguments, "-m", "timing", "--backend", *backends, pythonpath=WRONG, check=check)


def assert_refused(row, status, reason):
    # Of several things that give a cheat away, chance decides which is seen first.
    assert any(each in row["reason"] for each in reason.split("|")), row["reason"]
    assert row["status"] == status
    assert pd.isna(row["median_s"])


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    backends = (*CHEATS, *MISTAKES, *HONEST, "uses-two-threads")
    found = run(tmp_path_factory.mktemp("every"), *backends, arguments=(*SMALL, "--threads", "2"))
    return found.records.set_index("backend")


@pytest.mark.parametrize("cheat", CHEATS)
def test_every_cheat_is_refused(every, cheat):
    assert_refused(every.loc[cheat], *CHEATS[cheat])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_another_wrong_backend_is_refused(every, mistake):
    assert_refused(every.loc[mistake], *MISTAKES[mistake])


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
    if "by the clock of another process" in str(row["reason"]):
        pytest.skip("the machine is so busy that its own thread disturbs its clock")
    if row["status"] == "ok" and os.getloadavg()[0] > 3 * (os.cpu_count() or 1):
        pytest.skip("the machine is so busy that two threads compute no longer than one would on another machine")
    assert_refused(row, "invalid", "processors where 1 were allowed")


def test_inputs_that_calls_change_are_noticed(tmp_path):
    arguments = ("--op", "relu", "--size", "1000", "--mode", "forward")
    found = run(tmp_path, "overwrites-inputs", "numpy", arguments=arguments).records.set_index("backend")
    assert_refused(found.loc["overwrites-inputs"], "invalid", "calls have changed their inputs")
    assert found.loc["numpy", "status"] == "ok"


def test_who_slows_others_is_refused_and_they_are_measured(tmp_path):
    found = run(tmp_path, "slows-rivals", "branches", "numpy").records.set_index("backend")
    assert_refused(
        found.loc["slows-rivals"], "invalid", "the priority or the processors of other processes changed"
    )
    if os.geteuid() == 0:  # others may not raise a priority again
        assert set(found.drop("slows-rivals")["status"]) == {"ok"}
    else:
        assert set(found.drop("slows-rivals")["status"]) <= {"ok", "invalid"}


def test_a_journal_that_a_kernel_has_edited_is_not_reported(tmp_path):
    arguments = ("--op", "sigmoid", "--size", "1000", "2000", "--mode", "forward")
    found = run(tmp_path, "edits-its-record", "branches", arguments=arguments, check=3)
    assert "was changed by another program while this run wrote it" in found.output
    assert not (tmp_path / "latest" / "records.csv").exists()
    assert not list(tmp_path.glob("runs/journals/*.jsonl"))
