"""How each command ends: one table of exit statuses, and output that no terminal and no pipe upsets."""

from __future__ import annotations

import io
import math
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pandas as pd
import pytest

import backends
from benchmarks.__main__ import COMMANDS, load, main
from benchmarks.analysis.study import Study
from benchmarks.commands import ab, docs
from benchmarks.exits import Exit
from benchmarks.record import history
from benchmarks.record.frames import to_frame
from benchmarks.record.schema import COMPARISON_COLUMNS
from benchmarks.report.files import write
from benchmarks.validation import alarms
from tests import synthetic
from tests.job import ROOT
from tests.synthetic_history import saved_runs

OPS = ("step", "sigmoid", "tanh", "relu")
FULL = Path("/dev/full")
"""What takes no more, as a disk that is full."""


def table(factor=1.0, status=None, machine="here", **more):
    """Return the records of a run: eight cases of NumPy, whose relu takes `factor` times as long, or fails."""
    rows = [
        synthetic.record("numpy", op, n=n, settings="", machine_id=machine) for op in OPS for n in (1_000, 100_000)
    ]
    for row in rows:
        if row["op"] == "relu":
            for name in ("median_s", "ci95_low_s", "ci95_high_s"):
                row[name] *= factor
    return to_frame([row | ({"status": status, "median_s": None} if status and row["op"] == "relu" else {}) | more
                     for row in rows])  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a results folder with a history, the last run's report, and tables of runs."""
    folder = tmp_path_factory.mktemp("results")
    for records in saved_runs(6):
        history.append(records, folder)
    write(Study(synthetic.run(records=synthetic.single_policy())), folder / "latest")
    for name, records in {
        "base": table(),
        "slower": table(2),
        "failing": table(status="failed"),
        "wrong": table(status="invalid"),
        "cheated": table(status="cheated"),
        "elsewhere": table(machine="elsewhere"),
        "noisy": table(ci95_high_s=math.inf),
    }.items():
        records.to_csv(folder / f"{name}.csv", index=False)
    (folder / "other.csv").write_text("nothing")
    return folder


RECOMMEND = ("recommend", "--op", "sigmoid", "--size", "1e6")


@pytest.mark.parametrize(
    ("line", "ended"),
    [
        ("compare {0}/base.csv {0}/base.csv", 0),
        ("compare {0}/base.csv {0}/slower.csv", 1),
        ("compare {0}/base.csv {0}/failing.csv", 1),
        ("compare {0}/base.csv {0}/wrong.csv", 1),
        ("compare {0}/base.csv {0}/elsewhere.csv", 2),
        ("compare {0}/base.csv {0}/other.csv", 2),
        ("compare {0}/base.csv nowhere", 2),
        ("compare {0}/base.csv {0}/noisy.csv", 3),
        ("compare {0}/wrong.csv {0}/wrong.csv", 4),
        ("compare {0}/base.csv {0}/cheated.csv", 5),
        ("report", 2),
        ("report {0}/base.csv", 0),
        ("report nowhere", 2),
        ("recommend --op sigmoid --size 1e6", 0),
        ("recommend --op gelu --size 1e6", 3),
        ("recommend --op sigmoid --size 1e12", 3),
        ("recommend --op sigmoid --size 1e6 --max-ulp 0.001", 3),
        ("recommend --op sigmoid", 2),
        ("recommend --op sigmoid --size 1e6 --run {0}/other.csv", 2),
        ("trend", 0),
        ("trend --op gelu", 3),
        ("trend --machine nowhere", 3),
        ("trend --metric max_ulp --results {0}/empty", 2),
        ("export --format md", 0),
        ("export --format md --op gelu", 3),
        ("export nowhere --format md", 2),
        ("leads {0}/latest/records.csv", 0),
        ("leads {0}/base.csv", 3),
        ("leads nowhere", 2),
        ("validate alarms", 0),
        ("validate picture {0}/nowhere.html", 2),
        ("docs", 0),
        ("docs --check", 0),
    ],
)
def test_each_command_ends_as_the_table_says(line, ended, results, tmp_path, monkeypatch):
    monkeypatch.setattr(alarms, "table", lambda: pd.DataFrame({"a": ["1"]}))
    monkeypatch.setattr(docs, "TABLES", {})
    monkeypatch.setattr(backends, "missing", lambda name: None)
    monkeypatch.chdir(tmp_path)
    words = line.format(results).split()
    if words[0] not in ("validate", "docs") and "--results" not in words:
        words += ["--results", str(results)]
    if words[0] in ("report", "export"):
        words += ["--output", str(tmp_path)]
    assert main(words) is Exit(ended)


