"""Subnormal numbers that a library has told the processor to take for zero: judge and worker say so."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import backends
from benchmarks.check import accuracy
from benchmarks.check.oracle import Expected
from benchmarks.machine import arithmetic
from benchmarks.measure.worker import Worker
from benchmarks.record.schema import Check

CHECK = Check("relu", "forward", "float32", "numpy", "cpu")
WRONG = np.array([1.0, 2.0], np.float32), Expected(np.ones(2), np.zeros(2), np.ones(2))
LEFT_ON = """
import numpy as np
import torch
from benchmarks.check import accuracy, oracle
from benchmarks.machine import arithmetic
from benchmarks.measure.worker import Worker
from benchmarks.record.schema import Check

x = np.array([1e-40, 1.0], np.float32)
expected = oracle.forward("relu", [x], {}, "float32")
worker = Worker("numpy", "cpu", 1)
print(arithmetic.flushes_subnormals(), worker.describe().settings)
torch.set_flush_denormal(True)
print(arithmetic.flushes_subnormals(), worker.describe().settings)
got = worker.evaluate("relu", "forward", [x], None, {})
check = Check("relu", "forward", "float32", "numpy", "cpu")
verdict = accuracy.assess(got, expected, check, first_input=x, flushed=worker.flushes_subnormals())
print(verdict.status, verdict.max_ulp, verdict.reason)
"""


def test_a_process_that_was_left_alone_keeps_subnormal_numbers():
    assert not arithmetic.flushes_subnormals()
    worker = Worker("numpy", "cpu", 1)
    assert not worker.flushes_subnormals()
    assert arithmetic.SETTING not in (worker.describe().settings or "")


def test_a_failure_says_where_subnormal_numbers_are_lost(monkeypatch):
    got, expected = WRONG
    assert "subnormal" not in accuracy.assess(got, expected, CHECK).reason
    reason = accuracy.assess(got, expected, CHECK, flushed=True).reason
    assert "subnormal numbers are taken for zero where it was computed: some library has told" in reason
    monkeypatch.setattr(arithmetic, "flushes_subnormals", lambda: True)
    assert "zero where it is judged: some library" in accuracy.assess(got, expected, CHECK).reason
    both = accuracy.assess(got, expected, CHECK, flushed=True).reason
    assert "zero where it was computed and where it is judged: some library" in both


def test_the_settings_of_a_worker_say_so(monkeypatch):
    worker = Worker("numpy", "cpu", 1)
    monkeypatch.setattr(arithmetic, "flushes_subnormals", lambda: True)
    assert worker.describe().settings == "subnormals=flushed"
    monkeypatch.setattr(worker._backend, "settings", lambda: "x64=True")
    assert worker.describe().settings == "x64=True, subnormals=flushed"


def test_a_library_that_leaves_it_on_is_noticed():
    if reason := backends.missing("torch"):
        pytest.skip(reason)
    done = subprocess.run([sys.executable, "-c", LEFT_ON], check=True, capture_output=True, text=True)
    before, after, verdict = done.stdout.splitlines()
    assert before == "False "
    assert after == "True subnormals=flushed"
    assert verdict.startswith("failed inf ")
    assert "zero where it was computed and where it is judged" in verdict
