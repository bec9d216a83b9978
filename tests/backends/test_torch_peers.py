"""Adapters of libraries of kernels for GPUs, on stand-ins for these libraries, written in PyTorch, on the CPU.

So this shows what the adapters make of a library's functions: shapes, axes, reductions, and what becomes of inputs
that a library overwrites. It shows nothing of the libraries themselves, which no test here has seen.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from types import ModuleType

import numpy as np
import pytest

import backends
from backends.interface import NotSupported
from benchmarks.plan import inputs

torch = pytest.importorskip("torch")
F = torch.nn.functional
CROSS_ENTROPY = "softmax_cross_entropy_with_integer_labels"


class OverItsInput(torch.autograd.Function):
    """A loss whose forward puts the gradient where the logits were, and whose backward multiplies it there."""

    @staticmethod
    def forward(ctx, x, loss):
        if not x.requires_grad:
            return loss(x)
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            output = loss(leaf)
            (gradient,) = torch.autograd.grad(output.sum(), leaf)
        x.data.copy_(gradient)
        ctx.save_for_backward(x.detach())
        return output.detach()

    @staticmethod
    def backward(ctx, g):
        (saved,) = ctx.saved_tensors
        return saved.mul_(g.unsqueeze(-1) if g.ndim else g), None


class OverBoth(torch.autograd.Function):
    """silu(a)·b, whose backward puts both gradients where the inputs were."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return F.silu(a) * b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        slope = torch.sigmoid(a) * (1 + a * (1 - torch.sigmoid(a)))
        first, second = g * b * slope, g * F.silu(a)
        a.data.copy_(first)
        b.data.copy_(second)
        return a, b


def liger():
    def cross_entropy(x, labels, weight, **more):
        return OverItsInput.apply(x, lambda x: F.cross_entropy(x, labels, weight, **more))

    rows = importlib.import_module("backends.torch.rows")
    return {
        "liger_softmax": lambda x: torch.softmax(x, -1),
        "liger_sparsemax": lambda x, dim: rows.sparsemax(x, axis=dim),
        "liger_swiglu": OverBoth.apply,
        "liger_cross_entropy": cross_entropy,
        "liger_kl_div": lambda x, target, reduction: F.kl_div(x, target, reduction=reduction),
    }


def quack():
    def softmax(x):
        assert x.ndim == 2
        return torch.softmax(x, -1)

    def cross_entropy(x, labels, **more):
        assert (x.ndim, labels.ndim) == (2, 1)
        return F.cross_entropy(x.float(), labels.long(), **more)

    return {"softmax": softmax, "cross_entropy": cross_entropy, "__version__": "0"}


@pytest.fixture(params=["liger", "quack"])
def peer(request, monkeypatch):
    """Return an adapter of a library that is not here, on the CPU."""
    names = {"liger": ("liger_kernel", "liger_kernel.transformers", "liger_kernel.transformers.functional")}
    made = {name: ModuleType(name) for name in names.get(request.param, ("quack",))}
    *_, last = made.values()
    vars(last).update(liger() if request.param == "liger" else quack())
    if "liger_kernel.transformers" in made:
        made["liger_kernel.transformers"].functional = last
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    known = importlib.metadata.version
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0" if name == "liger-kernel" else known(name))
    adapter = f"backends.peers.{request.param}_backend"
    monkeypatch.delitem(sys.modules, adapter, raising=False)
    found = importlib.import_module(adapter).create(request.param, "cpu", None)
    yield found
    del sys.modules[adapter]


def results(backend, op, arrays, mode, **parameters):
    run = backend.bind(op, *arrays, mode=mode, **parameters)
    both = [run() for _ in range(2)]
    return [
        [backend.to_numpy(each).astype(np.float64) for each in (one if isinstance(one, tuple) else (one,))]
        for one in both
    ]


CASES = [
    ("softmax", {}), ("softmax", {"axis": 0}), ("sparsemax", {"axis": 1}), ("swiglu", {}),
    ("kl_divergence", {}), ("kl_divergence", {"reduction": "none", "axis": 1}),
    (CROSS_ENTROPY, {}), (CROSS_ENTROPY, {"reduction": "sum"}), (CROSS_ENTROPY, {"reduction": "none"}),
    (CROSS_ENTROPY, {"ignore_index": 1}), (CROSS_ENTROPY, {"reduction": "none", "axis": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "parameters"), CASES)
def test_each_op_is_what_pytorch_makes_of_it_and_can_be_repeated(peer, op, parameters):
    if not peer.implements(op):
        assert f"{peer._library} has no {op}" in str(peer.supports(op))
        return
    along_the_middle = parameters.get("axis") == 1
    arrays = inputs.draw(op, (3, 4, 5) if along_the_middle else (6, 5), "float32")
    if along_the_middle:  # they are drawn with classes last; labels have no axis of classes
        arrays = [np.moveaxis(a, -1, 1) if a is not None and a.ndim == 3 else a for a in arrays]
    ours = backends.load("torch")
    for mode in ("forward", "forward+backward"):
        first, again = results(peer, op, arrays, mode, **parameters)
        due, _ = results(ours, op, arrays, mode, **parameters)
        for got, repeated, expected in zip(first, again, due, strict=True):
            np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)
            np.testing.assert_array_equal(got, repeated)


def test_what_overwrites_its_inputs_leaves_the_callers_as_they_were(peer):
    op = CROSS_ENTROPY
    arrays = inputs.draw(op, (6, 5), "float32")
    native = [None if a is None else peer.asarray(a) for a in arrays]
    before = native[0].clone()
    _, gradient = peer.bind(op, *native, mode="forward+backward", cotangent=torch.tensor(2.0))()
    assert torch.equal(native[0], before)
    due = backends.load("torch").vjp(op)(torch.tensor(2.0), *native)
    torch.testing.assert_close(gradient, due)


def test_a_backward_alone_is_offered_where_it_can_be_repeated(peer):
    overwrites = peer.name == "liger"
    assert bool(peer.supports(CROSS_ENTROPY, mode="backward")) != overwrites
    first, again = results(peer, "softmax", inputs.draw("softmax", (6, 5), "float32"), "backward")
    np.testing.assert_array_equal(first, again)
    assert not peer.supports("softmax", dtype="float64")


def test_what_a_library_does_not_take_is_refused(peer):
    if peer.name == "quack":
        with pytest.raises(NotSupported, match="QuACK smooths no labels"):
            peer.bind(CROSS_ENTROPY, *inputs.draw(CROSS_ENTROPY, (6, 5), "float32"), label_smoothing=0.1)
    else:
        with pytest.raises(NotSupported, match="rows of at most 65,536"):
            peer.bind("softmax", np.zeros((1, 65537), np.float32))
