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


AT_ALL_LOOKS = 1 - 0.05 / len(LOOKS)
N_TRIALS = 600


def share_held(draw, truth, n, interval):
    """Return in which share of trials an interval of `n` values holds the truth."""
    rng, hits = random.Random(n), 0
    for _ in range(N_TRIALS):
        low, high = interval(draw(rng, n))
        hits += low <= truth <= high
    return hits / N_TRIALS


def midmean_interval(values):
    return pairs.midmean(values, AT_ALL_LOOKS)[1:]


def resembling(correlation):
    """Return a source of normal values of which neighbours resemble each other."""

    def draw(rng, n):
        value, values = rng.gauss(0, 1), []
        for _ in range(n):
            value = correlation * value + math.sqrt(1 - correlation**2) * rng.gauss(0, 1)
            values.append(value)
        return values

    return draw


def at_least(share):
    """Return what `N_TRIALS` show of such a share: less three standard errors of it."""
    return share - 3 * math.sqrt(share * (1 - share) / N_TRIALS)


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.993), (0.3, 0.975), (0.6, 0.935), (0.8, 0.84)])
@pytest.mark.parametrize("n", LOOKS[:6:2])
def test_the_interval_holds_the_truth_though_neighbours_resemble_each_other(correlation, least, n):
    assert share_held(resembling(correlation), 0, n, midmean_interval) >= at_least(least)


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.993), (0.3, 0.985), (0.6, 0.965), (0.8, 0.88)])
@pytest.mark.parametrize("n", LOOKS[1:6:2])
def test_so_does_that_of_the_median(correlation, least, n):
    found = share_held(resembling(correlation), 0, n, lambda values: pairs.median_interval(values, AT_ALL_LOOKS))
    assert found >= at_least(least)


@pytest.mark.parametrize("n", LOOKS[:6])
def test_the_interval_holds_the_truth_where_half_of_the_turns_lie_apart(n):
    def draw(rng, n):
        return [rng.choice((0.0, 1.0)) + rng.gauss(0, 0.1) for _ in range(n)]

    assert share_held(draw, 0.5, n, midmean_interval) >= at_least(0.97)


@pytest.mark.parametrize("n", LOOKS[1:6])
def test_a_tenth_of_disturbed_turns_widens_it_little(n):
    rng, widths = random.Random(n), ([], [])
    for _ in range(100):
        quiet = [rng.gauss(0, 0.02) for _ in range(n)]
        noisy = [value + (1.0 if rng.random() < 0.1 else 0.0) for value in quiet]
        for values, found in zip((quiet, noisy), widths, strict=True):
            low, high = midmean_interval(values)
            found.append(high - low)
    assert statistics.median(widths[1]) < 1.6 * statistics.median(widths[0])


@given(st.lists(st.floats(-5, 5), min_size=LOOKS[0], max_size=300))
def test_the_midmean_lies_in_its_interval_and_in_the_middle_half(values):
    middle, low, high = pairs.midmean(values, 0.95)
    quarter = len(values) // 4
    inner = sorted(values)[quarter : len(values) - quarter]
    assert low <= middle <= high
    assert inner[0] - 1e-12 <= middle <= inner[-1] + 1e-12


def test_the_midmean_of_few_turns_says_nothing():
    assert pairs.midmean([1.0] * (pairs.LEAST - 1), 0.95) == (1.0, -math.inf, math.inf)


def test_what_more_turns_cannot_decide_is_known():
    slow, fast = [4.4e-6 + i * 1e-9 for i in range(20)], [4e-6] * 20
    assert pairs.compare(slow, fast).undecidable
    assert not pairs.compare([s + 3e-7 for s in slow], fast).undecidable
    assert not pairs.compare([1e3 * s for s in slow], [1e3 * s for s in fast]).undecidable
    assert not pairs.compare(fast, fast).undecidable


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
