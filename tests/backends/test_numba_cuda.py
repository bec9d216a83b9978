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

from backends import gelu_constants as constants
from backends.base import output_shape
from backends.catalogue import OPS
from benchmarks.check import accuracy, oracle
from benchmarks.plan import inputs
from tests.job import ROOT

pytest.importorskip("numba")

from backends.numba import activations, gelu, likelihoods, losses, piecewise
from backends.numba_cuda import formulas, rows

INSTALLED = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"
)
LOOSE = {"float32": 8, "float64": 200}
"""Errors in ULP: Python's stand-in for a fused multiply-add rounds twice, and in float64 sees 11 bits more."""
POINTS = (-88.0, -20.0, -7.0, -3.0, -1.0, -0.3, -1e-5, 0.0, 1e-5, 0.2, 0.5, 1.0, 2.9, 3.1, 6.5, 19.0, 60.0)
POINTS += (-math.inf, math.inf, math.nan, -0.0)


def made(formula, dtype):
    """Return a formula through other names, in Python, and what made it."""
    wide = formula in formulas.WIDE
    maker = formulas.Formulas(
        "float64" if wide else dtype, formulas.plain("float64" if wide else dtype), lambda f: f
    )
    return maker.of(formula), maker


def drawn(op, dtype):
    """Return arrays for an op of one element: the points, or pairs from where a loss is to be computed."""
    if OPS[op].kind != "loss":
        return (np.array(POINTS, dtype),)
    return tuple(np.ones((), dtype) if each is None else each for each in inputs.draw(op, (40,), dtype))


def evaluated(op, mode, dtype, parameters):
    """Return a formula at such arrays, and what is due there."""
    arrays = drawn(op, dtype)
    g = np.full_like(arrays[0], 0.75)
    table, given = (formulas.FORWARD, arrays) if mode == "forward" else (formulas.BACKWARD, (g, *arrays))
    formula = formulas.chosen(table[op], parameters)
    function, _ = made(formula, dtype)
    rest = formulas.numbers(formula, len(given), parameters)
    with np.errstate(all="ignore"):
        got = [function(*each, *rest) for each in zip(*np.broadcast_arrays(*given), strict=True)]
    if mode == "forward":
        return np.array(got).astype(dtype), oracle.forward(op, arrays, parameters, dtype)
    return np.array(got).astype(dtype), oracle.backward(op, g, arrays, parameters, dtype)


def chosen_by(op):
    """Return the parameters of an op that are worth a look: its defaults, and its alternatives."""
    unreduced = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    return [OPS[op].complete({**other, **unreduced}) for other in ({}, *OPS[op].alternatives)]


@pytest.mark.parametrize("dtype", formulas.LAYOUTS)
@pytest.mark.parametrize("op", formulas.FORWARD)
def test_formulas_compute_what_they_should_through_other_names(op, dtype):
    for mode in ("forward", "backward"):
        for parameters in chosen_by(op):
            got, due = evaluated(op, mode, dtype, parameters)
            errors = accuracy.ulp_error(got, due)
            worst = int(errors.argmax())
            assert errors[worst] <= LOOSE[dtype], f"{mode} at number {worst}, {parameters}: {got[worst]}"


