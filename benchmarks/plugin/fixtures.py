"""Fixtures of both suites: the harness that measures, when to stop, and which backends or case a test is about."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from benchmarks.machine import signals
from benchmarks.plan import arguments, selection
from benchmarks.plan.costs import cost_of
from benchmarks.plugin import suites
from benchmarks.record.schema import Case, by_group

if TYPE_CHECKING:
    from benchmarks.measure.budget import Budget
    from benchmarks.measure.harness import Harness
    from benchmarks.measure.sampling import Rule
    from benchmarks.record.unfinished import Unfinished

HARNESS: pytest.StashKey[Harness] = pytest.StashKey()
"""Where the hooks find the harness of this run; absent if no test has asked for it."""
UNDONE: pytest.StashKey[set[str]] = pytest.StashKey()
"""The ids of the tests that need the harness and have not ended yet."""


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Open the workers and the journal of this run, and close them at its end.

    A test that has not ended by then was planned and not run: so the run was cut short.
    """
    # Late, as in `rule`: what measures takes a second to import, and listing the tests measures nothing.
    from benchmarks.measure.harness import Harness
    from benchmarks.measure.pool import Pool
    from benchmarks.plugin import conditions, resume
    from benchmarks.record.recorder import Recorder

    config = request.config
    option = config.option
    threads = arguments.threads(option)
    seed = secrets.randbits(32) if option.order_seed is None else option.order_seed
    earlier = config.stash.get(resume.EARLIER, None)
    recorder = Recorder(
        option.results,
        saved_as=option.benchmark_save or "",
        command=config.stash.get(suites.COMMAND, " ".join(["pytest", *config.invocation_params.args])),
        threads=threads,
        seed=seed,
        precision=float(option.benchmark_precision),
        earlier=earlier,
        host_name=option.host,
    )
    pool = Pool(threads, timeout_s=option.case_timeout, in_process=option.in_process)
    # A worker of xdist runs only some of these tests, and one that goes on has made some of the checks.
    in_part = earlier or hasattr(config, "workerinput")
    places = [] if in_part else suites.checked_places(request.session.items)
    pool.launch(places)  # after the recorder has looked how busy the machine is
    recorder.intend(conditions.plan(config, request.session.items, recorder.machine, seed))
    for caveat in config.stash.get(resume.MIXED, ()):
        recorder.warn(caveat)
    planned = list(suites.timed_cases(request.session.items))
    harness = Harness(
        pool,
        recorder,
        planned=planned,
        required=frozenset([*(option.backend or ()), *(option.device or ())]),
        n_processes=option.processes,
        seed=seed,
        budget=_budget(config, planned, earlier),
        keep_rounds=option.keep_rounds,
        earlier=earlier,
        saves=bool(
            option.benchmark_json or ((option.benchmark_save or option.benchmark_autosave) and not option.shard)
        ),
        checked_places=places,
    )
    config.stash[HARNESS] = harness
    with signals.as_interrupts():
        yield harness
    harness.close(complete=not config.stash.get(UNDONE, ()))


def _budget(config: pytest.Config, planned: Sequence[Case], earlier: Unfinished | None) -> Budget | None:
    """Return the time that there is: of a run that goes on, each group that is left has what it would have had."""
    from benchmarks.measure.budget import Budget

    option, groups = config.option, by_group(planned)
    left = [
        name for name, cases in groups.items() if not earlier or any(case not in earlier.cases for case in cases)
    ]
    budget_s = suites.budget_s(option)
    if not budget_s or not left:
        return None
    share = len(left) / len(groups)
    return Budget(
        budget_s * share,
        {name: cost_of(groups[name], option.processes) for name in left},
        bounded=not option.time_budget,
        begun=config.stash[suites.BEGUN],
        aim_s=suites.aim_s(option) * share,
    )


@pytest.fixture(scope="session")
def rule(request: pytest.FixtureRequest) -> Rule:
    """Return when to stop timing, from pytest-benchmark's own options."""
    from benchmarks.measure.sampling import Rule

    option = request.config.option
    return Rule(
        precision=float(option.benchmark_precision),
        confidence=float(option.benchmark_confidence),
        max_s=float(option.benchmark_max_time),
        margin=option.margin,
    )


@pytest.fixture
def places(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    """Return the backends that the command line selects, each with its devices."""
    return selection.places(arguments.chosen(request.config.option))


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """Return the case that a test id names."""
    found = suites.case_of(request.node)
    if found is None:
        raise LookupError("only tests marked `timing` have a case")
    return found
