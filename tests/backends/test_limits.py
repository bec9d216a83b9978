"""What has a limit gets it on every backend: terms of weight 0, rows without a part, parameters at their ends.

Every expected number is a limit, or follows from the definition by hand.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import backends
from benchmarks.check import accuracy, oracle
from benchmarks.record.schema import Check

INF, NAN = math.inf, math.nan
INSTALLED = [name for name in backends.names() if backends.missing(name) is None]
LOADED = {name: backends.load(name) for name in INSTALLED}
COMPOSED = [name for name in INSTALLED if name != "torch"]
"""Backends that compose what PyTorch has functions for, some of which have known deviations at these points."""
OURS = [name for name in INSTALLED if name in ("numpy", "numba")]
"""Backends whose functions are none of a framework's."""


@pytest.fixture(params=INSTALLED)
def b(request):
    return LOADED[request.param]


def arrays(b, values, dtype):
    return [b.asarray(v, None if isinstance(v, np.ndarray) else dtype) for v in values]


def forward(b, op, *values, dtype="float32", **parameters):
    return b.to_numpy(getattr(b, op)(*arrays(b, values, dtype), **parameters)).tolist()


def backward(b, op, *values, dtype="float32", g=None, **parameters):
    native = arrays(b, values, dtype)
    shape = b.to_numpy(getattr(b, op)(*native, **parameters)).shape
    cotangent = b.asarray(np.ones(shape) if g is None else g, dtype)
    return b.to_numpy(b.vjp(op)(cotangent, *native, **parameters)).tolist()


def labels(*values):
    return np.array(values, np.int64)


EACH = {"reduction": "none"}


# --- zero times infinity --------------------------------------------------------------------------------------


def test_an_infinite_distance_with_a_slope_of_zero_costs_nothing(b):
    assert forward(b, "quantile", [-INF, INF], [0.0, 0.0], q=0.0, **EACH) == [0, INF]
    assert forward(b, "quantile", [-INF, INF], [0.0, 0.0], q=1.0, **EACH) == [INF, 0]
    assert backward(b, "quantile", [-INF, INF], [0.0, 0.0], q=0.0, **EACH) == [0, 1]


def test_a_class_of_probability_zero_that_is_not_the_target_costs_nothing(b):
    rows, target = [[0.0, 1.0]], [[0.0, 1.0]]
    assert forward(b, "categorical_cross_entropy", rows, target, eps=0.0, **EACH) == [0]
    assert backward(b, "categorical_cross_entropy", rows, target, eps=0.0, **EACH) == [[0, -1]]


