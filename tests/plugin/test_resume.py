"""A run knows whether it was cut short; `--resume` finds such a run, refuses what would differ, and goes on."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest

from benchmarks.machine import fingerprint
from benchmarks.machine.signals import as_interrupts
from benchmarks.plugin import conditions, hooks, resume
from benchmarks.plugin.fixtures import HARNESS, UNDONE
from benchmarks.record.planned import Plan
from benchmarks.validation import resume as validation
from tests.record.test_unfinished import quick, record

__all__ = ["quick"]


@pytest.fixture
def config(tmp_path):
    option = SimpleNamespace(
        results=tmp_path,
        resume=resume.LAST,
        resume_force=False,
        order_seed=None,
        benchmark_save=None,
        threads=[1],
        benchmark_disable=False,
        shard=None,
        host="none",
    )
    arguments = ["benchmarks", "--op", "relu", "--resume=x"]
    return SimpleNamespace(stash=pytest.Stash(), option=option, invocation_params=SimpleNamespace(args=arguments))


def refused(config):
    with pytest.raises(pytest.UsageError) as caught:
        resume.configure(config)
    return str(caught.value)


def test_the_last_run_that_was_cut_short_goes_on_with_its_seed_and_name(config, tmp_path):
    path = record(tmp_path, 1, saved_as="main")
    resume.configure(config)
    assert config.stash[resume.EARLIER].path == path
    assert (config.option.order_seed, config.option.benchmark_save) == (0, "main")


def test_what_cannot_go_on_is_refused(config, tmp_path):
    assert "was cut short and can go on" in refused(config)
    config.option.resume = str(tmp_path)
    assert "took the folder" in refused(config)
    config.option.dist = "load"
    assert "-n" in refused(config)
    config.option.resume, config.option.resume_force = None, True
    assert refused(config) == "--resume-force: must be given with --resume"


@pytest.fixture
def session(config, tmp_path, monkeypatch):
    """Return a session that goes on with a run, and of which the plan is as then, but for what is in `now`."""
    record(tmp_path, 1, conditions={"numpy": "2.0", "commit": "abc"})
    resume.configure(config)
    then = config.stash[resume.EARLIER].plan
    now: dict[str, str] = {}
    monkeypatch.setattr(fingerprint, "fingerprint", lambda *_: None)
    monkeypatch.setattr(
        conditions, "plan", lambda *_: Plan(shares=then.shares, conditions={**then.conditions, **now})
    )
    return SimpleNamespace(config=config, items=[], now=now)


def test_a_run_under_the_same_conditions_goes_on(session):
    resume.require_same(session)
    assert resume.MIXED not in session.config.stash


def test_one_that_would_differ_is_refused_with_how(session):
    session.now["numpy"] = "2.1"
    with pytest.raises(pytest.UsageError) as caught:
        resume.require_same(session)
    lines = str(caught.value).splitlines()
    assert "  numpy: 2.0 then, 2.1 now" in lines
    assert "It was started by: pytest" in lines


def test_forced_it_goes_on_and_is_marked_as_mixed(session):
    session.now["numpy"] = "2.1"
    session.config.option.resume_force = True
    resume.require_same(session)
    (caveat,) = session.config.stash[resume.MIXED]
    assert str(caveat) == "The run went on in spite of differences: numpy: 2.0 then, 2.1 now."


def test_code_that_changed_is_noticed_without_a_commit(tmp_path):
    module = tmp_path / "kernel.py"
    module.write_text("x = 1\n")
    before = conditions.digest([tmp_path])
    assert conditions.digest([tmp_path]) == before
    module.write_text("x = 2\n")
    assert conditions.digest([tmp_path]) != before


# What was cut short


def report(config, when="call", error=None):
    """Let a test end, or a step of it."""
    item = SimpleNamespace(config=config, nodeid="a test")
    ending = hooks.pytest_runtest_makereport(item, SimpleNamespace(when=when, excinfo=error))
    next(ending)
    with pytest.raises(StopIteration):
        ending.send(None)


@pytest.mark.parametrize(
    ("when", "error", "left"),
    [("call", None, set()), ("call", "failed", set()), ("setup", "skipped", set()), ("setup", None, {"a test"})],
)
def test_a_test_has_ended_when_it_was_called_or_its_setup_failed(config, when, error, left):
    config.stash[UNDONE] = {"a test"}
    report(config, when, error)
    assert config.stash[UNDONE] == left


@pytest.mark.parametrize("left", [set(), {"a test"}])
def test_a_run_is_complete_if_every_test_has_ended(config, left):
    theirs = SimpleNamespace(save="main", autosave=True)
    config.pluginmanager = SimpleNamespace(getplugin=lambda name: theirs)
    config.stash[UNDONE] = left
    harness = SimpleNamespace(recorder=SimpleNamespace(lost="", n_cases=0, n_searched=0))
    harness.close = lambda complete: setattr(harness, "complete", complete)
    config.stash[HARNESS] = harness
    hooks._conclude(config, [])
    assert harness.complete == (not left)
    assert (theirs.save, theirs.autosave) == ((None, False) if left else ("main", True)), "it is no baseline"


def test_it_says_how_to_go_on(config, capsys, tmp_path):
    config.option.benchmark_save = "main"
    recorder = SimpleNamespace(path=tmp_path / "a.jsonl", run_id="a")
    config.stash[HARNESS] = SimpleNamespace(complete=False, recorder=recorder)
    hooks._say_how_to_go_on(config)
    said, command = capsys.readouterr().out.splitlines()
    assert "It is not saved as 'main'." in said
    assert command == "  pytest benchmarks --op relu --resume=a"


def test_what_ends_a_job_interrupts_it_first_and_ends_it_then():
    before = signal.getsignal(signal.SIGTERM)
    with as_interrupts():
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_ended_anywhere_goes_on_as_if_nothing_had_happened():
    """Five of the fifty of `python -m benchmarks validate resume`."""
    found = validation.run(5, seed=1)
    assert [(trial.way, trial.differs, trial.n_left) for trial in found] == [
        (way, "", 0) for way in validation.WAYS
    ]
