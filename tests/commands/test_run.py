"""`run` is `pytest benchmarks` from any folder: our settings, our tests, and nothing of the folder's."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks.commands import run
from tests.job import ROOT

TRAP = "raise SystemExit('this file is not for us')\n"
TRAPS = (
    "benchmarks/__init__.py",
    "backends/__init__.py",
    "backends/numpy.py",
    "conftest.py",
    "numpy.py",
    "numba.py",
)
"""Files of somebody's project: none is to be imported, by the command or by a worker."""
SMALL = ("--op", "relu", "--size", "1000", "--mode", "forward", "--backend", "numpy", "--dtype", "float32")


@pytest.fixture
def project(tmp_path):
    """Return a folder whose files and settings would end any run that they entered."""
    for name in TRAPS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TRAP)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "path", "rest"),
    [
        ([], "benchmarks", []),
        (["--op", "timing"], "benchmarks", ["--op", "timing"]),
        (["timing", "--op", "relu"], "benchmarks/test_timing.py", ["--op", "relu"]),
        (["correctness"], "benchmarks/test_correctness.py", []),
        (["benchmarks/test_timing.py::test_timing[x]"], "benchmarks/test_timing.py::test_timing[x]", []),
    ],
)
def test_a_suite_comes_first_and_is_ours_wherever_one_stands(words, path, rest):
    assert run._with_paths(words) == [str(ROOT / path), *rest]


def start(project, *words, **variables):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"} | variables
    command = [sys.executable, "-P", "-m", "benchmarks", "run", *words]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_a_run_takes_its_settings_and_modules_from_nowhere_else(project):
    done = start(project, *SMALL, PYTEST_ADDOPTS="--no-such-option", PYTEST_PLUGINS="no_such_plugin")
    assert done.returncode == 0, done.stdout + done.stderr
    records = pd.read_csv(project / "results" / "latest" / "records.csv")
    assert records["status"].tolist() == ["ok"]
    (journal,) = (project / "results" / "runs" / "journals").glob("*.jsonl")
    first = json.loads(journal.read_text().splitlines()[0])
    assert first["command"] == f"python -m benchmarks run {' '.join(SMALL)}"
    assert sorted(path.name for path in project.iterdir()) == sorted(
        ["backends", "benchmarks", "conftest.py", "numba.py", "numpy.py", "pytest.ini", "results"]
    )


def test_tests_of_others_are_refused(project):
    done = start(project, "-q", "benchmarks")
    assert done.returncode == 4
    assert "run: takes timing or correctness, and options; got 'benchmarks'" in done.stderr
    assert "usage: python -m benchmarks run" in start(project, "--op", "realu").stderr


def test_all_options_can_be_listed(project):
    done = start(project, "--options")
    assert done.returncode == 0, done.stderr
    assert "--time-budget" in done.stdout
