"""`--op-spec`: what is said of a file that holds no ops, and that the catalogue has those that it holds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from backends.catalogue import OPS, own
from backends.interface import OP_SPECS
from benchmarks.plan import own_ops
from tests.job import ROOT

SPEC = str(ROOT / "tests" / "tried" / "ops.py")


def test_the_ops_of_a_file_are_read(monkeypatch):
    monkeypatch.setenv(OP_SPECS, SPEC)
    assert [spec.name for spec in own.ops(OPS)] == ["cube"]
    with pytest.raises(ValueError, match=r"--op-spec: .*ops\.py: there is an op 'cube' already"):
        list(own.ops({"cube"}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "must assign OPS, a tuple of OpSpec; got NoneType"),
        ("OPS = [1]", "must assign OPS, a tuple of OpSpec; got list"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_without_ops_is_refused(tmp_path, monkeypatch, text, said):
    path = tmp_path / "ops.py"
    path.write_text(text)
    monkeypatch.setenv(OP_SPECS, str(path))
    with pytest.raises(ValueError, match=f"--op-spec: .*{said}"):
        list(own.ops(()))


def test_a_file_that_is_not_there_or_comes_too_late_is_refused(monkeypatch):
    monkeypatch.setenv(OP_SPECS, "")
    with pytest.raises(ValueError, match=r"--op-spec: there is no file 'nowhere\.py'"):
        own_ops.learn(["--op-spec", "nowhere.py"])
    with pytest.raises(ValueError, match=f"the catalogue is loaded already; set {OP_SPECS}="):
        own_ops.learn(["--op", "relu", "--op-spec", SPEC])
    own_ops.learn(["--op", "relu"])


def test_a_process_that_starts_with_the_variable_has_the_ops():
    done = subprocess.run(
        [sys.executable, "-c", "from backends.catalogue import find; print(find('third_power').name)"],
        cwd=ROOT, env={**os.environ, OP_SPECS: SPEC}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "cube\n"
