"""Runs that are ended and gone on with: started as a user starts one, from a checkout or an installed package."""

from __future__ import annotations

import sys

from benchmarks.validation import resume


def test_a_run_is_started_by_the_command_that_is_installed_in_a_folder_without_settings(monkeypatch, tmp_path):
    started = {}
    monkeypatch.setattr(resume.subprocess, "Popen", lambda command, **how: started.update(how, command=command))
    resume._start(tmp_path / "results", "--resume", mark="abc")
    program, safely, module, name, run, *words = started["command"]
    assert (program, safely, module, name, run) == (sys.executable, "-P", "-m", "benchmarks", "run")
    assert words[-1] == "--resume"
    assert started["cwd"] == tmp_path / "results"
    assert started["env"][resume._TRIAL] == "abc"


def test_what_a_run_has_twice_or_lacks_is_named(monkeypatch, tmp_path):
    facts = {"undisturbed": ["a", "b", "c"], "resumed": ["a", "a", "b"]}
    monkeypatch.setattr(resume, "_facts", lambda results: {"cases": facts[results.name]})
    for name in facts:
        (tmp_path / name / resume.JOURNALS).mkdir(parents=True)
        (tmp_path / name / resume.JOURNALS / "1.jsonl").touch()
    told = resume._difference(tmp_path / "resumed", tmp_path / "undisturbed", begun=True)
    assert told == "cases differ: more a, less c"
