"""Functions tried as a user would: each is answered in one screen, with the status that says the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks.exits import Exit
from tests.job import ROOT, STATED, Job

TRIED = ROOT / "tests" / "tried"
QUICK = ("--backend", "numpy", "--size", "20000", "--time-budget", "10s")


def attempt(folder, function, *arguments, op="tanh", quick=QUICK):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "try", f"{TRIED}/{function}", "--op", op, *quick, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def answer(*arguments, ended, **more):
    done = attempt(*arguments, **more)
    assert done.returncode == ended, done.stdout + done.stderr
    return done.stdout if ended != Exit.USAGE else done.stderr


def words(text):
    """Return the words of an answer below its first line and above its times, without what machines differ in."""
    checked = text.partition("\n")[2].partition("\nspeed")[0]
    return re.sub(r"[-−]?[\d.,]+(?:×10[⁻⁰¹²³⁴-⁹]+)?", "#", " ".join(checked.split()))


def shown(function):
    """Return the answer that docs/try.md shows for a function."""
    page = (ROOT / "docs" / "try.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^\$ [^\n]* {function} [^\n]*\n(.*?)\n+exit ", page, re.DOTALL | re.MULTILINE)
    return text


def test_a_right_function_is_right_in_all_types_and_timed_beside_numpy(tmp_path):
    text = answer(tmp_path, "right.py:my_tanh", ended=Exit.FINE)
    assert words(text) == words(shown("right.py:my_tanh"))
    assert text.startswith("my_tanh as tanh: RIGHT in float32")
    assert "gradient: by my_tanh_vjp, right" in text
    assert "special values: right at nan, inf, -inf" in text
    assert "layouts: right: 0-d, empty, one row, 2-D, 3-D, not contiguous" in text
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        assert dtype in text
    assert "numpy" in text.partition("speed")[2]
    assert len(text.splitlines()) <= 32
    records = pd.read_csv(tmp_path / "results" / "try" / "latest" / "records.csv")
    assert set(records["backend"]) == {"my_tanh", "numpy"}


def test_a_function_that_is_wrong_at_one_place_is_wrong_there(tmp_path):
    text = answer(tmp_path, "wrong_at_one_place.py:spoilt_tanh", ended=Exit.WRONG)
    assert words(text) == words(shown("wrong_at_one_place.py:spoilt_tanh"))
    first = text.splitlines()[0]
    assert "WRONG: forward in float32: x = 2." in first
    assert "got 0, exact 0.9" in first
    assert "speed" not in text


def test_an_inaccurate_tail_is_wrong_there_or_measured_with_the_error_that_is_allowed(tmp_path):
    text = answer(tmp_path, "inaccurate_tail.py:erf_gelu", ended=Exit.WRONG, op="gelu")
    assert "max ULP by input" in text
    text = answer(tmp_path, "inaccurate_tail.py:erf_gelu", "--max-ulp", "2e7", ended=Exit.FINE, op="gelu")
    assert text.startswith("erf_gelu as gelu: RIGHT in float32")
    assert "allowed by you: an error of 2e+07 ULP" in text


def test_a_function_that_is_fast_in_one_type_has_times_of_both(tmp_path):
    text = answer(
        tmp_path, "fast_in_one_dtype.py:uneven_tanh", "--than", "numpy", "--dtype", "float32", "float64",
        "--time-budget", "90s", ended=Exit.WORSE,
    )  # fmt: skip
    assert text.startswith("uneven_tanh as tanh: RIGHT, but slower than numpy in ")
    records = pd.read_csv(tmp_path / "results" / "try" / "latest" / "records.csv").query("status == 'ok'")
    medians = records.set_index(["dtype", "backend"])["median_s"]
    assert medians["float64", "uneven_tanh"] > 5 * medians["float64", "numpy"]
    assert medians["float32", "uneven_tanh"] < 3 * medians["float32", "numpy"]


def test_a_function_that_remembers_its_results_cheats(tmp_path):
    text = answer(tmp_path, "cheats.py:cached_tanh", ended=Exit.CHEATED)
    assert "CHEATED" in text.splitlines()[0]
    assert "remembered" in text.splitlines()[0]


@pytest.mark.parametrize(
    ("function", "ended", "said"),
    [
        ("broken.py:two_arrays", Exit.USAGE, "is to be called as two_arrays(x) for tanh"),
        ("broken.py:not_there", Exit.USAGE, "broken.py has no function 'not_there'"),
        ("broken.py:not_a_function", Exit.USAGE, "cannot be called"),
        ("fails_to_import.py:f", Exit.USAGE, "No module named 'a_package_that_is_not_there'"),
        ("broken.py:other_type", Exit.WRONG, "other_type is float64 for float32 inputs"),
        ("broken.py:other_shape", Exit.WRONG, "other_shape has shape"),
        ("broken.py:raises", Exit.WRONG, "ZeroDivisionError: it never works"),
        ("broken.py:crashes", Exit.WRONG, "ended with signal SIGABRT"),
        ("broken.py:hangs", Exit.UNSURE, "gave no answer within 10 s"),
    ],
)
def test_what_cannot_be_tried_is_said_in_a_line(tmp_path, function, ended, said):
    timeout = ("--case-timeout", "10s") if "gave no answer" in said else ()
    text = answer(tmp_path, function, "--framework", "numpy", *timeout, ended=ended)
    assert said in text.splitlines()[0]


def test_several_ops_leave_open_which_one_a_candidate_computes(tmp_path):
    job = Job(tmp_path, "--op", "relu", "tanh", "--candidate", f"{TRIED}/right.py:my_tanh", check=4)
    assert "--op: must name the one op that" in job.output


def test_candidates_are_measured_in_one_run_with_the_others(tmp_path):
    job = Job(
        tmp_path, *STATED, "--op", "tanh", "--size", "1000", "--mode", "forward", "--backend", "numpy",
        "--check", "timed",
        "--candidate", f"{TRIED}/right.py:my_tanh", f"{TRIED}/wrong_at_one_place.py:spoilt_tanh", check=1,
    )  # fmt: skip
    records = job.records.set_index("backend")
    assert set(records.index) == {"numpy", "my_tanh", "spoilt_tanh"}
    assert records.loc["my_tanh", "status"] == "ok"
    assert records.loc["my_tanh", "median_s"] > 0
    assert "my_tanh: right.py:my_tanh as tanh: a function of numpy" in job.output
    accuracy = pd.read_csv(job.results / "latest" / "accuracy.csv").set_index("backend")
    assert accuracy.loc["spoilt_tanh", "status"] == "failed"
    assert "my_tanh" in (job.results / "latest" / "report.html").read_text(encoding="utf-8")


def test_an_op_of_ones_own_is_checked_timed_and_tried(tmp_path):
    spec = ("--op-spec", str(TRIED / "ops.py"))
    job = Job(
        tmp_path, "--op", "third_power", "--size", "1000", "--mode", "forward", "--backend", "numpy", *spec,
        "--candidate", f"{TRIED}/cubes.py:my_cube", check=1,
    )  # fmt: skip
    records = job.records.set_index("backend")
    assert records.loc["my_cube", "status"] == "ok"
    assert records.loc["numpy", "status"] == "unavailable"
    assert "numpy does not implement cube yet" in records.loc["numpy", "reason"]
    assert "cube" in (job.results / "latest" / "report.html").read_text(encoding="utf-8")
    text = answer(tmp_path, "cubes.py:my_cube", *spec, ended=Exit.FINE, op="cube")
    assert text.startswith("my_cube as cube: RIGHT")
