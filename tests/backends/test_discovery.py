"""Which modules are backends, and that none of them is taken for a framework, wherever a command starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import backends
from tests.job import ROOT

WORKER = """
from benchmarks.measure.pool import Pool
import backends.base, numpy
pool = Pool(1, timeout_s=60)
print(pool.facts({name!r}, "cpu").backend_version == numpy.__version__)
pool.close()
"""
COLLECTED = ("--op", "relu", "--size", "10", "--mode", "forward", "--backend", "numpy", "--collect-only", "-q")
X_BACKEND = """
PACKAGE = "numpy"
EXTRA = ""
DEVICES = ("cpu",)
VARIANTS = ("x",)


def create(variant, device, threads):
    from backends.numpy.backend import FUNCTIONS, NumpyBackend

    return NumpyBackend(variant, 1, FUNCTIONS)
"""


def python(*arguments, cwd, path=(ROOT,)):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_on_request_loads_but_is_not_among_the_usual(tmp_path, monkeypatch):
    literals = 'PACKAGE = "numpy"\nEXTRA = ""\nDEVICES = ("cpu",)\nVARIANTS = ("usual",)\nON_REQUEST = ("rare",)\n'
    (tmp_path / "rare_backend.py").write_text(literals + "def create(variant, device, threads): return variant\n")
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    assert "usual" in backends.names()
    assert "rare" not in backends.names()
    assert "rare" in backends.names(on_request=True)
    assert backends.load("rare") == "rare"


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    """Return a folder `backends/` on the path that somebody else fills."""
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    return tmp_path


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import boto3\n", "it does not declare PACKAGE, EXTRA, DEVICES, VARIANTS"),
        ("PACKAGE = EXTRA = 'a'\nDEVICES = ('cpu',)\n", "it does not declare VARIANTS"),
        ("DEVICES = 'cpu'\n", "DEVICES must be a tuple of strings; got 'cpu'"),
        ("PACKAGE = ('numpy',)\n", "PACKAGE must be a string; got"),
        ("PACKAGE = name()\n", "its declarations cannot be read"),
        ("def broken(:\n", "its declarations cannot be read"),
        ("\udcff", "its declarations cannot be read"),
    ],
)
def test_a_strangers_module_is_passed_over_with_one_line(source, reason, strangers):
    path = strangers / "s3_backend.py"
    path.write_bytes(source.encode("utf-8", "surrogateescape"))
    assert "numpy" in backends.names()
    assert reason in backends.passed_over()[path]
    assert "\n" not in backends.passed_over()[path]
    with pytest.raises(ValueError, match=r"unknown name 's3'.*s3_backend.py was passed over: it"):
        backends.load("s3")


def test_our_own_modules_are_all_backends():
    assert not backends.passed_over()


# --- where a command starts -----------------------------------------------------------------------------------


def test_a_worker_finds_numpy_from_our_own_folder_even_if_that_is_on_the_path():
    path = (ROOT / "backends", ROOT)
    assert python("-c", WORKER.format(name="numpy"), cwd=ROOT / "backends", path=path) == "True\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-m", "pytest", "../benchmarks", *COLLECTED), "test_timing[relu-forward-float32-10-numpy-cpu]"),
        (("-m", "benchmarks", "--help"), "python -m benchmarks"),
        (("-m", "benchmarks", "report", "--help"), "--results"),
    ],
    ids=["pytest", "help", "report"],
)
def test_commands_find_numpy_from_our_own_folder(arguments, words):
    assert words in python(*arguments, cwd=ROOT / "backends")


def test_a_folder_of_that_name_where_a_command_starts_adds_its_backends_and_hides_none(tmp_path):
    (tmp_path / "backends").mkdir()
    (tmp_path / "backends" / "x_backend.py").write_text(X_BACKEND)
    assert python("-c", WORKER.format(name="x"), cwd=tmp_path) == "True\n"


def test_peers_have_names_also_once_one_is_loaded():
    """Their package, once imported, is an attribute of `backends` too."""
    backends.load("scipy")
    assert {"scipy", "numexpr", "onnxruntime"} <= set(backends.peer_names())
