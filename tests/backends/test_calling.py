"""How to call the winner: the lines that import and call it compute what the backend does."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import backends
from backends import calling
from backends.base import output_shape
from backends.catalogue import OPS
from benchmarks.plan import inputs

SLOW = "torch-compile"
"""Takes seconds for each op and mode: one stands for all, whose lines differ in nothing else."""
CALLED = tuple(name for name in backends.names(on_request=True) if name not in (*backends.peer_names(), SLOW))
FEW = (("numpy", "swiglu"), ("torch", "gelu"), ("torch", "huber"), ("jax", "silu"))


def compare(name, op, dtype="float32"):
    """Run the lines for each mode, and compare what they compute with the backend's own results."""
    if reason := backends.missing(name):
        pytest.skip(reason)
    b, spec = backends.load(name), OPS[op]
    host = inputs.draw(op, (6, 8), dtype)
    g = inputs.cotangent(output_shape(spec, host, spec.defaults), dtype)
    for mode in ("forward", "backward", "forward+backward"):
        arrays = [b.asarray(array) for array in host if array is not None]
        names = dict(zip([each.name for each in spec.inputs], arrays, strict=False)) | {"g": b.asarray(g)}
        exec("\n".join(calling.lines(name, op, mode=mode, dtype=dtype)), names)
        wanted = {}
        if mode != "backward":
            wanted["y"] = getattr(b, op)(*arrays)
        if mode != "forward":
            wanted["gradient"] = b.vjp(op)(b.asarray(g), *arrays)
        for result, exact in wanted.items():
            eps = 1e-6 if dtype == "float32" else 1e-12 if dtype == "float64" else 1e-2  # XLA fuses each mode
            one, other = (b.to_numpy(each).astype(np.float64) for each in (names[result], exact))
            np.testing.assert_allclose(one, other, rtol=eps, atol=eps / 10, err_msg=f"{name} {op} {mode}")
            assert b.dtype_of(names[result]) == dtype


@pytest.mark.parametrize(("name", "op"), FEW)
def test_the_lines_of_a_call_compute_what_the_backend_does(name, op):
    compare(name, op)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", CALLED)
def test_the_lines_of_every_op_compute_what_the_backend_does(name, op):
    through_here = calling.lines(name, op)[0].startswith("from activation_bench")
    for dtype in ("float32",) if through_here else ("float32", "float64", "float16"):
        compare(name, op, dtype)


def test_the_lines_of_a_compiled_call_compute_what_the_backend_does():
    compare(SLOW, "gelu")


@pytest.mark.parametrize("op", ["sigmoid", "log_sigmoid", "softmax", "gelu"])
def test_the_lines_of_a_library_compute_what_it_does(op):
    b, (x,) = backends.load("scipy"), inputs.draw(op, (6, 8), "float32")
    names = {"x": x}
    exec("\n".join(calling.lines("scipy", op)), names)
    np.testing.assert_array_equal(names["y"], getattr(b, op)(x))


def test_a_frameworks_own_function_is_called_where_it_is_what_is_timed():
    assert calling.lines("torch", "gelu") == (
        "import torch.nn.functional as F",
        "",
        "y = F.gelu(x, approximate='none')",
    )
    assert calling.lines("torch", "binary_cross_entropy_with_logits", mode="backward") == (
        "import torch",
        "import torch.nn.functional as F",
        "",
        "logits.requires_grad_()",
        "y = F.binary_cross_entropy_with_logits(logits, target, reduction='mean')",
        "(gradient,) = torch.autograd.grad(y, logits, g)",
    )
    assert calling.lines("jax", "gelu", dtype="float64")[2:] == (
        'jax.config.update("jax_enable_x64", True)  # or float64 silently becomes float32',
        "compiled = jax.jit(lambda x: jax.nn.gelu(x, approximate=False))",
        "y = compiled(x)",
    )


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (
            {"backend": "numba-parallel", "threads": 2, "mode": "forward+backward"},
            [
                "b = backends.load('numba-parallel', threads=2)  # its arrays: b.asarray(a), b.to_numpy(y)",
                "y = b.swiglu(x, gate)",
                "gradient = b.vjp('swiglu')(g, x, gate)",
            ],
        ),
        (
            {"backend": "jax", "device": "cuda"},
            [
                "b = backends.load('jax', device='cuda')  # its arrays: b.asarray(a), b.to_numpy(y)",
                "y = b.swiglu(x, gate)",
            ],
        ),
        (
            {"backend": "torch", "allocation": "reuse", "mode": "backward"},
            [
                "b = backends.load('torch')  # its arrays: b.asarray(a), b.to_numpy(y)",
                "run = b.bind('swiglu', x, gate, allocation='reuse', mode='backward', cotangent=g)",
                "gradient = run()",
            ],
        ),
        (
            {"backend": "somebody's"},
            [
                'b = backends.load("somebody\'s")  # its arrays: b.asarray(a), b.to_numpy(y)',
                "y = b.swiglu(x, gate)",
            ],
        ),
    ],
)
def test_all_else_goes_through_this_package(asked, wanted):
    assert calling.lines(**asked, op="swiglu") == ("from activation_bench import backends", "", *wanted)


def test_an_unknown_op_is_refused():
    with pytest.raises(ValueError, match="gleu"):
        calling.lines("torch", "gleu")


def test_the_lines_are_known_without_importing_any_framework():
    code = (
        "import sys; from backends import calling, names; from backends.catalogue import OPS; "
        "[calling.lines(name, op, mode=mode) for name in names(on_request=True) for op in OPS "
        "for mode in ('forward', 'backward')]; "
        "print(sorted({'numpy', 'numba', 'jax', 'torch', 'scipy'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"
