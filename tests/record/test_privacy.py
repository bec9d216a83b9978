"""What is published of a run names no user: no home folder gets into a journal, nor into what is made from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.record.journal import read_journal, write_journal_line
from benchmarks.record.privacy import without_homes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pytest benchmarks --results /home/alice/runs", "pytest benchmarks --results ~/runs"),
        ("File '/Users/bob.b/x.py': broken", "File '~/x.py': broken"),
        (r"C:\Users\carol\venv\Lib", r"~\venv\Lib"),
        ("/root/x and /root", "~/x and ~"),
        ("/rooted/tree, /homeless/home", "/rooted/tree, /homeless/home"),
        ("/home/alice", "~"),
    ],
)
def test_home_folders_become_a_tilde(text, expected):
    assert without_homes(text) == expected


def test_ones_own_home_may_lie_anywhere(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/data/people/dora"))
    assert without_homes("/data/people/dora/x /data/people/doran/x") == "~/x /data/people/doran/x"


def test_a_journal_holds_none(tmp_path):
    path = tmp_path / "run.jsonl"
    with path.open("w") as file:
        write_journal_line(
            file, {"type": "warning", "text": "/home/alice/x", "in": ["/Users/bob/y", r"C:\Users\carol\z"]}
        )
    (line,) = read_journal(path)
    assert line == {"type": "warning", "text": "~/x", "in": ["~/y", r"~\z"]}
