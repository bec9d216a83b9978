"""What must hold for any input, on every backend: sums, symmetries, order, layouts, twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backends
from backends.catalogue import OPS
from benchmarks.plan import inputs
from tests.backends.loops import SOME

INSTALLED = [name for name in backends.names() if backends.missing(name) is None]
LOADED = {name: backends.load(name) for name in INSTALLED}
EPS = float(np.finfo(np.float32).eps)

# One compiled shape for jitted backends: values are drawn, not shapes.
VALUES = st.floats(-30, 30, width=32, allow_subnormal=False)
VECTORS = hnp.arrays(np.float32, 16, elements=VALUES)
ROWS = hnp.arrays(np.float32, (3, 5), elements=VALUES)

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=INSTALLED)
def b(request):
    return LOADED[request.param]


HOST = [name for name in ("numpy", "numba") if name in INSTALLED]
"""Backends of NumPy arrays; small ones take the same kernels in numba-parallel as in numba."""


@pytest.fixture(params=HOST)
def host(request):
    return LOADED[request.param]


def compute(b, op, *arrays, **parameters):
    return b.to_numpy(getattr(b, op)(*map(b.asarray, arrays), **parameters))


@few
@given(x=ROWS)
def test_softmax_is_a_distribution(b, x):
    y = compute(b, "softmax", x)
    assert ((y >= 0) & (y <= 1)).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=8 * EPS)


@few
@given(x=ROWS, shift=st.sampled_from([-64.0, 8.0, 128.0]))
def test_softmax_does_not_change_when_all_logits_shift(b, x, shift):
    x = np.round(x * 4) / 4  # so that the shift itself is exact
    np.testing.assert_allclose(
        compute(b, "softmax", x + np.float32(shift)), compute(b, "softmax", x), rtol=4 * EPS, atol=1e-37
    )


@few
@given(x=ROWS)
def test_log_softmax_is_the_logarithm_of_softmax(b, x):
    y = compute(b, "softmax", x.astype(np.float64))
    np.testing.assert_allclose(compute(b, "log_softmax", x), np.log(y), rtol=0, atol=128 * EPS)


@few
@given(x=ROWS)
def test_softmin_is_the_softmax_of_minus_x(b, x):
    np.testing.assert_allclose(compute(b, "softmin", x), compute(b, "softmax", -x), rtol=4 * EPS, atol=1e-37)


@few
@given(x=ROWS, shift=st.sampled_from([-64.0, 8.0]))
def test_sparsemax_is_a_distribution_that_does_not_change_when_all_logits_shift(b, x, shift):
    x = np.round(x * 4) / 4
    y = compute(b, "sparsemax", x)
    assert ((y >= 0) & (y <= 1)).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=8 * EPS)
    np.testing.assert_allclose(compute(b, "sparsemax", x + np.float32(shift)), y, atol=16 * EPS)


@few
@given(x=VECTORS)
@pytest.mark.parametrize("op", ["tanh", "hard_tanh", "softsign", "tanh_shrink", "soft_shrink", "hard_shrink"])
def test_odd_activations_are_odd(b, op, x):
    np.testing.assert_allclose(compute(b, op, -x), -compute(b, op, x), rtol=4 * EPS)


@few
@given(x=VECTORS)
@pytest.mark.parametrize("op", ["sigmoid", "tanh", "softsign", "hard_sigmoid", "tanh_shrink", "sparse_sigmoid"])
def test_derivatives_of_activations_with_a_point_symmetry_are_even(b, op, x):
    slope, mirrored = (b.to_numpy(b.derivative(op)(b.asarray(v))) for v in (x, -x))
    np.testing.assert_allclose(mirrored, slope, rtol=8 * EPS, atol=8 * EPS)


@few
@given(x=VECTORS)
@pytest.mark.parametrize("op", ["sigmoid", "hard_sigmoid", "sparse_sigmoid"])
def test_sigmoids_of_x_and_of_minus_x_add_up_to_one(b, op, x):
    np.testing.assert_allclose(compute(b, op, x) + compute(b, op, -x), 1, rtol=4 * EPS)


@few
@given(x=VECTORS)
@pytest.mark.parametrize("op", ["gelu", "silu", "softplus", "relu", "squareplus", "sparse_plus", "hard_silu"])
def test_rectifiers_of_x_and_of_minus_x_differ_by_x(b, op, x):
    difference = compute(b, op, x) - compute(b, op, -x)
    np.testing.assert_allclose(difference, x, rtol=16 * EPS, atol=16 * EPS)


@few
@given(x=VECTORS)
def test_log_sigmoid_is_minus_the_softplus_of_minus_x(b, x):
    np.testing.assert_allclose(compute(b, "log_sigmoid", x), -compute(b, "softplus", -x), rtol=8 * EPS, atol=1e-37)


MONOTONE = [
    *("step", "relu", "relu6", "leaky_relu", "hard_sigmoid", "hard_tanh", "soft_shrink", "sparse_plus"),
    *("sparse_sigmoid", "linear", "sigmoid", "tanh", "elu", "celu", "selu", "softplus", "softsign", "log_sigmoid"),
    *("squareplus", "exponential"),
]


@few
@given(x=VECTORS)
@pytest.mark.parametrize("op", MONOTONE)
def test_monotone_activations_keep_order_to_within_rounding(b, op, x):
    y = compute(b, op, np.sort(x)).astype(np.float64)
    slack = 8 * EPS * np.maximum(np.abs(y[1:]), np.abs(np.sort(x))[1:] if op == "squareplus" else 0)
    assert (np.diff(y) >= -slack).all()


PAIRED = [
    name
    for name, spec in OPS.items()
    if spec.kind == "loss" and all(d.extent == "same" and d.domain != "distribution" for d in spec.inputs[:2])
]


@few
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("loss", PAIRED)
def test_reductions_agree_with_each_other(b, loss, seed):
    arrays = draw(loss, (3, 6), seed)
    none, total, mean = (
        compute(b, loss, *arrays, reduction=reduction).astype(np.float64) for reduction in ("none", "sum", "mean")
    )
    scale = np.abs(none).sum() + 100
    np.testing.assert_allclose(total, none.sum(), rtol=0, atol=8 * EPS * scale)
    np.testing.assert_allclose(mean, none.mean(), rtol=0, atol=8 * EPS * scale / none.size)


def draw(op, shape, seed, dtype=np.float32):
    """Ordinary inputs from the domains of an op, optional ones left out."""
    generator = np.random.default_rng(seed)
    return [
        np.asarray(inputs._draw_input(declared, shape, "float32", generator)).astype(
            dtype if declared.domain != "labels" else np.int64
        )
        for declared in OPS[op].inputs
        if not declared.optional
    ]


@few
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("op", OPS)
def test_host_backends_round_float32_once_in_narrow_types(host, op, dtype, seed):
    arrays = draw(op, (4, 6), seed)
    narrow = [a if a.dtype.kind == "i" else a.astype(dtype) for a in arrays]
    widened = [a if a.dtype.kind == "i" else a.astype(np.float32) for a in narrow]
    expected = getattr(host, op)(*widened).astype(dtype)
    got = getattr(host, op)(*narrow)
    assert got.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(got.astype(np.float32), expected.astype(np.float32))


@few
@given(x=ROWS, labels=hnp.arrays(np.int64, 3, elements=st.integers(0, 4)))
def test_integer_labels_agree_with_their_one_hot_twins(b, x, labels):
    one_hot = np.eye(5, dtype=np.float32)[labels]
    for reduction in ("none", "mean", "sum"):
        np.testing.assert_allclose(
            compute(b, "softmax_cross_entropy_with_integer_labels", x, labels, reduction=reduction),
            compute(b, "softmax_cross_entropy", x, one_hot, reduction=reduction),
            rtol=16 * EPS,
            atol=128 * EPS,
        )


@few
@given(x=ROWS, labels=hnp.arrays(np.int64, 3, elements=st.integers(0, 4)), smoothing=st.sampled_from([0.1, 0.5]))
def test_smoothed_integer_labels_agree_with_their_one_hot_twins(b, x, labels, smoothing):
    one_hot = np.eye(5, dtype=np.float32)[labels]
    np.testing.assert_allclose(
        compute(b, "softmax_cross_entropy_with_integer_labels", x, labels, label_smoothing=smoothing),
        compute(b, "softmax_cross_entropy", x, one_hot, label_smoothing=smoothing),
        rtol=16 * EPS,
        atol=128 * EPS,
    )


@few
@given(x=ROWS, labels=hnp.arrays(np.int64, 3, elements=st.integers(0, 4)))
def test_cross_entropy_is_the_likelihood_of_log_softmax(b, x, labels):
    weight = np.array([1, 2, 0.5, 0.25, 4], np.float32)
    native = [b.asarray(a) for a in (x, labels, weight)]
    log_probabilities = b.log_softmax(native[0])
    for reduction in ("none", "mean", "sum"):
        np.testing.assert_allclose(
            b.to_numpy(b.cross_entropy(*native, reduction=reduction)),
            b.to_numpy(b.nll_loss(log_probabilities, *native[1:], reduction=reduction)),
            rtol=16 * EPS,
            atol=256 * EPS,
        )


def test_ignored_rows_take_no_part(b):
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    labels = np.array([0, -100, 2, -100])
    weight = np.array([1, 2, 3], np.float32)
    some = [b.asarray(a) for a in (x, labels, weight)]
    rest = [b.asarray(a) for a in (x[::2], labels[::2], weight)]
    for op in ("softmax_cross_entropy_with_integer_labels", "negative_log_likelihood"):
        for reduction in ("mean", "sum"):
            got = getattr(b, op)(*some, ignore_index=-100, reduction=reduction)
            np.testing.assert_allclose(
                b.to_numpy(got), b.to_numpy(getattr(b, op)(*rest, reduction=reduction)), rtol=4 * EPS
            )
        losses = b.to_numpy(getattr(b, op)(*some, ignore_index=-100, reduction="none"))
        assert (losses[1::2] == 0).all()
        g = b.asarray(np.ones((), np.float32))
        gradient = b.to_numpy(b.vjp(op)(g, *some, ignore_index=-100))
        assert (gradient[1::2] == 0).all()
        assert (gradient[::2] != 0).any()


def test_a_mean_over_ignored_rows_alone_is_nan(b):
    x, labels = b.asarray(np.ones((2, 3), np.float32)), b.asarray(np.array([7, 7]))
    assert np.isnan(b.to_numpy(b.cross_entropy(x, labels, ignore_index=7)))


@few
@given(x=ROWS, seed=st.integers(0, 2**32 - 1))
def test_a_positive_weight_of_one_changes_nothing_and_others_scale_the_positives(b, x, seed):
    target = np.random.default_rng(seed).integers(0, 2, x.shape).astype(np.float32)
    plain = compute(b, "bce_with_logits", x, target, reduction="none")
    ones = compute(b, "bce_with_logits", x, target, np.ones(5, np.float32), reduction="none")
    doubled = compute(b, "bce_with_logits", x, target, np.full(1, 2, np.float32), reduction="none")
    np.testing.assert_allclose(ones, plain, rtol=8 * EPS, atol=32 * EPS)
    np.testing.assert_allclose(doubled, plain * (1 + target), rtol=8 * EPS, atol=64 * EPS)


@few
@given(x=ROWS)
def test_huber_and_smooth_l1_are_one_up_to_their_scale(b, x):
    target = np.zeros_like(x)
    np.testing.assert_allclose(
        compute(b, "huber", x, target, delta=2.0), 2 * compute(b, "smooth_l1", x, target, beta=2.0), rtol=8 * EPS
    )


@few
@given(seed=st.integers(0, 2**32 - 1))
def test_dice_is_the_tversky_loss_of_equal_halves(b, seed):
    arrays = draw("dice", (3, 6), seed)
    np.testing.assert_allclose(
        compute(b, "dice", *arrays, eps=2e-6), compute(b, "tversky", *arrays, eps=1e-6), rtol=32 * EPS
    )


@few
@given(x=ROWS, labels=hnp.arrays(np.int64, 3, elements=st.integers(0, 4)))
def test_gradient_of_a_cross_entropy_sums_to_zero_over_the_classes(b, x, labels):
    g = b.asarray(np.ones(3, np.float32))
    gradient = b.vjp("softmax_cross_entropy_with_integer_labels")(
        g, b.asarray(x), b.asarray(labels), reduction="none"
    )
    np.testing.assert_allclose(b.to_numpy(gradient).sum(axis=-1), 0, atol=8 * EPS)


BASE = np.linspace(-4, 4, 24, dtype=np.float32)
LAYOUTS = {
    "0-d": np.array(BASE[5]),
    "1-d": BASE,
    "2-d": BASE.reshape(4, 6),
    "4-d": BASE.reshape(2, 2, 3, 2),
    "empty": BASE[:0],
    "reversed": BASE[::-1],
    "every third": BASE[::3],
    "Fortran order": np.asfortranarray(BASE.reshape(4, 6)),
    "transposed": BASE.reshape(4, 6).T,
    "broadcast": np.broadcast_to(BASE[:6], (4, 6)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("op", ["sigmoid", "relu", "gelu"])
def test_layouts_give_what_a_plain_copy_gives(b, op, layout):
    x = LAYOUTS[layout]
    plain = np.array(x, order="C")
    got = compute(b, op, x)
    assert got.shape == x.shape
    np.testing.assert_allclose(got, compute(b, op, plain), rtol=4 * EPS)


@pytest.mark.parametrize(
    ("name", "op"), [(name, op) for name in HOST for op in (OPS if name == "numpy" else SOME)]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_native_views_are_taken_as_they_are_and_never_written_to(name, op, layout):
    """Host backends compute on NumPy arrays of any layout, read-only ones too."""
    b, spec = LOADED[name], OPS[op]
    x = LAYOUTS[layout]
    if spec.along_axis and (x.ndim == 0 or x.size == 0):
        pytest.skip("there is no row to normalise")
    if spec.shape is not None and x.shape[-1] % 2:
        pytest.skip("there are no two halves")
    others = []
    for declared in spec.inputs[1:]:
        if declared.domain == "labels":
            others.append(np.zeros(x.shape[:-1], np.int64))
        elif not declared.optional:
            value = np.float32(1 if declared.domain == "sign" else 0.25)
            others.append(np.broadcast_to(value, x.shape if declared.extent == "same" else ()))
    if spec.inputs[0].domain not in ("real", "log_distribution"):
        x = np.asarray(np.abs(x) / 4)
    x = x.view()
    x.flags.writeable = False
    before = x.copy()
    got = getattr(b, op)(x, *others)
    np.testing.assert_array_equal(x, before)
    plain = getattr(b, op)(np.array(x, order="C"), *[np.array(a, order="C") for a in others])
    np.testing.assert_allclose(got, plain, rtol=1e-6)
