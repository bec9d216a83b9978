"""What Numba compiles, and when: an op on its first call, and no other; the disk cache keeps ops apart."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

numba = pytest.importorskip("numba")

import numpy as np  # noqa: E402

from backends import numba_activations, numba_gelu, numba_loops, numba_losses  # noqa: E402

COMPILED = """
import sys, backends
from backends import numba_backend, numba_loops
import numba.core.event as event
with event.install_recorder("numba:compile") as recorder:
    backend = backends.load("numba")
    imported = len(recorder.buffer)
    import numpy as np
    x = np.array([-2.0, 2.0], np.float32)
    print(imported, *backend.relu(x), *backend.sigmoid(x), len(recorder.buffer))
"""


def test_importing_compiles_nothing_and_the_disk_cache_keeps_ops_apart(tmp_path):
    root = Path(__file__).parent.parent
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", COMPILED], env=environment, cwd=root, check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(2)
    ]
    cold, cached = ([float(word) for word in line] for line in outputs)
    assert cold[0] == 0
    assert cold[1:5] == cached[1:5] == pytest.approx([0, 2, 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))])
    assert cold[5] > 0
    assert cached[5] == 0, "the second process compiled again"


@pytest.mark.parametrize(
    ("formula", "arrays"),
    [(numba_gelu.gelu_vjp, 2), (numba_activations.mish_vjp, 2), (numba_losses.binary_cross_entropy, 2)],
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