def test_numbers_keep_their_type():
    for op, found in formulas.FORWARD.items():
        formula = formulas.first(found)
        arrays = drawn(op, "float32")
        function, _ = made(formula, "float32")
        given = formulas.numbers(formula, len(arrays), OPS[op].defaults)
        result = function(*(np.float32(array.ravel()[10 % array.size]) for array in arrays), *given)
        assert (type(result) is np.float32) == (formula not in formulas.WIDE), op


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_gelus_exponent_bears_a_product_that_is_fused_with_a_sum(mode):
    """As libNVVM may do it: the parts of the cubic are what they should be, whichever sum was rounded."""
    lows = [np.float32(each["float32"]) for each in (constants.LINEAR_REST, constants.CUBIC_REST)]
    fma = formulas.plain("float32").fma

    def cubic(a):
        square = a * a
        linear, cubic = (
            np.float32(each["float32"]) for each in (constants.LINEAR_ROUNDED, constants.CUBIC_ROUNDED)
        )
        term = cubic * square
        slope = fma(cubic, square, linear)  # and not linear + term
        low = fma(cubic, square, -term) + fma(cubic, fma(a, a, -square), lows[1] * square)
        added = slope - linear
        low += (linear - (slope - added)) + (term - added) + lows[0]
        return a * slope, fma(a, low, fma(a, slope, -(a * slope)))

    parameters = OPS["gelu"].complete({"approximate": "tanh"})
    formula = formulas.chosen((formulas.FORWARD if mode == "forward" else formulas.BACKWARD)["gelu"], parameters)
    _, maker = made(formula, "float32")
    maker._made.clear()
    maker._made[gelu.cubic] = cubic
    function, x = maker.of(formula), np.linspace(-12, 12, 101).astype(np.float32)
    if mode == "forward":
        got, due = [function(each) for each in x], oracle.forward("gelu", (x,), parameters, "float32")
    else:
        got = [function(np.float32(1), each) for each in x]
        due = oracle.backward("gelu", np.ones_like(x), (x,), parameters, "float32")
    assert accuracy.ulp_error(np.array(got, np.float32), due).max() <= LOOSE["float32"]


@pytest.mark.parametrize("dtype", formulas.LAYOUTS)
def test_the_bits_of_numbers_are_taken_apart_as_the_processor_does(dtype):
    layout = formulas.LAYOUTS[dtype]
    made = formulas.twins(layout, formulas.plain(dtype))
    for x in (1.0, 1.5, 0.7, 3.0, 1e-30, 1e30):
        m, n = made["split"](layout.number(x))
        assert math.sqrt(0.5) <= m < math.sqrt(2)
        assert float(m) * 2.0 ** float(n) == layout.number(x)


def test_every_op_of_one_element_has_formulas_for_a_gpu():
    elements = {*piecewise.OPS, *activations.OPS, *losses.OPS, *likelihoods.OPS}
    assert formulas.FORWARD.keys() == formulas.BACKWARD.keys() == elements


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


def simulated(script, *arguments):
    """Return what a script prints in a process in which Numba simulates a GPU."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@INSTALLED
def test_the_simulator_gives_each_element_its_own_value_whatever_the_length():
    found = json.loads(simulated(SIMULATED))
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


SUMMED = """
import json, sys
import numpy as np
import backends
from benchmarks.plan import inputs
from tests.backends.test_numba_cuda import CASES, GRIDS, cotangent_of
sys.setswitchinterval(1e-5)  # threads meet hundreds of times: whoever waits gives way at once, not after 5 ms
backend = backends.load("numba-cuda", "cuda")
from backends.numba_cuda import kernels
kernels.THREADS, kernels.LEAST_THREADS, kernels.MOST_BLOCKS, kernels.MOST_PARTS = GRIDS[sys.argv[1]]
results = []
for op, shape, parameters, optional in CASES[sys.argv[1]]:
    arrays = inputs.draw(op, shape, "float32", optional=optional)
    for mode in ("forward", "backward"):
        given = {} if mode == "forward" else {"cotangent": cotangent_of(op, shape, parameters)}
        run = backend.bind(op, *arrays, mode=mode, allocation="reuse", **parameters, **given)
        results.append(backend.to_numpy(run()).tolist())
    if op == "log_softmax":
        assert backend.to_numpy(run()).tolist() == results[-1], "two sums of the same"
