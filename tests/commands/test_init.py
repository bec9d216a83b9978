"""A gate in somebody's own repository: the workflow that is written, and what its command then says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.__main__ import main
from benchmarks.exits import Exit
from tests.job import ROOT
from tests.repositories import git

KERNEL = """import numpy as np


def my_tanh(x):
    for _ in range({}):
        y = np.tanh(x)
    return y
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return an empty repository with one kernel in a file, and stand in it."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "kernels.py").write_text(KERNEL.format(1))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "One kernel")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_workflow_installs_the_package_and_measures_base_and_head(repository, capsys):
    assert main(["init", "kernels.py:my_tanh", "--op", "tanh"]) is Exit.FINE
    said = capsys.readouterr().out
    assert "activation-bench ab HEAD . --candidate kernels.py:my_tanh --op tanh --framework numpy" in said
    text = (repository / ".github" / "workflows" / "kernels.yml").read_text()
    assert "pip install 'activation-bench'\n" in text
    assert "activation-bench ab HEAD^1 HEAD --candidate kernels.py:my_tanh --op tanh --framework numpy" in text
    assert "fetch-depth: 2" in text


def test_a_workflow_that_is_there_stays(repository, capsys):
    assert main(["init", "kernels.py:my_tanh", "--op", "tanh", "--output", "w.yml"]) is Exit.FINE
    assert main(["init", "kernels.py:my_tanh", "--op", "tanh", "--output", "w.yml"]) is Exit.USAGE
    assert "--output: there is a file w.yml already" in capsys.readouterr().err


def test_a_function_from_elsewhere_has_no_gate_here(repository, capsys):
    path = ROOT / "tests" / "tried" / "right.py"
    assert main(["init", f"{path}:my_tanh", "--op", "tanh"]) is Exit.USAGE
    assert "must be a file of this repository" in capsys.readouterr().err


def gate(folder, candidate="kernels.py:my_tanh"):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    line = ["-m", "benchmarks", "ab", "HEAD", ".", "--candidate", candidate, "--op", "tanh"]
    line += ["--size", "100000", "--mode", "forward", "--time-budget", "30s"]
    return subprocess.run(
        [sys.executable, *line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_twofold_slower_kernel_turns_the_gate_red_and_the_same_one_does_not(repository):
    same = gate(repository)
    assert same.returncode in (Exit.FINE, Exit.UNSURE), same.stdout + same.stderr
    (repository / "kernels.py").write_text(KERNEL.format(2))
    slower = gate(repository)
    assert slower.returncode == Exit.WORSE, slower.stdout + slower.stderr
    assert "my_tanh" in slower.stdout


def test_a_base_without_the_file_cannot_tell(repository):
    (repository / "kernels.py").rename(repository / "others.py")
    done = gate(repository, candidate="others.py:my_tanh")
    assert done.returncode == Exit.UNSURE
    assert "holds no others.py, so there is nothing to compare with" in done.stderr
