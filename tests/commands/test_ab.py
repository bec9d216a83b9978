"""`python -m benchmarks ab`, as a user starts it: real processes, a few tiny cases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

import backends
from benchmarks.__main__ import main
from benchmarks.record.journal import read_journal
from tests.job import RIGHT, ROOT
from tests.repositories import git
from tests.trees import copied

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
REMEMBERING_RELU = """

def _remembering(x, *, _kernel=FUNCTIONS["relu"], _results={}, **parameters):
    if id(x) not in _results:
        _results[id(x)] = _kernel(x, **parameters)
    return _results[id(x)].copy()


FUNCTIONS["relu"] = _remembering
"""


def start(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "benchmarks", "ab", *map(str, arguments)]
    wide = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=cwd, env=wide, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ab(*arguments, cwd=ROOT):
    running = start(*arguments, cwd=cwd)
    output, _ = running.communicate()
    return running.returncode, output


@pytest.fixture(autouse=True)
def _no_folder_of_backends_stays_known(monkeypatch):
    monkeypatch.setattr(backends, "__path__", list(backends.__path__))


@pytest.fixture
def changed(tmp_path):
    """Return a maker of copies of the backends with something added to NumPy's."""

    def change(addition):
        folder = copied(tmp_path / "changed", "backends")
        with (folder / "backends" / "numpy" / "backend.py").open("a") as file:
            file.write(addition)
        return folder

    return change


def test_a_kernel_that_remembers_its_results_is_not_called_faster(changed, tmp_path):
    code, output = ab(".", changed(REMEMBERING_RELU), *CASE, "--output", tmp_path / "out")
    assert code != 0, output
    sittings = read_journal(tmp_path / "out" / "sittings.jsonl")
    assert {(sitting["base_status"], sitting["head_status"]) for sitting in sittings} == {("ok", "cheated")}
    assert "with new values in its inputs it returns what the old ones give" in sittings[0]["reason"]


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
    assert running.returncode == 3
    assert json.loads((sittings.parent / "comparison.json").read_text())["cases"][0]["verdict"] == "ambiguous"


def test_a_budget_that_ends_first_says_what_it_did_not_reach(tmp_path):
    code, output = ab("HEAD", ".", *CASE, "--time-budget", "0.001s", "--output", tmp_path)
    assert code == 3
    assert "1 case undecided when it ended: a longer --time-budget could decide more" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", "."), "nonsense: git knows no such revision"),
        ((".", "benchmarks"), "benchmarks: this folder holds no backends/"),
        ((".", ".", "--op", "rleu"), "rleu"),
        ((".", ".", "--threshold", "5"), "must be a share such as 5% or 0.05; got '5'"),
        ((".", ".", "--backend", "numpy", "--device", "cuda"), "--device: numpy runs on cpu; got cuda"),
        (("", "HEAD"), "argument BASE: must not be empty: is a variable unset?"),
        ((".", ".", "--results", ""), "argument --results: must not be empty: is a variable unset?"),
        ((".", ".", "--head-python", ""), "argument --head-python: must not be empty"),
        ((".", "tests/right"), "holds only backends of its own"),
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


KERNEL = """
import numpy as np

N = {n}


def relu(x, out=None):
    for _ in range(N):
        y = np.maximum(x, 0, out=out)
    return y
"""


@pytest.fixture
def project(tmp_path):
    """Make a repository of somebody's own, whose backend takes its kernel from another module.

    The second of three commits makes the kernel twice as slow, the third changes nothing of it.
    """
    folder = tmp_path / "project"
    (folder / "backends").mkdir(parents=True)
    text = (RIGHT / "backends" / "right_backend.py").read_text()
    start, end = text.index("def relu("), text.index("def relu_vjp(")
    own = text[:start] + "from kernels import relu  # noqa: E402\n\n\n" + text[end:]
    (folder / "backends" / "mine_backend.py").write_text(own.replace('("example",)', '("mine",)'))
    git(folder, "init", "-q", "-b", "main")
    for i, n in enumerate((1, 2, 2)):
        (folder / "kernels.py").write_text(KERNEL.format(n=n))
        (folder / "notes.txt").write_text(str(i))
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"n = {n}")
    return folder


MINE = ("--op", "relu", "--size", "100000", "--mode", "forward")


def test_a_twofold_slower_kernel_of_ones_own_is_found_and_the_same_one_is_not(project, tmp_path):
    """In the folder of the project: neither this repository's commits nor the checkout's kernels are compared."""
    (project / "backends" / "inside").mkdir()
    code, output = ab(
        "HEAD~2", "HEAD~1", *MINE, "--output", tmp_path / "slower", cwd=project / "backends" / "inside"
    )
    assert code == 1, output
    (case,) = json.loads((tmp_path / "slower" / "comparison.json").read_text())["cases"]
    assert (case["backend"], case["verdict"]) == ("mine", "slower")
    assert case["ratio"] == pytest.approx(2, rel=0.3)
    shas = [git(project, "rev-parse", "--short=12", f"HEAD~{n}") for n in (1, 2)]
    assert f"1 case, HEAD~1 ({shas[0]}) against HEAD~2 ({shas[1]})" in output
    code, output = ab("HEAD~1", "HEAD", *MINE, "--output", tmp_path / "same", cwd=project)
    (case,) = json.loads((tmp_path / "same" / "comparison.json").read_text())["cases"]
    # Where other programs, such as other tests, use both processors, twelve sittings may not tell 5 %.
    assert (case["backend"], case["verdict"], code) in [("mine", "same", 0), ("mine", "ambiguous", 3)], output
    assert case["ratio"] == pytest.approx(1, rel=0.2)


def test_what_a_project_does_not_hold_is_refused(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert main(["ab", "HEAD~1", "HEAD", *MINE, "--backend", "numpy"]) == 2
    told = "error: --backend: numpy would be the same on both sides, since neither holds it; they hold mine\n"
    assert capsys.readouterr() == ("", told)


def test_a_head_that_cannot_be_imported_fails_now(project, tmp_path):
    """It has no times: nothing slower must not mean that all is fine."""
    (project / "kernels.py").write_text("from nowhere import nothing\n")
    code, output = ab("HEAD", ".", *MINE, "--output", tmp_path / "out", cwd=project)
    assert code == 1, output
    assert "now failing: head: mine: numpy fails to import: No module named 'nowhere'" in " ".join(output.split())


def test_a_project_whose_backends_declare_nothing_is_refused(project, monkeypatch, capsys):
    (project / "backends" / "mine_backend.py").write_text("PACKAGE =\n")
    monkeypatch.chdir(project)
    assert main(["ab", ".", "."]) == 2
    assert "neither has a module in backends/ that declares a backend" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("has", "words"), [(True, "holds no backends/ (repository: "), (False, "is no repository")]
)
def test_outside_of_a_project_with_backends_no_revision_is_compared(tmp_path, monkeypatch, capsys, has, words):
    """Least of all one of this repository."""
    if has:
        git(tmp_path, "init", "-q")
        (tmp_path / "file").touch()
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", "first")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["ab", "HEAD", "HEAD"]) == 2
    assert words in capsys.readouterr().err
