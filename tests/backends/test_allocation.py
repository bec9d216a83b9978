"""Where outputs go: `reuse` and `inplace` give what `fresh` gives, in the memory that they say."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from backends.base import DTYPES, NARROW
from backends.catalogue import OPS
from backends.interface import ALLOCATIONS, MODES, NotSupported
from benchmarks.check import samples
from benchmarks.plan import inputs
from tests.backends.loops import SOME

ROWS = tuple(name for name, spec in OPS.items() if spec.along_axis and spec.kind != "loss")
SLOW_TO_COMPILE = {
    "numba": tuple(dict.fromkeys((*SOME, *ROWS))),
    "numba-parallel": ("relu", "leaky_relu", "sigmoid", "gelu", "softmax", "mean_squared_error"),
}
"""A handful of ops for backends that compile each: all those that read a row again after they wrote to it."""

CASES = [(name, op) for name in backends.names() for op in SLOW_TO_COMPILE.get(name, OPS)]
OVERWRITING = [(name, op) for name, op in CASES if OPS[op].kind != "loss" and OPS[op].shape is None]


def in_each_type(cases):
    """Return cases in every type in which buffers differ: those of frameworks do not in narrow ones."""
    return [
        (name, op, dtype)
        for name, op in cases
        for dtype in (DTYPES if name in ("jax", "torch") else DTYPES + NARROW)
    ]


def load(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    return backends.load(name)


def bind(backend, op, arrays, **options):
    """Bind, or skip where there is a gap."""
    try:
        return backend.bind(op, *arrays, **options)
    except NotSupported as gap:
        pytest.skip(str(gap))


def draw(op, dtype):
    """Draw inputs that span several of NumPy's blocks, some of them beyond where exponentials overflow."""
    shape = (300, 400) if OPS[op].along_axis else (100_000,)
    first, *others = inputs.draw(op, shape, dtype)
    if OPS[op].kind != "loss":
        first.reshape(-1)[-20_000::7] *= first.dtype.type(20)
    return first, *others


def bits(backend, result):
    """Return a result's bits, those of NaN all alike."""
    host = backend.to_numpy(result)
    return np.where(np.isnan(host), np.nan, host).astype(host.dtype).view(f"u{host.itemsize}")


def assert_same(backend, results, expected):
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(bits(backend, result), bits(backend, other))


def address(array):
    """Return where an array's memory begins."""
    if isinstance(array, np.ndarray):
        return array.ctypes.data
    return array.data_ptr() if hasattr(array, "data_ptr") else array.unsafe_buffer_pointer()


# --- inplace --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "op", "dtype"), in_each_type(OVERWRITING))
def test_inplace_overwrites_with_the_values_of_fresh(name, op, dtype):
    b = load(name)
    host = draw(op, dtype)
    arrays = [b.asarray(array) for array in host]
    run = bind(b, op, arrays, allocation="inplace")
    fresh = b.bind(op, *arrays)()
    first = run()
    assert_same(b, [first], [fresh])
    memory, again = address(first), b.bind(op, first, *arrays[1:])()
    second = run()
    assert address(second) == memory, "the same memory"
    assert_same(b, [second], [again])
    run.restore()
    assert_same(b, [run()], [fresh])
    assert_same(b, arrays, [b.asarray(array) for array in host])


@pytest.mark.parametrize(("name", "op"), OVERWRITING)
@pytest.mark.parametrize("dtype", DTYPES)
def test_inplace_reads_special_values_before_it_overwrites_them(name, op, dtype):
    b = load(name)
    if b.asynchronous:
        pytest.skip("compiles for every shape; the compiler sees to it")
    for parameters in ({}, *OPS[op].alternatives):
        arrays = [b.asarray(array) for array in samples.designed_sample(op, dtype)]
        run = bind(b, op, arrays, allocation="inplace", **parameters)
        assert_same(b, [run()], [b.bind(op, *arrays, **parameters)()])


@pytest.mark.parametrize("name", backends.names())
@pytest.mark.parametrize("op", ["sigmoid", "softmax"])
def test_inplace_takes_host_arrays_views_and_what_is_read_only(name, op):
    b = load(name)
    x = np.linspace(-3, 3, 24).reshape(4, 6).T[::2]
    x.flags.writeable = False
    options = {"axis": 0} if OPS[op].along_axis else {}
    run = bind(b, op, [x], allocation="inplace", **options)
    for _ in range(2):
        assert_same(b, [run()], [b.bind(op, x, **options)()])
        run.restore()


