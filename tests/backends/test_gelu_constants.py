"""The constants of gelu, against mpmath."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp

from backends import gelu_constants


@pytest.mark.parametrize(
    ("coefficients", "largest", "tolerance"),
    [(gelu_constants.TAIL_FLOAT64, 55, 2e-16), (gelu_constants.TAIL_FLOAT32, 20, 7e-9)],
    ids=["float64", "float32"],
)
def test_the_tail_polynomial_is_the_normal_distribution(coefficients, largest, tolerance):
    with mp.workdps(50):
        for a in np.linspace(0, largest, 101).tolist():
            ratio = mp.polyval([mp.mpf(c) for c in coefficients], (mp.mpf(a) - 5) / (mp.mpf(a) + 5))
            exact = (1 + mp.sqrt(2) * a) * mp.exp(mp.mpf(a) ** 2 / 2) * mp.erfc(a / mp.sqrt(2)) / 2
            assert abs(ratio / exact - 1) < tolerance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounded_constants_and_their_rests_are_complete(dtype):
    with mp.workdps(50):
        linear = 2 * mp.sqrt(2 / mp.pi)
        for exact, rounded, rest in (
            (linear, gelu_constants.LINEAR_ROUNDED[dtype], gelu_constants.LINEAR_REST[dtype]),
            (linear * 44715 / 1_000_000, gelu_constants.CUBIC_ROUNDED[dtype], gelu_constants.CUBIC_REST[dtype]),
        ):
            assert rounded == np.dtype(dtype).type(float(exact))
            assert abs(exact - rounded - rest) < np.finfo(dtype).eps ** 2


def test_constants_in_two_parts_are_exact_and_complete():
    with mp.workdps(50):
        linear = 2 * mp.sqrt(2 / mp.pi)
        for exact, high, low, grid in (
            (linear, gelu_constants.LINEAR_HIGH, gelu_constants.LINEAR_LOW, 2**36),
            (linear * 44715 / 1_000_000, gelu_constants.CUBIC_HIGH, gelu_constants.CUBIC_LOW, 2**24),
            (64 * mp.log(2), gelu_constants.SHIFT_HIGH, gelu_constants.SHIFT_LOW, 2**42),
        ):
            assert (high * grid).is_integer()
            assert abs(exact - high - low) < 1e-24
