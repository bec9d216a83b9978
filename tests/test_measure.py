"""Calibration, intervals and the stopping rule, on clocks we make ourselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import measure
from benchmarks.measure import Rule

RULE = Rule(precision=0.02, confidence=0.95, min_rounds=7, max_s=0.5)


@pytest.mark.parametrize("call_s", [3e-8, 1e-6, 1e-4, 5e-3, 2.0])
def test_rounds_are_long_enough_for_the_clock_and_not_much_longer(call_s):
    iterations = measure.calibrate(lambda iterations, n: [iterations * call_s] * n)
    assert iterations * call_s >= measure.ROUND_S
    assert iterations == 1 or iterations * call_s < 3 * measure.ROUND_S


def test_a_slow_first_call_does_not_make_rounds_short():
    calls = iter([0.6, *[1e-6] * 1000])
    iterations = measure.calibrate(lambda iterations, n: [iterations * next(calls) for _ in range(n)])
    assert iterations * 1e-6 >= measure.ROUND_S


def test_an_immeasurably_fast_call_ends_calibration():
    assert measure.calibrate(lambda iterations, n: [0.0] * n) == measure.MAX_ITERATIONS


def test_interval_of_the_median_covers_it_as_often_as_promised():
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        values = generator.lognormal(0, 1, 25)
        low, high = measure.median_interval(values.tolist(), 0.95)
        hits += low <= 1.0 <= high
    # At least 95 %, less four standard errors.
    assert hits / 2000 >= 0.95 - 4 * (0.95 * 0.05 / 2000) ** 0.5


@pytest.mark.parametrize("n", range(1, 6))
def test_too_few_rounds_have_no_interval(n):
    assert measure.median_interval([1.0] * n, 0.95) == (float("-inf"), float("inf"))


@given(st.lists(st.floats(1e-9, 10), min_size=6))
def test_interval_holds_the_median(values):
    low, high = measure.median_interval(values, 0.95)
    assert low <= np.median(values) <= high
    assert {low, high} <= set(values)


def test_a_single_round_has_no_range():
    assert measure.Sampling((0.5,), 1, "time used up", 0.5, 0.5).iqr_s == 0


def test_steady_rounds_stop_at_once():
    sampling = measure.sample(lambda iterations, n: [0.001] * n, 10, RULE)
    assert (sampling.stop_reason, len(sampling.rounds_s)) == ("precision reached", 7)
    assert sampling.median_s == pytest.approx(1e-4)
    assert sampling.low_s == sampling.high_s == pytest.approx(1e-4)


def test_noisy_rounds_stop_when_time_is_up():
    generator = np.random.default_rng(2)
    sampling = measure.sample(lambda iterations, n: generator.lognormal(-7, 1, n).tolist(), 1, RULE)
    assert sampling.stop_reason == "time used up"
    assert sum(sampling.rounds_s) < 2 * RULE.max_s


def test_slow_calls_still_get_the_fewest_rounds():
    sampling = measure.sample(lambda iterations, n: [1.0 + 0.1 * i for i in range(n)], 1, RULE)
    assert len(sampling.rounds_s) >= RULE.min_rounds
