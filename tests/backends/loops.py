"""Ops that stand for all, and how to try them, where what is tested is how loops are put around formulas."""

import numpy as np

from backends.catalogue import OPS
from benchmarks.plan import inputs

SOME = (
    *(
        "relu",
        "gelu",
        "prelu",
        "swiglu",
        "softmax",
        "glu",
        "mean_squared_error",
        "binary_cross_entropy_with_logits",
    ),
    *("gaussian_negative_log_likelihood", "softmax_cross_entropy_with_integer_labels", "cosine_similarity"),
)
"""One op of each way in which loops are put around formulas: to compile all, in parallel or for every layout,
takes minutes."""

FEW = ("relu", "softmax", "mean_squared_error", "softmax_cross_entropy_with_integer_labels")
"""One op of each kind of loop: where each takes seconds to compile, and nothing but the loop is tested."""


def draw(op, shape, dtype="float32", axis=-1, seed=0):
    """Draw inputs from the op's domains, classes along `axis`; optional ones are left out."""
    generator = np.random.default_rng(seed)
    drawn = []
    for declared in OPS[op].inputs:
        if declared.optional:
            continue
        first = [*np.delete(shape, axis), shape[axis]] if shape else []
        values = inputs._draw_input(declared, [int(n) for n in first], dtype, generator)
        drawn.append(np.moveaxis(values, -1, axis) if declared.extent == "same" and shape else values)
    return drawn


def both(backend, op, arrays, **parameters):
    """Return the op's output and its gradient for a cotangent of ones."""
    y = getattr(backend, op)(*arrays, **parameters)
    return y, backend.vjp(op)(np.ones_like(y), *arrays, **parameters)


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
