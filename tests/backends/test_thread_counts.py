"""The number of threads that a backend states is the one in force, on systems that tell no affinity too."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import backends
from backends import threads
from benchmarks.measure.pool import worker_environment

THREADS = 3
IN_FORCE = """
import sys
import numpy as np
import backends
from benchmarks.machine import resources

name, asked = sys.argv[1], int(sys.argv[2])
b = backends.load(name, threads=asked)
op = next(op for op in ("exponential", "log_cosh") if b.implements(op))
x = b.asarray(np.linspace(-1, 1, 4_000_000, dtype=np.float32))
arrays, options = ((x,), {}) if op == "exponential" else ((x, x), {"reduction": "none"})
results = [getattr(b, op)(*arrays, **options) for _ in range(8)]
b.synchronize(results)
ready = all(result.is_ready() for result in results) if hasattr(results[0], "is_ready") else True
pool = resources.pool_threads([resources.XLA_THREADS])
if "torch" in sys.modules and not pool:
    pool = sys.modules["torch"].get_num_threads()
print(b.threads, pool, b.asynchronous, ready)
"""


def in_force(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    command = [sys.executable, "-c", IN_FORCE, name, str(THREADS)]
    done = subprocess.run(command, env=worker_environment(THREADS), capture_output=True, text=True, check=False)
    if "BackendUnavailable" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", ["jax", "optax", "keras-jax", "torch", "keras-torch"])
def test_the_threads_stated_are_those_in_force_and_a_list_of_results_is_waited_for(name):
    stated, pool, asynchronous, ready = in_force(name)
    assert stated == pool == str(THREADS)
    assert asynchronous == str("torch" not in name)
    assert ready == "True"


def test_keras_on_numpy_computes_in_one_thread():
    stated, _, asynchronous, _ = in_force("keras-numpy")
    assert (stated, asynchronous) == ("1", "False")


@pytest.mark.parametrize("variable", [None, "5"])
def test_xla_counts_processors_unless_it_is_told_how_many(monkeypatch, variable):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.delenv("NPROC", raising=False)
    if variable:
        monkeypatch.setenv("NPROC", variable)
    pool = int(variable or 4)
    assert threads.xla_threads() == threads.xla_threads(pool) == pool
    with pytest.raises(ValueError, match=f"JAX starts with {pool} threads here; set NPROC=7 before it starts"):
        threads.xla_threads(7)


@pytest.mark.parametrize("name", ["jax", "optax"])
def test_backends_open_where_the_system_tells_no_affinity(monkeypatch, name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    monkeypatch.delenv("NPROC", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert backends.load(name).threads == 4
    with pytest.raises(ValueError, match="threads: JAX starts with 4 threads here"):
        backends.load(name, threads=3)
