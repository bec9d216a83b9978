"""Subclasses of ndarray: `asarray` makes plain arrays of them, or refuses what would be lost; ops take none."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from backends.interface import BackendUnavailable

pytestmark = [
    pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras's use of PyTorch
]

NAMES = (*backends.names(), *backends.peer_names())
X = np.array([[0.5, -1.0], [2.0, -3.0]], np.float32)


class Labelled(np.ndarray):
    """A subclass as users write them."""


def memory_map(folder):
    mapped = np.memmap(folder / "x", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    return mapped


MADE = {"matrix": lambda _: np.matrix(X), "memmap": memory_map, "own": lambda _: X.view(Labelled)}


@pytest.fixture(params=NAMES)
def b(request):
    if reason := backends.missing(request.param):
        pytest.skip(reason)
    try:
        return backends.load(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(params=MADE)
def subclass(request, tmp_path):
    return MADE[request.param](tmp_path)


def an_op(b):
    return next(op for op in ("sigmoid", "mean_squared_error") if b.implements(op))


def test_asarray_makes_plain_arrays_of_subclasses(b, subclass):
    native = b.asarray(subclass)
    assert b.is_native(native)
    assert not isinstance(native, type(subclass))
    back = b.to_numpy(native)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, X)


def test_ops_take_no_subclass_and_bind_makes_plain_arrays(b, subclass):
    op = an_op(b)
    arrays = [subclass] * (1 if op == "sigmoid" else 2)
    assert not b.is_native(subclass)
    with pytest.raises(TypeError, match=rf"{op}: .* must be an array of the .* backend \(see asarray\); got "):
        getattr(b, op)(*arrays)
    got = b.to_numpy(b.bind(op, *arrays)())
    np.testing.assert_array_equal(got, b.to_numpy(b.bind(op, *[X] * len(arrays))()))
    assert type(got) is np.ndarray


def test_a_mask_is_not_lost_without_a_word(b):
    masked = np.ma.masked_array(X, mask=X < 0)
    with pytest.raises(TypeError, match=r"array: must not be masked, .* array\.filled\(value\)"):
        b.asarray(masked)
    op = an_op(b)
    arrays = [masked] * (1 if op == "sigmoid" else 2)
    with pytest.raises(TypeError, match="must not be masked"):
        b.bind(op, *arrays)
    with pytest.raises(TypeError, match="must be an array of the"):
        getattr(b, op)(*arrays)
    np.testing.assert_array_equal(b.to_numpy(b.asarray(masked.filled(0))), np.maximum(X, 0))
