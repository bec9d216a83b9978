"""Numba's formulas for a GPU: their code with other names behind it, in Python and in numba-cuda's simulator.

None of this is a GPU. It shows which element a thread takes and what the formulas compute, not how exact they are
on libdevice's functions; that they can be compiled for one is shown where numba-cuda is installed.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from backends.catalogue import OPS
from benchmarks.check import accuracy, oracle
from tests.job import ROOT

pytest.importorskip("numba")

from backends.numba import activations, piecewise
from backends.numba_cuda import formulas

INSTALLED = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"
)
LOOSE = {"float32": 8, "float64": 200}
"""Errors in ULP: Python's stand-in for a fused multiply-add rounds twice, and in float64 sees 11 bits more."""
POINTS = (-88.0, -20.0, -7.0, -3.0, -1.0, -0.3, -1e-5, 0.0, 1e-5, 0.2, 0.5, 1.0, 2.9, 3.1, 6.5, 19.0, 60.0)
POINTS += (-math.inf, math.inf, math.nan, -0.0)


def evaluated(op, mode, dtype):
    """Return a formula at the points, and what is due there."""
    spec, x = OPS[op], np.array(POINTS, dtype)
    g = np.full_like(x, 0.75)
    arrays = (x,) if mode == "forward" else (g, x)
    formula = (formulas.FORWARD if mode == "forward" else formulas.BACKWARD)[op]
    function = formulas.Formulas(dtype, formulas.plain(dtype), lambda f: f).of(formula)
    given = formulas.numbers(formula, len(arrays), spec.defaults)
    with np.errstate(all="ignore"):
        got = np.array([function(*elements, *given) for elements in zip(*arrays, strict=True)], dtype)
    if mode == "forward":
        return got, oracle.forward(op, (x,), spec.defaults, dtype)
    return got, oracle.backward(op, g, (x,), spec.defaults, dtype)


@pytest.mark.parametrize("dtype", formulas.LAYOUTS)
@pytest.mark.parametrize("op", formulas.FORWARD)
def test_formulas_compute_what_they_should_through_other_names(op, dtype):
    for mode in ("forward", "backward"):
        got, due = evaluated(op, mode, dtype)
        errors = accuracy.ulp_error(got, due)
        worst = int(errors.argmax())
        assert errors[worst] <= LOOSE[dtype], f"{mode} at {POINTS[worst]}: {got[worst]}"


def test_numbers_keep_their_type():
    for op, formula in formulas.FORWARD.items():
        function = formulas.Formulas("float32", formulas.plain("float32"), lambda f: f).of(formula)
        given = formulas.numbers(formula, 1, OPS[op].defaults)
        assert type(function(np.float32(0.5), *given)) is np.float32, op


@pytest.mark.parametrize("dtype", formulas.LAYOUTS)
def test_the_bits_of_numbers_are_taken_apart_as_the_processor_does(dtype):
    layout = formulas.LAYOUTS[dtype]
    made = formulas.twins(layout, formulas.plain(dtype))
    for x in (1.0, 1.5, 0.7, 3.0, 1e-30, 1e30):
        m, n = made["split"](layout.number(x))
        assert math.sqrt(0.5) <= m < math.sqrt(2)
        assert float(m) * 2.0 ** float(n) == layout.number(x)


def test_an_instruction_without_a_twin_is_no_formula_of_a_gpu():
    """Its names would lead to a function that no GPU has; which ops are missing is said where the others are."""
    missing = {*piecewise.OPS, *activations.OPS} - {*formulas.FORWARD}
    assert missing == {"gelu", "tanh_shrink"}
    assert formulas.FORWARD.keys() == formulas.BACKWARD.keys()


SIMULATED = """
import json, sys
import numpy as np
import backends
backend = backends.load("numba-cuda", "cuda")
from backends.numba_cuda import kernels
kernels.THREADS, kernels.MOST_BLOCKS = 32, 3  # so that some threads have several elements, and some none
results = {}
for op in ("relu", "elu", "threshold", "silu"):
    for shape in ((1,), (31,), (33,), (4, 75), ()):
        x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        g = np.full(shape, 0.75, np.float32)
        for mode in ("forward", "backward", "forward+backward"):
            for allocation in ("fresh", "reuse"):
                given = {} if mode == "forward" else {"cotangent": g}
                run = backend.bind(op, x, mode=mode, allocation=allocation, **given)
                first, last = ([*found] if isinstance(found := run(), tuple) else [found] for _ in range(2))
                assert all((a is b) == (allocation == "reuse") for a, b in zip(first, last, strict=True)), mode
                results[f"{op} {shape} {mode} {allocation}"] = [backend.to_numpy(each).tolist() for each in last]
x = backend.asarray(np.arange(12, dtype=np.float32).reshape(2, 6) - 5)
results["strided"] = backend.to_numpy(backend.relu(x[..., ::2])).tolist()
results["empty"] = list(backend.relu(backend.asarray(np.zeros((0, 3), np.float32))).shape)
results["settings"] = backend.settings()
results["copy"] = [backend.copier(40)] + backend.to_numpy(backend.negating(40)()).tolist()
print(json.dumps(results))
"""


@INSTALLED
def test_the_simulator_gives_each_element_its_own_value_whatever_the_length():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found.pop("settings") == "simulated=True"
    assert found.pop("copy") == [None] + [-1.0] * 10
    assert found.pop("strided") == [[0, 0, 0], [1, 3, 5]]
    assert found.pop("empty") == [0, 3]
    for case, results in found.items():
        op, rest = case.split(" ", 1)
        shape, mode = eval(rest[: rest.index(")") + 1]), rest[rest.index(")") + 2 :].split()[0]
        x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        due = [
            oracle.forward(op, (x,), OPS[op].defaults, "float32", wide=True)
            if each == "forward"
            else oracle.backward(op, np.full_like(x, 0.75), (x,), OPS[op].defaults, "float32", wide=True)
            for each in mode.split("+")
        ]
        for got, expected in zip(results, due, strict=True):
            assert accuracy.ulp_error(np.array(got, np.float32), expected).max() <= LOOSE["float32"], case


COMPILED = """
import sys
from types import SimpleNamespace
from numba import cuda, types
from numba.cuda import dispatcher
from backends.numba_cuda import kernels
from backends.numba_cuda.formulas import BACKWARD, FORWARD, numbers
from backends.catalogue import OPS
for cc in ((9, 0), (10, 0)):
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=cc)  # it asks
    kernels.formulas.cache_clear()
    for table, n_arrays in ((FORWARD, 1), (BACKWARD, 2)):
        for op in sys.argv[1:] or table:
            for dtype in ("float32", "float64"):
                n = len(numbers(table[op], n_arrays, OPS[op].defaults))
                kernel = kernels.loop(kernels.formulas(dtype).of(table[op]), n_arrays, n)
                line = types.Array(getattr(types, dtype), 1, "C")
                text, _ = cuda.compile_ptx(kernel, (line,) * (1 + n_arrays) + (types.float64,) * n, cc=cc)
                assert f".target sm_{cc[0]}{cc[1]}" in text, op
                if dtype == "float32" and not n:
                    assert ".f64" not in text, f"{op}: float64 on the way"
print("compiled")
"""


@INSTALLED
def test_every_formula_is_compiled_for_two_architectures():
    done = subprocess.run([sys.executable, "-c", COMPILED], cwd=ROOT, capture_output=True, text=True, check=False)
    if "libNVVM" in done.stderr or "libnvvm" in done.stderr:
        pytest.skip("libNVVM is not installed")
    assert done.stdout.strip() == "compiled", done.stderr[-3000:]
