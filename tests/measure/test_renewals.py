"""New values: few, within the op's domain, and what must come of them agrees with the whole formula."""

from __future__ import annotations

import numpy as np
import pytest

from backends.catalogue import OPS
from benchmarks.check.references import references
from benchmarks.measure import renewals
from benchmarks.measure.renewals import CHANGED, Renewals
from benchmarks.plan import inputs
from benchmarks.record.schema import Case


def drawn(op, mode, shape, dtype="float32"):
    case = Case(op, mode, dtype, shape, "numpy", "cpu")
    renewals = Renewals(case, references(case))
    return renewals, renewals.renewal()


def changed(renewal, op, shape, dtype="float32"):
    """Return the inputs of the case with the new values."""
    arrays = list(inputs.draw(op, shape, dtype))
    for change in renewal.changes:
        if change.array < len(arrays):
            arrays[change.array][change.index] = change.values
    return arrays


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


ELEMENTS = {
    "relu": ((1000,), lambda x: np.maximum(x, 0)),
    "sigmoid": ((), lambda x: 1 / (1 + np.exp(-x))),
    "softmax": ((40, 7), softmax),
}


@pytest.mark.parametrize("op", ELEMENTS)
def test_what_is_due_is_the_formula_of_the_new_values(op):
    shape, formula = ELEMENTS[op]
    _, renewal = drawn(op, "forward", shape)
    (x,) = changed(renewal, op, shape)
    (due,), (before,) = renewal.due, renewal.before
    exact = formula(x.astype(np.float64))[due.index]
    np.testing.assert_allclose(due.expected.high, exact, rtol=1e-12)
    assert (due.expected.high != before.expected.high).any()
    assert renewal.changes[0].values.shape[:1] in ((), *((n,) for n in range(1, CHANGED + 1)))


@pytest.mark.parametrize("op", ["mean_squared_error", "categorical_cross_entropy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_of_new_terms_is_the_old_one_and_what_they_add(op, dtype):
    shape = (512, 10)
    _, renewal = drawn(op, "forward", shape, dtype)
    prediction, target = (a.astype(np.float64) for a in changed(renewal, op, shape, dtype))
    exact = {
        "mean_squared_error": lambda: np.mean((prediction - target) ** 2),
        "categorical_cross_entropy": lambda: -np.sum(target * np.log(prediction)) / len(target),
    }[op]()
    (due,), (before,) = renewal.due, renewal.before
    # Cross entropy adds 1e-7 to each probability.
    assert due.expected.high == pytest.approx(exact, rel=1e-9 if op == "mean_squared_error" else 1e-5)
    # As much as four times a budget of 4 ULP, at least. In float64 one term of 5,120 may have changed, and little.
    assert abs(due.expected.high - before.expected.high) > {"float32": 9e-7, "float64": 1e-9}[dtype] * exact
    n_changed = len(renewal.changes[0].values)
    assert n_changed <= 2 if dtype == "float64" else n_changed <= len(prediction)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("mode", ["forward", "backward", "forward+backward"])
def test_every_op_can_be_asked_for_new_values(op, mode):
    renewals, renewal = drawn(op, mode, (16, 8))
    assert renewals.changes()
    if renewal is None:
        assert (op, mode) == ("step", "backward"), "its gradient is zero everywhere"
        return
    assert [reference.mode for reference in renewal.due] == mode.split("+")
    old = [reference.expected.high for reference in renewal.before]
    new = [reference.expected.high for reference in renewal.due]
    assert renewal.is_remembered(old)
    assert not renewal.is_remembered(new)


def test_the_inputs_of_later_draws_are_the_old_ones():
    renewals, _ = drawn("softmax", "backward", (40, 7))
    for array, fresh in zip(renewals.present(), inputs.draw("softmax", (40, 7), "float32"), strict=False):
        np.testing.assert_array_equal(array, fresh)


def test_what_is_merely_wrong_is_not_remembered():
    old, new = np.array([0.9, 0.8]), np.array([0.1, 0.2])
    assert renewals._is_old(old + 1e-7, old, new)
    assert not renewals._is_old(new + 1.0, old, new)
    assert not renewals._is_old(new, old, new)
