"""The interval of a ratio of two medians."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats.ratios import ratio_interval

N_PAIRS = 4000
SAMPLING_ERROR = 3 * math.sqrt(0.95 * 0.05 / N_PAIRS)


def coverage(slow: np.ndarray, fast: np.ndarray, true_ratio: float) -> float:
    """Return how often the interval of a ratio holds the true one; columns are median, low and high."""
    intervals = [ratio_interval(*a, *b) for a, b in zip(slow, fast, strict=True)]
    return float(np.mean([low <= true_ratio <= high for low, high in intervals]))


@pytest.mark.parametrize("true_ratio", [1.0, 2.5])
@pytest.mark.parametrize("spreads", [(0.02, 0.02), (0.3, 0.01), (0.2, 0.4)])
def test_intervals_that_cover_95_percent_give_ratios_that_do(
    true_ratio: float, spreads: tuple[float, float]
) -> None:
    """Medians of many rounds: normal on a logarithmic scale, of a known spread."""
    rng = np.random.default_rng(2012)
    slow, fast = (
        median * np.exp(rng.normal(scale=spread, size=(N_PAIRS, 1)) + spread * np.array([0, -1.96, 1.96]))
        for median, spread in zip((true_ratio, 1.0), spreads, strict=True)
    )
    assert coverage(slow, fast, true_ratio) == pytest.approx(0.95, abs=SAMPLING_ERROR)


@pytest.mark.parametrize("n_rounds", [21, 101, 1001])
def test_order_statistics_of_skewed_times_cover_what_they_promise(n_rounds: int) -> None:
    from scipy import stats  # late: it takes a second to import

    rng = np.random.default_rng(2012)
    rank = int(stats.binom(n_rounds, 0.5).ppf(0.025))

    def medians() -> np.ndarray:
        times = np.sort(rng.lognormal(sigma=0.5, size=(N_PAIRS, n_rounds)))
        return times[:, [n_rounds // 2, rank - 1, n_rounds - rank]]

    slow, fast = medians(), medians()
    # Ranks are whole, so each interval covers more than 95 %: 97.3 % for 21 rounds, 95.4 % for 101.
    assert 0.95 - SAMPLING_ERROR < coverage(slow, fast, 1.0) < 0.99
    # Dividing end by end, which is what overlap asks for, covers far more than it promises.
    assert np.mean((slow[:, 1] <= fast[:, 2]) & (fast[:, 1] <= slow[:, 2])) > 0.99


positive = st.floats(1e-9, 1e3)


@given(st.tuples(positive, positive, positive).map(sorted), st.tuples(positive, positive, positive).map(sorted))
def test_the_interval_holds_the_ratio_and_lies_within_that_of_the_ends(a: list[float], b: list[float]) -> None:
    low, high = ratio_interval(a[1], a[0], a[2], b[1], b[0], b[2])
    slack = 1 + 1e-9
    assert low / slack <= a[1] / b[1] <= high * slack
    assert a[0] / b[2] <= low * slack
    assert high <= a[2] / b[0] * slack


@given(st.tuples(positive, positive, positive).map(sorted), st.tuples(positive, positive, positive).map(sorted))
def test_the_other_way_round_it_is_the_reciprocal(a: list[float], b: list[float]) -> None:
    low, high = ratio_interval(a[1], a[0], a[2], b[1], b[0], b[2])
    assert ratio_interval(b[1], b[0], b[2], a[1], a[0], a[2]) == pytest.approx((1 / high, 1 / low))


def test_exact_medians_have_an_exact_ratio() -> None:
    assert ratio_interval(6, 6, 6, 2, 2, 2) == pytest.approx((3, 3))


@pytest.mark.parametrize("unbounded", [-math.inf, 0.0])
def test_unbounded_intervals_leave_the_ratio_unbounded(unbounded: float) -> None:
    assert ratio_interval(2, unbounded, math.inf, 1, 0.9, 1.1) == (0, math.inf)
    assert ratio_interval(2, 1.9, 2.1, 1, unbounded, math.inf) == (0, math.inf)
    low, high = ratio_interval(2, 1.9, math.inf, 1, 0.9, 1.1)
    assert 1.7 < low < 2
    assert high == math.inf


def test_an_unknown_end_leaves_the_ratio_unknown_there() -> None:
    low, high = ratio_interval(2, math.nan, 2.1, 1, 0.9, 1.1)
    assert math.isnan(low)
    assert 2 < high < 2.4
