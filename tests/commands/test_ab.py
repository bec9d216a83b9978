"""`python -m benchmarks ab`, as a user starts it: real processes, a few tiny cases."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.record.journal import read_journal
from tests.job import ROOT

CASE = ("--backend", "numpy", "--op", "relu", "--size", "1000", "--mode", "forward")
WRONG_RELU = """

FUNCTIONS["relu"] = lambda x, **_: x * 2
"""
SLOW_RELU = """
from itertools import repeat


def _slow(*arguments, _kernel=FUNCTIONS["relu"], **parameters):
    for _ in repeat(None, 200):
        pass
    return _kernel(*arguments, **parameters)


FUNCTIONS["relu"] = _slow
"""


def start(*arguments):
    command = [sys.executable, "-m", "benchmarks", "ab", *map(str, arguments)]
    wide = {**os.environ, "COLUMNS": "200"}
    return subprocess.Popen(
        command, cwd=ROOT, env=wide, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ab(*arguments):
    running = start(*arguments)
    output, _ = running.communicate()
    return running.returncode, output


@pytest.fixture
def changed(tmp_path):
    """Return a maker of copies of the backends with something added to NumPy's."""

    def change(addition):
        folder = tmp_path / "changed"
        shutil.copytree(ROOT / "backends", folder / "backends", ignore=shutil.ignore_patterns("__pycache__"))
        with (folder / "backends" / "numpy" / "backend.py").open("a") as file:
            file.write(addition)
        return folder

    return change


def test_a_slower_kernel_is_a_regression_and_everything_is_written(changed, tmp_path):
    code, output = ab(".", changed(SLOW_RELU), *CASE, "--output", tmp_path / "out")
    assert code == 1, output
    assert "1 slower" in output
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (case,) = found["cases"]
    assert (case["op"], case["shape"], case["verdict"]) == ("relu", "1000", "slower")
    assert case["low"] > 1.05
    assert found["exit_status"] == 1
    assert "**slower**" in (tmp_path / "out" / "comparison.md").read_text()
    sittings = read_journal(tmp_path / "out" / "sittings.jsonl")
    assert len(sittings) == case["samples"]


def test_a_kernel_that_is_wrong_now_fails_and_is_never_timed(changed, tmp_path):
    code, output = ab(".", changed(WRONG_RELU), *CASE, "--output", tmp_path / "out")
    assert code == 1, output
    assert "now failing: head: " in output
    assert all(row["effect"] is None for row in read_journal(tmp_path / "out" / "sittings.jsonl"))
    code, output = ab(tmp_path / "changed", ".", *CASE, "--output", tmp_path / "out")
    assert "fixed: base: " in output


def test_backends_of_another_layout_are_measured_against_todays(tmp_path):
    """In the archive, of commit 3f03489, all modules lie in one folder, NumPy's called `numpy_*.py`."""
    with tarfile.open(Path(__file__).with_name("older_backends.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    code, output = ab(tmp_path, ".", *CASE, "--output", tmp_path / "out")
    assert code in (0, 1), output
    (case,) = json.loads((tmp_path / "out" / "comparison.json").read_text())["cases"]
    assert case["samples"] > 0
    assert "failing" not in output


def test_a_terminated_run_keeps_what_it_measured(tmp_path):
    sittings = tmp_path / "out" / "sittings.jsonl"
    running = start("HEAD", ".", *CASE, "--output", sittings.parent)
    while not sittings.exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate()
    assert "interrupted" in output
    assert "1 case undecided" in output
    assert running.returncode == 2
    assert json.loads((sittings.parent / "comparison.json").read_text())["cases"][0]["verdict"] == "ambiguous"


def test_a_budget_that_ends_first_says_what_it_did_not_reach(tmp_path):
    code, output = ab("HEAD", ".", *CASE, "--time-budget", "0.001s", "--output", tmp_path)
    assert code == 2
    assert "1 case undecided when it ended: a longer --time-budget could decide more" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", "."), "nonsense: git knows no such revision"),
        ((".", "benchmarks"), "benchmarks: this folder holds no backends/"),
        ((".", ".", "--op", "rleu"), "rleu"),
        ((".", ".", "--threshold", "5"), "must be a share such as 5% or 0.05; got '5'"),
        ((".", ".", "--backend", "numpy", "--device", "cuda"), "--device: numpy runs on cpu; got cuda"),
    ],
)
def test_a_mistake_is_named(arguments, words, monkeypatch, capsys):
    """Before anything is measured; in this process, where a mistake that nobody caught would raise."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    try:
        code = main(["ab", *arguments])
    except SystemExit as ended:  # argparse
        code = ended.code
    assert code == 2
    assert words in "".join(capsys.readouterr())
