"""What our kernels promise, at half a million float32 of every size and as many where the functions bend."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from backends.catalogue import OPS

STRIDE = 8191
"""Between the bits of one number and the next, of all positive float32: prime, so that no bit stays as it is."""
ELEMENTWISE = [name for name, spec in OPS.items() if spec.derivative is not None]


@pytest.fixture(scope="module")
def numbers():
    bits = np.arange(0, 0x7F800000, STRIDE, dtype=np.uint32)
    positive = np.concatenate([bits.view(np.float32), np.linspace(1e-4, 12, 250_000, dtype=np.float32)])
    return np.concatenate([positive, -positive])


@pytest.mark.parametrize("name", ["numba", "numpy"])
@pytest.mark.parametrize("op", ELEMENTWISE)
def test_errors_stay_within_what_is_promised(op, name, numbers):
    """Held against NumPy's in float64, which has 29 bits more; that itself is certified against mpmath."""
    if reason := backends.missing(name):
        pytest.skip(reason)
    backend = backends.load(name)
    with np.errstate(all="ignore"):
        exact = getattr(backends.load("numpy"), op)(numbers.astype(np.float64))
        rounded = np.abs(exact).astype(np.float32)
    got = getattr(backend, op)(numbers)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    unit = np.spacing(np.maximum(rounded[finite], np.finfo(np.float32).tiny)).astype(np.float64)
    errors = np.abs(got[finite] - exact[finite]) / unit
    worst = errors.argmax()
    assert errors[worst] <= backend.promised_ulp(op, mode="forward", dtype="float32"), numbers[finite][worst]