results.append(backend.to_numpy(backend.summing(400)()).tolist())
print(json.dumps(results))
"""
SUMS = [
    ("mean_squared_error", (50,), {}, False),  # more than the parts have threads
    ("mean_squared_error", (), {"reduction": "sum"}, False),
    ("mean_squared_error", (0,), {}, False),
    ("huber", (2, 7), {"reduction": "none"}, False),
    ("binary_cross_entropy", (9,), {"reduction": "sum"}, False),
    ("binary_cross_entropy_with_logits", (3, 11), {}, True),  # with weights that are spread out
    ("binary_focal_cross_entropy", (9,), {}, False),
    ("softmax", (1, 33), {}, False),
    ("softmax", (5, 1), {}, False),
    ("softmin", (2, 3, 2), {"axis": 1}, False),
    ("log_softmax", (2, 9), {}, False),
    ("categorical_cross_entropy", (4, 9), {}, False),
    ("categorical_cross_entropy", (2, 3, 2), {"axis": 1, "reduction": "none"}, False),
    ("kl_divergence", (3, 3), {"reduction": "none"}, False),
    ("softmax_cross_entropy", (2, 9), {"label_smoothing": 0.1}, False),
    ("softmax_cross_entropy", (2, 3, 2), {"axis": 1, "reduction": "none"}, False),
    ("softmax_cross_entropy", (3, 0), {}, False),
    *(
        (op, shape, parameters, optional)
        for op in (rows.LABEL_CROSS_ENTROPY, rows.LIKELIHOOD)
        for shape, parameters, optional in (
            ((4, 9), {}, False),
            ((3, 3, 3), {"axis": 1, "reduction": "none", "ignore_index": 0}, False),
            ((7, 3), {"ignore_index": 1}, True),
            ((2, 9), {"reduction": "sum"}, True),
            ((0, 3), {}, False),
        )
    ),
    (rows.LABEL_CROSS_ENTROPY, (5, 3), {"label_smoothing": 0.3, "ignore_index": 0}, True),
    (rows.LABEL_CROSS_ENTROPY, (3, 3, 3), {"axis": 1, "label_smoothing": 1.0}, False),
]
"""What is summed: op, shape, parameters, and whether inputs that are optional are given."""
GRIDS = {
    "few": (8, 4, 3, 2),
    **dict.fromkeys(("elements", "rows", "losses"), (32, 32, 3, 3)),
    "whole blocks": (256, 32, 2**16, 1024),  # as on a GPU
}
"""Threads of a block, the least that a row has, and the most blocks and parts."""
CASES = {
    "few": SUMS,
    # Hundreds of elements: more than a block has threads, and than all blocks have, and a rest that fills none.
    "elements": [
        ("sigmoid", (700,), {}, False),
        ("mean_squared_error", (700,), {}, False),
        ("binary_cross_entropy_with_logits", (7, 43), {"reduction": "sum"}, True),
    ],
    "rows": [
        ("softmax", (2, 300), {}, False),
        ("log_softmax", (300, 2), {"axis": 0}, False),
        ("softmin", (20, 13), {}, False),
    ],
    "losses": [
        ("categorical_cross_entropy", (2, 300), {}, False),
        ("softmax_cross_entropy", (2, 150), {}, False),
        (rows.LABEL_CROSS_ENTROPY, (2, 150), {"label_smoothing": 0.1}, True),
        (rows.LABEL_CROSS_ENTROPY, (30, 11), {"ignore_index": 3}, False),
        (rows.LIKELIHOOD, (300, 3), {"ignore_index": 1}, True),
    ],
    "whole blocks": [
        ("sigmoid", (700,), {}, False),
        ("mean_squared_error", (700,), {}, False),
        (rows.LABEL_CROSS_ENTROPY, (1, 300), {}, False),
    ],
}
"""What is simulated, by the size of its blocks."""


def cotangent_of(op, shape, parameters):
    """Return a cotangent for the output of an op on inputs of a shape."""
    made = output_shape(OPS[op], inputs.draw(op, shape, "float32"), OPS[op].complete(parameters))
    return np.random.default_rng(3).normal(size=made).astype(np.float32)


def agree(kind):
    """Hold what the simulator computes of the cases of a kind against the oracle."""
    *found, read = json.loads(simulated(SUMMED, kind))
    assert read == 100
    cases = [(*case, mode) for case in CASES[kind] for mode in ("forward", "backward")]
    for (op, shape, parameters, optional, mode), result in zip(cases, found, strict=True):
        arrays = inputs.draw(op, shape, "float32", optional=optional)
        complete = OPS[op].complete(parameters)
        if mode == "forward":
            due = oracle.forward(op, arrays, complete, "float32", wide=True)
        else:
            due = oracle.backward(op, cotangent_of(op, shape, parameters), arrays, complete, "float32", wide=True)
        got = np.array(result, np.float32).reshape(due.high.shape)
        if got.size:
            assert accuracy.ulp_error(got, due).max() <= LOOSE["float32"], f"{op} {shape} {mode} {parameters}"


@INSTALLED
def test_the_simulator_sums_in_an_order_of_its_own_that_stays():
    agree("few")


@INSTALLED
@pytest.mark.parametrize("kind", [kind for kind in CASES if kind != "few"])
def test_the_simulator_takes_more_elements_than_its_blocks_have_threads(kind):
    agree(kind)


RENEWED = """
import sys
import numpy as np
import backends
sys.setswitchinterval(1e-5)
backend = backends.load("numba-cuda", "cuda")
from backends.numba_cuda import kernels
kernels.THREADS = 4
for op in ("softmax_cross_entropy_with_integer_labels", "negative_log_likelihood"):
    x = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
    labels, weight = backend.asarray(np.array([0, 1])), backend.asarray(np.array([1.0, 3.0]))
    for mode in ("forward", "backward"):
        run = backend.bind(op, x, labels, weight, mode=mode, ignore_index=2)
        for each in ([0, 1], [1, 2], [0, 0]):
            labels.copy_to_device(np.array(each))
            print(*(format(value, ".4f") for value in backend.to_numpy(run()).ravel().tolist()))
        labels.copy_to_device(np.array([0, 1]))