def test_a_margin_to_a_masked_class_is_that_to_the_others(b):
    rows, target = [[-INF, 1.0, 2.0], [1.0, INF, 2.0]], [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    assert forward(b, "categorical_hinge", rows, target, **EACH) == [2, 0]
    assert backward(b, "categorical_hinge", rows, target, **EACH) == [[0, -1, 1], [0, 0, 0]]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_class_of_weight_zero_costs_nothing_however_wrong_the_prediction(b, alpha):
    targets = [1 - alpha, 1 - alpha, alpha]  # twice the class of weight 0, then that with all the weight
    losses = forward(b, "binary_focal_cross_entropy", [alpha, 0.5, 1 - alpha], targets, alpha=alpha, **EACH)
    assert losses[:2] == [0, 0]
    assert losses[2] >= 100  # infinite, but for PyTorch, which ends at 100


@pytest.mark.parametrize("name", COMPOSED)
def test_a_gate_of_minus_infinity_lets_nothing_through(name):
    for op in ("swiglu", "geglu", "reglu"):
        assert forward(LOADED[name], op, [2.0], [-INF]) == [0], op


@pytest.mark.parametrize("name", COMPOSED)
def test_losses_of_certain_and_correct_predictions_are_zero(name):
    b = LOADED[name]
    assert forward(b, "binary_cross_entropy_with_logits", [INF, -INF], [1.0, 0.0], **EACH) == [0, 0]
    assert forward(b, "poisson", [-INF, INF], [0.0, 1.0], **EACH) == [0, INF]
    log_half = math.log(0.5)
    assert forward(b, "kl_divergence", [[-INF, log_half]], [[0.0, 0.5]], dtype="float64", **EACH) == [0]


@pytest.mark.parametrize("name", OURS)
def test_a_leaky_relu_of_slope_zero_is_zero_far_left(name):
    assert forward(LOADED[name], "leaky_relu", [-INF], negative_slope=0.0) == [0]


# --- rows without a part --------------------------------------------------------------------------------------


def test_what_an_ignored_row_holds_reaches_neither_loss_nor_gradient(b):
    for junk in (NAN, INF, -INF):
        rows, index = [[1.0, 2.0], [junk, 0.0]], labels(0, -100)
        for op in ("softmax_cross_entropy_with_integer_labels", "negative_log_likelihood"):
            for smoothing in ({}, {"label_smoothing": 0.1}) if op.startswith("softmax") else ({},):
                loss = forward(b, op, rows, index, ignore_index=-100, **EACH, **smoothing)
                gradient = backward(b, op, rows, index, ignore_index=-100, **EACH, **smoothing)
                assert loss[1] == 0, (op, junk)
                assert gradient[1] == [0, 0], (op, junk)
                assert math.isfinite(forward(b, op, rows, index, ignore_index=-100, **smoothing)), (op, junk)


# --- what the type cannot hold --------------------------------------------------------------------------------


def test_a_parameter_that_float16_cannot_hold_keeps_its_meaning(b):
    difference = [1.0, 0.0, -2.0], [0.0, 0.0, 0.0]
    assert backward(b, "huber", *difference, dtype="float16", delta=1e5, **EACH) == [1, 0, -2]
    assert forward(b, "huber", *difference, dtype="float16", delta=1e5, **EACH) == [0.5, 0, 2]
    assert forward(b, "dice", [[0.0, 0.0]], [[0.0, 0.0]], dtype="float16", eps=1e-9, **EACH) == [0]


@pytest.mark.parametrize("name", COMPOSED)
def test_a_square_that_float16_cannot_hold_is_divided_first(name):
    loss = forward(LOADED[name], "smooth_l1", [9e3], [0.0], dtype="float16", beta=1e4, **EACH)
    assert loss == pytest.approx([4050], rel=1e-3)


@pytest.mark.skipif("torch" not in LOADED, reason="PyTorch is not installed")
def test_where_pytorch_squares_first_is_declared():
    """Its absence is news: then the declaration goes."""
    prediction, target = np.array([9e3, 400, 300], np.float16), np.zeros(3, np.float16)
    parameters = {"beta": 1e4, **EACH}
    got = np.array(forward(LOADED["torch"], "smooth_l1", prediction, target, dtype="float16", **parameters))
    assert got.tolist() == [INF, INF, 4.5]
    verdict = accuracy.assess(
        got.astype(np.float16),
        oracle.forward("smooth_l1", [prediction, target], parameters, "float16"),
        Check("smooth_l1", "forward", "float16", "torch", "cpu"),
        parameters=parameters,
        first_input=prediction,
        second_input=target,
        complete=False,
    )
    assert (verdict.status, verdict.reason[:20]) == ("known_deviation", "the square overflows")


def test_a_parameter_that_float32_cannot_hold_keeps_its_meaning(b):
    assert forward(b, "threshold", [2.0, -1.0], value=1e50) == [2, INF]
    assert forward(b, "threshold", [2.0, -1.0], threshold=-1e50, value=1e50) == [2, -1]
    assert forward(b, "celu", [2.0, -1.0, 0.0], alpha=1e50) == [2, -1, 0]
    assert forward(b, "elu", [0.0, -1.0], alpha=1e50) == [0, -INF]
    assert forward(b, "leaky_relu", [0.0, -1.0], negative_slope=1e50) == [0, -INF]
    assert forward(b, "dice", [[0.0, 0.0]], [[0.0, 0.0]], eps=1e-50, **EACH) == [0]
    assert backward(b, "huber", [1.0, -2.0], [0.0, 0.0], delta=1e50, **EACH) == [1, -2]


def test_sums_and_counts_beyond_float16_are_averaged(b):
    rows, zeros = np.full((70_000, 2), -3, np.float16), np.zeros((70_000, 2), np.float16)
    index = labels(*[0] * 70_000)
    assert forward(b, "negative_log_likelihood", rows, index) == 3
    assert forward(b, "negative_log_likelihood", rows, index, ignore_index=1) == 3
    entropy = float(np.float16(math.log(2)))
    for ignored in ({}, {"ignore_index": 1}):
        assert forward(b, "softmax_cross_entropy_with_integer_labels", zeros, index, **ignored) == entropy
    assert forward(b, "softmax_cross_entropy", zeros, zeros + np.float16(0.5)) == entropy
    assert forward(b, "kl_divergence", rows, zeros + np.float16(0.5)) == pytest.approx(3 - math.log(2), rel=1e-3)
    assert forward(b, "dice", np.ones((1, 70_000), np.float16), np.ones((1, 70_000), np.float16), eps=1.0) == 0


def test_sparsemax_counts_beyond_what_float16_can(b):
    wide = np.zeros((1, 70_000), np.float16)
    wide[0, 0] = 0.5
    got = forward(b, "sparsemax", wide)[0]
    assert got[0] == 0.5
    assert sum(got) == pytest.approx(1, abs=0.02)


# --- underflow between factors --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSED)
def test_short_vectors_have_the_gradient_of_their_bounded_norm(name):
    p, t = [[1e-200, 2e-200]], [[3e-200, 1e-200]]
    got = backward(LOADED[name], "cosine_similarity", p, t, dtype="float64", **EACH)
    np.testing.assert_allclose(got, [[3e-184, 1e-184]], rtol=1e-15)  # t / eps²


@pytest.mark.parametrize("name", OURS)
def test_a_quotient_that_would_be_subnormal_is_not_taken(name):
    assert forward(LOADED[name], "celu", [-2e-38], alpha=1e5) == [float(np.float32(-2e-38))]
