"""Samples go where errors live: to every special value, beside every other, and to the ends of parameters."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from backends.catalogue import OPS
from benchmarks.check import samples

INF = np.inf


def pairs(op, dtype="float32"):
    x, y = samples.designed_sample(op, dtype)[:2]
    return set(zip(np.nan_to_num(x, nan=7).tolist(), np.nan_to_num(y, nan=7).tolist(), strict=True))


@pytest.mark.parametrize("op", ["swiglu", "mean_squared_error", "huber", "log_cosh", "quantile"])
def test_infinities_and_nan_meet_in_both_inputs(op):
    largest = float(np.finfo(np.float32).max)
    assert set(product((largest, -largest, 7, 0), repeat=2)) <= pairs(op)  # as np.nan_to_num writes them


@pytest.mark.parametrize("op", ["binary_cross_entropy", "binary_focal_cross_entropy"])
def test_probabilities_at_both_ends_meet_every_target(op):
    assert set(product((0, 1), (0, 0.5, 1))) <= pairs(op)


@pytest.mark.parametrize("op", ["softmax_cross_entropy_with_integer_labels", "negative_log_likelihood"])
def test_masked_classes_are_labels_and_are_not(op):
    x, labels, _ = samples.special_sample(op, "float32")
    at_label = np.take_along_axis(x, labels[:, None], -1)[:, 0] == -INF
    masked = (x == -INF).any(-1)
    assert (masked & at_label).any()
    assert (masked & ~at_label).any()


@pytest.mark.parametrize("op", [name for name, spec in OPS.items() if spec.along_axis])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_logits_are_masked_and_undefined(op, dtype):
    x = samples.designed_sample(op, dtype)[0]
    if OPS[op].inputs[0].domain in ("real", "log_distribution"):
        assert (x == -INF).any()
        assert np.isnan(x).any()
    if OPS[op].inputs[0].domain == "real":
        assert (x == INF).any()
        assert (x == -INF).all(-1).any()


def test_parameters_are_tried_at_their_ends_and_beyond_types():
    assert samples.ends("quantile") == [{"q": 0.0}, {"q": 1.0}]
    assert samples.ends("huber") == [{"delta": 2.0**-166}, {"delta": 2.0**17}, {"delta": 2.0**166}]
    assert {"value": -(2.0**166)} in samples.ends("threshold")
    assert samples.ends("softmax") == []


def test_a_special_value_comes_last_at_some_length():
    last = {float(samples.of_length("relu", "float32", n)[0][-1]) for n in samples.LENGTHS}
    assert {INF, -INF, 0.0} <= last
    assert any(np.isnan(samples.of_length("relu", "float32", n)[0][-1]) for n in samples.LENGTHS)
