"""The oracle is right: against closed forms, against differences of its own, and independent of every backend."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from backends.catalogue import OPS
from benchmarks.check import namespaces, oracle
from benchmarks.plan import inputs

ELEMENTWISE = [name for name, spec in OPS.items() if spec.derivative is not None]


@pytest.mark.parametrize(
    ("op", "x", "exact"),
    [
        ("sigmoid", 0.0, 0.5),
        ("sigmoid", 1.0, 0.7310585786300048792512),
        ("sigmoid", -800.0, 0.0),
        ("tanh", 1.0, 0.7615941559557648881195),
        ("softplus", 0.0, 0.6931471805599453094172),
        ("softplus", -100.0, 3.720075976020835962960e-44),
        ("gelu", 1.0, 0.8413447460685429485852),  # the normal distribution function at 1
        ("gelu", -10.0, -7.619853024160526065973e-23),
        ("silu", 1.0, 0.7310585786300048792512),
        ("relu", -1.0, 0.0),
        ("step", 0.0, 0.0),
        ("leaky_relu", -2.0, -0.02),
    ],
)
def test_known_values(op, x, exact):
    got = oracle.forward(op, [np.array([x])], {}, "float64")
    assert got.high[0] == pytest.approx(exact, rel=4e-16, abs=5e-324)


def test_low_part_completes_the_high_part():
    got = oracle.forward("sigmoid", [np.array([1.0])], {}, "float64")
    with mpmath.workdps(60):
        exact = 1 / (1 + mpmath.exp(-1))
        assert abs(mpmath.mpf(float(got.high[0])) + mpmath.mpf(float(got.low[0])) - exact) < mpmath.mpf(10) ** -32


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_derivative_agrees_with_a_high_precision_difference(op):
    spec = OPS[op]
    with mpmath.workdps(60):
        m = namespaces.HighPrecision(60)
        for x in (-7.5, -1.3, -0.2, 0.4, 2.2, 9.1):
            h = mpmath.mpf(10) ** -20
            rise = [
                spec.definition(m, m.asarray(np.array([0.0])) + (mpmath.mpf(x) + s), **spec.defaults)[0]
                for s in (h, -h)
            ]
            slope = spec.derivative(m, m.asarray(np.array([x])), **spec.defaults)[0]
            assert abs((rise[0] - rise[1]) / (2 * h) - slope) < mpmath.mpf(10) ** -30, x


@pytest.mark.parametrize("op", [name for name in OPS if name not in ELEMENTWISE])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradient_agrees_with_a_difference(op, reduction):
    spec = OPS[op]
    parameters = {"reduction": reduction} if spec.kind == "loss" else {}
    arrays = inputs.draw(op, (3, 4), "float64")
    if spec.inputs[0].domain == "unit":
        arrays = (0.25 + arrays[0] / 2, *arrays[1:])  # away from the poles at 0 and 1
    direction = inputs.cotangent((3, 4), "float64")
    h = 1e-4

    def value(step):
        return oracle.forward(op, [arrays[0] + step * direction, *arrays[1:]], parameters, "float64").high

    g = inputs.cotangent(value(0).shape, "float64")
    slope = np.sum(g * (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h)))) / (12 * h)
    gradient = oracle.backward(op, g, arrays, parameters, "float64").high
    np.testing.assert_allclose(slope, np.sum(gradient * direction), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("op", [name for name, spec in OPS.items() if spec.kind != "elementwise"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wide_evaluation_agrees_with_high_precision(op, dtype):
    arrays = inputs.draw(op, (5, 8), dtype)
    high = oracle.forward(op, arrays, {}, dtype)
    wide = oracle.forward(op, arrays, {}, dtype, wide=True)
    np.testing.assert_allclose(wide.high, high.high, rtol=1e-12, atol=1e-14 if dtype == "float32" else 1e-17)


def test_course_notes_golden_values():
    target, prediction = np.eye(10)[2], np.array([0.1, 0.05, 0.6, 0, 0.05, 0.1, 0, 0.1, 0, 0])
    squared = oracle.forward("mean_squared_error", [prediction, target], {"reduction": "sum"}, "float64")
    entropy = oracle.forward("categorical_cross_entropy", [prediction, target], {}, "float64")
    assert float(squared.high) == pytest.approx(0.195, abs=1e-15)
    assert float(entropy.high) == pytest.approx(-np.log(0.6), abs=1e-6)


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_nan_in_nan_out(op):
    x = np.array([np.nan, 1.0])
    assert np.isnan(oracle.forward(op, [x], {}, "float64").high).tolist() == [True, False]
    gradient = oracle.backward(op, np.ones(2), [x], {}, "float64").high
    assert np.isnan(gradient).tolist() == [not OPS[op].linear, False]


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_limits_at_infinity_are_approached(op):
    far = np.array([-1e300, 1e300])
    limits = oracle.forward(op, [np.array([-np.inf, np.inf])], {}, "float64").high
    near = oracle.forward(op, [far], {}, "float64").high
    for limit, value in zip(limits, near, strict=True):
        assert value == limit or abs(value - limit) < 1e-290 or abs(value) > 1e290


def test_rows_without_a_finite_maximum_have_no_softmax():
    rows = np.array([[1.0, -np.inf], [-np.inf, -np.inf], [np.inf, 1.0]])
    got = oracle.forward("softmax", [rows], {}, "float64").high
    assert got[0].tolist() == [1.0, 0.0]
    assert np.isnan(got[1:]).all()


def test_a_mean_over_a_sample_divides_by_all():
    arrays = inputs.draw("mean_squared_error", (10,), "float64")
    g = np.array(1.0)
    whole = oracle.backward("mean_squared_error", g, arrays, {}, "float64").high
    part = oracle.backward("mean_squared_error", g, [a[:3] for a in arrays], {}, "float64", n_losses=10).high
    np.testing.assert_array_equal(whole[:3], part)
