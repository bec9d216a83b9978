"""Numba's parallel kernels: the same numbers as the serial ones, every time, from any number of threads."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

import backends
from backends.catalogue import OPS
from tests.backends.loops import SOME, assert_same, both, draw

pytest.importorskip("numba")


@pytest.mark.parametrize(
    ("op", "dtype"), [(op, "float32") for op in SOME] + [(op, "float64") for op in SOME[:5]], ids=str
)
@pytest.mark.parametrize("length", [4, 100_000])
def test_serial_and_parallel_agree_to_the_bit(op, length, dtype):
    shape = (length,) if not OPS[op].along_axis else (max(1, length // 100), min(2 * length, 100))
    arrays = draw(op, shape, dtype)
    serial, parallel = backends.load("numba"), backends.load("numba-parallel")
    assert_same(both(serial, op, arrays), both(parallel, op, arrays))


@pytest.mark.parametrize("op", [op for op in SOME if OPS[op].kind == "loss"])
def test_parallel_sums_are_the_same_every_time(op):
    arrays = draw(op, (700, 300))
    backend = backends.load("numba-parallel")
    results = {getattr(backend, op)(*arrays, reduction="sum").item() for _ in range(20)}
    assert len(results) == 1


@pytest.mark.parametrize("name", ["numpy", "numba", "numba-parallel"])
def test_sums_of_many_float32_are_as_good_as_float64(name):
    backend = backends.load(name)
    p, t = draw("mean_squared_error", (1_000_003,))
    exact = math.fsum(((p.astype(np.float64) - t) ** 2).tolist())
    assert backend.mean_squared_error(p, t, reduction="sum") == pytest.approx(exact, rel=1.2e-7)


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "softmin"])
def test_long_rows_are_split_over_threads_without_a_difference(op):
    arrays = draw(op, (1, 40_000))
    arrays[0][0, :1000] = -math.inf  # masked, and more than a block
    if op == "softmin":
        arrays[0] *= -1
    split, whole = backends.load("numba-parallel", threads=2), backends.load("numba")
    g = np.random.default_rng(1).standard_normal(arrays[0].shape, np.float32)
    for a, b in zip(
        (getattr(split, op)(*arrays), split.vjp(op)(g, *arrays)),
        (getattr(whole, op)(*arrays), whole.vjp(op)(g, *arrays)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("offset", [0, 1, 15])
@pytest.mark.parametrize("length", [5, 8192, 40_001])
def test_stores_past_the_caches_leave_nothing_out(offset, length):
    from backends.numba import loops, piecewise

    kernels = loops.elementwise(piecewise.relu, streams=True)
    x = draw("relu", (length,))[0]
    out = np.full(length + 20, -1, np.float32)
    window = out[offset : offset + length]
    kernels.streamed(window, loops.elements_to_line(window), x)
    np.testing.assert_array_equal(window, np.maximum(x, 0))
    assert (np.delete(out, np.arange(offset, offset + length)) == -1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5), (7, 1000), (9, 4096), (40, 301)])
@pytest.mark.parametrize("offset", [0, 3])
def test_rows_past_the_caches_are_those_of_the_serial_kernel(offset, shape, dtype):
    from backends.numba import loops, row_loops, rows
    from backends.numba.narrow import bits

    kernels = row_loops.rowwise(rows.log_softmax)
    x = bits(draw("softmax", shape)[0].astype(dtype))
    x.flags.writeable = False
    around = np.full(x.size + 20, 7, dtype)
    window, expected = bits(around)[offset : offset + x.size].reshape(shape), np.empty_like(x)
    kernels.streamed(window, loops.elements_to_line(window), x)
    kernels.serial(expected, x)
    np.testing.assert_array_equal(window, expected)
    assert (np.delete(around, np.arange(offset, offset + x.size)) == 7).all()


def test_rows_that_do_not_fit_a_spare_one_do_not_go_past_the_caches(monkeypatch):
    from backends.numba import loops, row_loops, rows

    monkeypatch.setattr(loops, "STREAM_FROM", 1000)
    for kernels in (
        row_loops.rowwise(rows.softmax),
        row_loops.in_two_passes(rows.exp_sums, rows.softmax_of_sums, rows.softmax),
    ):
        for n, expected in ((row_loops.ON_STACK, kernels.streamed), (row_loops.ON_STACK + 1, kernels.serial)):
            out = np.empty((4, n), np.float32)
            assert kernels.choose(out, (np.ones_like(out),), elements=out.size, threads=1)[0] is expected


def test_only_outputs_beyond_the_caches_go_past_them(monkeypatch):
    from backends.numba import loops, piecewise

    kernels = loops.elementwise(piecewise.relu, streams=True)
    x = np.ones(1000, np.float32)
    chosen = lambda out: kernels.choose(out, (x,), elements=x.size, threads=1)[0]  # noqa: E731
    assert chosen(np.empty_like(x)) is kernels.serial
    monkeypatch.setattr(loops, "STREAM_FROM", 4000)
    assert chosen(np.empty_like(x)) is kernels.streamed
    assert chosen(x) is kernels.serial, "what is being read stays in the caches"


def test_too_many_threads_are_refused():
    with pytest.raises(ValueError, match="NUMBA_NUM_THREADS=1000"):
        backends.load("numba-parallel", threads=1000)


def test_backends_with_other_thread_counts_do_not_disturb_each_other():
    import numba

    one, most = backends.load("numba-parallel", threads=1), backends.load("numba-parallel")
    x = np.ones(100_000, np.float32)
    one.relu(x)
    most.relu(x)
    assert (one.threads, most.threads) == (1, numba.config.NUMBA_NUM_THREADS)
    assert numba.get_num_threads() == most.threads
