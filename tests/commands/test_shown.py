"""What pages show of made-up runs is what the commands say of them, word for word."""

from __future__ import annotations

import re

import pytest

from benchmarks.__main__ import main
from benchmarks.commands import docs
from benchmarks.record import history
from tests import synthetic
from tests.synthetic_history import saved_runs


def shown(page, command):
    """Return the words that a page shows as the output of a command."""
    text = (docs.ROOT / "docs" / page).read_text(encoding="utf-8")
    (output,) = re.findall(rf"^\$ {re.escape(command)}\n(.*?)(?=^\$ |^```)", text, re.DOTALL | re.MULTILINE)
    return output.split()


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in an empty folder, and returns the words that it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def words(command):
        main(command.split()[3:])  # python -m benchmarks
        return capsys.readouterr().out.split()

    return words


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
