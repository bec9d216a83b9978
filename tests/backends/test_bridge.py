"""Our Numba kernels on PyTorch's tensors: the same memory, the same numbers, and their own gradients."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from backends.interface import Gap, NotSupported
from benchmarks.plan import inputs

SOME = ("gelu", "swiglu", "softmax", "huber", "softmax_cross_entropy_with_integer_labels")


@pytest.fixture(scope="module")
def bridge():
    for name in ("torch", "numba"):
        if reason := backends.missing(name):
            pytest.skip(reason)
    return backends.load("torch-numba")


def tensors(bridge, op, dtype="float32", shape=(4, 6)):
    return [None if a is None else bridge.asarray(a) for a in inputs.draw(op, shape, dtype)]


def module_of(bridge):
    import sys

    return sys.modules[type(bridge).__module__]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_tensors_and_arrays_are_the_same_memory(bridge, dtype):
    here = module_of(bridge)
    x = bridge.asarray(np.arange(6.0).reshape(2, 3), dtype)
    array = here.array_of(x.T)
    assert (array.dtype.name, array.shape) == (dtype, (3, 2))
    array[0, 0] = 7
    assert float(x[0, 0]) == 7
    back = here.tensor_of(array)
    assert (back.data_ptr(), back.dtype) == (x.data_ptr(), x.dtype)
    assert here.array_of(None) is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("op", SOME)
def test_the_bridge_computes_what_the_kernels_do(bridge, op, dtype):
    kernels = backends.load("numba-parallel")
    arrays = inputs.draw(op, (4, 6), dtype)
    for mode in ("forward", "backward"):
        ours, theirs = (b.to_numpy(b.bind(op, *arrays, mode=mode)()) for b in (bridge, kernels))
        np.testing.assert_array_equal(ours.astype(np.float64), theirs.astype(np.float64))
    y, gradient = bridge.bind(op, *arrays, mode="forward+backward")()
    np.testing.assert_array_equal(bridge.to_numpy(gradient).astype(np.float64), theirs.astype(np.float64))
    assert not y.requires_grad


@pytest.mark.parametrize("op", SOME)
def test_autograd_finds_the_gradient_of_the_kernels(bridge, op):
    import torch

    first, *rest = tensors(bridge, op, "float64")
    assert torch.autograd.gradcheck(lambda x: getattr(bridge, op)(x, *rest), first.requires_grad_())


def test_a_gradient_flows_through_a_model(bridge):
    import torch

    layer = torch.nn.Linear(6, 3)
    x = bridge.asarray(inputs.draw("gelu", (4, 6), "float32")[0])
    bridge.gelu(layer(x)).sum().backward()
    ours = layer.weight.grad.clone()
    layer.zero_grad()
    torch.nn.functional.gelu(layer(x)).sum().backward()
    torch.testing.assert_close(ours, layer.weight.grad)


def test_what_kernels_have_no_gradient_for_is_refused_and_not_zero(bridge):
    x, gate = tensors(bridge, "swiglu")
    with pytest.raises(NotSupported, match="swiglu: requires_grad of another input than the first"):
        bridge.swiglu(x, gate.requires_grad_())


def test_what_is_no_tensor_in_the_hosts_memory_is_refused(bridge):
    import torch

    with pytest.raises(TypeError, match="relu: x must be an array of the torch-numba backend"):
        bridge.relu(torch.ones(3, device="meta"))
    with pytest.raises(TypeError, match="relu: x must be an array of the torch-numba backend"):
        bridge.relu(np.ones(3))


def test_a_second_derivative_is_refused(bridge):
    import torch

    x = bridge.asarray(np.ones(3, np.float32)).requires_grad_()
    (slope,) = torch.autograd.grad(bridge.sigmoid(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        slope.sum().backward()


def test_it_is_measured_on_request_alone_and_says_what_it_cannot_do(bridge):
    assert "torch-numba" not in backends.names()
    assert isinstance(bridge.supports("relu", allocation="reuse"), Gap)
    assert bridge.version == f"{backends.load('torch').version}, numba {backends.load('numba').version}"
    assert bridge.promised_ulp("gelu", mode="forward", dtype="float32") == 6
