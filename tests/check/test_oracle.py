"""The oracle is right: against closed forms, against differences of its own, and independent of every backend."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from backends.catalogue import OPS
from benchmarks.check import namespaces, oracle, samples, search
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


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("op", "arrays", "parameters", "value", "gradient"),
    [
        ("quantile", ([-INF, INF], [0, 0]), {"q": 0.0}, [0, INF], [0, 1]),
        ("quantile", ([-INF, INF], [0, 0]), {"q": 1.0}, [INF, 0], [-1, 0]),
        ("quantile", ([INF, NAN], [INF, 0]), {"q": 0.5}, [NAN, NAN], [NAN, NAN]),
        ("categorical_hinge", ([[-INF, 1, 2]], [[0, 1, 0]]), {}, [2], [[0, -1, 1]]),
        ("categorical_hinge", ([[1, INF, 2]], [[0, 1, 0]]), {}, [0], [[0, 0, 0]]),
        ("categorical_hinge", ([[1, -INF, 2]], [[0, 1, 0]]), {}, [INF], [[0, -1, 1]]),
        ("categorical_hinge", ([[INF, INF, 2]], [[0, 1, 0]]), {}, [NAN], [[NAN, NAN, NAN]]),
        ("binary_cross_entropy_with_logits", ([INF, -INF, INF], [1, 0, 0], None), {}, [0, 0, INF], [0, 0, 1]),
        ("poisson", ([-INF, INF, -INF], [0, 1, 1]), {}, [0, INF, INF], [0, INF, -1]),
        ("kl_divergence", ([[-INF, 0]], [[0, 1]]), {}, [0], [[0, -1]]),
        ("categorical_cross_entropy", ([[0, 1]], [[0, 1]]), {"eps": 0.0}, [0], [[0, -1]]),
        ("softmax_cross_entropy", ([[-INF, 0]], [[0, 1]]), {}, [0], [[0, 0]]),
        ("softmax_cross_entropy", ([[-INF, 0]], [[1, 0]]), {}, [INF], [[-1, 1]]),
        ("softmax_cross_entropy", ([[INF, 0]], [[0, 1]]), {}, [NAN], [[NAN, NAN]]),
        ("binary_focal_cross_entropy", ([0, 1], [1, 0]), {"alpha": 0.0}, [0, INF], [0, INF]),
        ("binary_focal_cross_entropy", ([0, 1], [1, 0]), {"alpha": 1.0}, [INF, 0], [-INF, 0]),
        ("huber", ([INF, -INF], [0, 0]), {"delta": 2.0}, [INF, INF], [2, -2]),
        ("cosine_similarity", ([[1e-200, 0]], [[3e-200, 0]]), {}, [0], [[3e-184, 0]]),
    ],
)
def test_limits_by_hand(op, arrays, parameters, value, gradient):
    inputs_ = [None if a is None else np.array(a, np.float64) for a in arrays]
    parameters = {**parameters, "reduction": "none"}
    got = oracle.forward(op, inputs_, parameters, "float64").high
    np.testing.assert_allclose(got, value, rtol=1e-15, atol=1e-300)
    slope = oracle.backward(op, np.ones(got.shape), inputs_, parameters, "float64").high
    np.testing.assert_allclose(slope, gradient, rtol=1e-15, atol=1e-300)


def test_rows_that_are_ignored_have_no_loss_and_no_gradient_whatever_they_hold():
    for junk in (NAN, INF, -INF):
        rows, labels = np.array([[1.0, 2.0], [junk, 0.0]]), np.array([0, -100])
        for op in ("softmax_cross_entropy_with_integer_labels", "negative_log_likelihood"):
            parameters = {"reduction": "none", "ignore_index": -100}
            assert oracle.forward(op, [rows, labels, None], parameters, "float64").high[1] == 0
            assert oracle.backward(op, np.ones(2), [rows, labels, None], parameters, "float64").high[
                1
            ].tolist() == [0, 0]


def test_an_activation_that_vanishes_is_not_zero_before_infinity():
    for parameters in ({"approximate": "none"}, {"approximate": "tanh"}):
        got = oracle.forward("geglu", [np.array([INF, INF]), np.array([-1e30, -INF])], parameters, "float64").high
        assert got[0] == -INF
        assert np.isnan(got[1])


def _is_moderate(a):
    """Tell which points, or rows, are not themselves nearly infinite, or nearly 0."""
    size = np.abs(np.asarray(a, np.float64)).reshape(len(a), -1)
    return ((size == 0) | ((size > 1e-3) & (size < 1e3))).all(1)


UNBOUNDED = [
    op for op, spec in OPS.items() if spec.inputs[0].domain in ("real", "nonnegative", "log_distribution")
]


@pytest.mark.parametrize("op", UNBOUNDED)
@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_values_at_infinity_are_those_that_far_away_values_approach(op, mode):
    """The second way to know them: along 1e100 and 1e200, with everything else held."""
    spec = OPS[op]
    sample = samples.special_sample(op, "float64")
    first, *others = sample
    moderate = [_is_moderate(a) for a in others if a is not None and len(a) == len(first)]
    one_sided = np.isinf(first).reshape(len(first), -1).sum(1) == 1  # two infinities have no limit together
    chosen = np.all([one_sided, *moderate], axis=0)
    first, *others = (a if a is None or len(a) != len(sample[0]) else a[chosen] for a in sample)
    at, near, far = (
        search.attempt(spec, mode, "float64", (np.where(np.isinf(first), np.sign(first) * size, first), *others))
        for size in (INF, 1e100, 1e200)
    )
    exact, near, far = (trial.expected.high for trial in (at, near, far))
    with np.errstate(invalid="ignore"):  # inf - inf
        settled = (far == near) | (np.abs(far - near) <= 1e-90 * np.maximum(1, np.abs(far)))
    grows = (np.sign(far) == np.sign(near)) & (np.abs(far) > 1.5 * np.abs(near)) & (np.abs(far) > 100)
    known = ~np.isnan(exact)
    np.testing.assert_allclose(exact[known & settled], far[known & settled], rtol=1e-14, atol=1e-90)
    assert (exact[known & grows] == np.sign(far[known & grows]) * INF).all()
    assert (settled | grows | ~known).all()