try:
    backend.negative_log_likelihood(backend.asarray(x), backend.asarray(np.array([0, 2])), weight)
except ValueError as error:
    print(error)
"""


@INSTALLED
def test_new_labels_are_those_that_the_next_call_takes_and_what_no_class_has_is_refused():
    """So is what a mean divides by: the weights of the labels that take part."""
    (*found, refused) = simulated(RENEWED).splitlines()
    half, third = np.log(2), np.log(4 / 3)
    means = [(half + 3 * third) / 4, half, (half + np.log(4)) / 2]
    losses = [f"{value:.4f}" for value in means]
    softmax_slopes = [
        "-0.1250 0.1250 0.1875 -0.1875",
        "0.5000 -0.5000 0.0000 0.0000",
        "-0.2500 0.2500 -0.3750 0.3750",
    ]
    slopes = ["-0.2500 0.0000 0.0000 -0.7500", "0.0000 -1.0000 0.0000 0.0000", "-0.5000 0.0000 -0.5000 0.0000"]
    assert [each.replace("-0.0000", "0.0000") for each in found] == [*losses, *softmax_slopes, *losses, *slopes]
    assert refused == "negative_log_likelihood: labels must be from 0 to 1; got 2"


COMPILED = """
import itertools, sys
from types import SimpleNamespace
from numba import cuda, types
from numba.cuda import dispatcher
from backends.numba_cuda import formulas, kernels, row_kernels, row_launches, rows
from backends.catalogue import OPS

def compiled(kernel, arguments, told):
    text, _ = cuda.compile_ptx(kernel, tuple(arguments), cc=cc)
    assert f".target sm_{cc[0]}{cc[1]}" in text, told
    return text

def forms(found):
    return found.forms.values() if isinstance(found, formulas.Choice) else (found,)

