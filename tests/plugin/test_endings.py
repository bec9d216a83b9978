"""A run whose results cannot be written is reported all the same, and says in one line what is missing."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from benchmarks.plugin import hooks
from benchmarks.plugin.fixtures import HARNESS
from benchmarks.record import places
from benchmarks.record.journal import load_run
from benchmarks.report import files
from benchmarks.validation import made_up
from tests.job import SMALL, Job

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def session(tmp_path):
    """Return a session at its end, whose run is a made-up one."""
    made_up.write(tmp_path, sealed=True)
    path = tmp_path / made_up.JOURNAL
    recorder = SimpleNamespace(path=path, run=lambda: load_run(path), lost="", n_cases=8, n_searched=0)
    config = SimpleNamespace(
        stash=pytest.Stash(), option=SimpleNamespace(benchmark_disable=False, results=tmp_path, shard=None)
    )
    harness = SimpleNamespace(recorder=recorder, complete=False, saves=False)
    harness.close = lambda complete: setattr(harness, "complete", complete)
    config.stash[HARNESS] = harness
    return SimpleNamespace(config=config, exitstatus=pytest.ExitCode.OK)


def finish(session, error=None):
    """End a session; `error` is what pytest-benchmark meets when it saves."""
    ending = hooks.pytest_sessionfinish(session)
    next(ending)
    with pytest.raises(StopIteration):
        ending.throw(error) if error else ending.send(None)
    return session.config.stash[hooks.LOST]


def test_a_run_that_could_be_written_loses_nothing(session):
    assert finish(session) == []
    assert session.exitstatus == pytest.ExitCode.OK
    assert session.config.stash[hooks.REPORT][1].exists()


@pytest.fixture
def _without_room(monkeypatch):
    """Let no report be written."""

    def write(*_):
        raise FULL

    monkeypatch.setattr(files, "write", write)


@pytest.mark.usefixtures("_without_room")
def test_a_report_that_cannot_be_written_is_named_and_the_summary_is_still_there(session):
    (line,) = finish(session)
    assert line.startswith("the report could not be written: [Errno 28] No space left on device; ")
    assert f"python -m benchmarks report {session.config.option.results / made_up.JOURNAL}" in line
    study, page = session.config.stash[hooks.REPORT]
    assert (len(study.rows), page) == (8, None)
    assert session.exitstatus == pytest.ExitCode.INTERNAL_ERROR


def test_what_pytest_benchmark_cannot_save_costs_nothing_else(session):
    (line,) = finish(session, FULL)
    assert line == "what pytest-benchmark saves could not be written: [Errno 28] No space left on device"
    assert session.config.stash[hooks.REPORT][1].exists()


@pytest.mark.usefixtures("_without_room")
def test_a_run_that_failed_keeps_its_status(session):
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
    assert finish(session, FULL)
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED


def test_only_a_run_that_measures_needs_room(monkeypatch):
    monkeypatch.setattr(places, "unusable", lambda *_: "--results: no right to write into it")
    option = SimpleNamespace(results=None, benchmark_save=None)
    items = [SimpleNamespace(fixturenames=["tmp_path"])]
    session = SimpleNamespace(items=items, config=SimpleNamespace(option=option))
    hooks._require_room(session)
    items.append(SimpleNamespace(fixturenames=["harness"]))
    with pytest.raises(pytest.UsageError, match="no right to write"):
        hooks._require_room(session)


def test_a_file_in_the_way_ends_a_run_before_it_measures(tmp_path):
    (tmp_path / "latest").write_text("in the way")
    job = Job(tmp_path, *SMALL, "--backend", "numpy", check=4)
    assert [line for line in job.output.splitlines() if line.startswith("ERROR")] == [
        f"ERROR: --results: {tmp_path / 'latest'} is not a folder; a run writes there: move it, or choose another"
    ]
    assert not (tmp_path / "runs" / "journals").exists()
