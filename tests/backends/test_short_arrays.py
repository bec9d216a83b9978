"""Special values in arrays of 1 to 64 elements: in a vector loop's body, in its tail, and in the loop without one.

A kernel that computes several numbers at once has another loop for those that are left over. Where the two are not
written alike, NaN meets a different formula in arrays of another length.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import backends
from backends.base import DTYPES, NARROW, output_shape
from backends.catalogue import OPS
from benchmarks.check import accuracy, oracle
from benchmarks.record.schema import Check
from tests.everyday import COMPILES, KINDS

NAMES = [name for name in backends.names() if name != "numba-parallel"]  # small arrays take the serial kernels
LENGTHS = tuple(range(1, 65))
AROUND_VECTORS = (*range(1, 6), *range(7, 10), *range(15, 18), *range(31, 34), 63, 64)
"""Lengths below, at and above whole vectors of any width: where each costs more, or types are alike."""
REALS = (np.nan, np.inf, -np.inf, 0.0, -0.0)
SPECIAL = {
    "real": REALS,
    "unit": (0.0, -0.0, 1.0),  # PyTorch's losses of probabilities refuse NaN
    "nonnegative": (np.nan, np.inf, 0.0, -0.0),
    "distribution": (np.nan, 0.0, -0.0, 1.0),
    "log_distribution": (np.nan, -np.inf, 0.0, -0.0),
}
ORDINARY = {"real": -0.75, "log_distribution": -0.75, "unit": 0.25, "distribution": 0.25, "nonnegative": 0.25}
BESIDE = {"real": 0.5, "sign": -1.0, "unit": 0.25, "nonnegative": 0.25, "positive": 0.5, "distribution": 0.125}
"""What the other inputs hold; of a distribution, no formula asks for its sum."""
ROWS = [name for name, spec in OPS.items() if spec.along_axis]
FLAT = [name for name, spec in OPS.items() if not spec.along_axis]


def cases(ops):
    """Return each op on each backend in all types, or those compiled; where every shape is, one of each kind.

    Losses of rows are left out of narrow types, which hold no eps as small as theirs.
    """
    types = {name: DTYPES if name in COMPILES else (*DTYPES, *NARROW) for name in NAMES} | {"jax": DTYPES[:1]}
    found = [(n, d, op) for n in NAMES for d in types[n] for op in ops if n != "jax" or op in KINDS]
    return [(n, d, op) for n, d, op in found if d in DTYPES or op in FLAT or OPS[op].kind != "loss"]


def load(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    return backends.load(name)


def arrays_for(spec, first):
    """Return inputs with this first one, and ordinary values beside it."""
    rest = [d for d in spec.inputs[1:] if not d.optional]
    shape = {"same": first.shape, "broadcast": (1,)}
    return [first, *(np.full(shape[d.extent], BESIDE[d.domain], first.dtype) for d in rest)]


def exact(spec, mode, first, parameters):
    arrays = [*arrays_for(spec, first)]
    arrays += [None] * (len(spec.inputs) - len(arrays))
    if mode == "forward":
        return oracle.forward(spec.name, arrays, parameters, str(first.dtype))
    return oracle.backward(spec.name, np.ones_like(first), arrays, parameters, str(first.dtype))


def computed(b, spec, mode, first, parameters):
    arrays = [b.asarray(a) for a in arrays_for(spec, first)]
    if mode == "forward":
        return b.to_numpy(getattr(b, spec.name)(*arrays, **parameters))
    return b.to_numpy(b.vjp(spec.name)(b.asarray(np.ones_like(first)), *arrays, **parameters))


def probe(b, spec, mode, dtype, lengths, parameters):
    """Return the verdict on arrays of all lengths: each special value and an ordinary one at each place."""
    domain = spec.inputs[0].domain
    values = np.array([*SPECIAL[domain], ORDINARY[domain]], dtype)
    expected = exact(spec, mode, values, parameters)
    got, places = [], []
    for length in lengths:
        for shift in range(len(values)):
            where = (np.arange(length) + shift) % len(values)
            got.append(computed(b, spec, mode, values[where], parameters))
            places.append(where)
    everywhere = np.concatenate(places)
    return accuracy.assess(
        np.concatenate(got),
        expected[everywhere],
        Check(spec.name, mode, dtype, b.name, "cpu"),
        parameters=parameters,
        first_input=values[everywhere],
        complete=False,
    )


@pytest.mark.parametrize(("name", "dtype", "op"), cases(FLAT))
@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_short_arrays_are_right_at_special_values(name, op, mode, dtype):
    parameters = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    lengths = LENGTHS if dtype == "float32" and name != "jax" else AROUND_VECTORS
    verdict = probe(load(name), OPS[op], mode, dtype, lengths, parameters)
    assert verdict.status in ("ok", "known_deviation"), verdict.reason


@cache
def rows_and_exact(op, mode, dtype, n_classes):
    """Return rows with each special value first and last among ordinary ones, what goes with them, and results."""
    spec = OPS[op]
    domain = spec.inputs[0].domain
    # Losses of rows meet infinities in the correctness suite's samples.
    values = [value for value in SPECIAL[domain] if spec.kind != "loss" or not np.isinf(value)]
    first = np.full((2 * len(values), n_classes), ORDINARY[domain])
    for i, value in enumerate(values):
        first[2 * i, 0] = first[2 * i + 1, -1] = value
    arrays = [first.astype(dtype)]
    for declared in spec.inputs[1:]:
        if declared.extent == "rows":
            arrays.append(np.zeros(len(first), np.int64))
        elif not declared.optional:
            is_one_hot = declared.domain == "one_hot"
            value = np.arange(n_classes) == 0 if is_one_hot else BESIDE[declared.domain]
            arrays.append(np.full(first.shape, value, dtype))
    parameters = {"reduction": "none"} if spec.kind == "loss" else {}
    every = [*arrays, *[None] * (len(spec.inputs) - len(arrays))]
    if mode == "forward":
        return arrays, None, oracle.forward(op, every, parameters, dtype)
    g = np.ones(output_shape(spec, every, spec.complete(parameters)), dtype)
    return arrays, g, oracle.backward(op, g, every, parameters, dtype)


@pytest.mark.parametrize(("name", "dtype", "op"), cases(ROWS))
@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_short_rows_are_right_at_special_values(name, op, mode, dtype):
    b, spec = load(name), OPS[op]
    parameters = {"reduction": "none"} if spec.kind == "loss" else {}
    for n in AROUND_VECTORS:
        n_classes = n if spec.shape is None else 2 * n  # glu halves a row
        arrays, g, expected = rows_and_exact(op, mode, dtype, n_classes)
        native = [b.asarray(a) for a in arrays]
        result = (
            getattr(b, op)(*native, **parameters) if g is None else b.vjp(op)(b.asarray(g), *native, **parameters)
        )
        got = b.to_numpy(result)
        verdict = accuracy.assess(
            got,
            expected,
            Check(op, mode, dtype, name, "cpu"),
            parameters=parameters,
            first_input=arrays[0] if got.shape == arrays[0].shape else None,
            n_summed=n_classes,
            complete=False,
        )
        assert verdict.status in ("ok", "known_deviation"), f"{n_classes} classes: {verdict.reason}"
