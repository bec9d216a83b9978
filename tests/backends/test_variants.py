"""Variants that are measured on request: they compute what their family does, in another way."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from backends.interface import BackendUnavailable, Gap
from benchmarks.plan import inputs
from benchmarks.plan.selection import Selection

SOME = ("step", "gelu", "softmax", "swiglu", "mean_squared_error", "softmax_cross_entropy_with_integer_labels")


def load(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    return backends.load(name)


def results(backend, op, mode):
    arrays = inputs.draw(op, (4, 8), "float32")
    found = backend.bind(op, *arrays, mode=mode)()
    return [backend.to_numpy(a) for a in (found if isinstance(found, tuple) else (found,))]


def assert_alike(variant, usual, op, mode):
    for a, b in zip(results(load(variant), op, mode), results(load(usual), op, mode), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("op", "mode"), [*((op, "forward+backward") for op in SOME), ("gelu", "forward"), ("gelu", "backward")]
)
def test_eager_jax_computes_what_jax_does(op, mode):
    assert_alike("jax-eager", "jax", op, mode)


def test_compiled_torch_computes_what_torch_does():
    for mode in ("forward", "backward", "forward+backward"):
        assert_alike("torch-compile", "torch", "mish", mode)


def test_what_is_bound_is_compiled_once():
    compiled = load("torch-compile")
    from torch._dynamo.utils import counters

    run = compiled.bind("relu", np.ones(10, np.float32))
    counters.clear()
    for _ in range(3):
        run()
    assert not counters["frames"], "Dynamo looked at a frame again"


def test_a_missing_compiler_is_said_to_be_missing(monkeypatch):
    load("torch")
    from torch._inductor import cpp_builder, exc

    def none_found():
        raise exc.InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    with pytest.raises(BackendUnavailable, match=r"torch-compile: Inductor needs a C\+\+ compiler"):
        backends.load("torch-compile")


@pytest.mark.parametrize(("name", "allocation"), [("jax-eager", "inplace"), ("torch-compile", "reuse")])
def test_what_a_variant_cannot_do_is_a_gap(name, allocation):
    assert isinstance(load(name).supports("relu", dtype="float32", allocation=allocation), Gap)


@pytest.mark.parametrize("name", ["jax-eager", "torch-compile"])
def test_variants_are_measured_where_they_are_asked_for_alone(name):
    assert name not in Selection().resolve().backends
    assert Selection(backends=(name,)).resolve().backends == (name,)


@pytest.mark.parametrize("allocation", ["fresh", "reuse"])
def test_a_forward_of_torch_records_nothing_for_autograd(allocation):
    torch = load("torch")
    y = torch.bind("sigmoid", np.ones(3, np.float32), allocation=allocation)()
    assert not y.requires_grad
    assert y.grad_fn is None
    y.detach().requires_grad_().sum().backward()  # and is a tensor like any other