@pytest.mark.parametrize(
    ("verdict", "ended"),
    [("same", 0), ("slower", 1), ("now failing", 1), ("ambiguous", 3), ("wrong", 4), ("cheated", 5)],
)
def test_ab_ends_with_its_verdict(verdict, ended, monkeypatch, tmp_path):
    row = dict.fromkeys(COMPARISON_COLUMNS) | {"backend": "numpy", "verdict": verdict, "samples": 12, "reason": ""}
    found = pd.DataFrame([row | dict.fromkeys(("base", "head", "ratio", "low", "high", "p", "q"), 1.0)])
    monkeypatch.setattr(ab.Duel, "run", lambda duel: found)
    monkeypatch.chdir(ROOT)
    line = ["ab", ".", ".", "--op", "relu", "--backend", "numpy", "--output", str(tmp_path)]
    assert main(line) is Exit(ended)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_of_ours_is_no_verdict_and_is_shown(command, monkeypatch, capsys):
    def fail(options, console):
        return {}["a key that is not there"]

    monkeypatch.setattr(load(command), "run", fail)
    line = {
        "compare": ["a", "b"],
        "ab": [".", "."],
        "leads": ["a"],
        "merge": ["a"],
        "fleet": ["run"],
        "try": [__file__ + ":table", "--op", "relu"],
        "init": [__file__ + ":table", "--op", "relu"],
        "export": ["--format", "md"],
        "validate": ["alarms"],
    }
    assert main([command, *line.get(command, [])]) is Exit.FAULT
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert "KeyError: 'a key that is not there'" in error


def test_ctrl_c_is_no_verdict(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(alarms, "table", interrupt)
    assert main(["validate", "alarms"]) is Exit.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_package_that_is_not_there_is_named(monkeypatch, capsys):
    def fail(options):
        raise ModuleNotFoundError("No module named 'pyperf.x'", name="pyperf.x")

    monkeypatch.setattr(alarms, "table", lambda: fail(None))
    assert main(["validate", "alarms"]) is Exit.USAGE
    assert capsys.readouterr().err == "error: the package 'pyperf.x' is not installed; see docs/install.md\n"


@pytest.mark.parametrize(
    "line", ["compare {0}/base.csv {0}/slower.csv", "compare {0}/base.csv {0}/slower.csv --format md", "--help"]
)
def test_a_reader_who_leaves_is_no_verdict(line, results):
    command = [sys.executable, "-m", "benchmarks", *line.format(results).split()]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert done.returncode == 141 or (done.returncode == 0 and line == "--help")  # argparse may drop its help
    assert done.stderr == b""


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_full_disk_is_an_error_in_one_line(results):
    command = [sys.executable, "-m", "benchmarks", "compare", *[str(results / "base.csv")] * 2]
    with FULL.open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*No space left on device\n", done.stderr)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("compare {0}/base.csv {0}/slower.csv", " us "),
        ("compare {0}/base.csv {0}/slower.csv --format md", " us "),
        ("compare {0}/base.csv {0}/slower.csv --format json", '"slower"'),
        ("trend", r" [1-8]{3}[1-8.][1-8]{2} *\n"),
        ("trend --format md", " us "),
        ("trend --format json", '"points"'),
        ("recommend --op sigmoid --size 1e6", " us"),
        ("recommend --table", "entries"),
        ("report {0}/latest/records.csv", "Report: "),
        ("export --format md", "Written: "),
        ("leads {0}/latest/records.csv", r"\|"),
        ("leads --help", "usage"),
        ("--help", "Exit statuses"),
    ],
)
def test_a_terminal_of_few_signs_gets_all_words(line, words, results, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    given = line.format(results).split()
    given += [] if "--help" in given else ["--results", str(results)]
    given += ["--output", str(tmp_path)] if given[0] in ("report", "export") else []
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with redirect_stdout(stream), suppress(SystemExit):  # argparse's, after the help
        assert main(given) in (Exit.FINE, Exit.WORSE)
    stream.flush()
    assert re.search(words, stream.buffer.getvalue().decode("ascii"))


@pytest.mark.parametrize(
    "line",
    [
        ("compare", "", "b"),
        ("compare", "a", ""),
        ("compare", "a", "b", "--results", ""),
        ("compare", "a", "b", "--output", " "),
        ("ab", "", "HEAD"),
        ("ab", "HEAD", ""),
        ("ab", ".", ".", "--output", ""),
        ("ab", ".", ".", "--base-python", ""),
        ("report", ""),
        ("report", "--results", ""),
        ("recommend", "--run", ""),
        ("recommend", "--results", ""),
        ("export", "", "--format", "md"),
        ("export", "--format", "md", "--backend", ""),
        ("trend", "--machine", ""),
        ("trend", "--output", ""),
        ("leads", ""),
        ("leads", "a", "--results", ""),
        ("validate", "picture", ""),
        ("validate", "picture", "--output", ""),
    ],
    ids=" ".join,
)
def test_an_empty_name_or_path_is_refused(line, capsys):
    """As a variable that is not set gives it: an empty path would be the current folder."""
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert ended.value.code == Exit.USAGE
    assert "must not be empty: is a variable unset?" in capsys.readouterr().err
