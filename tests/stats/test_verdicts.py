"""Verdicts: what an interval and a p-value are called, and how often that is wrong."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import effects, verdicts
from benchmarks.stats.effects import Criteria, estimate, estimate_mean
from benchmarks.stats.verdicts import with_verdicts


def judged(*cases, **criteria):
    """Verdicts on cases given as (ratio, standard error of its logarithm)."""
    found = [estimate(math.log(ratio), error, Criteria(**criteria)) for ratio, error in cases]
    frame = pd.DataFrame(
        {
            "ratio": [math.exp(each.effect) for each in found],
            "low": [math.exp(each.low) for each in found],
            "high": [math.exp(each.high) for each in found],
            "p": [each.p for each in found],
            "verdict": "",
        }
    )
    return with_verdicts(frame, Criteria(**criteria))


@pytest.mark.parametrize(
    ("ratio", "error", "verdict"),
    [
        (1.00, 0.01, "same"),
        (1.03, 0.001, "same"),
        (1.03, 0.02, "ambiguous"),
        (1.05, 0.001, "ambiguous"),
        (1.08, 0.02, "ambiguous"),
        (1.10, 0.01, "slower"),
        (0.90, 0.01, "faster"),
        (0.96, 0.001, "same"),
        (0.94, 0.02, "ambiguous"),
    ],
)
def test_the_interval_against_the_threshold_is_the_verdict(ratio, error, verdict):
    assert judged((ratio, error))["verdict"].tolist() == [verdict]


def test_a_looser_threshold_makes_the_same_change_the_same():
    assert judged((1.10, 0.01), threshold=0.2)["verdict"].tolist() == ["same"]


def test_evidence_that_suffices_for_one_case_does_not_for_one_of_hundreds():
    barely = (1.075, 0.01)
    assert judged(barely)["verdict"].iloc[0] == "slower"
    assert judged(barely, *[(1.0, 0.01)] * 200)["verdict"].iloc[0] == "ambiguous"


def test_among_many_that_are_slower_the_same_evidence_suffices():
    assert (judged(*[(1.075, 0.01)] * 200)["verdict"] == "slower").all()


def test_benjamini_and_hochberg_s_own_example():
    # Their section 3.2: 15 hypotheses, four of which are rejected at 5 %.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    assert sum(q <= 0.05 for q in effects.adjusted(p)) == 4


def test_what_is_not_measured_takes_no_part_in_the_adjustment():
    assert effects.adjusted([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert math.isnan(*effects.adjusted([math.nan]))


@given(st.lists(st.floats(0, 1), max_size=30))
def test_evidence_is_corrected_as_scipy_does(p):
    from scipy.stats import false_discovery_control  # late: it takes a second to import

    expected = false_discovery_control(p, method="bh") if p else []
    assert effects.adjusted(p) == pytest.approx(list(expected))


@given(st.floats(0.2, 5), st.floats(1e-5, 1))
def test_slower_and_faster_are_mirror_images(ratio, error):
    mirror = {"slower": "faster", "faster": "slower"}
    there, back = (judged((r, error))["verdict"].iloc[0] for r in (ratio, 1 / ratio))
    assert mirror.get(there, there) == back


@given(st.floats(0.2, 5), st.floats(1e-5, 1))
def test_no_interval_is_both_beyond_and_within(ratio, error):
    row = judged((ratio, error)).iloc[0]
    assert row["low"] <= row["ratio"] <= row["high"]
    if row["verdict"] == "slower":
        assert row["low"] > 1.05
    if row["verdict"] == "same":
        assert row["low"] >= 1 / 1.0500001
        assert row["high"] <= 1.0500001


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    held = [
        found.low <= 0.03 <= found.high
        for found in (estimate_mean(list(rng.normal(0.03, 0.02, n)), Criteria()) for _ in range(2000))
    ]
    # Three standard deviations of a binomial share.
    assert np.mean(held) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))


def test_p_keeps_its_level_at_the_threshold_and_is_large_within():
    rng = np.random.default_rng(0)
    at = [estimate_mean(list(rng.normal(math.log(1.05), 0.02, 6)), Criteria()).p for _ in range(1000)]
    within = [estimate_mean(list(rng.normal(0, 0.02, 6)), Criteria()).p for _ in range(1000)]
    # One half of those at a threshold lies beyond it, with p-values spread evenly.
    assert np.mean(np.array(at) < 0.05) == pytest.approx(0.025, abs=0.015)
    assert np.mean(np.array(within) < 0.05) < 0.002


def test_one_value_or_none_decides_nothing():
    assert estimate_mean([0.5], Criteria()).p == 1
    assert math.isinf(estimate_mean([0.5], Criteria()).high)
    assert math.isnan(estimate_mean([], Criteria()).effect)


def test_values_that_agree_by_chance_are_not_taken_for_certain():
    found = estimate_mean([0.0488] * 3, Criteria())
    assert found.high > found.effect


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        ("ok", "failed", "now failing"),
        ("ok", "crashed", "now failing"),
        ("ok", "", "missing"),
        ("ok", "unavailable", "now failing"),
        ("", "ok", "new"),
        ("unavailable", "ok", "new"),
        ("failed", "ok", "fixed"),
        ("failed", "timeout", "failing in both"),
        ("unavailable", "unavailable", "unavailable in both"),
        ("unavailable", "failed", "failing in both"),
        ("ok", "invalid", "now failing"),
        ("invalid", "invalid", "wrong"),
        ("", "invalid", "wrong"),
        ("invalid", "ok", "fixed"),
        ("ok", "cheated", "cheated"),
        ("cheated", "cheated", "cheated"),
    ],
)
def test_what_was_not_measured_on_both_sides_has_a_verdict_too(base, head, verdict):
    assert verdicts.without_effect(base, head) == verdict
    assert verdict in verdicts.VERDICTS


@pytest.mark.parametrize("name", ["threshold", "confidence", "false_discovery_rate"])
@pytest.mark.parametrize("value", [0, 1, -0.05, 5, math.nan])
def test_criteria_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: must lie between 0 and 1; got {value}"):
        Criteria(**{name: value})
