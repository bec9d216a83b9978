"""Gradients that start from the output: what they are, where outputs lie, and that no other is taken for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backends.catalogue import OPS
from benchmarks.check import accuracy, oracle, samples
from benchmarks.check.known_deviations import KNOWN_DEVIATIONS
from benchmarks.check.references import references
from benchmarks.measure.prepared import bytes_moved
from benchmarks.measure.renewals import Renewals
from benchmarks.plan import inputs
from benchmarks.record.schema import Case, Check, case_from, case_of, row

FROM_OUTPUT = [name for name, spec in OPS.items() if spec.from_output]
CASE = Case("sigmoid", "backward", "float32", (1000,), "numpy", "cpu", saved="output")


@pytest.mark.parametrize("op", FROM_OUTPUT)
def test_from_the_exact_output_it_is_the_gradient_from_the_input(op):
    arrays = inputs.draw(op, (5, 8), "float64")
    g = inputs.cotangent((5, 8), "float64")
    y = oracle.forward(op, arrays, {}, "float64").high
    found = oracle.gradient(OPS[op].of_output, g, [y], {}, "float64").high
    np.testing.assert_allclose(found, oracle.backward(op, g, arrays, {}, "float64").high, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("op", FROM_OUTPUT)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_outputs_are_drawn_and_sampled_where_they_lie(op, dtype):
    low, high = {
        "unit": (0, 1),
        "signed_unit": (-1, 1),
        "distribution": (0, 1),
        "log_distribution": (-np.inf, 0),
        "nonnegative": (0, np.inf),
    }[OPS[op].from_output.domain]
    (drawn,) = inputs.draw(op, (20, 50), dtype, saved="output")
    assert drawn.dtype == dtype
    assert not np.array_equal(drawn, inputs.draw(op, (20, 50), dtype)[0])
    for sample in (
        drawn,
        samples.designed_sample(op, dtype, "output")[0],
        samples.scattered_sample(op, dtype, "output")[0],
    ):
        values = sample[~np.isnan(sample)].astype(np.float64)
        assert ((values >= low) & (values <= high)).all()
    (again,) = inputs.redraw(op, (50,), dtype, 3, np.random.default_rng(), "output")
    assert ((again >= low) & (again <= high)).all()


def test_what_a_rounded_output_has_lost_is_no_error_of_the_gradient():
    y = np.array([1.0, np.nextafter(np.float32(1), np.float32(0))], np.float32)
    exact = oracle.gradient(OPS["sigmoid"].of_output, np.ones(2, np.float32), [y], {}, "float32")
    check = Check("sigmoid", "backward", "float32", "numpy", "cpu", "output")
    assert accuracy.assess(y * (1 - y), exact, check, first_input=y).max_ulp <= 1
    from_input = oracle.backward("sigmoid", np.ones(1, np.float32), [np.float32([20])], {}, "float32")
    assert exact.high[0] == 0 < from_input.high[0]


def test_a_gradient_that_needs_its_input_is_refused():
    with pytest.raises(ValueError, match="gelu: its gradient is not a function of its output"):
        _ = OPS["gelu"].of_output


def test_a_call_moves_the_output_the_cotangent_and_the_gradient():
    n = 4 * CASE.n_elements
    host = inputs.draw(CASE.op, CASE.shape, CASE.dtype, saved="output")
    assert bytes_moved(CASE, host, CASE.shape) == (3 * n, n)
    loss = replace(CASE, op="mean_squared_error", saved="input")
    assert bytes_moved(loss, inputs.draw(loss.op, loss.shape, loss.dtype), ()) == (3 * n + 4, n)


def test_what_it_starts_from_is_part_of_a_case_and_older_records_start_from_the_input():
    usual = replace(CASE, saved="input")
    assert str(CASE) == f"{usual}-output"
    assert CASE.group != usual.group
    assert case_from(row(CASE)) == CASE
    older = {name: value for name, value in row(usual).items() if name != "saved"}
    assert case_of(older)["saved"] == "input"
    assert case_from(older) == usual


@pytest.mark.parametrize("op", ["tanh", "softmax"])
def test_new_values_are_outputs_and_what_is_due_follows_them(op):
    case = replace(CASE, op=op, shape=(30, 7))
    (reference,) = due = references(case)
    renewal = Renewals(case, due).renewal()
    assert {change.array for change in renewal.changes} == {0, 1}
    assert np.abs(renewal.changes[0].values).max() <= 1
    assert (renewal.due[0].expected.high != renewal.before[0].expected.high).any()
    assert reference.mode == "backward"


@pytest.mark.parametrize(
    ("op", "at", "saved"), [("tanh", "interval", {"input"}), ("relu", "undefined", {"input", "output"})]
)
def test_a_deviation_known_of_one_start_excuses_nothing_from_the_other(op, at, saved):
    """PyTorch's 1 - y² cancels beside the exact gradient, and not beside what is exact in y."""
    checks = [Check(op, "backward", "float32", "torch", "cpu", each) for each in ("input", "output")]
    known = [(check, d) for d in KNOWN_DEVIATIONS if d.at == at for check in checks if d.applies(check)]
    assert {check.saved for check, _ in known} == saved
    assert all(check.saved == d.saved for check, d in known)
