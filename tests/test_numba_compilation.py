"""What Numba compiles, and when: an op on its first call, and no other; the disk cache keeps ops apart."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

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
