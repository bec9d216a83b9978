"""The two suites: which cases a test gets, by its marker, and which case a test times.

A test marked `timing` gets the cases to time, one marked `call_cost` the backends with their devices, one marked
`correctness` those of `COORDINATES` that it takes as arguments. All parameters are strings, so that test ids and
pytest-benchmark's JSON stay readable.

A run that times checks the ops, types and modes that it times; the correctness suite alone checks all. A test that
chooses some of these itself says so in its marker, as in `correctness(dtypes=("float64",))`; one that would take
too much of a run that times, `correctness(thorough=True)`. One that is of no use but to cases of a policy says
`correctness(saved="output")`: a run that times none of them leaves it out.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from benchmarks import invocation
from benchmarks.plan import arguments, selection
from benchmarks.record.schema import CASE_KEYS, Case, case_from

COORDINATES = ("op", "dtype", "backend", "device", "mode")
"""What a test of the correctness suite may take as arguments, in the order of `selection.correctness_cases`."""

TIMED = ("timing", "call_cost")
"""Markers of tests that take times."""

TIMING = invocation.SUITES["timing"]
"""The timing suite, from pytest's root."""

BEGUN: pytest.StashKey[float] = pytest.StashKey()
"""When the run began, by `time.monotonic`: from then on its time budget counts."""

COMMAND: pytest.StashKey[str] = pytest.StashKey()
"""What was typed to start the run, where that is no pytest."""


def parametrize(metafunc: pytest.Metafunc, config: pytest.Config) -> None:
    """Give a test its cases; a test without a marker of ours gets none."""
    marker = metafunc.definition.get_closest_marker
    if marker("timing"):
        cases = list(selection.timing_cases(arguments.chosen(config.option)))
        # A test asks for the `case` that these make: pytest wants to see each of them asked for.
        metafunc.fixturenames += [name for name in CASE_KEYS if name not in metafunc.fixturenames]
        metafunc.parametrize(CASE_KEYS, [case.key for case in cases], ids=list(map(str, cases)))
    elif marker("call_cost"):
        metafunc.parametrize(("backend", "device"), selection.places(arguments.chosen(config.option)))
    elif correctness := marker("correctness"):
        taken = [name in metafunc.fixturenames for name in COORDINATES]
        checks = _checks(correctness, config, certifies=bool(marker("certification")))
        found = dict.fromkeys(tuple(compress(row, taken)) for row in checks)
        metafunc.parametrize(list(compress(COORDINATES, taken)), list(found))


def is_left_out(collector: pytest.Collector, function: object, config: pytest.Config) -> bool:
    """Tell whether nothing that a correctness test checks is asked for: it need not be made at all."""
    marks = {mark.name: mark for mark in (*collector.iter_markers(), *getattr(function, "pytestmark", ()))}
    if "correctness" not in marks:
        return False
    certifies = "certification" in marks
    if certifies and "not certification" in config.option.markexpr:
        return True  # pytest would leave it out, after making thousands
    return not any(_checks(marks["correctness"], config, certifies=certifies))


def is_timing(config: pytest.Config) -> bool:
    """Tell whether the paths on the command line lead to the timing suite."""
    suite = config.rootpath / TIMING
    given = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    return any(suite.is_relative_to(path.resolve()) for path in given)


def selects(expression: str, *markers: str) -> bool:
    """Tell whether what `-m` asks for includes tests with these markers; so it does where pytest refuses it."""
    try:
        return not expression or Expression.compile(expression).evaluate(lambda name, /, **_: name in markers)
    except SyntaxError:
        return True


def is_distributed(option: argparse.Namespace) -> bool:
    """Tell whether xdist runs tests in several processes; asked in the main process."""
    return getattr(option, "dist", "no") != "no"


def _checks(correctness: pytest.Mark, config: pytest.Config, *, certifies: bool) -> Iterator[tuple[str, ...]]:
    """Yield what a test with this marker checks in this run; one that searches does so of everything."""
    chosen, breadth = arguments.chosen(config.option), config.option.check
    choices = dict(correctness.kwargs)
    of_all = breadth == "all" or not is_timing(config)
    if choices.pop("thorough", False) and not of_all:
        return
    saved = choices.pop("saved", None)
    if saved is not None and not of_all and saved not in {policies.saved for policies in chosen.policies}:
        return
    if breadth == "all" and is_timing(config) and not certifies:
        chosen = selection.in_every_way(chosen, chosen.resolve().ops)
    elif breadth == "all" or (breadth is None and (certifies or not is_timing(config))):
        chosen = selection.in_every_way(chosen)
    for op, dtype, backend, device, mode in selection.correctness_cases(chosen):
        where = {"ops": op, "dtypes": dtype, "modes": mode}
        if all(where[name] in some for name, some in choices.items()):
            yield op, dtype, backend, device, mode


def params_of(item: pytest.Item) -> dict[str, Any]:
    """Return the parameters of a test by name."""
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


def case_of(item: pytest.Item) -> Case | None:
    """Return the case that a test times, or None."""
    return case_from(params_of(item)) if item.get_closest_marker("timing") else None


def timed_cases(items: Iterable[pytest.Item]) -> Iterator[Case]:
    """Yield the cases that tests time."""
    return filter(None, map(case_of, items))


def checked_places(items: Iterable[pytest.Item]) -> list[tuple[str, str]]:
    """Return the backends that tests check, each with its device."""
    found = (params_of(item) for item in items if not is_timed(item))
    return list(dict.fromkeys((each["backend"], each["device"]) for each in found if "backend" in each))


def is_timed(item: pytest.Item) -> bool:
    """Tell whether a test has a share of the time for rounds."""
    return any(map(item.get_closest_marker, TIMED))


def budget_s(option: argparse.Namespace) -> float | None:
    """Return how many seconds the run may take: as many as were asked for, or as the preset has."""
    return float(option.time_budget) if option.time_budget else arguments.chosen(option).budget_s


def aim_s(option: argparse.Namespace) -> float:
    """Return how many seconds it is to take: as the preset has it, where no time was asked for."""
    aim = None if option.time_budget else arguments.chosen(option).aim_s
    return math.inf if aim is None else aim
