"""What NumPy's ops are measured against computes the same, where it is not wrong; and they allocate nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import backends
from backends.base import output_shape
from backends.catalogue import OPS
from benchmarks.plan import inputs
from benchmarks.record.shapes import default_shape
from benchmarks.validation import naive

NUMPY = backends.load("numpy")
MEASURED = [(op, mode) for op, one in naive.ONE_LINERS.items() for mode in ("forward", "backward") if one[mode]]


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize(("op", "mode"), MEASURED)
def test_one_liners_and_scipy_agree_with_the_op(op, mode, dtype):
    for n in (4, 1000):
        arrays = inputs.draw(op, default_shape(OPS[op], n), dtype)
        g = inputs.cotangent(output_shape(OPS[op], arrays, OPS[op].defaults), dtype)
        ours = NUMPY.bind(op, *arrays, mode=mode, cotangent=g if mode == "backward" else None)()
        others = [naive.ONE_LINERS[op][mode], *([naive.ONE_LINERS[op].scipy] if mode == "forward" else [])]
        for expression in filter(None, others):
            result = np.asarray(naive.call(expression, op, arrays, g)())
            assert result.dtype == dtype, "a promotion would be slower"
            np.testing.assert_allclose(result, ours, rtol=1e-3 if dtype == "float32" else 1e-9, atol=1e-5)


def test_where_a_one_liner_is_wrong_is_said():
    assert "log_sigmoid" in naive.ONE_LINERS
    assert "gives -inf" in naive.flaws("log_sigmoid", "forward", "float64")
    assert naive.flaws("relu", "forward", "float32") == ""


@pytest.mark.parametrize("op", ["sigmoid", "tanh", "elu", "mean_squared_error", "softmax"])
def test_a_bound_call_that_reuses_its_output_allocates_no_block(op):
    run = NUMPY.bind(op, *inputs.draw(op, default_shape(OPS[op], 300_000), "float32"), allocation="reuse")
    run()
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 8192 * 4, "more than the buffers in which NumPy reduces"


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_scratch_is_as_large_as_a_block_whatever_the_input(op, axis):
    x = np.zeros((1000, 1000), np.float32)
    tracemalloc.start()
    try:
        run = NUMPY.bind(op, x, mode="backward", cotangent=x, allocation="reuse", axis=axis)
        run()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.3 * x.nbytes, "the output, and blocks of 256 KiB"
