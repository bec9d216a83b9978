"""What a run is going to do, and about how long that takes, before anything has run."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence

import pytest

from benchmarks import quantities
from benchmarks.plan.costs import Cost, cost_of
from benchmarks.plugin.pace import Step
from benchmarks.plugin.suites import case_of, is_timed, params_of, timed_cases
from benchmarks.record.schema import POLICIES, Case, by_group
from benchmarks.stats.pairs import LOOKS

# Seconds on two slow cores of a virtual machine; what a run takes corrects them as it goes on.
CHECK_S = 0.05
"""A test of the correctness suite."""
START_S = 1.5
"""What the first test of a backend takes beside: its worker starts."""
CALL_COST_S = 1.5
"""What calls of a backend cost: a start in a new process, and the rounds of two calls."""
BANDWIDTH_S = 3.0
"""What the first group takes beside."""


def steps(items: Sequence[pytest.Item], rounds_s: float, processes: int) -> dict[str, Step]:
    """Return the step that each test is of, by its id, where a case's rounds may take `rounds_s` a process."""
    measured = {
        name: Step(
            name,
            "timing",
            ("timing", size_class(cases[0]), cases[0].policies),
            _usual_s(cost_of(cases, processes), rounds_s * len(cases) * processes),
            BANDWIDTH_S if i == 0 else 0.0,
        )
        for i, (name, cases) in enumerate(by_group(timed_cases(items)).items())
    }
    found, started = {}, set[object]()
    for item in items:
        if timed := case_of(item):
            found[item.nodeid] = measured[timed.group]
        elif is_timed(item):
            found[item.nodeid] = Step(item.nodeid, "call cost", "call cost", CALL_COST_S)
        else:
            backend = params_of(item).get("backend")
            once_s = 0.0 if backend in started else START_S
            started.add(backend)
            kind = (getattr(item, "originalname", item.name), backend)
            found[item.nodeid] = Step(item.nodeid, "checks", kind, CHECK_S, once_s)
    return found


def size_class(case: Case) -> int:
    """Return what sizes have in common that differ less than about fourfold."""
    return round(math.log(max(case.n_elements, 1), 4))


def extent(items: Sequence[pytest.Item]) -> str:
    """Say how much there is to do: `6 functions x 4 sizes x 2 modes x 5 backends, 150 checks`."""
    cases = list(timed_cases(items))
    n_checks = sum(not is_timed(item) for item in items)
    said = [_cases(cases)] if cases else []
    said += [quantities.plural(n_checks, "check")] if n_checks else []
    return ", ".join(said) or quantities.plural(len(items), "test")


def roughly(seconds: float) -> str:
    """Return how long people will have to wait, no more precisely than it is known: `about 2 min`."""
    if seconds < 55:
        return f"about {max(10, 10 * round(seconds / 10))} s"
    return f"about {quantities.duration(60 * round(seconds / 60))}"


def _usual_s(cost: Cost, rounds_s: float) -> float:
    """Return what a group takes whose rounds may take `rounds_s`, and the fewest turns if those take longer."""
    return cost.beside_s + max(LOOKS[0] * cost.turn_s, min(cost.enough_s - cost.beside_s, rounds_s))


def _cases(cases: Sequence[Case]) -> str:
    """Return how many cases there are: as a product, if they are one."""
    factors = [
        (_distinct(case.op for case in cases), "function"),
        (max(_distinct(case.shape for case in cases if case.op == op) for op in _names(cases)), "size"),
        (_distinct(case.mode for case in cases), "mode"),
        (_distinct(case.dtype for case in cases), "type"),
        _policies(cases),
        (_distinct((case.backend, case.device) for case in cases), "backend"),
    ]
    if math.prod(n for n, _ in factors) != len(cases):
        groups = quantities.plural(_distinct(case.group for case in cases), "group")
        return f"{quantities.plural(len(cases), 'case')} in {groups}"
    return " x ".join(_factors(factors))


_SETS, _TEAMS = "sets of policies", "numbers of threads"


def _policies(cases: Sequence[Case]) -> tuple[int, str]:
    """Return how many sets of policies there are, or numbers of threads where they differ in nothing else."""
    others = {tuple(getattr(case, name) for name in POLICIES if name != "team") for case in cases}
    return _distinct(case.policies for case in cases), _TEAMS if len(others) == 1 else _SETS


def _factors(factors: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Yield them in words; one type, or one set of policies, is not worth a word."""
    for n, noun in factors:
        if noun in (_SETS, _TEAMS):
            if n > 1:
                yield f"{n} {noun}"
        elif n > 1 or noun != "type":
            yield quantities.plural(n, noun)


def _names(cases: Sequence[Case]) -> set[str]:
    return {case.op for case in cases}


def _distinct(values: Iterable[Hashable]) -> int:
    return len(set(values))
