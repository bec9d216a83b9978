"""What must hold for any input, on every backend: sums, symmetries, order, layouts, twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backends
from backends.catalogue import OPS

INSTALLED = [name for name in backends.names() if backends.missing(name) is None]
LOADED = {name: backends.load(name) for name in INSTALLED}
EPS = float(np.finfo(np.float32).eps)

# One compiled shape for jitted backends: values are drawn, not shapes.
VALUES = st.floats(-30, 30, width=32, allow_subnormal=False)
VECTORS = hnp.arrays(np.float32, 16, elements=VALUES)
ROWS = hnp.arrays(np.float32, (3, 5), elements=VALUES)

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=INSTALLED)
def b(request):
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
@given(x=VECTORS)
def test_tanh_is_odd(b, x):
    np.testing.assert_array_equal(compute(b, "tanh", -x), -compute(b, "tanh", x))


@few
@given(x=VECTORS)
def test_sigmoid_of_x_and_of_minus_x_add_up_to_one(b, x):
    np.testing.assert_allclose(compute(b, "sigmoid", x) + compute(b, "sigmoid", -x), 1, rtol=4 * EPS)


@few
@given(x=VECTORS)
@pytest.mark.parametrize("op", ["gelu", "silu", "softplus", "relu"])
def test_rectifiers_of_x_and_of_minus_x_differ_by_x(b, op, x):
    difference = compute(b, op, x) - compute(b, op, -x)
    np.testing.assert_allclose(difference, x, rtol=16 * EPS, atol=16 * EPS)


@few
@given(x=VECTORS)
@pytest.mark.parametrize("op", ["step", "sigmoid", "tanh", "relu", "leaky_relu", "softplus"])
def test_monotone_activations_keep_order_to_within_rounding(b, op, x):
    y = compute(b, op, np.sort(x)).astype(np.float64)
    assert (np.diff(y) >= -8 * EPS * np.abs(y[1:])).all()


@few
@given(x=ROWS, target=ROWS)
@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "binary_cross_entropy_with_logits"])
def test_reductions_agree_with_each_other(b, loss, x, target):
    target = np.abs(target) / 30
    none, total, mean = (compute(b, loss, x, target, reduction=r) for r in ("none", "sum", "mean"))
    scale = np.abs(none).sum(dtype=np.float64) + np.abs(x).sum(dtype=np.float64)
    np.testing.assert_allclose(total, none.sum(dtype=np.float64), rtol=0, atol=8 * EPS * scale)
    np.testing.assert_allclose(mean, none.mean(dtype=np.float64), rtol=0, atol=8 * EPS * scale / none.size)


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


@pytest.mark.parametrize("name", [n for n in INSTALLED if backends.declarations()[n].devices == ("cpu",)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("op", OPS)
def test_native_views_are_taken_as_they_are_and_never_written_to(name, op, layout):
    """Host backends compute on NumPy arrays of any layout, read-only ones too."""
    b, spec = LOADED[name], OPS[op]
    x = LAYOUTS[layout]
    if spec.along_axis and (x.ndim == 0 or x.size == 0):
        pytest.skip("there is no row to normalise")
    others = []
    for declared in spec.inputs[1:]:
        if declared.domain == "labels":
            others.append(np.zeros(x.shape[:-1], np.int64))
        else:
            others.append(np.broadcast_to(np.float32(0.25), x.shape))
    if spec.inputs[0].domain == "distribution":
        x = np.abs(x)
    x = x.view()
    x.flags.writeable = False
    before = x.copy()
    got = getattr(b, op)(x, *others)
    np.testing.assert_array_equal(x, before)
    plain = getattr(b, op)(np.array(x, order="C"), *[np.array(a, order="C") for a in others])
    np.testing.assert_allclose(got, plain, rtol=1e-6)
