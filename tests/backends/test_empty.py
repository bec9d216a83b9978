"""Arrays without elements, and without dimensions: every op, axis, reduction and parameter, forward and backward.

The loss of a row without classes is 0, as any sum of nothing; the mean of no losses is 0/0.
"""

from __future__ import annotations

from itertools import product

import ml_dtypes
import numpy as np
import pytest

import backends
from backends.arguments import without_axis
from backends.base import DTYPES, NARROW, output_shape
from backends.catalogue import OPS
from backends.interface import ALLOCATIONS, MODES, REDUCTIONS, BackendUnavailable, Gap, NotSupported
from benchmarks.check import oracle
from tests.everyday import COMPILES

NAMES = backends.names()
FLAT = [name for name, spec in OPS.items() if not spec.along_axis]
ROWS = [name for name, spec in OPS.items() if spec.along_axis]
EMPTY = ((0,), (0, 3), (3, 0), (0, 0), (2, 0, 3))
IGNORED = 7
"""The label of all rows: without classes, no other is allowed."""


def load(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    return backends.load(name)


def types_on(name):
    """Return all types, or one where each is compiled."""
    return ("float32",) if name in COMPILES else (*NARROW, *DTYPES)


def parameters_of(spec, axes):
    """Return these axes with every reduction, and the other parameters that are worth a test."""
    axes = [{"axis": axis} for axis in axes] if spec.along_axis else [{}]
    reductions = [{"reduction": reduction} for reduction in REDUCTIONS] if spec.kind == "loss" else [{}]
    others = [dict(parameters) for parameters in spec.alternatives if "axis" not in parameters]
    return [*(axis | reduction for axis, reduction in product(axes, reductions)), *others]


def filled(spec, shape, axis, dtype, *, optional=False):
    """Return inputs, the first of them of this shape; the label of each row is one to ignore."""

    def one(declared):
        if declared.extent == "rows":
            return np.full(without_axis(shape, axis), IGNORED)
        if declared.extent == "classes":
            return np.ones(shape[axis], dtype)
        value = 0.5 if declared is spec.inputs[0] else 1.0
        return np.full(shape if declared.extent == "same" else (1,) * bool(shape), value, dtype)

    return [one(declared) for declared in spec.inputs if optional or not declared.optional]


def value_of_nothing(spec, arrays, parameters):
    """Return what an op makes of inputs without elements, and of rows that are ignored."""
    shape = output_shape(spec, arrays, spec.complete(parameters))
    if spec.kind == "loss" and spec.complete(parameters)["reduction"] == "mean":
        each = output_shape(spec, arrays, spec.complete(parameters | {"reduction": "none"}))
        nothing = 0 in each or any(d.domain == "labels" for d in spec.inputs)
        return np.full(shape, np.nan if nothing else 0.0)
    return np.zeros(shape)


def calls_on_nothing(spec, dtype, shapes=EMPTY, axes=None):
    """Yield inputs without elements, with parameters that go with them."""
    labels = any(declared.domain == "labels" for declared in spec.inputs)
    optional = (False, True) if any(declared.optional for declared in spec.inputs) else (False,)
    for shape, given in product(shapes, optional):
        for parameters in parameters_of(spec, axes or (-1, *range(len(shape)))):
            if labels:
                parameters = parameters | {"ignore_index": IGNORED}
            arrays = filled(spec, shape, parameters.get("axis", -1), dtype, optional=given)
            if spec.shape is None or shape[parameters.get("axis", -1)] % 2 == 0:  # glu halves an axis
                yield arrays, parameters


def check(b, result, expected, dtype):
    """Compare a native array with the values, the shape and the type that it must have."""
    assert b.is_native(result)
    host = b.to_numpy(result)
    assert (host.shape, host.dtype) == (expected.shape, np.dtype(dtype))
    tolerance = 8 * float(ml_dtypes.finfo(dtype).eps)
    np.testing.assert_allclose(host.astype(np.float64), expected.astype(np.float64), rtol=tolerance)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("op", OPS)
def test_arrays_without_elements_work(name, op):
    b, spec = load(name), OPS[op]
    few = {"shapes": ((0, 3), (3, 0)), "axes": (-1,)} if name in COMPILES else {}
    for dtype in types_on(name):
        for arrays, parameters in calls_on_nothing(spec, dtype, **few):
            native = [b.asarray(a) for a in arrays]
            expected = value_of_nothing(spec, arrays, parameters)
            check(b, getattr(b, op)(*native, **parameters), expected, dtype)
            g = b.asarray(np.ones(expected.shape), dtype)
            check(b, b.vjp(op)(g, *native, **parameters), np.empty(arrays[0].shape), dtype)


@pytest.mark.parametrize("op", OPS)
def test_the_oracle_knows_arrays_without_elements(op):
    spec = OPS[op]
    for arrays, parameters in calls_on_nothing(spec, "float64"):
        arrays = [*arrays, *[None] * (len(spec.inputs) - len(arrays))]
        expected = value_of_nothing(spec, arrays, parameters)
        np.testing.assert_array_equal(oracle.forward(op, arrays, parameters, "float64").high, expected)
        g = np.ones(expected.shape)
        gradient = oracle.backward(op, g, arrays, parameters, "float64").high
        assert gradient.shape == arrays[0].shape


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("op", FLAT)
def test_arrays_without_dimensions_give_what_one_element_gives(name, op):
    b, spec = load(name), OPS[op]
    for dtype, parameters in product(types_on(name), parameters_of(spec, ())):
        alone, beside = ([b.asarray(a) for a in filled(spec, shape, -1, dtype)] for shape in ((), (1,)))
        for mode in ("forward", "backward"):
            expected = b.to_numpy(b.bind(op, *beside, mode=mode, **parameters)())
            check(b, b.bind(op, *alone, mode=mode, **parameters)(), expected.reshape(()), dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("op", ROWS)
def test_a_row_alone_gives_what_a_matrix_of_one_row_gives(name, op):
    b, spec = load(name), OPS[op]
    for dtype in types_on(name):
        for parameters in parameters_of(spec, (0, -1)):
            parameters = parameters | ({"ignore_index": IGNORED} if "ignore_index" in spec.defaults else {})
            alone, beside = ([b.asarray(a) for a in given(spec, shape, dtype)] for shape in ((4,), (1, 4)))
            for mode in ("forward", "backward"):
                expected = b.to_numpy(b.bind(op, *beside, mode=mode, **(parameters | along(spec, -1)))())
                result = b.bind(op, *alone, mode=mode, **parameters)()
                check(b, result, expected.reshape(b.to_numpy(result).shape), dtype)


def along(spec, axis):
    return {"axis": axis} if spec.along_axis else {}


def given(spec, shape, dtype):
    """Return a row with different entries, and its label."""
    drawn = filled(spec, shape, -1, dtype)
    drawn[0] = (np.arange(1, 5) / 10).astype(dtype).reshape(shape)
    return [np.full(a.shape, 2) if a.dtype.kind == "i" else a for a in drawn]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape", [(), (0, 4)], ids=str)
def test_every_allocation_takes_them(name, op, shape):
    b, spec = load(name), OPS[op]
    if spec.along_axis and not shape:
        pytest.skip("a 0-d array has no axis")
    arrays = [b.asarray(a) for a in filled(spec, shape, -1, "float32")]
    for mode, allocation in product(MODES, ALLOCATIONS):
        if b.supports(op, dtype="float32", mode=mode, allocation=allocation):
            found = b.bind(op, *arrays, mode=mode, allocation=allocation)()
            expected = b.bind(op, *arrays, mode=mode)()
            pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
            for one, other in pairs:
                check(b, one, b.to_numpy(other), "float32")


def peer(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    try:
        return backends.load(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's use of PyTorch
@pytest.mark.parametrize("name", backends.peer_names())
def test_another_library_takes_arrays_without_elements_or_says_that_it_takes_none(name):
    b = peer(name)
    for op, dtype in product(OPS, DTYPES):
        if isinstance(b.supports(op, dtype=dtype), Gap):
            continue
        for arrays, parameters in calls_on_nothing(OPS[op], dtype):
            native = [b.asarray(a) for a in arrays]
            for call in (getattr(b, op), lambda *a, op=op, **p: b.bind(op, *a, **p)()):
                try:
                    result = call(*native, **parameters)
                except NotSupported:
                    continue
                check(b, result, value_of_nothing(OPS[op], arrays, parameters), dtype)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's use of PyTorch
@pytest.mark.parametrize("name", backends.peer_names())
def test_another_library_takes_arrays_without_dimensions(name):
    b = peer(name)
    for op, dtype in product(FLAT, DTYPES):
        if isinstance(b.supports(op, dtype=dtype), Gap):
            continue
        for parameters in parameters_of(OPS[op], ()):
            alone, beside = ([b.asarray(a) for a in filled(OPS[op], shape, -1, dtype)] for shape in ((), (1,)))
            try:
                expected = b.to_numpy(b.bind(op, *beside, **parameters)())
            except NotSupported:
                continue
            check(b, b.bind(op, *alone, **parameters)(), expected.reshape(()), dtype)
            check(b, getattr(b, op)(*alone, **parameters), expected.reshape(()), dtype)
