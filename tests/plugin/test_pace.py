"""How long a run takes: what is expected before it starts, and what is left, by a clock that is made up."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pytest

from benchmarks.plan import selection
from benchmarks.plan.selection import Selection
from benchmarks.plugin import expected
from benchmarks.plugin.pace import Pace, Step
from benchmarks.record.schema import CASE_KEYS, Policies

QUICK = Selection(preset="quick", backends=("numpy", "numba", "numba-parallel", "jax", "torch"))


def timing(case):
    params = dict(zip(CASE_KEYS, case.key, strict=True))
    return item(f"benchmarks/test_timing.py::test_timing[{case}]", "timing", params)


def item(nodeid, marker, params):
    return SimpleNamespace(
        nodeid=nodeid,
        name=nodeid,
        originalname=nodeid.partition("[")[0],
        callspec=SimpleNamespace(params=params),
        get_closest_marker=lambda name: name == marker,
    )


def checks(n_ops=6):
    for function, op, backend in product(("accuracy", "shapes"), range(n_ops), QUICK.backends):
        yield item(f"test_{function}[{op}-{backend}]", "correctness", {"op": f"op{op}", "backend": backend})


def quick():
    calls = [item(f"test_call_cost[{name}]", "call_cost", {"backend": name}) for name in QUICK.backends]
    return [*checks(), *calls, *map(timing, selection.timing_cases(QUICK))]


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def predictions(items, cost, closing_s=0.0, rounds_s=0.25):
    """Run `items`, whose steps take `cost(step)` seconds; return what was predicted when, and the end."""
    steps, clock = expected.steps(items, rounds_s, 1), Clock()
    pace = Pace(steps, clock=clock, closing_s=closing_s)
    found, measured = [(0.0, pace.left_s())], set()
    for test in items:
        pace.begin(test.nodeid)
        step = steps[test.nodeid]
        seconds = cost(step) if step not in measured else 0.002  # the others of a group replay it
        measured.add(step)
        clock.now += seconds / 2
        found.append((clock.now, pace.left_s()))
        clock.now += seconds / 2
        pace.learn(test.nodeid, seconds, finished=False)
        pace.learn(test.nodeid, 0.0, finished=True)
        found.append((clock.now, pace.left_s()))
    return found, clock.now + closing_s


def worst(found, end_s, since=0.2, until=0.8):
    """Return by how much the predictions were wrong at most, as a share of what was left."""
    return max(abs(left / (end_s - now) - 1) for now, left in found if since * end_s <= now <= until * end_s)


BY_SIZE = {1_024: 0.5, 32_768: 1.0, 1_048_576: 3.0, 8_388_608: 10.0}


def by_size(costs, first_s=0.0):
    """Return what steps cost: groups by their size, and a tenth more or less for each op."""
    seen = []

    def cost(step):
        if step.suite != "timing":
            return 1.0 if step.suite == "call cost" else 0.02
        seen.append(step)
        n = int(step.name.split("-")[3].split("x")[0]) * (1024 if "x" in step.name else 1)
        size = min(costs, key=lambda known: abs(known - n))
        return costs[size] * (0.9 + 0.05 * (hash_of(step.name) % 5)) + (first_s if len(seen) == 1 else 0.0)

    return cost


def hash_of(name):
    return sum(map(ord, name))


@pytest.mark.parametrize(
    "costs",
    [
        BY_SIZE,
        {size: 5 * cost for size, cost in BY_SIZE.items()},
        dict(zip(BY_SIZE, reversed(BY_SIZE.values()), strict=True)),
        dict.fromkeys(BY_SIZE, 2.5),
    ],
    ids=["twentyfold", "slow machine", "the small ones cost most", "all the same"],
)
@pytest.mark.parametrize("first_s", [0.0, 5.0])
def test_after_a_fifth_of_the_run_the_time_left_is_known_to_a_quarter(costs, first_s):
    found, end_s = predictions(quick(), by_size(costs, first_s=first_s))
    assert worst(found, end_s) < 0.25


def test_a_run_that_begins_with_what_is_soon_decided_is_not_thought_to_be_short():
    """Five real runs of the quick preset took 2.4, 2.8, 3.3 and 9 s a group by size, of step a fifth less."""
    sizes = by_size({1_024: 2.4, 32_768: 2.8, 1_048_576: 3.3, 8_388_608: 9.5})

    def cost(step):
        return sizes(step) * (0.75 if step.name.startswith("step") else 1.0)

    found, end_s = predictions(quick(), cost)
    assert worst(found, end_s) < 0.2


def test_checks_alone_are_predicted_too():
    found, end_s = predictions(list(checks(300)), lambda step: step.once_s + 0.1)
    assert worst(found, end_s) < 0.25


def test_before_it_starts_the_quick_preset_takes_two_minutes_and_more_processes_take_longer():
    items = quick()
    assert expected.extent(items) == "6 functions x 4 sizes x 2 modes x 5 backends, 60 checks"
    assert 90 < Pace(expected.steps(items, 0.25, 1)).left_s() < 170
    assert Pace(expected.steps(items, 0.25, 3)).left_s() > 240


def test_within_a_long_step_the_time_left_goes_down_and_stays_at_what_is_behind_it():
    clock = Clock()
    pace = Pace({"a": Step("a", "timing", 1, 10.0), "b": Step("b", "timing", 1, 10.0)}, clock=clock, closing_s=3)
    pace.begin("a")
    clock.now = 4.0
    assert pace.left_s() == 19.0
    assert pace.done == pytest.approx(4 / 23)
    clock.now = 40.0
    assert pace.left_s() == 13.0
    pace.learn("a", 40.0, finished=True)
    assert 40.0 < pace.left_s() <= 43.0  # of two steps, one that took four times as long
    pace.begin("b")
    pace.learn("b", 40.0, finished=True)
    assert pace.left_s() == 3.0


def test_nothing_to_do_takes_no_time():
    assert Pace({}).left_s() == 0
    assert Pace({}, clock=lambda: 1.0).done == 1.0


def test_what_is_no_product_is_counted():
    some = [timing(case) for case in selection.timing_cases(QUICK)][:-1]
    assert expected.extent(some) == "239 cases in 48 groups"
    assert expected.extent([]) == "0 tests"


def test_sets_of_policies_are_counted_as_such():
    several = replace(QUICK, policies=(Policies(), Policies(allocation="reuse")))
    told = "6 functions x 4 sizes x 2 modes x 2 sets of policies x 5 backends"
    assert expected.extent(list(map(timing, selection.timing_cases(several)))) == told
    threads = replace(QUICK, policies=(Policies(team="1thread"), Policies(team="2threads")))
    told = "6 functions x 4 sizes x 2 modes x 2 numbers of threads x 5 backends"
    assert expected.extent(list(map(timing, selection.timing_cases(threads)))) == told


@pytest.mark.parametrize(("left_s", "told"), [(80.4, "about 0:01:20 left"), (0.4, "about to end")])
def test_a_run_whose_time_is_over_is_about_to_end(left_s, told):
    step = expected.Step("a", "timing", "a", left_s)
    assert Pace({"test": step}, clock=Clock()).left() == told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "about 10 s"),
        (44, "about 40 s"),
        (56, "about 1 min"),
        (130, "about 2 min"),
        (7_000, "about 1 h 57 min"),
    ],
)
def test_nobody_is_told_seconds_that_nobody_knows(seconds, text):
    assert expected.roughly(seconds) == text
