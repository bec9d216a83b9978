"""The time budget of a run: shared by the groups to come, never exceeded, and what it did not reach is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.machine.caveat import Caveat
from benchmarks.measure.budget import CLOSING_S, EARLY, EXPERIENCE_S, Budget
from benchmarks.measure.sampling import Rule
from benchmarks.plan.costs import ENOUGH_TURNS, Cost
from benchmarks.plan.selection import Selection
from benchmarks.record.schema import Policies

USUAL = Rule(precision=0.02, confidence=0.95, max_s=0.1)
ALIKE = Cost(0.2, 0.03)
"""What groups of five small cases take: beside their rounds, and for a turn."""


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def groups(n, cost=ALIKE):
    """Return groups that cost alike."""
    return {f"group {i}": cost for i in range(n)}


def measure(budget, clock, slower=1.0):
    """Take groups of five through, each for as long as it may; return the rules that they had.

    What is beside their rounds takes so many times as long as is expected.
    """
    rules = []
    for name, cost in budget.costs.items():
        rule = budget.rule(USUAL, name, 5)
        rules.append(rule)
        if rule:
            rounds_s = 5 * rule.max_s * rule.patience
            took_s = slower * cost.beside_s + rounds_s
            clock.now += took_s
            budget.took(name, took_s, rounds_s)
    return rules


@given(st.floats(20, 3600), st.integers(1, 100), st.floats(0.2, 5), st.booleans())
def test_a_run_ends_within_its_budget_and_a_group(total_s, n_groups, slower, bounded):
    clock = Clock()
    budget = Budget(total_s, groups(n_groups), bounded=bounded, clock=clock)
    measure(budget, clock, slower)
    # The first groups are shared out by what is usual.
    most = EARLY if bounded else 1
    assert clock.now <= total_s - budget.closing_s + slower * ALIKE.beside_s + most * total_s / n_groups


def test_without_any_time_no_group_is_measured_or_where_one_must_be_the_first():
    clock = Clock()
    assert measure(Budget(0, groups(2), clock=clock), clock) == [None, None]
    first, second = measure(Budget(0, groups(2), clock=clock, at_least_one=True), clock)
    assert (first.max_s, second) == (0.0, None)


def test_what_comes_before_the_first_group_has_taken_its_part_of_the_time():
    clock = Clock()
    clock.now = 1027.0
    late, early = (Budget(60, groups(4), clock=clock, begun=begun) for begun in (1000.0, None))
    assert (late.left_s, early.left_s) == (60 - 27 - CLOSING_S, 60 - CLOSING_S)
    expected = (25 - 4 * ALIKE.beside_s) / (52 - 4 * ALIKE.beside_s)
    assert late.rule(USUAL, "group 0", 5).max_s == pytest.approx(early.rule(USUAL, "group 0", 5).max_s * expected)


def test_a_run_whose_time_is_over_before_its_first_group_says_what_would_be_enough():
    clock = Clock()
    budget = Budget(60, groups(48), clock=clock)
    clock.now = 75.0
    assert measure(budget, clock) == [None] * 48
    clock.now = 90.0  # the report
    assert budget.nothing_timed() == (
        "Nothing was timed: what comes before has taken 1 min 15 s, and the time budget is 1 min. "
        "Enough for 48 groups: --time-budget 2min."
    )


def test_groups_share_what_is_left_by_what_a_turn_of_them_takes():
    clock = Clock()
    small, large = Cost(0.4, 0.03), Cost(3.5, 0.13)
    budget = Budget(100, {"a": small, "b": large, "c": small, "d": large}, clock=clock)
    found = {name: budget.rule(USUAL, name, 5).max_s / cost.turn_s for name, cost in budget.costs.items()}
    assert len({round(turns, 9) for turns in found.values()}) == 1
    assert 5 * sum(found[name] * cost.turn_s for name, cost in budget.costs.items()) == pytest.approx(
        100 - CLOSING_S - 2 * 0.4 - 2 * 3.5
    )


def test_where_groups_take_longer_than_expected_beside_their_rounds_those_become_shorter():
    clock = Clock()
    budget = Budget(300, groups(100), clock=clock)
    before_s = budget.rule(USUAL, "group 0", 5).max_s
    for i in range(50):  # five times as long, and no rounds
        clock.now += 1.0
        budget.took(f"group {i}", 1.0, 0.0)
    pace = (50 + EXPERIENCE_S) / (10 + EXPERIENCE_S)
    left_s = 300 - CLOSING_S - 50 - pace * 50 * ALIKE.beside_s
    assert budget.rule(USUAL, "group 50", 5).max_s == pytest.approx(left_s / 50 / 5)
    assert before_s == pytest.approx((300 - CLOSING_S - 20) / 100 / 5)


def test_a_long_budget_is_used_and_a_bounded_one_leaves_what_is_usual():
    clock = Clock()
    measure(Budget(600, groups(40), clock=clock), clock)
    assert clock.now == pytest.approx(600 - CLOSING_S, rel=0.1)
    clock = Clock()
    assert set(measure(Budget(6000, groups(40), bounded=True, clock=clock), clock)) == {USUAL}


def test_a_run_takes_about_as_long_as_it_aims_at():
    clock = Clock()
    budget = Budget(300, groups(48), bounded=True, aim_s=60, clock=clock)
    assert None not in measure(budget, clock)
    assert clock.now == pytest.approx(60 - CLOSING_S, rel=0.15)


def test_a_run_that_cannot_end_in_time_has_enough_turns_of_every_group_until_its_budget_ends():
    clock = Clock()
    slow = measure(Budget(300, groups(48), bounded=True, aim_s=60, clock=clock), clock, slower=10)
    spent_s, least_s = [5 * rule.max_s * rule.patience for rule in slow], EARLY * ENOUGH_TURNS * ALIKE.turn_s
    assert (min(spent_s), spent_s[-1]) == (pytest.approx(least_s), pytest.approx(least_s))
    clock = Clock()
    slower = measure(Budget(100, groups(48), bounded=True, aim_s=60, clock=clock), clock, slower=10)
    assert slower[-1] is None
    assert slower[0].max_s > 0


def test_a_short_budget_takes_patience_first_and_then_time():
    clock = Clock()
    tight, scarce = (Budget(s, groups(40), bounded=True, clock=clock).rule(USUAL, "group 0", 5) for s in (50, 16))
    assert tight.max_s == USUAL.max_s
    assert 1 < tight.patience < USUAL.patience
    assert scarce.max_s < USUAL.max_s
    assert scarce.patience == 1


def test_what_is_not_reached_is_counted_once():
    clock = Clock()
    budget = Budget(120, dict.fromkeys("abcd", ALIKE), clock=clock)
    clock.now = 100.0
    budget.took("a", 100.0, 10.0)
    clock.now = 115.0
    assert [budget.rule(USUAL, name, 5) for name in ("b", "b", "c", "d")] == [None] * 4
    missed = "The time budget of 2 min ended the run before 3 of 4 groups."
    assert budget.shortfall() == Caveat(missed, "budget")


def test_the_plain_quick_preset_has_a_budget_and_whoever_asks_for_more_has_none():
    assert (Selection().budget_s, Selection().aim_s) == (300, 120)
    for asked in ({"ops": ("gelu",)}, {"dtypes": ("float64",)}, {"sizes": (8,)}, {"preset": "standard"}):
        assert (Selection(**asked).budget_s, Selection(**asked).aim_s) == (None, None)
    assert Selection(policies=(Policies(cache="cold"),)).budget_s is None
    assert Selection(backends=("numpy",)).budget_s == 300
