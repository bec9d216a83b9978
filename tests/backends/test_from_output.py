"""Gradients that start from the op's output: who has them, from what they are computed, and who says why not."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from backends.catalogue import OPS
from backends.interface import Gap, NotSupported
from benchmarks.check import accuracy, oracle
from benchmarks.plan import inputs
from benchmarks.record.schema import Check

FROM_OUTPUT = [name for name, spec in OPS.items() if spec.from_output]


def load(name, **options):
    if reason := backends.missing(name):
        pytest.skip(reason)
    return backends.load(name, **options)


@pytest.mark.parametrize("op", FROM_OUTPUT)
@pytest.mark.parametrize("allocation", ["fresh", "reuse"])
def test_a_bound_call_reads_the_output_it_was_given(op, allocation):
    b = load("numpy")
    (y,), g = inputs.draw(op, (6, 10), "float32", saved="output"), inputs.cotangent((6, 10), "float32")
    run = b.bind(op, y, mode="backward", saved="output", allocation=allocation, cotangent=g)
    np.testing.assert_array_equal(run(), b.vjp_from_output(op)(g, y))
    assert (run() is run()) == (allocation == "reuse")
    y[...] = inputs.draw(op, (6, 10), "float32", saved="output")[0][::-1]
    np.testing.assert_array_equal(run(), b.vjp_from_output(op)(g, y))


def test_whoever_has_one_says_so_and_others_why_not():
    b = load("numpy")
    assert b.supports("sigmoid", mode="backward", saved="output") is True
    for asked, reason in (
        ({"op": "sigmoid", "mode": "forward"}, "only a backward pass alone"),
        ({"op": "sigmoid", "mode": "forward+backward"}, "only a backward pass alone"),
        ({"op": "gelu", "mode": "backward"}, "the gradient of gelu is not a function of its output"),
        ({"op": "mean_squared_error", "mode": "backward"}, "is not a function of its output"),
        ({"op": "sigmoid", "mode": "backward", "allocation": "inplace"}, "the input is needed"),
    ):
        gap = b.supports(**asked, saved="output")
        assert isinstance(gap, Gap)
        assert reason in gap.reason
        assert gap.kind == "never"
    with pytest.raises(ValueError, match="saved: must be one of input, output; got 'outputs'"):
        b.bind("sigmoid", np.ones(3), mode="backward", saved="outputs")
    with pytest.raises(NotSupported, match=r"sigmoid: any type, forward, .* from a saved output"):
        b.bind("sigmoid", np.ones(3), saved="output")
    with pytest.raises(TypeError, match=r"softmax: takes 1 arrays \(y\); got 2"):
        b.bind("softmax", np.ones((2, 3)), np.ones((2, 3)), mode="backward", saved="output")
    with pytest.raises(ValueError, match="g must have the output's shape"):
        b.vjp_from_output("softmax")(np.ones((3, 2)), np.ones((2, 3)))


def test_a_framework_that_saves_for_itself_says_so():
    gap = load("jax").supports("sigmoid", mode="backward", saved="output")
    assert isinstance(gap, Gap)
    assert "its own forward pass" in gap.reason


@pytest.mark.parametrize("op", FROM_OUTPUT)
def test_pytorch_has_those_of_which_autograd_saves_the_output_alone(op):
    torch = pytest.importorskip("torch")
    b = load("torch")
    saved = []
    x = b.asarray(inputs.draw(op, (3, 4), "float32")[0]).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor
    ):
        y = getattr(b, op)(x)
    of_output = bool(saved) and all(tensor.data_ptr() == y.data_ptr() for tensor in saved)
    assert b.takes_output(op) == of_output
    assert (b.supports(op, mode="backward", saved="output") is True) == of_output


@pytest.mark.parametrize("op", ["tanh", "softmax"])
def test_long_and_large_rows_are_those_of_one_thread(op, monkeypatch):
    """Rows that threads share, and rows that are written past the caches and begin at any place of a line."""
    pytest.importorskip("numba")
    from backends.numba import loops

    one, two = load("numba"), load("numba-parallel", threads=2)
    check = Check(op, "backward", "float32", "numba", "cpu", "output")
    for shape in ((1, 40_000), (300, 203), (40, 5)):
        (y,), g = inputs.draw(op, shape, "float32", saved="output"), inputs.cotangent(shape, "float32")
        exact = oracle.gradient(OPS[op].of_output, g, [y], {}, "float32", wide=True)
        with monkeypatch.context() as patch:
            found = [b.vjp_from_output(op)(g, y) for b in (one, two)]
            patch.setattr(loops, "STREAM_FROM", 0)
            found += [b.vjp_from_output(op)(g, y) for b in (one, two)]
        for each in found:
            assert (
                accuracy.assess(each, exact, check, first_input=y, n_summed=accuracy.terms(OPS[op], y, {})).status
                == "ok"
            )
