"""What the suites of all backends do not look at: buffers, blocks and vector bodies of NumPy and Numba.

Values are judged elsewhere, against mpmath (benchmarks/test_correctness.py).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import backends
from backends.catalogue import OPS
from backends.numpy.blocks import BLOCK, elementwise
from tests.backends.loops import FEW, SOME, assert_same, both, draw

pytest.importorskip("numba")

NAMES = ("numpy", "numba")  # small arrays take the serial kernels: see test_numba_threads.py for the others
ELEMENTWISE = [name for name, spec in OPS.items() if spec.derivative is not None]
ROWS = [name for name, spec in OPS.items() if spec.along_axis]
FLAT = [name for name, spec in OPS.items() if not spec.along_axis]
# reglu multiplies by 0 exactly, so that its product with infinity is undefined.
REAL = [name for name in FLAT if OPS[name].inputs[0].domain == "real" and name != "reglu"]
DTYPES = ("float32", "float64")
SMALL_AND_LARGE = [
    *(("numpy", op, (6, 8)) for op in OPS),
    *(("numba", op, (6, 8)) for op in SOME),
    *(("numpy", op, (300, 400)) for op in SOME),
    *(("numba-parallel", op, (300, 400)) for op in FEW),
]
SPECIAL = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, -1e-40, -100.0, 100.0, -800.0, 1e30, -1e30)


@pytest.fixture(params=NAMES)
def backend(request):
    return backends.load(request.param)


# --- buffers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
def test_reuse_returns_the_same_buffers_with_the_values_of_fresh(backend, op):
    arrays = draw(op, (7, 12))
    reduction = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    run = backend.bind(op, *arrays, mode="forward+backward", allocation="reuse", **reduction)
    first = run()
    for buffer in first:
        buffer.fill(-7)
    second = run()
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert_same(second, both(backend, op, arrays, **reduction))
    for mode, expected in zip(("forward", "backward"), second, strict=True):
        run = backend.bind(op, *arrays, mode=mode, allocation="reuse", **reduction)
        assert run() is run()
        np.testing.assert_array_equal(run(), expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reuse_of_a_reduced_loss_returns_the_same_array(backend, reduction):
    arrays = draw("mean_squared_error", (5, 3))
    run = backend.bind("mean_squared_error", *arrays, allocation="reuse", reduction=reduction)
    first = run()
    assert first.shape == ()
    assert run() is first
    assert first == backend.mean_squared_error(*arrays, reduction=reduction)


@pytest.mark.parametrize(("name", "op", "dimensions"), SMALL_AND_LARGE, ids=str)
def test_inputs_are_read_only_and_stay_as_they_were(name, op, dimensions):
    backend = backends.load(name)
    arrays = draw(op, dimensions)
    copies = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    both(backend, op, arrays)
    assert_same(arrays, copies)


def test_outputs_do_not_share_memory_with_inputs(backend):
    x = np.ones(10, np.float32)
    for y in both(backend, "relu", [x]):
        assert not np.may_share_memory(x, y)


# --- layouts and blocks ---------------------------------------------------------------------------------------


def layouts(array):
    """Return the same values negatively strided, with gaps, and in Fortran order."""
    reversed_ = array[::-1, ::-1].copy()[::-1, ::-1]
    gaps = np.repeat(np.repeat(array, 2, 0), 3, 1)[::2, ::3]
    return reversed_, gaps, np.asfortranarray(array)


@pytest.mark.parametrize(("name", "op", "dimensions"), SMALL_AND_LARGE, ids=str)
def test_layout_does_not_matter(name, op, dimensions):
    backend = backends.load(name)
    arrays = draw(op, dimensions)
    expected = both(backend, op, arrays)
    for index in range(3):
        strided = [layouts(a)[index] if a.ndim == 2 else a for a in arrays]
        for a, b in zip(both(backend, op, strided), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-7)  # sums may be cut elsewhere


@pytest.mark.parametrize("op", FLAT)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extra", [-1, 0, 1, BLOCK // 2])
def test_blocks_change_nothing(op, dtype, extra):
    backend = backends.load("numpy")
    arrays = draw(op, (BLOCK + extra,), dtype)
    reduction = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    whole = both(backend, op, arrays, **reduction)

    def part(start):
        return [a[start : start + 1000] if a.size > 1 else a for a in arrays]

    parts = [both(backend, op, part(i), **reduction) for i in range(0, BLOCK + extra, 1000)]
    for index, expected in enumerate(whole):
        # NumPy rounds exp and log of a vector's last elements otherwise than of its body: 2 ULP.
        pieces = np.concatenate([part[index] for part in parts])
        np.testing.assert_allclose(pieces, expected, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("size", [1, BLOCK + 5])
def test_a_kernel_gets_zeros_for_each_element_of_its_block(size):
    """Beside one number, `np.maximum` takes three times as long."""
    seen = []

    @elementwise(zeros=True)
    def positive(x, zeros, out):
        """max(x, 0)."""
        seen.append(x.shape == zeros.shape and not zeros.any())
        return np.maximum(x, zeros, out=out)

    x = np.linspace(-1, 1, size, dtype=np.float32)
    np.testing.assert_array_equal(positive(x), np.maximum(x, 0))
    assert seen == [True] * (1 if size == 1 else 2)


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_a_block_with_a_tail_agrees_with_one_without(op):
    """NumPy takes textbook formulas for blocks where they do not overflow."""
    backend = backends.load("numpy")
    x = np.linspace(-60, 60, 500, dtype=np.float32)
    with_tails = np.concatenate([x, np.array([-1e4, 1e4], np.float32)])
    for plain, stable in zip(both(backend, op, [x]), both(backend, op, [with_tails]), strict=True):
        np.testing.assert_allclose(stable[:-2], plain, rtol=6e-7, atol=6e-7)


@pytest.mark.parametrize(
    ("op", "dimensions"),
    [(op, (4, 6, 8)) for op in ROWS] + [(op, (50, 60, 70)) for op in SOME if op in ROWS],
    ids=str,
)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axis_agrees_with_moving_it_last(backend, op, axis, dimensions):
    arrays = draw(op, dimensions, axis=axis)
    moved = [a if a.ndim < len(dimensions) else np.ascontiguousarray(np.moveaxis(a, axis, -1)) for a in arrays]
    y, gradient = both(backend, op, arrays, axis=axis)
    expected_y, expected_gradient = both(backend, op, moved)
    gradient = np.moveaxis(gradient, axis, -1)
    y = np.moveaxis(y, axis, -1) if y.ndim else y
    np.testing.assert_allclose(y, expected_y, rtol=2e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=2e-6, atol=1e-7)


# --- special values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", REAL)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [1, 4, 1024, 20_000])
def test_special_values_are_the_same_in_vector_bodies(backend, op, dtype, length):
    """Special values among ordinary ones, without warnings; alone, each is the reference."""
    first, *rest = draw(op, (length,), dtype)
    reduction = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    for value in SPECIAL:
        with np.errstate(over="ignore"):
            value = np.asarray(value, dtype)
        positions = sorted({0, length // 3, length // 2, length - 1})
        x = first.copy()
        x[positions] = value
        results = both(backend, op, [x, *rest], **reduction)
        alone = both(backend, op, [value.reshape(1), *(np.array([a[0]]) for a in rest)], **reduction)
        for mode, result, expected in zip(("forward", "backward"), results, alone, strict=True):
            if np.isnan(value) and not (mode == "backward" and OPS[op].linear):
                assert np.isnan(result[positions]).all()
                assert np.isfinite(np.delete(result, positions)).all()
            else:
                np.testing.assert_allclose(result[0], expected[0], rtol=1e-6, atol=1e-30)
                assert not np.isnan(result).any()


@pytest.mark.parametrize(
    ("op", "parameters"),
    [
        ("binary_cross_entropy", {}),
        ("binary_focal_cross_entropy", {}),
        ("poisson", {"log_input": False}),
        ("categorical_cross_entropy", {"eps": 0.0}),
    ],
)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_probability_of_either_zero_has_an_infinite_slope(backend, op, parameters, zero):
    prediction, target = np.array([[zero, 0.5]]), np.array([[1.0, 1.0]])
    gradient = backend.vjp(op)(np.array(1.0), prediction, target, reduction="sum", **parameters)
    assert gradient[0, 0] == -np.inf
    assert np.isfinite(gradient[0, 1])


def test_the_gradient_of_an_entropy_does_not_cancel(backend):
    """Where prediction and target are neighbours; and where 1/p overflows, but g/p does not."""
    prediction = np.array([0.3, 0.7, 0.999, 1e-40, 1e-40, 0.5], np.float32)
    target = np.array([*np.nextafter(prediction[:3], 1), 1, 0, 0.25], np.float32)
    p, t = prediction.astype(np.float64), target.astype(np.float64)
    for g in (1e-6, 3.0):
        with np.errstate(over="ignore"):
            exact = (g * (p - t) / (p * (1 - p))).astype(np.float32)
        got = backend.vjp("binary_cross_entropy")(np.array(g, np.float32), prediction, target, reduction="sum")
        np.testing.assert_allclose(got, exact, rtol=5e-7)
        each = np.full(len(p), g, np.float32)
        got = backend.vjp("binary_cross_entropy")(each, prediction, target, reduction="none")
        np.testing.assert_allclose(got, exact, rtol=5e-7)


@pytest.mark.parametrize("op", ELEMENTWISE)
@pytest.mark.parametrize(
    "parameters", [{}, {"approximate": "tanh"}, {"negative_slope": 0.0}, {"negative_slope": 3.0}]
)
def test_infinities_give_numbers_or_infinities(backend, op, parameters):
    if not set(parameters) <= set(OPS[op].defaults):
        pytest.skip("not a parameter of this op")
    for result in both(backend, op, [np.array([-np.inf, np.inf])], **parameters):
        assert not np.isnan(result).any()


def test_slope_of_zero_is_relu(backend):
    x = np.array([-np.inf, -1, 0, 2, np.inf], np.float32)
    assert_same(both(backend, "leaky_relu", [x], negative_slope=0.0), both(backend, "relu", [x]))


def test_an_infinite_cotangent_warns_nowhere(backend):
    x = np.array([-1, 1], np.float32)
    for op in ELEMENTWISE:
        backend.vjp(op)(np.full_like(x, np.inf), x)


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
@pytest.mark.parametrize("columns", [3, 1000])
def test_rows_with_infinities_follow_the_convention(backend, op, columns):
    x = np.zeros((4, columns), np.float32)
    x[0, 1] = -np.inf
    x[1, :] = -np.inf
    x[2, 2] = np.inf
    x[3, 0] = np.nan
    y = getattr(backend, op)(x)
    assert y[0, 1] == (0 if op == "softmax" else -np.inf)
    assert np.isfinite(np.delete(y[0], 1)).all()
    assert np.isnan(y[1:]).all()


@pytest.mark.parametrize("nan", [math.nan, -math.nan])
def test_a_nan_among_masked_classes_counts(backend, nan):
    """Its sign decides where it stands among the bits of numbers; 0/0 has one on x86."""
    x = np.full((1, 1024), -np.inf, np.float32)
    x[0, 3], x[0, 600:] = nan, 0.0
    assert np.isnan(backend.log_softmax(x)).all()
    assert np.isnan(backend.softmin(-x)).all()
    assert np.isnan(backend.softmax_cross_entropy_with_integer_labels(x, np.array([700]), weight=None))


def test_a_masked_class_without_target_costs_nothing(backend):
    x = np.array([[0, -np.inf, 0]], np.float32)
    target = np.array([[0.5, 0, 0.5]], np.float32)
    half = [pytest.approx(math.log(2))]
    assert backend.softmax_cross_entropy(x, target, reduction="none").tolist() == half
    assert backend.categorical_cross_entropy(target, target, eps=0.0, reduction="none").tolist() == half


@pytest.mark.parametrize(
    ("op", "x", "y"),
    [
        ("softplus", -100, 3.783506e-44),  # subnormal in float32, not 0
        ("log_sigmoid", -1000, -1000),
        ("log_sigmoid", 100, -3.783506e-44),
        ("gelu", -12, -2.1317785e-32),
        ("mish", -80, -1.4438811e-33),
        ("tanh_shrink", 1e-10, 3.3333333e-31),
        ("squareplus", -1e15, 1e-15),
        ("softsign", 3e38, 1),
        ("hard_silu", 3e38, 3e38),
        ("elu", -1e-20, -1e-20),
    ],
)
def test_tails_keep_their_digits(backend, op, x, y):
    got = getattr(backend, op)(np.full(3, x, np.float32))
    np.testing.assert_allclose(got, np.float32(y), rtol=3e-7)


@pytest.mark.parametrize("x", [-90.0, -20.0, 20.0, 90.0])
def test_the_gradient_of_sigmoid_does_not_vanish_in_its_tails(backend, x):
    slope = backend.derivative("sigmoid")(np.full(3, x, np.float32))
    np.testing.assert_allclose(slope, math.exp(-abs(x)), rtol=1e-6)


def test_a_hopeless_logit_has_a_finite_loss(backend):
    x = np.array([[1e4, -1e4]], np.float32)
    assert backend.softmax_cross_entropy_with_integer_labels(x, np.array([1])) == 2e4
    assert backend.binary_cross_entropy_with_logits(x, np.array([[0.0, 1.0]], np.float32)) == 1e4


def test_certain_and_correct_logits_cost_nothing(backend):
    x = np.array([np.inf, -np.inf])
    assert backend.binary_cross_entropy_with_logits(x, np.array([1.0, 0.0])) == 0
    assert backend.binary_cross_entropy_with_logits(x, np.array([0.5, 0.0])) == np.inf


def test_a_loss_beyond_the_range_is_infinite_without_a_warning(backend):
    assert backend.mean_squared_error(np.full(3, 1e30, np.float32), np.zeros(3, np.float32)) == np.inf
