"""float16 and bfloat16 on the host: every value within its budget, rounded once, and no whole array converted."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import replace
from functools import cache

import ml_dtypes
import numpy as np
import pytest

import backends
from backends.base import NARROW
from backends.catalogue import OPS
from backends.interface import MODES
from benchmarks.check import accuracy, oracle, samples, search
from benchmarks.plan import inputs
from benchmarks.record.schema import Check
from tests.backends.test_short_arrays import LENGTHS, probe
from tests.everyday import KINDS

HOSTS = ("numpy", "numba")  # whole arrays are the parallel kernels' chunks
ELEMENTWISE = [name for name, spec in OPS.items() if not spec.along_axis]
ROWS = [name for name, spec in OPS.items() if spec.along_axis and spec.inputs[0].domain == "real"]
CASES = [
    (op, mode) for op in (*ELEMENTWISE, *ROWS) for mode in MODES[:2] if (op, mode) != ("sparsemax", "backward")
]
"""All but a gradient that jumps wherever one more entry is above 0, which float32 does not tell."""
WITH_ERFC = ("gelu", "geglu", "selu")
"""Ops that only mpmath knows: NumPy has no such function in float64."""
TOPMOST = 2.0**-9
"""ULP beyond what is promised: near the largest number, one counts twice, and half of one is rounded anyway."""
LARGE = 2.0**120
"""From here on, what a gradient of a loss multiplies by its cotangent overflows, as it does in float32."""
BESIDE = 2
"""How many ordinary entries a row has beside the value that is tried; glu halves a row."""


def load(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    return backends.load(name)


def every_value(dtype):
    return np.arange(2**16, dtype=np.uint16).view(dtype)


@cache
def every_sample(op, mode, dtype):
    """Return every value of the first input, others drawn, and what is exact to the precision of float64.

    Of rows that overflow in float64, mpmath says it, once for all backends: it takes ten seconds.
    """
    spec = OPS[op]
    values = every_value(dtype)
    with np.errstate(all="ignore"):  # NumPy tells of a NaN that is not quiet
        values = np.where(np.isnan(values), np.array(np.nan, dtype), values)
        if spec.kind == "loss":
            values = np.where(np.abs(values) > LARGE, np.copysign(np.array(np.inf, dtype), values), values)
    first = samples.within(values, spec.inputs[0].domain).astype(dtype)
    if not spec.along_axis:
        _, *rest = inputs.draw(op, first.shape, dtype)
    else:
        drawn, *rest = inputs.draw(op, (len(first), BESIDE + 2), dtype)
        first = np.concatenate([first[:, None], drawn[:, 1:]], axis=1)
    with np.errstate(all="ignore"):
        sample = search.attempt(spec, mode, dtype, (first, *rest), wide=op not in WITH_ERFC)
    return with_lost_rows(op, mode, dtype, sample) if spec.along_axis else sample


def with_lost_rows(op, mode, dtype, sample):
    """Return a sample with what is exact for rows of numbers that have none in float64."""
    both = sample.arrays[0].astype(np.float64), sample.expected.high
    given, known = (np.isfinite(each.reshape(len(each), -1)).all(axis=1) for each in both)
    lost = np.flatnonzero(given & ~known)
    if not lost.size:
        return sample
    exact = exact_at(op, mode, dtype, sample, lost)
    filled = {name: getattr(sample.expected, name).copy() for name in ("high", "low", "scale")}
    for name, values in filled.items():
        values[lost] = getattr(exact, name)
    return replace(sample, expected=oracle.Expected(**filled))


def exact_at(op, mode, dtype, sample, places):
    """Return the sample at some places, with what mpmath says of it."""
    arrays = [a[places] if a is not None and len(a) == len(sample.arrays[0]) else a for a in sample.arrays]
    parameters = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    if mode == "forward":
        return oracle.forward(op, arrays, parameters, dtype)
    return oracle.backward(op, sample.cotangent[places], arrays, parameters, dtype)


def computed(b, op, sample):
    parameters = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    arrays = [a if a is None else b.asarray(a) for a in sample.arrays]
    if sample.cotangent is None:
        return b.to_numpy(getattr(b, op)(*arrays, **parameters))
    return b.to_numpy(b.vjp(op)(b.asarray(sample.cotangent), *arrays, **parameters))


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(("op", "mode"), CASES)
def test_every_value_of_the_first_input_is_within_the_budget(name, op, mode, dtype):
    """Against float64; what is beyond the budget there, against mpmath."""
    b, sample = load(name), every_sample(op, mode, dtype)
    n_summed = sample.arrays[0].shape[-1] if OPS[op].along_axis else 1
    promised = b.promised_ulp(op, mode=mode, dtype=dtype) + TOPMOST
    allowed = min(accuracy.budget(op, mode, n_summed), promised)
    got = computed(b, op, sample)
    errors = accuracy.ulp_error(got, sample.expected)
    doubtful = np.flatnonzero((errors > allowed).reshape(len(errors), -1).any(axis=1))
    if doubtful.size:
        verdict = accuracy.assess(
            got[doubtful],
            exact_at(op, mode, dtype, sample, doubtful),
            Check(op, mode, dtype, name, "cpu"),
            first_input=sample.arrays[0][doubtful],
            n_summed=n_summed,
            complete=False,
            promised=promised,
        )
        assert verdict.status in ("ok", "known_deviation"), verdict.reason


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("op", sorted(KINDS - {"softmax"}))
def test_special_values_mean_the_same_in_arrays_of_every_length(op, mode, dtype):
    parameters = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    verdict = probe(load("numba"), OPS[op], mode, dtype, LENGTHS, parameters)
    assert verdict.status in ("ok", "known_deviation"), verdict.reason


@cache
def compiled_product(dtype):
    """Return a kernel that multiplies two narrow arrays, and the array that it fills."""
    numba = pytest.importorskip("numba")
    from backends.numba import loops, narrow, rows

    if np.dtype(dtype) not in narrow.taken():
        pytest.skip(f"no instruction widens {dtype} here")
    kernel = numba.njit(**loops.OPTIONS)(loops.elementwise(rows.product).serial.py_func)

    def product(x, y):
        out = np.empty_like(x)
        kernel(*map(narrow.bits, (out, x, y)))
        return out

    return kernel, product


@pytest.mark.parametrize("dtype", NARROW)
def test_kernels_round_to_the_nearest_and_of_two_to_the_even_one(dtype):
    """Of products of 8 or 11 bits each, many lie halfway; some overflow, and some are subnormal."""
    _, product = compiled_product(dtype)
    x = every_value(dtype)
    least = np.full_like(x, ml_dtypes.finfo(dtype).smallest_subnormal)
    for y in (x, np.roll(x, 12345), np.full_like(x, 1), least):
        with np.errstate(all="ignore"):
            expected = (x.astype(np.float32) * y.astype(np.float32)).astype(dtype)
        got = product(x, y)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(got[numbers].view(np.uint16), expected[numbers].view(np.uint16))


@pytest.mark.parametrize("dtype", NARROW)
def test_kernels_widen_and_round_whole_vectors(dtype):
    """No library is called for it, one number at a time."""
    kernel, product = compiled_product(dtype)
    product(*[np.ones(4, dtype)] * 2)
    assembly = next(iter(kernel.inspect_asm().values()))
    assert not re.search(r"gnu_[fh]2[fh]|truncsfhf|extendhfsf", assembly)
    if "\tv" not in assembly:
        pytest.skip("no AVX here: its instructions have other names")
    assert re.search(r"^\tvmulps\b", assembly, re.MULTILINE)


@pytest.mark.parametrize("dtype", NARROW)
def test_the_largest_of_a_narrow_row_is_found_as_it_is_stored(dtype):
    """A vector holds twice as many 16-bit integers as numbers of float32."""
    numba = pytest.importorskip("numba")
    from backends.numba import loops, narrow, rows

    @numba.njit(**loops.OPTIONS)
    def both(x):
        floats = narrow.floats(x)
        return rows.largest_of(floats, rows.rising), rows.largest_of(floats, rows.falling)

    values = every_value(dtype)
    with np.errstate(invalid="ignore"):  # some of them are signalling NaNs
        values = values[~np.isnan(values)]
    numbers = np.random.default_rng(0).permutation(values)
    negative = numbers[np.signbit(numbers)]
    for row in (*np.array_split(numbers, 500), *np.array_split(negative, 100), numbers, negative):
        x = row.astype(np.float32)
        assert both(narrow.bits(row)) == (x.max(), -x.min())
    assert np.isnan(both(narrow.bits(np.array([1, np.nan, np.inf], dtype)))[0])
    assembly = next(iter(both.inspect_asm().values()))
    if "\tv" not in assembly:
        pytest.skip("no AVX here: its instructions have other names")
    assert len(re.findall(r"^\tvpmaxsw\b", assembly, re.MULTILINE)) >= 2


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("op", ["sigmoid", "softmax", "mean_squared_error", "softmax_cross_entropy"])
@pytest.mark.parametrize("mode", MODES[:2])
def test_no_whole_array_is_converted(name, op, mode):
    """A call needs buffers of a block and of a row, but no memory that grows with the arrays."""
    b = load(name)
    arrays = inputs.draw(op, (1000, 1000), "bfloat16")
    run = b.bind(op, *arrays, mode=mode, allocation="reuse")
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < arrays[0].nbytes / 4


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("axis", [0, 1])
def test_rows_along_any_axis_are_rounded_once(name, axis):
    b = load(name)
    x = inputs.draw("softmax", (40, 30), "bfloat16")[0]
    expected = b.softmax(x.astype(np.float32), axis=axis).astype(x.dtype)
    np.testing.assert_array_equal(b.softmax(x, axis=axis).view(np.uint16), expected.view(np.uint16))


@pytest.mark.parametrize("name", HOSTS)
def test_rows_too_long_for_a_buffer_are_computed_too(name):
    """Numba sums such a row first, and then fills it; NumPy takes it as one block."""
    b = load(name)
    x = inputs.draw("softmax", (2, 100_000), "bfloat16")[0]
    for op in ("softmax", "log_softmax"):
        got = b.bind(op, x)().astype(np.float64)
        exact = b.bind(op, x.astype(np.float64))()
        assert np.max(np.abs(got - exact) / np.abs(exact)) < 2.0**-8


def test_the_shape_of_a_weight_does_not_matter():
    """One for all, or one for each element, in the narrow type as in float32."""
    x, weight = inputs.draw("prelu", (300, 70), "bfloat16")
    b = load("numpy")
    for other in (weight, np.broadcast_to(weight, (300, 1)), np.broadcast_to(weight, (300, 70))):
        np.testing.assert_array_equal(b.prelu(x, other).view(np.uint16), b.prelu(x, weight).view(np.uint16))
