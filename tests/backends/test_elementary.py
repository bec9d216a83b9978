"""Numba's elementary functions: their errors over all of float32 and a sample of float64, and special values."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from mpmath import mp

numba = pytest.importorskip("numba")

from backends.numba import elementary, loops, rows  # noqa: E402
from backends.numba import elementary_constants as constants  # noqa: E402

# The most that each is off over all of float32, in ULP: 0.976, 1.688, 0.895, 0.901 and 2.582.
BOUNDS = {"exp": 0.98, "expm1": 1.69, "log": 0.9, "log1p": 0.91, "tanh": 2.59}
ALL = 2**32
STRIDE = 4099
"""A prime: sampled bit patterns go through all ends and all exponents."""


@cache
def compiled(name):
    function = getattr(elementary, name)

    @numba.njit(error_model="numpy")
    def fill(out, x):
        for i in range(x.size):
            out[i] = function(x[i])

    def evaluate(x):
        out = np.empty_like(x)
        fill(out, x)
        return out

    return evaluate, fill


def errors(got, exact, dtype):
    """Errors in ULP; where one is NaN or infinite, so must be the other."""
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    np.testing.assert_array_equal(np.signbit(got[finite]), np.signbit(rounded[finite]))
    unit = np.spacing(np.abs(rounded[finite])).astype(np.float64)
    return np.abs(got[finite].astype(exact.dtype) - exact[finite]) / unit


def worst_in_float32(name, start, stop, step):
    """Compare with NumPy in float64, whose own errors are 2**-29 times as large as an ULP here."""
    evaluate, _ = compiled(name)
    worst = 0.0
    for first in range(start, stop, step << 22):
        x = np.arange(first, min(first + (step << 22), stop), step, np.uint64).astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            exact = getattr(np, name)(x.astype(np.float64))
        worst = max(worst, errors(evaluate(x), exact, np.float32).max(initial=0))
    return worst


@pytest.mark.parametrize("name", BOUNDS)
def test_errors_over_a_stride_of_float32_are_bounded(name):
    assert worst_in_float32(name, 0, ALL, STRIDE) < BOUNDS[name]


@pytest.mark.certification
@pytest.mark.parametrize("name", BOUNDS)
def test_errors_over_all_of_float32_are_bounded(name):
    assert worst_in_float32(name, 0, ALL, 1) < BOUNDS[name]


@pytest.mark.parametrize("name", BOUNDS)
def test_errors_over_a_sample_of_float64_are_bounded(name):
    generator = np.random.default_rng(0)
    size = np.exp(generator.uniform(-745, 709, 300))
    x = np.concatenate([generator.uniform(-1, 1, 200), generator.uniform(-750, 715, 300), size, -size])
    x = x[(x > 0) | (name != "log")]
    x = x[(x > -1) | (name != "log1p")]
    evaluate, _ = compiled(name)
    with mp.workdps(40):
        exact = [getattr(mp, name)(mp.mpf(value)) for value in x.tolist()]
        for value, got, expected in zip(x, evaluate(x), exact, strict=True):
            rounded = float(expected)
            if math.isinf(rounded):
                assert got == rounded
            else:
                error = abs(mp.mpf(float(got)) - expected) / float(np.spacing(abs(rounded)))
                assert error < BOUNDS[name], value


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 4, 7, 1024])
def test_special_values_are_those_of_c_in_vector_bodies(dtype, length):
    special = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 2000.0, -2000.0]
    for name in BOUNDS:
        evaluate, _ = compiled(name)
        for value in special:
            with np.errstate(all="ignore"):
                expected = getattr(np, name)(np.array(value, dtype))
            got = evaluate(np.full(length, value, dtype))
            np.testing.assert_allclose(got, np.full(length, expected), rtol=4 * np.finfo(dtype).eps)
            if not np.isnan(expected):
                assert (np.signbit(got) == np.signbit(expected)).all(), (name, value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_logarithm_of_one_plus_a_fraction_is_that_of_numpy(dtype):
    evaluate, _ = compiled("log1p_of_fraction")
    smallest = float(np.finfo(dtype).smallest_subnormal)
    x = np.concatenate([np.linspace(0, 1, 100_003), np.geomspace(smallest, 1, 1000), [math.nan]]).astype(dtype)
    assert errors(evaluate(x), np.log1p(x.astype(np.longdouble)), dtype).max() < 1.2


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", -115.0), ("float64", -760.0)])
def test_lifted_exponentials_are_exact_where_exponentials_are_subnormal_and_vanish_beyond(dtype, lowest):
    evaluate, _ = compiled("lifted_exp")
    x = np.append(np.linspace(lowest, 0, 501), -math.inf).astype(dtype)
    lift = 2.0 ** constants.LIFT[dtype]
    with mp.workdps(40):
        exact = np.array([float(mp.exp(mp.mpf(float(value))) * lift) for value in x])
    lifted = evaluate(x)
    inside = x >= constants.LOWEST_LIFTED[dtype]
    assert np.abs(lifted[inside] / exact[inside] - 1).max() < 1.2 * np.finfo(dtype).eps
    assert (~inside).sum() > 1
    finite = np.isfinite(x)
    assert ((x * lifted)[finite & ~inside] / np.array(lift, dtype) == 0).all()
    assert (lifted[~inside] / np.array(lift, dtype) == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_of_a_row_is_found_among_all_signs_and_zeros(dtype):
    @numba.njit(**loops.OPTIONS)
    def largest(x):
        return rows.largest_of(x, rows.rising)

    @numba.njit(**loops.OPTIONS)
    def largest_of_opposites(x):
        return rows.largest_of(x, rows.falling)

    for row in ([-3, -1, -2], [-1, 0.0, 2, 1], [-0.0, -1], [-math.inf, -5], [math.inf, 1], [-math.inf] * 2):
        for repeats in (1, 13):
            x = np.array(row * repeats, dtype)
            assert largest(x) == x.max()
            assert largest_of_opposites(x) == (-x).max()
    assert np.isnan(largest(np.array([1, math.nan, math.inf], dtype)))


def test_llvm_vectorises_them():
    for name in BOUNDS:
        evaluate, fill = compiled(name)
        evaluate(np.ones(3, np.float32))
        (assembly,) = [text for types, text in fill.inspect_asm().items() if "float32" in str(types)]
        packed = sum(line.split()[0].endswith("ps") for line in assembly.splitlines() if line.startswith("\tv"))
        if "\tv" not in assembly:
            pytest.skip("no AVX here: its instructions have other names")
        assert packed > 20, name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_polynomials_are_those_of_exp_and_log(dtype):
    eps = np.finfo(dtype).eps
    with mp.workdps(40):
        for r in map(mp.mpf, np.linspace(-0.3466, 0.3466, 101).tolist()):
            q = mp.polyval([mp.mpf(c) for c in constants.EXP[dtype]], r)
            assert abs((1 + r + r * r * q) / mp.exp(r) - 1) < 0.2 * eps
        for coefficients, largest in ((constants.LOG_QUOTIENT, 0.0294), (constants.LOG_TO_2, 1 / 9)):
            for z in map(mp.mpf, np.linspace(1e-6, largest, 101).tolist() if dtype in coefficients else []):
                s = mp.sqrt(z)
                series = 2 * s + s * z * mp.polyval([mp.mpf(c) for c in coefficients[dtype]], z)
                assert abs(series / mp.log((1 + s) / (1 - s)) - 1) < 0.1 * eps
        for f in map(mp.mpf, np.linspace(-0.2929, 0.4143, 102).tolist() if dtype in constants.LOG else []):
            series = f - f * f / 2 + f**3 * mp.polyval([mp.mpf(c) for c in constants.LOG[dtype]], f)
            assert abs(series / mp.log1p(f) - 1) < 0.1 * eps
        high, low = constants.LOG_2_HIGH[dtype], constants.LOG_2_LOW[dtype]
        assert abs(mp.log(2) - high - low) < eps * low
        assert high * 2.0 ** {"float32": 15, "float64": 42}[dtype] % 1 == 0
