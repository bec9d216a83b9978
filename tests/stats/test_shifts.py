"""Shifts: where a level changes, what is no change, and how often that is mistaken."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.stats import shifts
from benchmarks.validation import alarms


def test_a_step_is_found_where_it_is():
    assert shifts.shifts([1.0, 1.01, 0.99, 1.0, 1.01, 1.2, 1.21, 1.19, 1.2, 1.21]) == [5]


@pytest.mark.parametrize("n", range(9))
@pytest.mark.parametrize("value", [0.0, 1.0, 3e-9, math.inf])
def test_constants_have_no_shift_however_few_or_extreme(n, value):
    assert shifts.shifts([value] * n) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(min_value=0, allow_nan=False, allow_subnormal=True), max_size=30))
def test_any_values_have_shifts_in_order_with_two_values_on_either_side(values):
    found = shifts.shifts(values)
    ends = [0, *found, len(values)]
    assert all(b - a >= shifts.LEAST for a, b in itertools.pairwise(ends)) or not found


@pytest.mark.parametrize(("values", "threshold"), [([1.0, math.nan, 1.0], 0.05), ([1.0], 0.0)])
def test_nan_and_a_threshold_of_nothing_are_refused(values, threshold):
    with pytest.raises(ValueError, match="shifts"):
        shifts.shifts(values, threshold)


def test_zeros_become_numbers_and_back():
    assert shifts.shifts([0.0] * 6 + [1.5] * 6) == [6]
    assert shifts.shifts([1.5] * 6 + [math.inf] * 6) == [6]
    assert shifts.shifts([0.0, math.inf] * 5) == []


def test_a_single_odd_value_is_no_shift():
    assert shifts.shifts([1.0, 1.01, 0.99, 1.0, 5.0, 1.0, 1.01, 0.99, 1.0, 1.01]) == []
    assert shifts.shifts([1.0, 1.01, 0.99, 1.0, 1.0, 1.01, 0.99, 1.0, 1.01, 5.0]) == []


def test_shifts_below_the_threshold_are_not_reported():
    values = [1.0] * 10 + [1.04] * 10
    assert shifts.shifts(values) == []
    assert shifts.shifts(values, 0.03) == [10]
    assert shifts.shifts([1.0] * 10 + [1.05] * 10) == [10]


def test_a_slow_rise_in_small_steps_is_reported_once_they_add_up():
    assert len(shifts.shifts([1.0] * 10 + [1.04] * 10 + [1.08] * 10)) == 1


def test_values_that_take_few_distinct_levels_have_no_shift_but_their_own():
    assert shifts.shifts([2.0, 2.0, 2.0, 3.0, 2.0, 2.0, 3.0, 2.0, 2.0, 2.0, 3.0, 2.0]) == []
    assert shifts.shifts([2.0] * 6 + [3.0] * 6) == [6]


def test_a_shift_does_not_pass_for_noise():
    rng = np.random.default_rng(3)
    logs = 0.02 * rng.normal(size=40)
    logs[20:] += 1
    assert 0.013 < shifts.noise_width(logs) < 0.027


def test_the_fast_search_finds_what_the_plain_one_does():
    from ruptures import Pelt  # late: it takes two seconds of each process that collects tests

    rng = np.random.default_rng(5)
    for n in (6, 10, 25, 60):
        scaled = rng.normal(size=n) + 6 * (np.arange(n) > n // 3)
        plain = Pelt(model="l2", min_size=shifts.LEAST, jump=1).fit(scaled)
        assert shifts._pelt(scaled) == plain.predict(pen=shifts.penalty(n))[:-1]


@pytest.mark.parametrize("n", alarms.LENGTHS)
def test_independent_noise_gives_false_alarms_in_few_series(n):
    assert alarms.false_alarms(alarms.gaussian, n, noise=0.02, series=300) <= 0.01
    # With noise of 5 %, the threshold of 5 % rules out little.
    assert alarms.false_alarms(alarms.gaussian, n, noise=0.05, series=300) <= 0.05


@pytest.mark.parametrize("n", alarms.LENGTHS)
def test_false_alarms_under_worse_noise_are_those_that_the_documentation_states(n):
    stated = {alarms.heavy_tailed: (0, 1.2, 2.7, 5.8), alarms.autocorrelated: (0.5, 1.3, 2.0, 5.7)}
    for draw, rates in stated.items():
        rate = 100 * alarms.false_alarms(draw, n, noise=0.02, series=300)
        assert rate == pytest.approx(rates[alarms.LENGTHS.index(n)], abs=3)


@pytest.mark.parametrize(("n", "least"), [(10, 0.75), (20, 0.98), (50, 0.98), (100, 0.98)])
def test_a_step_of_ten_percent_amid_noise_of_two_is_found(n, least):
    assert alarms.detections(0.10, n, noise=0.02, series=300) >= least
