"""pytest hooks of the benchmark suites: which cases there are, progress, and the report at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_benchmark.session import PerformanceRegression

import backends
from benchmarks.machine import fingerprint
from benchmarks.machine.caveat import Caveat
from benchmarks.plugin import options, suites
from benchmarks.plugin.fixtures import HARNESS
from benchmarks.record.schema import DEFAULTS, SCHEMA, Policies, columns_of

if TYPE_CHECKING:
    from benchmarks.analysis.study import Study
    from benchmarks.record.recorder import Recorder

REPORT: pytest.StashKey[tuple[Study, Path]] = pytest.StashKey()
"""The finished run, and its report."""


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the modules that look like a backend and are none, so that nobody wonders why one is not measured.

    And say where what is searched for in several processes will not be found.
    """
    said = [f"passed over {os.path.relpath(path)}: {reason}" for path, reason in backends.passed_over().items()]
    if suites.is_distributed(config.option) and suites.selects(
        config.option.markexpr, "correctness", "certification"
    ):
        said.append("several processes write no table of what they find; without -n, it goes to results/accuracy")
    return [f"activation-bench: {line}" for line in said]


def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Make no tests of what is not asked for."""
    return [] if callable(obj) and suites.is_left_out(collector, obj, collector.config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each suite the cases that the command line selects."""
    suites.parametrize(metafunc, metafunc.config)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Show progress."""
    if not session.config.option.collectonly:
        from benchmarks.plugin import progress  # late: a list of the tests is there sooner without

        progress.begin(session)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Keep out of pytest-benchmark's JSON what differs on every run; let it warn where the policies differ.

    Ids leave out the usual policies: where those change, an id means another measurement than before. A policy
    that is by default what always was changes none.
    """
    fingerprint.without_volatile(machine_info)
    usual = {each.name: DEFAULTS[each.name] for each in columns_of(Policies) if each.before != DEFAULTS[each.name]}
    machine_info["activation_bench"] = {"schema": SCHEMA, "policies": usual}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, also when the run was interrupted; none of a part of a run, as a worker of xdist has."""
    config = session.config
    harness = config.stash.get(HARNESS, None)
    if harness is None or config.option.benchmark_disable or hasattr(config, "workerinput"):
        return
    if harness.recorder.n_cases:
        config.stash[REPORT] = _report(harness.recorder, config.option.results)
    elif harness.recorder.n_searched:
        config.stash[REPORT] = _certificate(harness.recorder, config.option.results)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(config: pytest.Config) -> Iterator[None]:
    """Print the winners and the report's path, also when pytest-benchmark has just raised over a regression."""
    theirs = config.pluginmanager.getplugin("pytest-benchmark")
    if HARNESS in config.stash and not options.asks_for_tables(config):
        theirs.quiet = True  # as its own option does, which would also hide what it compares with and saves
    try:
        yield
    except PerformanceRegression as regression:
        config.stash[HARNESS].recorder.regressed(str(regression))
        raise
    finally:
        if REPORT in config.stash:
            from benchmarks.report.terminal.console import open_console
            from benchmarks.report.terminal.summary import render_summary

            print()  # pytest-benchmark's tables end without an empty line
            colour = config.get_terminal_writer().hasmarkup
            planned = {case.group for case in config.stash[HARNESS].planned}
            render_summary(*config.stash[REPORT], open_console(colour=colour), n_groups=len(planned))


def _report(recorder: Recorder, results: Path) -> tuple[Study, Path]:
    """Write the report of what was timed, and append a saved run to the history; return the run and its page."""
    # Late, as in `_certificate`: what a report is made of takes half a second, and many a run leaves none.
    from benchmarks.analysis.study import Study
    from benchmarks.record import history
    from benchmarks.record import run as store
    from benchmarks.record.journal import load_run
    from benchmarks.report import files

    run = store.with_certificates(load_run(recorder.path), store.read_accuracy(results / "accuracy"))
    study = Study(run)
    written = files.write(study, results / "latest")
    if run.saved_as:
        try:
            history.append(run.records, results)
        except (OSError, ValueError) as error:
            lost = f"this run is not in the history, so `python -m benchmarks trend` will not show it: {error}"
            # First in the list: nothing else tells of it, and the terminal shows only a few warnings.
            study = Study(replace(run, warnings=(Caveat(lost), *run.warnings)))
    return study, written["report.html"]


def _certificate(recorder: Recorder, results: Path) -> tuple[Study, Path]:
    """Write the accuracy table of a run that only searched for worst points; return the run and its table."""
    from benchmarks.analysis.study import Study
    from benchmarks.record.journal import load_run
    from benchmarks.report import files

    run = load_run(recorder.path)
    return Study(run), files.write_accuracy(run.accuracy, results / "accuracy")["accuracy.md"]
