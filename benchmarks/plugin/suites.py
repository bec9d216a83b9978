"""The two suites: which cases a test gets, by its marker, and which case a test times.

A test marked `timing` gets the cases to time, one marked `call_cost` the backends with their devices, one marked
`correctness` those of `COORDINATES` that it takes as arguments. All parameters are strings, so that test ids and
pytest-benchmark's JSON stay readable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

import pytest

from benchmarks.plan import selection
from benchmarks.plan.selection import Selection
from benchmarks.record.schema import CASE_KEYS, Case
from benchmarks.record.shapes import parse_shape

COORDINATES = ("op", "dtype", "backend", "device")
"""What a test of the correctness suite may take as arguments, in the order of `selection.correctness_cases`."""


def parametrize(metafunc: pytest.Metafunc, chosen: Selection) -> None:
    """Give a test its cases; a test without a marker of ours gets none."""
    marker = metafunc.definition.get_closest_marker
    if marker("timing"):
        cases = list(selection.timing_cases(chosen))
        # A test asks for the `case` that these make: pytest wants to see each of them asked for.
        metafunc.fixturenames += [name for name in CASE_KEYS if name not in metafunc.fixturenames]
        metafunc.parametrize(CASE_KEYS, [case.key for case in cases], ids=list(map(str, cases)))
    elif marker("call_cost"):
        metafunc.parametrize(("backend", "device"), selection.places(chosen))
    elif marker("correctness"):
        taken = [name in metafunc.fixturenames for name in COORDINATES]
        found = dict.fromkeys(tuple(compress(row, taken)) for row in selection.correctness_cases(chosen))
        metafunc.parametrize(list(compress(COORDINATES, taken)), list(found))


def params_of(item: pytest.Item) -> dict[str, Any]:
    """Return the parameters of a test by name."""
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


def case_of(item: pytest.Item) -> Case | None:
    """Return the case that a test times, or None."""
    if not item.get_closest_marker("timing"):
        return None
    params = params_of(item)
    return Case(**{**params, "shape": parse_shape(params["shape"])})


def timed_cases(items: Iterable[pytest.Item]) -> Iterator[Case]:
    """Yield the cases that tests time."""
    return filter(None, map(case_of, items))


def is_timed(item: pytest.Item) -> bool:
    """Tell whether a test has a share of the time for rounds."""
    return any(map(item.get_closest_marker, ("timing", "call_cost")))


def checks_of_other_ops(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return, in a run that times, the correctness tests of ops that it does not time."""
    timed = {case.op for case in timed_cases(items)}
    checks = [item for item in items if timed and item.get_closest_marker("correctness")]
    return [item for item in checks if _checked(item) not in {None, *timed}]


def _checked(item: pytest.Item) -> str | None:
    """Return the op that a test checks: the course notes' examples call theirs a loss."""
    params = params_of(item)
    return params.get("op") or params.get("loss")
