"""Sums in Numba's kernels: four at a time in float32 where that holds them; and lines fetched ahead do no harm."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest

import backends

PAGE = mmap.PAGESIZE
LARGE = np.float32(2e38)
"""Two of these exceed float32."""


@pytest.mark.parametrize("name", ["numba", "numba-parallel"])
def test_a_mean_is_finite_where_four_terms_of_it_exceed_float32(name):
    root = np.float32(1.3e19)
    prediction, target = np.full(40_000, root), np.zeros(40_000, np.float32)
    found = backends.load(name).mean_squared_error(prediction, target)
    assert found == pytest.approx(float(root) ** 2, rel=1e-6)


def test_a_nan_among_many_terms_stays_one():
    prediction, target = np.ones(1000, np.float32), np.zeros(1000, np.float32)
    prediction[700] = np.nan
    assert np.isnan(backends.load("numba").mean_squared_error(prediction, target))


@pytest.mark.parametrize("overlap", ["dice", "tversky"])
def test_overlaps_are_right_where_four_numbers_exceed_float32_and_all_do_not(overlap):
    prediction, target = np.tile([LARGE, -LARGE], 4)[None], np.zeros((1, 8), np.float32)
    assert getattr(backends.load("numba"), overlap)(prediction, target) == 0  # 1 - eps/eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-30, 1e-15, 1e15, 1e30])
def test_a_cosine_and_its_gradient_do_not_depend_on_the_sizes(dtype, size):
    first, second = np.random.default_rng(1).standard_normal((2, 3, 37)).astype(dtype)
    scaled, ones = first * dtype(size), np.ones(3, dtype)
    options = {"reduction": "none", "eps": 1e-40}
    cosine = backends.load("numba").cosine_similarity
    gradient = backends.load("numba").vjp("cosine_similarity")
    usual = cosine(first, second, **options)
    assert cosine(scaled, second, **options) == pytest.approx(usual, rel=1e-5)
    usual = gradient(ones, first, second, **options)
    found = gradient(ones, scaled, second, **options).astype(np.float64)
    assert found * size == pytest.approx(usual, rel=1e-4, abs=1e-7)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects pages by mprotect")
def test_lines_beyond_the_last_page_are_fetched_without_harm():
    room = mmap.mmap(-1, 3 * PAGE)
    try:
        start = ctypes.addressof(ctypes.c_char.from_buffer(room))
        x = np.frombuffer(room, np.float32, 2 * PAGE // 4).reshape(2, -1)
        x[:] = np.random.default_rng(0).standard_normal(x.shape)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(start + 2 * PAGE), ctypes.c_size_t(PAGE), 0) == 0
        backend = backends.load("numba")
        assert backend.softmax(x).sum(axis=-1) == pytest.approx([1, 1], rel=1e-5)
        assert np.isfinite(backend.vjp("softmax")(x, x)).all()
        assert np.isfinite(backend.vjp("log_softmax")(x, x)).all()
        assert backend.mean_squared_error(x, x) == 0
        assert backend.softmax_cross_entropy(x, np.abs(x)) > 0
    finally:
        libc.mprotect(ctypes.c_void_p(start + 2 * PAGE), ctypes.c_size_t(PAGE), 3)
        del x
