"""pytest hooks of the benchmark suites: which cases there are, what they share, and the report at the end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from pytest_benchmark.session import PerformanceRegression

from backends.interface import Allocation, Mode
from benchmarks.machine import fingerprint
from benchmarks.measure.harness import Harness
from benchmarks.measure.pool import Pool
from benchmarks.measure.sampling import Rule
from benchmarks.plan import arguments, selection
from benchmarks.plan.cases import Cache, Case, Timing
from benchmarks.plugin.progress import Progress
from benchmarks.record import history, shapes
from benchmarks.record import run as store
from benchmarks.record.journal import load_run
from benchmarks.record.recorder import Recorder
from benchmarks.report import files
from benchmarks.report.terminal.summary import open_console, render_summary
from benchmarks.stats.intervals import least_bursts

HARNESS = pytest.StashKey[Harness]()
REPORT = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Show progress."""
    config.pluginmanager.register(Progress(config), "activation-bench-progress")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each suite its cases: strings only, so that ids and pytest-benchmark's JSON stay readable."""
    chosen = arguments.chosen(metafunc.config.option)
    wanted = set(metafunc.fixturenames)
    if "shape" in wanted:
        found = list(selection.timing_cases(chosen))
        rows = [tuple((asdict(case) | {"shape": case.shape_label}).values()) for case in found]
        metafunc.parametrize([field.name for field in fields(Case)], rows, ids=list(map(str, found)))
    elif "device" in wanted:
        names = [name for name in ("op", "dtype", "backend", "device") if name in wanted]
        picked = [
            tuple(
                value
                for name, value in zip(("op", "dtype", "backend", "device"), row, strict=True)
                if name in names
            )
            for row in selection.correctness_cases(chosen)
        ]
        metafunc.parametrize(names, list(dict.fromkeys(picked)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run that times, check the ops that it times and no others; the correctness suite alone checks all."""
    params = {item: item.callspec.params for item in items if hasattr(item, "callspec")}
    timed = {given["op"] for given in params.values() if "shape" in given}
    beside = {item for item, given in params.items() if timed and "op" in given and given["op"] not in timed}
    if beside:
        config.hook.pytest_deselected(items=list(beside))
        items[:] = [item for item in items if item not in beside]


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Open the workers and the journal of this run."""
    config = request.config
    option = config.option
    threads = arguments.threads(option)
    seed = secrets.randbits(32) if option.order_seed is None else option.order_seed
    recorder = Recorder(
        option.results,
        saved_as=option.benchmark_save or "",
        command=" ".join(["pytest", *config.invocation_params.args]),
        threads=threads,
        seed=seed,
        precision=float(option.benchmark_precision),
    )
    pool = Pool(threads, timeout_s=option.case_timeout, in_process=option.in_process)
    harness = Harness(
        pool,
        recorder,
        planned=list(_planned(request.session.items)),
        required=frozenset([*(option.backend or ()), *(option.device or ())]),
        n_processes=option.processes,
        seed=seed,
        keep_rounds=option.keep_rounds,
    )
    config.stash[HARNESS] = harness
    yield harness
    try:
        harness.finish()
    finally:
        pool.close()
        recorder.close()


@pytest.fixture
def places(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    """Return the backends that the command line selects, each with its devices."""
    return selection.places(arguments.chosen(request.config.option))


@pytest.fixture
def case(
    op: str,
    mode: Mode,
    dtype: str,
    shape: str,
    backend: str,
    device: str,
    allocation: Allocation,
    cache: Cache,
    timing: Timing,
) -> Case:
    """Return the case that a test id names."""
    return Case(op, mode, dtype, shapes.parse_shape(shape), backend, device, allocation, cache, timing)


@pytest.fixture(scope="session")
def rule(request: pytest.FixtureRequest) -> Rule:
    """When to stop timing, from pytest-benchmark's own options and the time budget."""
    option = request.config.option
    confidence = float(option.benchmark_confidence)
    n_timed = sum("rule" in getattr(item, "fixturenames", ()) for item in request.session.items)
    budget = option.time_budget and option.time_budget / n_timed / option.processes
    return Rule(
        precision=float(option.benchmark_precision),
        confidence=confidence,
        # One more than the least, so that a single slow burst does not set the interval's end.
        min_bursts=max(int(option.benchmark_min_rounds), least_bursts(confidence) + 1),
        max_s=budget or float(option.benchmark_max_time),
    )


def _planned(items: Sequence[pytest.Item]) -> Iterator[Case]:
    """Yield the cases of the tests that time one."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if "shape" in params:
            yield Case(**{**params, "shape": shapes.parse_shape(params["shape"])})


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Keep out of pytest-benchmark's JSON what differs on every run."""
    fingerprint.without_volatile(machine_info)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, also when the run was interrupted."""
    harness = session.config.stash.get(HARNESS, None)
    if harness is None or session.config.option.benchmark_disable:
        return
    results, recorder = session.config.option.results, harness.recorder
    if recorder.n_cases:
        run = store.with_certificates(load_run(recorder.path), store.read_accuracy(results / "accuracy"))
        written = files.write(run, results / "latest")
        if run.saved_as:
            try:
                history.append(run.records, results)
            except (OSError, ValueError) as error:
                lost = f"this run is not in the history, where `python -m benchmarks trend` finds runs: {error}"
                # First, since nothing else tells of it: of many warnings the terminal shows a few.
                run = replace(run, warnings=(lost, *run.warnings))
        session.config.stash[REPORT] = (run, written["report.html"])
    elif recorder.n_searched:
        run = load_run(recorder.path)
        written = files.write_accuracy(run.accuracy, results / "accuracy")
        session.config.stash[REPORT] = (run, written["accuracy.md"])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(config: pytest.Config) -> Iterator[None]:
    """Print the winners and the report's path, also when pytest-benchmark has just raised over a regression."""
    try:
        yield
    except PerformanceRegression as regression:
        config.stash[HARNESS].recorder.regressed(str(regression))
        raise
    finally:
        if REPORT in config.stash:
            run, path = config.stash[REPORT]
            print()  # pytest-benchmark's tables end without a line between
            render_summary(run, path, open_console(colour=config.get_terminal_writer().hasmarkup))