def of_elements(op, dtype, line):
    one, length, n = types.float64, types.int64, len(OPS[op].inputs)
    for table, n_more in ((formulas.FORWARD, 0), (formulas.BACKWARD, 1)):
        for formula in forms(table[op]):
            given = len(formulas.numbers(formula, n + n_more, dict.fromkeys(NAMES[op], 0.0)))
            rest, reads = (line,) * n + (one,) * given, ("each",) * n
            if OPS[op].kind != "loss":
                kernel = kernels.elementwise(formula, reads + ("each",) * n_more, given, dtype)
                text = compiled(kernel, (line,) * (1 + n_more) + rest, op)
                if dtype == "float32" and not given and formula not in formulas.WIDE:
                    assert ".f64" not in text, f"{op}: float64 on the way"
            elif n_more:
                compiled(kernels.shared(formula, reads, given, dtype), (line, one, line, *rest), op)
            else:
                compiled(kernels.summed(formula, reads, given, dtype), (parts, length, *rest), op)

def of_rows(op, dtype, line):
    length = types.int64
    if op in rows.FORWARD:
        for table in (rows.FORWARD, rows.BACKWARD):
            compiled(row_launches.exponentials(table[op], dtype), (line, line, line, length, length), op)
        return
    if op in row_launches.LOSSES:
        of_classes(op, row_launches.LOSSES[op], dtype, line)
        return
    terms = rows.LOSSES[op]
    given = (types.float64,) * len(formulas.numbers(terms.term, 2, dict.fromkeys(NAMES[op], 0.0)))
    kernel = kernels.summed_rows(terms.term, ("each", "each"), len(given), dtype)
    compiled(kernel, (line, length, length, types.float64, line, line, *given), op)
    kernel = kernels.elementwise(terms.slope, ("row", "each", "each"), len(given), dtype)
    compiled(kernel, (line, length, length, line, line, line, *given), op)

def of_classes(op, loss, dtype, line):
    given = (types.int64, types.int64, *[types.float64] * len(loss.given))
    labelled = [(types.Array(each, 1, "C"), line, types.int64) for each in (types.int32, types.int64)]
    for beside in labelled if "ignore_index" in NAMES[op] else [(line,)]:
        compiled(loss.loss(dtype), (parts, line, *beside, *given), op)
        compiled(loss.slope(dtype), (line, line, parts, line, *beside, *given), op)
        if len(beside) > 1:
            compiled(row_kernels.taking_part, (parts, *beside), op)

parts = types.Array(types.float64, 1, "C")
NAMES = {op: [each.name for each in spec.parameters] for op, spec in OPS.items()}
for cc in ((9, 0), (10, 0)):
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=cc)  # it asks
    kernels.formulas.cache_clear()
    for op, dtype in itertools.product(sys.argv[1:], ("float32", "float64")):
        line = types.Array(getattr(types, dtype), 1, "C")
        (of_elements if op in formulas.FORWARD else of_rows)(op, dtype, line)
    one = types.Array(types.float32, 1, "C")
    compiled(kernels.total, (one, parts, types.float64), "total")
    compiled(kernels.average, (one, parts, parts), "average")
print("compiled")
"""


def compiles(ops):
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, *ops], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "libNVVM" in done.stderr or "libnvvm" in done.stderr:
        pytest.skip("libNVVM is not installed")
    assert done.stdout.strip() == "compiled", done.stderr[-3000:]


FEW = ("tanh_shrink", "mean_squared_error", "softmax", rows.CROSS_ENTROPY, rows.LABEL_CROSS_ENTROPY)
"""Ops of each kind, for the full tests: there are some eight compilations for each."""


@INSTALLED
def test_an_op_of_each_kind_is_compiled_for_two_architectures():
    compiles(FEW)


@INSTALLED
@pytest.mark.certification
def test_every_op_is_compiled_for_two_architectures():
    compiles(sorted({*formulas.FORWARD, *rows.FORWARD, *rows.LOSSES, *rows.CLASS_LOSSES} - {*FEW}))
