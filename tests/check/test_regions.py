"""Where errors lie: by regions of the inputs, at the worst point, and at special values."""

from __future__ import annotations

import numpy as np

from backends.catalogue import OPS
from benchmarks.check import regions, search
from benchmarks.plan import inputs


def sample_of(op, values, mode="forward"):
    return search.attempt(OPS[op], mode, "float32", [np.array(values, np.float32)])


def test_an_error_is_found_in_its_region_and_nowhere_else():
    sample = sample_of("tanh", [-20, -5, -0.5, 0.001, 0.5, 5, 20])
    got = sample.expected.high.astype(np.float32)
    got[5] += 3 * np.spacing(got[5])
    found = {region.label: region for region in regions.regions("tanh", got, sample)}
    assert {label for label, region in found.items() if region.max_ulp > 1} == {"1 to 10"}
    assert list(found) == [
        "below -10",
        "-10 to -1",
        "-1 to -0.01",
        "-0.01 to 0.01",
        "0.01 to 1",
        "1 to 10",
        "from 10",
    ]
    worst = regions.worst("tanh", got, sample)
    assert (worst.given, round(worst.ulp)) == ("x = 5", 3)


def test_subnormal_results_and_what_is_not_finite_are_regions_of_their_own():
    sample = sample_of("sigmoid", [-100, np.nan, np.inf, 0])
    found = {each.label: each.n_points for each in regions.regions("sigmoid", np.zeros(4, np.float32), sample)}
    assert found == {"-0.01 to 0.01": 1, "result subnormal": 1, "not finite": 2}


def test_rows_are_told_apart_by_their_largest_number():
    sample = sample_of("softmax", [[0, 0.5], [3, -4], [30, 0], [np.nan, 0]])
    got = sample.expected.high.astype(np.float32)
    labels = [region.label for region in regions.regions("softmax", got, sample)]
    assert labels == ["below 1", "1 to 20", "from 20", "not finite"]
    got[1, 0] = 0.5
    assert regions.worst("softmax", got, sample).given == "entry 0 of x = [3, -4, ...]"


def test_special_values_are_told_with_what_is_exact():
    sample = search.attempt(OPS["relu"], "forward", "float32", [regions.special_inputs("float32")])
    got = sample.expected.high.astype(np.float32)
    got[1] = np.nan
    found = {point.given: (point.got, point.exact, point.ulp) for point in regions.specials("relu", got, sample)}
    assert found["x = inf"] == ("nan", "inf", np.inf)
    assert found["x = nan"] == ("nan", "nan", 0.0)
    assert found["x = 3.40282e+38"][2] == 0.0
    assert len(found) == 9


def test_a_mean_of_losses_has_one_point_and_the_row_that_it_begins_with():
    op = "mean_squared_error"
    sample = search.attempt(OPS[op], "forward", "float32", inputs.draw(op, (2, 3), "float32"), {})
    worst = regions.worst(op, np.float32(0) * np.ones((), np.float32), sample)
    assert worst.given.startswith("prediction = [")
