"""What pages show of made-up runs is what the commands say of them, word for word."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import backends
from benchmarks.__main__ import main
from benchmarks.analysis.study import Study
from benchmarks.commands import ab, docs
from benchmarks.machine import fingerprint
from benchmarks.measure import duel, sides
from benchmarks.plugin import hooks, resume
from benchmarks.plugin.fixtures import HARNESS
from benchmarks.record import history, merge, recorder, saved
from benchmarks.record.journal import load_run
from benchmarks.record.planned import differences, plan_of
from benchmarks.report.terminal.summary import render_summary
from tests import synthetic, synthetic_sides
from tests.record import test_merge
from tests.synthetic_history import saved_runs

WIDTH = 100
"""Columns of the terminal that pages show."""


def shown(page, command):
    """Return the words that a page shows as the output of a command."""
    text = (docs.ROOT / "docs" / page).read_text(encoding="utf-8")
    (output,) = re.findall(rf"^\$ {re.escape(command)}\n(.*?)(?=^\$ |^```)", text, re.DOTALL | re.MULTILINE)
    return words(output)


def words(text):
    """Return the words of a text; moments of time count as one and the same."""
    return re.sub(r"\d{8}T\d{6}Z", "TIME", text).split()


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in an empty folder, and returns the words that it prints.

    At the end stands how the command ended, if that is `told`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))

    def say(command, *, told=False):
        ended = main(shlex.split(command)[3:])  # python -m benchmarks
        printed = capsys.readouterr()
        return words(printed.out + printed.err) + ["exit", str(int(ended))] * told

    return say


def test_the_trend_of_made_up_runs_is_as_shown(said, tmp_path):
    for records in saved_runs():
        history.append(records, tmp_path / "results")
    command = "python -m benchmarks trend --page"
    assert said(command) == shown("regressions.md", command)


def test_two_made_up_machines_side_by_side_are_as_shown(said, tmp_path):
    for run in (synthetic.run(), synthetic.server()):
        (tmp_path / run.saved_as).mkdir()
        run.records.to_csv(tmp_path / run.saved_as / "records.csv", index=False)
    command = "python -m benchmarks report desk/records.csv server/records.csv"
    assert said(command) == shown("report.md", f".venv/bin/{command}")


# --- which of two versions is slower ----------------------------------------------------------------------------


@pytest.fixture
def _made_up_sittings(monkeypatch):
    """Let `ab` compare two commits by made-up sittings, on a machine of which there is nothing to say."""
    clock, commits = synthetic_sides.Clock(), {"HEAD~1": "203739edb137", "HEAD": "2e0460e7485c"}

    @contextmanager
    def opened(name, *_, **__):
        yield sides.Side(name, commits[name], docs.ROOT, Path(sys.executable))

    monkeypatch.setattr(sides, "opened", opened)
    monkeypatch.setattr(sides, "versions", lambda *_: {})
    monkeypatch.setattr(ab, "doubts", SimpleNamespace(
        busy_share=lambda: 0.0, warnings=lambda *_, **__: [], Watch=lambda: SimpleNamespace(finish=list)
    ))  # fmt: skip
    monkeypatch.setattr(duel, "perf_counter", clock)
    monkeypatch.setattr(duel.Duel, "_sit", partialmethod(synthetic_sides.sit, clock))


@pytest.mark.usefixtures("_made_up_sittings")
def test_made_up_sittings_are_compared_as_shown(said):
    for name in ("numpy", "torch"):
        if reason := backends.missing(name):
            pytest.skip(reason)
    asked = "--op sigmoid relu --size 32768 --mode forward --backend numpy torch --order-seed 1"
    command = f".venv/bin/python -m benchmarks ab HEAD~1 HEAD {asked}"
    assert said(command, told=True) == shown("regressions.md", command)


@pytest.fixture
def _made_up_runs(monkeypatch):
    """Let two made-up runs of one machine be saved, and one each of two machines."""
    runs = synthetic_sides.two_runs() | synthetic_sides.two_machines()
    monkeypatch.setattr(saved, "load_each", lambda name, _: [runs[Path(name).stem]])


@pytest.mark.usefixtures("_made_up_runs")
@pytest.mark.parametrize(
    "asked", ["before after", "desk.json server.json", "desk.json server.json --across-machines"]
)
def test_made_up_runs_are_compared_as_shown(asked, said):
    command = f".venv/bin/python -m benchmarks compare {asked}"
    assert said(command, told=True) == shown("regressions.md", command)


# --- a run that was cut short -----------------------------------------------------------------------------------

COMMAND = f".venv/bin/pytest benchmarks {synthetic_sides.ASKED}"


def test_a_run_that_was_cut_short_says_so_as_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = synthetic_sides.cut_short(Path("results"))
    run = load_run(path)
    render_summary(Study(run), Path("results/latest/report.html"), Console(width=WIDTH, color_system=None))
    recorder = SimpleNamespace(path=path, run_id=run.run_id)
    option = SimpleNamespace(benchmark_save="run", shard=None)
    arguments = SimpleNamespace(args=["benchmarks", *synthetic_sides.ASKED.split()])
    config = SimpleNamespace(stash=pytest.Stash(), option=option, invocation_params=arguments)
    config.stash[HARNESS] = SimpleNamespace(complete=False, recorder=recorder)
    hooks._say_how_to_go_on(config)
    assert words(capsys.readouterr().out) == shown("interrupted.md", COMMAND)


def test_a_run_that_would_go_on_otherwise_is_refused_as_shown():
    then = plan_of(synthetic_sides.planned_cases("relu", "sigmoid"), {"checks": "6 (1ed2007d)"})
    now = plan_of(synthetic_sides.planned_cases("relu", "sigmoid", "tanh"), {"checks": "9 (75a342b0)"})
    opening = {"run_id": synthetic_sides.RUN_ID, "command": f"pytest benchmarks {synthetic_sides.ASKED}"}
    told = "\n".join(resume._refusal(SimpleNamespace(opening=opening), differences(then, now)))
    command = f"{COMMAND.replace('sigmoid', 'sigmoid tanh')} --resume"
    assert words(f"ERROR: {told}") == shown("interrupted.md", command)


# --- shards -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shard(monkeypatch):
    """Return a function that records a shard of two, and returns its journal; the machine is a made-up one."""
    ids = iter(f"20261127T1934{i:02d}.000Z" for i in range(60))
    machine = replace(fingerprint.fingerprint(1), machine_id="d28d37c5643e", host="73554fd6e87e")
    for module in (recorder, merge):
        monkeypatch.setattr(module, "id_at", lambda _: next(ids))
    monkeypatch.setattr(recorder.fingerprint, "fingerprint", lambda *_: machine)
    monkeypatch.setattr(recorder, "get_commit_info", dict)
    monkeypatch.setattr(recorder.doubts, "busy_share", float)

    def record(number, seed, numba="0.68.1", into="shards"):
        conditions = {"--order-seed": seed, "numba": numba}
        folder = Path(into) / str(number)
        return test_merge.record(folder, *test_merge.SIZES[number - 1 :: 2], shard=f"{number}/2", **conditions)

    return record


def test_two_shards_are_merged_as_shown_and_unlike_ones_are_not(said, shard):
    shard(1, "731484334")
    shard(2, "3820820576")
    shard(2, "3820820576", numba="0.60.0", into="others").rename("other.jsonl")
    for asked in ("shards/1 shards/2", "shards/1 other.jsonl --into x"):
        command = f"python -m benchmarks merge {asked}"
        assert said(command) == shown("machines.md", command)