@pytest.mark.parametrize("name", backends.names())
def test_inplace_leaves_the_other_inputs_alone_even_if_they_are_the_first(name):
    b = load(name)
    x = b.asarray(np.linspace(-3, 3, 7))
    run = bind(b, "reglu", [x, x], allocation="inplace")
    run()
    assert_same(b, [run()], [b.reglu(b.reglu(x, x), x)])


@pytest.mark.parametrize(("name", "op"), [(name, "sigmoid") for name in backends.names()])
def test_inplace_may_run_in_a_loop_without_a_look_at_results(name, op):
    b = load(name)
    x = b.asarray(np.linspace(-3, 3, 50_000, dtype=np.float32))
    run = bind(b, op, [x], allocation="inplace")
    expected = x
    for _ in range(5):
        expected, result = b.sigmoid(expected), run()
    assert_same(b, [result], [expected])


def test_jax_donates_the_buffer_and_deletes_what_held_it():
    b = load("jax")
    run = b.bind("tanh", np.ones(1000, np.float32), allocation="inplace")
    first = run()
    memory = address(first)
    second = run()
    assert first.is_deleted()
    assert address(second) == memory


@pytest.mark.parametrize("name", backends.names())
@pytest.mark.parametrize(
    ("op", "mode", "reason"),
    [
        ("relu", "backward", "needed for the gradient"),
        ("relu", "forward+backward", "needed for the gradient"),
        ("mean_squared_error", "forward", "a loss does not have its input's shape"),
        ("glu", "forward", "the output does not have the input's shape"),
        ("linear", "forward", "onto itself"),
    ],
)
def test_what_makes_no_sense_in_place_is_a_gap_everywhere(name, op, mode, reason):
    gap = load(name).supports(op, mode=mode, allocation="inplace")
    assert gap is not True
    assert gap.kind == "never"
    assert reason in gap.reason


# --- reuse ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "op", "dtype"), in_each_type(CASES))
def test_reuse_returns_the_same_object_with_the_values_of_fresh(name, op, dtype):
    b = load(name)
    reductions = ("none", "mean", "sum") if OPS[op].kind == "loss" else (None,)
    arrays = [None if array is None else b.asarray(array) for array in draw(op, dtype)]
    for reduction in reductions:
        parameters = {"reduction": reduction} if reduction else {}
        run = bind(b, op, arrays, allocation="reuse", **parameters)
        result = run()
        memory = address(result)
        fresh = b.bind(op, *arrays, **parameters)()
        assert_same(b, [result], [fresh])
        result[...] = -7
        assert run() is result
        assert address(result) == memory
        assert_same(b, [result], [fresh])


@pytest.mark.parametrize("name", backends.names())
def test_reuse_of_gradients_gives_those_of_fresh_or_is_a_gap(name):
    b = load(name)
    x = b.asarray(np.linspace(-3, 3, 12))
    run = bind(b, "sigmoid", [x], mode="forward+backward", allocation="reuse")
    assert_same(b, run(), b.bind("sigmoid", x, mode="forward+backward")())
    assert all(one is other for one, other in zip(run(), run(), strict=True))


# --- gaps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", backends.names())
def test_what_is_not_supported_says_why_when_it_is_bound(name):
    b = load(name)
    for op in OPS:
        arrays = samples.designed_sample(op, "float32")
        for mode in MODES:
            for allocation in ALLOCATIONS:
                gap = b.supports(op, mode=mode, allocation=allocation)
                if gap is True:
                    continue
                assert gap in b.gaps
                assert gap.kind in ("upstream", "never")
                with pytest.raises(NotSupported, match=gap.reason):
                    b.bind(op, *arrays, mode=mode, allocation=allocation)


@pytest.mark.parametrize("name", backends.names())
def test_every_output_may_be_fresh(name):
    b = load(name)
    assert all(b.supports(op, mode=mode) is True for op in OPS for mode in MODES)


# --- the device's own measurements ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", backends.names())
def test_the_host_has_no_device_to_ask(name):
    b = load(name)
    run = b.bind("relu", np.ones(3))
    assert b.device_name() is None
    assert b.cache_bytes() is None
    assert b.device_seconds(run, 3) is None
    assert b.peak_bytes(run) is None
