"""What Numba compiles, and when: an op on its first call, and no other; the disk cache keeps ops apart."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.job import ROOT

numba = pytest.importorskip("numba")

import numpy as np  # noqa: E402

from backends.numba import activations, intrinsics, likelihoods, losses, piecewise, sums  # noqa: E402
from backends.numba import loops as numba_loops  # noqa: E402

COMPILED = """
import sys, backends
import backends.numba.backend
import numba.core.event as event
with event.install_recorder("numba:compile") as recorder:
    backend = backends.load("numba")
    imported = len(recorder.buffer)
    import numpy as np
    x = np.array([-2.0, 2.0], np.float32)
    print(imported, *backend.relu(x), *backend.sigmoid(x), len(recorder.buffer))
"""


def test_importing_compiles_nothing_and_the_disk_cache_keeps_ops_apart(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", COMPILED], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(2)
    ]
    cold, cached = ([float(word) for word in line] for line in outputs)
    assert cold[0] == 0
    assert cold[1:5] == cached[1:5] == pytest.approx([0, 2, 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))])
    assert cold[5] > 0
    assert cached[5] == 0, "the second process compiled again"


@pytest.mark.skipif(numba.version_info.short < (0, 68), reason="older ones go by the date of a source")
def test_the_disk_cache_survives_another_date_and_another_folder(tmp_path):
    """As a reinstallation makes them: kernels lie beside the sources, and go by what these hold."""
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(ROOT / "backends", first / "backends", ignore=shutil.ignore_patterns("__pycache__"))

    def n_compiled(folder):
        environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        done = subprocess.run(
            [sys.executable, "-c", COMPILED],
            env=environment | {"PYTHONPATH": str(folder)},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return int(done.stdout.split()[-1])

    assert n_compiled(first) > 0
    first.rename(second)
    for source in second.rglob("*.py"):
        os.utime(source, (0, 0))
    assert n_compiled(second) == 0


@pytest.mark.parametrize(
    ("formula", "arrays"),
    [(activations.gelu_vjp, 2), (activations.mish_vjp, 2), (likelihoods.binary_cross_entropy, 2)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_long_formulas_are_vectorised(formula, arrays):
    kernel = numba.njit(**numba_loops.OPTIONS)(numba_loops.elementwise(formula).serial.py_func)
    x = np.full(100, 0.5, np.float32)
    kernel(np.empty_like(x), *[x] * arrays)
    assembly = next(iter(kernel.inspect_asm().values()))
    if not (packed := re.findall(r"^\tv\w+ps\b", assembly, re.MULTILINE)) and "\tv" not in assembly:
        pytest.skip("no AVX here: its instructions have other names")
    assert len(packed) > 40


def n_loads_of_the_vector_loop(kernel):
    """Count the packed instructions that refer to memory, in the loop with the most packed ones."""
    loops = []
    for assembly in kernel.inspect_asm().values():
        blocks = re.findall(r"^(\.?LBB\w+):[^\n]*\n(.*?)(?=^\.?LBB|\Z)", assembly, re.MULTILINE | re.DOTALL)
        for label, body in blocks:
            instructions = re.findall(r"^\t([a-z]\w*)(?:\t([^\n]*))?$", body, re.MULTILINE)
            ends = [i for i, (name, target) in enumerate(instructions) if name[0] == "j" and target == label]
            if ends:
                loops.append([line for line in instructions[: ends[-1]] if line[0][0] == "v"])
    return sum("(" in operands for _, operands in max(loops, key=len))


def test_loops_within_parallel_kernels_are_those_of_serial_ones():
    """Loops that share the registers of what surrounds them load constants anew for each vector."""
    kernels = numba_loops.elementwise(activations.exponential)
    serial = numba.njit(**numba_loops.OPTIONS)(kernels.serial.py_func)
    parallel = numba.njit(**numba_loops.OPTIONS, parallel=True)(kernels.parallel.py_func)
    x = np.linspace(-1, 1, 100, dtype=np.float32)
    serial(out := np.empty_like(x), x)
    parallel(again := np.empty_like(x), 16, x)
    np.testing.assert_array_equal(again, out)
    if "\tv" not in next(iter(serial.inspect_asm().values())):
        pytest.skip("no AVX here: its instructions have other names")
    # Of what it has to refer to, x and out, to the constants that have no register left; and a few more by chance.
    assert n_loads_of_the_vector_loop(parallel) <= n_loads_of_the_vector_loop(serial) + 2


class Counted:
    """A kernel that counts the calls in which Numba looks at the arguments."""

    def __init__(self, kernel):
        self.kernel, self.calls = kernel, 0
        self.py_func, self.get_overload = kernel.py_func, kernel.get_overload

    def __call__(self, *arguments):
        self.calls += 1
        self.kernel(*arguments)


@pytest.mark.parametrize(
    ("kernels", "named"),
    [(numba_loops.elementwise(piecewise.relu), ()), (sums.summed(losses.mean_absolute_error), (8, 2.0))],
    ids=["elementwise", "summed"],
)
def test_numba_looks_at_the_arguments_of_repeated_calls_once(kernels, named):
    repeated = numba_loops.Repeated(counted := Counted(kernels.serial))
    x = np.array([3.0, -5.0], np.float32)
    outs = [np.empty(1 if named else 2, np.float32) for _ in range(3)]
    for out in outs:
        repeated.call(out, (*named, *([x, -x] if named else [x])))
    assert counted.calls == 1
    assert [out.tolist() for out in outs] == [[8.0] if named else [3.0, 0.0]] * 3


def test_a_python_number_before_the_operands_is_rounded_in_every_call():
    repeated = numba_loops.Repeated(numba_loops.elementwise(losses.mean_absolute_error).serial, np.float32)
    x, outs = np.array([0.25], np.float32), [np.empty(1, np.float32) for _ in range(4)]
    for out, number in zip(outs, (1 / 3, 1e300, 1 / 3, 1e300), strict=True):
        repeated.call(out, (number, x))
    assert [out.item() for out in outs] == [np.float32(1 / 3) - x[0], np.inf] * 2


def test_a_block_on_the_stack_is_not_filled_with_zeros():
    serial = numba.njit(**numba_loops.OPTIONS)(sums.summed(losses.mean_absolute_error).serial.py_func)
    x = np.array([3.0, -5.0], np.float32)
    serial(np.empty(1, np.float32), 8, 2.0, x, -x)
    filled = re.findall(r"memset[^\n]*, i64 (\d+)", "".join(serial.inspect_llvm().values()))
    assert filled, "the arrays that are passed on are, by Numba"
    assert max(map(int, filled)) < numba_loops.BLOCK


def test_parts_of_an_unowned_array_are_not_counted():
    def n_counted(keep):
        @numba.njit(**numba_loops.OPTIONS)
        def added(x):
            total = 0.0
            for start in range(0, x.shape[0], 8):
                total += intrinsics.call_apart(sums.sum_of, (keep(x)[start : start + 8],))
            return total

        assert added(np.arange(100.0)) == 4950
        return sum(
            len(re.findall("call [^\n]*NRT_(?:inc|dec)ref", code)) for code in added.inspect_llvm().values()
        )

    assert n_counted(intrinsics.unowned) < n_counted(numba.njit(lambda x: x))
