"""The time budget of a run: shared by the groups to come, never exceeded, and what it did not reach is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.machine.caveat import Caveat
from benchmarks.measure.budget import CLOSING_S, EARLY, Budget
from benchmarks.measure.sampling import Rule
from benchmarks.plan.selection import Selection
from benchmarks.record.schema import Policies

USUAL = Rule(precision=0.02, confidence=0.95, max_s=0.1)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def measure(budget, clock, n_groups, rounds_share=0.25, overhead_s=0.2):
    """Take groups of five through, each for as long as it may; return the rules that they had."""
    rules = []
    for i in range(n_groups):
        rule = budget.rule(USUAL, f"group {i}", 5)
        rules.append(rule)
        if rule:
            took_s = overhead_s + 5 * rule.max_s * rule.patience / rounds_share
            clock.now += took_s
            budget.took(took_s, 5 * rule.max_s * rule.patience)
    return rules


@given(st.floats(20, 3600), st.integers(1, 100), st.floats(0.05, 0.9), st.booleans())
def test_a_run_ends_within_its_budget_and_a_group(total_s, n_groups, rounds_share, bounded):
    clock = Clock()
    budget = Budget(total_s, n_groups, bounded=bounded, clock=clock)
    measure(budget, clock, n_groups, rounds_share)
    # The first group is shared out by what is usual, which may be six times too much.
    most = 6 * (EARLY if bounded else 1)
    assert clock.now <= total_s - budget.closing_s + most * total_s / n_groups + 0.2


def test_without_any_time_no_group_is_measured_or_where_one_must_be_the_first():
    clock = Clock()
    assert measure(Budget(0, 2, clock=clock), clock, 2) == [None, None]
    first, second = measure(Budget(0, 2, clock=clock, at_least_one=True), clock, 2)
    assert (first.max_s, second) == (0.0, None)


def test_what_comes_before_the_first_group_has_taken_its_part_of_the_time():
    clock = Clock()
    clock.now = 1027.0
    late, early = (Budget(60, 4, clock=clock, begun=begun) for begun in (1000.0, None))
    assert (late.left_s, early.left_s) == (60 - 27 - CLOSING_S, 60 - CLOSING_S)
    assert late.rule(USUAL, "a", 5).max_s == pytest.approx(early.rule(USUAL, "a", 5).max_s * 25 / 52)


def test_a_run_whose_time_is_over_before_its_first_group_says_what_would_be_enough():
    clock = Clock()
    budget = Budget(60, 48, clock=clock)
    clock.now = 75.0
    assert measure(budget, clock, 48) == [None] * 48
    clock.now = 90.0  # the report
    assert budget.nothing_timed() == (
        "Nothing was timed: what comes before has taken 1 min 15 s, and the time budget is 1 min. "
        "Enough for 48 groups: --time-budget 6min."
    )


def test_a_long_budget_is_used_and_a_bounded_one_leaves_what_is_usual():
    clock = Clock()
    measure(Budget(600, 40, clock=clock), clock, 40)
    assert clock.now == pytest.approx(600 - CLOSING_S, rel=0.1)
    clock = Clock()
    assert set(measure(Budget(6000, 40, bounded=True, clock=clock), clock, 40)) == {USUAL}


def test_a_short_budget_takes_patience_first_and_then_time():
    clock = Clock()
    tight, scarce = (Budget(s, 40, bounded=True, clock=clock).rule(USUAL, "a", 5) for s in (80, 16))
    assert tight.max_s == USUAL.max_s
    assert 1 < tight.patience < USUAL.patience
    assert scarce.max_s < USUAL.max_s
    assert scarce.patience == 1


def test_what_is_not_reached_is_counted_once():
    clock = Clock()
    budget = Budget(120, 4, clock=clock)
    clock.now = 100.0
    budget.took(100.0, 10.0)
    clock.now = 115.0
    assert [budget.rule(USUAL, name, 5) for name in ("b", "b", "c", "d")] == [None] * 4
    missed = "The time budget of 2 min ended the run before 3 of 4 groups."
    assert budget.shortfall() == Caveat(missed, "budget")


def test_the_plain_quick_preset_has_a_budget_and_whoever_asks_for_more_has_none():
    assert Selection().budget_s == 300
    for asked in ({"ops": ("gelu",)}, {"dtypes": ("float64",)}, {"sizes": (8,)}, {"preset": "standard"}):
        assert Selection(**asked).budget_s is None
    assert Selection(policies=(Policies(cache="cold"),)).budget_s is None
    assert Selection(backends=("numpy",)).budget_s == 300
