"""The local search finds errors that a sample alone would miss, and stays within an op's domain."""

from __future__ import annotations

import numpy as np
import pytest

from backends.catalogue import OPS
from benchmarks.check import accuracy, samples, search


@pytest.fixture(autouse=True)
def _exact_once(monkeypatch):
    """Let the stand-in for a backend have what is exact from the search, which has just computed it."""
    attempt, last = search.attempt, []

    def once(spec, mode, dtype, arrays, *more, **options):
        if not last or last[0].arrays is not arrays:
            last[:] = [attempt(spec, mode, dtype, arrays, *more, **options)]
        return last[0]

    monkeypatch.setattr(search, "attempt", once)


def exact_except(op, mode, dtype, error):
    """Stand in for a backend that is exact but for `error(first input)` ULP."""

    def evaluate(arrays, g):
        trial = search.attempt(OPS[op], mode, dtype, arrays)
        exact = trial.expected.high.astype(dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            off = (
                0 if error is None else np.nan_to_num(error(arrays[0].astype(np.float64))) * np.spacing(abs(exact))
            )
            return np.where(np.isfinite(exact), exact + off, exact).astype(dtype)

    return evaluate


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_a_narrow_peak_is_climbed(mode):
    def peak(x):
        return np.round(50 * np.exp(-np.abs(x - 1.2345) * 100))

    got, trial = search.worst_points(exact_except("sigmoid", mode, "float32", peak), "sigmoid", mode, "float32")
    errors = accuracy.ulp_error(got, trial.expected)
    sampled = len(search.dense("sigmoid", mode, "float32").arrays[0])
    assert errors.max() > 1.02 * errors[:sampled].max()
    assert errors.max() > 45


@pytest.mark.parametrize("op", ["softmax", "dice", "softmax_cross_entropy_with_integer_labels", "prelu"])
@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_rows_and_shared_inputs_are_searched_too(op, mode):
    got, trial = search.worst_points(exact_except(op, mode, "float32", None), op, mode, "float32")
    assert len(got) == len(trial.arrays[0]) > samples.N_SCATTERED // 20
    assert accuracy.ulp_error(got, trial.expected).max() <= 1


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_scattered_samples_lie_in_the_domains(op, dtype):
    for declared, a in zip(OPS[op].inputs, samples.scattered_sample(op, dtype), strict=True):
        if a is None:
            assert declared.optional
            continue
        values = a.astype(np.float64)
        low, high = {
            "unit": (0, 1),
            "distribution": (0, 1),
            "nonnegative": (0, np.inf),
            "positive": (2**-4, np.inf),
            "sign": (-1, 1),
            "log_distribution": (-np.inf, 0),
        }.get(declared.domain, (-np.inf, np.inf))
        assert ((values >= low) & (values <= high)).all()
        assert a.dtype == (np.int64 if declared.domain == "labels" else np.dtype(dtype))
