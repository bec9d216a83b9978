"""One command line: commands are listed at once, and imported when they are chosen."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks.__main__ import COMMANDS, main
from benchmarks.analysis import leads
from benchmarks.record import saved
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS
from benchmarks.record.run import Run
from benchmarks.validation import agreement, alarms, efficiency, instructions, naive, picture, power, same
from tests.job import ROOT
from tests.synthetic import record

HEAVY = {"numpy", "pandas", "rich", "backends", "torch", "jax", "numba"}


def test_every_command_is_listed_and_every_listed_command_is_there():
    modules = {path.stem for path in (ROOT / "benchmarks" / "commands").glob("*.py")} - {"__init__"}
    assert {module.removesuffix("_") for module in modules} == set(COMMANDS)


def test_help_lists_all_commands_and_loads_none():
    code = (
        "import sys, benchmarks.__main__ as line\n"
        "try: line.main(['--help'])\n"
        "finally: print('loaded:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    text, _, loaded = done.stdout.partition("loaded: ")
    assert all(f"  {name} " in text or f"  {name}\n" in text for name in COMMANDS)
    assert not HEAVY & set(loaded.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_is_for_and_what_it_takes(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert f"usage: python -m benchmarks {name} " in text
    assert f"python -m benchmarks {name}" in " ".join(text.split()).partition(" options: ")[0]


@pytest.mark.parametrize("arguments", [[], ["reprot"], ["validate"], ["validate", "naiv"]])
def test_a_command_that_does_not_exist_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: python -m benchmarks" in capsys.readouterr().err


def test_a_project_with_a_folder_of_backends_does_not_hide_ours(tmp_path):
    """Where this repository is found after the path, as an editable installation is, that folder comes first."""
    (tmp_path / "backends").mkdir()
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "sitecustomize.py").write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        ours = name in ('backends', 'benchmarks')\n"
        f"        return PathFinder.find_spec(name, [{str(ROOT)!r}]) if ours else None\n"
        "sys.meta_path.insert(sys.meta_path.index(PathFinder) + 1, Finder)\n"
    )
    command = [sys.executable, "-m", "benchmarks", "ab", ".", ".", "--backend", "nmupy"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed"), "COLUMNS": "500"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown name 'nmupy' (did you mean 'numpy'?); valid names: numpy" in done.stderr


def test_leads_prints_a_table_by_function_or_their_means(monkeypatch, capsys):
    monkeypatch.setattr(saved, "load", lambda name, results: f"run {name}")
    monkeypatch.setattr(leads, "leads", lambda runs: ("leads", *runs))
    monkeypatch.setattr(leads, "table", lambda runs: pd.DataFrame({"by": ["function"], "of": [list(runs)]}))
    monkeypatch.setattr(leads, "means", lambda found: pd.DataFrame({"by": ["size"], "of": [found]}))
    assert main(["leads", "first", "second"]) == 0
    assert "| function | ['first', 'second'] |" in capsys.readouterr().out
    assert main(["leads", "--means", "first"]) == 0
    assert "| size | ('leads', 'first') |" in capsys.readouterr().out


def test_leads_of_an_unknown_run_are_an_error(capsys):
    assert main(["leads", "no-such-run"]) == 2
    assert "no-such-run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "arguments", "passed"),
    [
        (agreement, ["--seed", "7"], (7,)),
        (alarms, [], ()),
        (same, ["--trials", "3", "--seed", "7"], (3, 2, 7)),
        (power, ["--same", "0", "--slowed", "4", "--shares", "10%", "0.2"], (0, 4, 2, 0, [0.1, 0.2])),
        (efficiency, ["--repeats", "2"], (2, 3)),
        (naive, ["--op", "relu", "--size", "10"], (["relu"], naive.MODES, naive.DTYPES, [10], 0)),
        (instructions, ["--op", "ReLU", "--size", "10"], (["relu"], 10)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_validate_measures_as_it_is_told_and_prints_a_table(module, arguments, passed, monkeypatch, capsys):
    given, found = [], pd.DataFrame({"a": [None, "1.50"]})
    monkeypatch.setattr("benchmarks.commands.validate.default_threads", lambda: 2)
    monkeypatch.setattr(module, "table", lambda *values: given.append(values) or found)
    assert main(["validate", module.__name__.rpartition(".")[2], *arguments]) == 0
    assert given == [passed]
    assert capsys.readouterr().out == "| a    |\n|:-----|\n|      |\n| 1.50 |\n"


def test_validate_picture_prints_where_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(picture, "save", lambda report, output, **look: output / f"{report} {look}")
    assert main(["validate", "picture", "a.html", "--output", str(tmp_path), "--width", "390", "--dark"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a.html {{'width': 390, 'dark': True}}\n"


def test_the_last_run_that_timed_something_is_the_one_to_report(tmp_path, monkeypatch):
    folder = tmp_path / JOURNALS
    folder.mkdir(parents=True)
    for name in ("20260101", "20260102", "20260103"):
        (folder / f"{name}.jsonl").touch()
    untimed = to_frame([record("numpy") | {"median_s": None}])
    timed = to_frame([record("numpy")])

    def load(path):
        return (Run(run_id=path.stem, records=untimed if path.stem == "20260103" else timed),)

    monkeypatch.setattr(saved, "load_runs", load)
    assert saved.newest(tmp_path).run_id == "20260102"
    with pytest.raises(ValueError, match="run `pytest benchmarks` first"):
        saved.newest(tmp_path / "elsewhere")
