"""Verdicts on pairs: what an interval says, and how often the interval of dependent values holds the truth."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import pairs
from benchmarks.stats.pairs import LOOKS, Comparison


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.06, 1.2, "faster"),
        (1.04, 1.2, "too close to call"),
        (0.96, 1.04, "equal"),
        (1.001, 1.049, "equal"),
        (0.90, 1.04, "too close to call"),
        (0.0, math.inf, "too close to call"),
        (math.nan, math.nan, "too close to call"),
    ],
)
def test_verdicts(low, high, verdict):
    assert pairs.verdict(low, high) == verdict


@given(st.lists(st.floats(1e-9, 10), min_size=LOOKS[0], max_size=300))
def test_the_interval_holds_the_median_of_what_was_seen(values):
    low, high = pairs.median_interval(values, 0.95)
    assert low <= statistics.median(values) <= high


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_few_values_say_nothing(n):
    assert pairs.median_interval([1.0] * n, 0.95) == (-math.inf, math.inf)


def test_the_first_look_can_decide():
    found = pairs.compare([2.0 + (5 * i % 12) / 100 for i in range(LOOKS[0])], [1.0] * LOOKS[0])
    assert pairs.verdict(found.low, found.high) == "faster"


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.993), (0.3, 0.985), (0.6, 0.97), (0.8, 0.93)])
@pytest.mark.parametrize("n", LOOKS[1:6:2])
def test_the_interval_holds_the_truth_though_neighbours_resemble_each_other(correlation, least, n):
    rng, hits, n_trials = random.Random(n), 0, 600
    for _ in range(n_trials):
        value, values = rng.gauss(0, 1), []
        for _ in range(n):
            value = correlation * value + math.sqrt(1 - correlation**2) * rng.gauss(0, 1)
            values.append(value)
        low, high = pairs.median_interval(values, 1 - 0.05 / len(LOOKS))
        hits += low <= 0 <= high
    # Less three standard errors of what must be: 99.4 % without a resemblance, 95 % with a strong one.
    assert hits / n_trials >= least - 3 * math.sqrt(least * (1 - least) / n_trials)


def test_one_disturbed_turn_does_not_undo_what_eleven_say():
    assert pairs.compare([*[2.0] * 19, 50.0], [1.0] * 20).high < 2.1


def test_who_left_is_compared_over_the_turns_that_both_took():
    assert pairs.compare([2.0] * 12, [1.0] * 60) == Comparison(2.0, 2.0, 2.0, 12)


def test_nothing_in_common_is_no_comparison():
    found = pairs.compare([], [1.0])
    assert found.turns == 0
    assert pairs.verdict(found.low, found.high) == "too close to call"


def test_calls_of_microseconds_lead_by_more_than_two_processes_differ():
    slow, fast = [4.4e-6 + i * 1e-9 for i in range(20)], [4e-6] * 20
    assert pairs.compare(slow, fast).verdict == "too close to call"
    assert pairs.compare([1e3 * s for s in slow], [1e3 * s for s in fast]).verdict == "faster"
    assert pairs.compare([s + 3e-7 for s in slow], fast).verdict == "faster"
    assert pairs.inverse(pairs.compare(slow, fast)).placement == pytest.approx(0.075)


def test_the_other_way_round():
    assert pairs.inverse(Comparison(2.0, 1.6, 4.0, 20)) == Comparison(0.5, 0.25, 0.625, 20)


def test_a_ratio_is_known_within_ten_per_cent():
    assert Comparison(2.0, 1.9, 2.1, 20).known
    assert not Comparison(2.0, 1.7, 2.1, 20).known
