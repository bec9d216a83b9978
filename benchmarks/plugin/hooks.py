"""pytest hooks of the benchmark suites: which cases there are, progress, and the report at the end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_benchmark.session import PerformanceRegression
from pytest_benchmark.utils import safe_dumps

import backends
from backends import catalogue
from benchmarks import invocation
from benchmarks.machine import fingerprint
from benchmarks.machine.caveat import Caveat
from benchmarks.plan import arguments, selection, spelling
from benchmarks.plugin import options, resume, shard, suites
from benchmarks.plugin.fixtures import HARNESS, UNDONE
from benchmarks.record.damage import UnreadableError
from benchmarks.record.schema import DEFAULTS, SCHEMA, Policies, columns_of

if TYPE_CHECKING:
    from benchmarks.analysis.study import Study
    from benchmarks.record.recorder import Recorder

REPORT: pytest.StashKey[tuple[Study, Path | None]] = pytest.StashKey()
"""The finished run, and its report; None where that could not be written."""
LOST: pytest.StashKey[list[str]] = pytest.StashKey()
"""What could not be written, a sentence each."""


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what was taken as meant, which shapes a size takes, and what looks like a backend and is none.

    And say where what is searched for in several processes will not be found.
    """
    said = [*spelling.readings(config.option), *selection.rows_told(arguments.chosen(config.option))]
    said += [f"{each.candidate.name}: {each.sentence}" for each in config.option.candidate]
    said += [f"passed over {os.path.relpath(path)}: {reason}" for path, reason in backends.passed_over().items()]
    said += [f"passed over {entry}: {reason}" for entry, reason in catalogue.PASSED_OVER.items()]
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
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what is of this shard, of what `-k` and `-m` have left."""
    shard.choose(config, items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Show progress; refuse at once to measure what could not be written in the end, or not go on with."""
    _spare_hypothesis(session.config)
    if not session.config.option.collectonly:
        _require_room(session)
        resume.require_same(session)
        measuring = (item.nodeid for item in session.items if "harness" in getattr(item, "fixturenames", ()))
        # A worker of xdist has all tests and runs some.
        session.config.stash[UNDONE] = set() if hasattr(session.config, "workerinput") else set(measuring)
        from benchmarks.plugin import progress  # late: a list of the tests is there sooner without

        progress.begin(session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which tests have ended: not the one that Ctrl-C has met, of which pytest makes no report."""
    if call.when == "call" or call.excinfo:
        item.config.stash.get(UNDONE, set()).discard(item.nodeid)
    return (yield)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Keep out of pytest-benchmark's JSON what differs on every run; let it warn where the policies differ.

    Ids leave out the usual policies: where those change, an id means another measurement than before. A policy
    that is by default what always was changes none.
    """
    fingerprint.without_volatile(machine_info)
    usual = {each.name: DEFAULTS[each.name] for each in columns_of(Policies) if each.before != DEFAULTS[each.name]}
    machine_info["activation_bench"] = {"schema": SCHEMA, "policies": usual}


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Let whoever reads pytest-benchmark's JSON find out whether it was changed since, and holds the whole run."""
    from benchmarks.record.saved import checksums

    harness = config.stash.get(HARNESS, None)
    output_json["activation_bench"] = {
        "crc32": checksums(json.loads(safe_dumps(output_json["benchmarks"]))),
        "complete": harness is None or (harness.complete and not config.option.shard),
    }


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Write the report, also when the run was interrupted; then pytest-benchmark saves its own."""
    lost = session.config.stash.setdefault(LOST, [])
    _conclude(session.config, lost)
    try:
        found = yield
        harness = session.config.stash.get(HARNESS, None)
        if harness and harness.complete and harness.saves:
            with suppress(OSError):  # the run is saved all the same; going on with it would save it again
                harness.recorder.saved()
    except OSError as error:
        lost.append(f"what pytest-benchmark saves could not be written: {error}")
    else:
        return found
    finally:
        if lost and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    return None


def _conclude(config: pytest.Config, lost: list[str]) -> None:
    """Write the report, none of what a worker of xdist has, and add what could not be written to `lost`."""
    harness = config.stash.get(HARNESS, None)
    if harness is None:
        return
    # Before pytest tears the fixture down, as it does last of all where a run was interrupted.
    harness.close(complete=not config.stash.get(UNDONE, ()))
    if not harness.complete:
        _keep_from_saving(config)
    if config.option.shard:
        _keep_from_saving(config)
    if config.option.benchmark_disable or hasattr(config, "workerinput"):
        return
    recorder, results = harness.recorder, config.option.results
    if recorder.lost:
        lost.append(recorder.lost)
    try:
        if recorder.n_cases:
            config.stash[REPORT] = _report(recorder, results, lost)
        elif recorder.n_searched:
            config.stash[REPORT] = _certificate(recorder, results, lost)
    except (OSError, UnreadableError) as error:
        lost.append(f"there is no report: {error}")


def _keep_from_saving(config: pytest.Config) -> None:
    """Have pytest-benchmark save no part of a run: it would be compared with as if it were whole."""
    theirs = config.pluginmanager.getplugin("pytest-benchmark")
    theirs.save, theirs.autosave = None, False


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(config: pytest.Config) -> Iterator[None]:
    """Print the winners and the report's path, also when pytest-benchmark has just raised over a regression."""
    theirs = config.pluginmanager.getplugin("pytest-benchmark")
    if HARNESS in config.stash and not options.asks_for_tables(config):
        theirs.quiet = True  # as its own option does, which would also hide what it compares with and saves
    try:
        yield
    except PerformanceRegression as regression:
        try:
            config.stash[HARNESS].recorder.regressed(str(regression))
        except OSError as error:
            config.stash[LOST].append(f"this run will be taken for a baseline, which it is not: {error}")
        raise
    finally:
        if REPORT in config.stash:
            from benchmarks.report.terminal.console import open_console
            from benchmarks.report.terminal.summary import render_summary

            print()  # pytest-benchmark's tables end without an empty line
            colour = config.get_terminal_writer().hasmarkup
            render_summary(*config.stash[REPORT], open_console(colour=colour))
        _say_that_nothing_was_timed(config)
        _say_how_to_go_on(config)
        for sentence in config.stash.get(LOST, []):
            print(f"error: {sentence}", file=sys.stderr)


def _say_that_nothing_was_timed(config: pytest.Config) -> None:
    """Say of a run whose time was over before the first group what it would have needed: it has no report."""
    harness = config.stash.get(HARNESS, None)
    if harness and harness.budget and harness.budget.n_missed and not harness.recorder.n_cases:
        print(harness.budget.nothing_timed())


def _say_how_to_go_on(config: pytest.Config) -> None:
    """Say of a run that was cut short, or is a shard, by which command it becomes a whole."""
    harness = config.stash.get(HARNESS, None)
    if harness is None or hasattr(config, "workerinput"):
        return
    recorder = harness.recorder
    if harness.complete:
        if config.option.shard:
            path = os.path.relpath(recorder.path)
            print(f"Shard {config.option.shard} is in {path}; with the others it is one run by:")
            print(f"  {invocation.command()} merge JOURNAL ... --into {config.option.benchmark_save or 'NAME'}")
        return
    unsaved = f" It is not saved as {config.option.benchmark_save!r}." if config.option.benchmark_save else ""
    print(f"Cut short.{unsaved} What it measured is in {os.path.relpath(recorder.path)}; to go on:")
    print(f"  {resume.command(config, recorder.run_id)}")


def _spare_hypothesis(config: pytest.Config) -> None:
    """Take away the plugin of hypothesis, where it is installed and no test uses it.

    Its closing summary would import all of it to say nothing, which takes a sixth of the time to list the tests.
    """
    plugins, name = config.pluginmanager, "hypothesispytest"
    if "hypothesis" not in sys.modules and plugins.has_plugin(name):
        plugins.unregister(name=name)


def _require_room(session: pytest.Session) -> None:
    """Raise pytest.UsageError if a run could not leave its results behind."""
    if any("harness" in getattr(item, "fixturenames", ()) for item in session.items):
        from benchmarks.record import places

        option = session.config.option
        if reason := places.unusable(option.results, option.benchmark_save or ""):
            raise pytest.UsageError(reason)


def _report(recorder: Recorder, results: Path, lost: list[str]) -> tuple[Study, Path | None]:
    """Write the report of what was timed, and append a saved run to the history; return the run and its page."""
    # Late, as in `_certificate`: what a report is made of takes half a second, and many a run leaves none.
    from benchmarks.analysis.study import Study
    from benchmarks.record import history
    from benchmarks.record import run as store
    from benchmarks.report import files

    run = store.with_certificates(recorder.run(), store.read_accuracy(results / "accuracy").frame())
    study = Study(run)
    page: Path | None = None
    try:
        page = files.write(study, results / "latest")["report.html"]
    except OSError as error:
        again = f"`{invocation.command()} report {recorder.path}` writes it when that is mended"
        lost.append(f"the report could not be written: {error}; {again}")
    if run.saved_as and run.complete:
        try:
            history.append(run.records, results)
        except (OSError, ValueError) as error:
            absent = f"this run is not in the history, so `{invocation.command()} trend` will not show it: {error}"
            # First in the list: nothing else tells of it, and the terminal shows only a few warnings.
            study = Study(replace(run, warnings=(Caveat(absent), *run.warnings)))
    return study, page


def _certificate(recorder: Recorder, results: Path, lost: list[str]) -> tuple[Study, Path | None]:
    """Write the accuracy table of a run that only searched for worst points; return the run and its table."""
    from benchmarks.analysis.study import Study
    from benchmarks.report import files

    run = recorder.run()
    try:
        return Study(run), files.write_accuracy(run.accuracy, results / "accuracy")["accuracy.md"]
    except OSError as error:
        lost.append(f"the accuracy table could not be written: {error}; what it says is in {recorder.path}")
        return Study(run), None
