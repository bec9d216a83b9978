"""What we tell somebody to type reads as they call us."""

from __future__ import annotations

import sys

import pytest

from benchmarks import invocation

LINES = {
    "python -m benchmarks ab": "activation-bench ab",
    "pytest benchmarks --op relu": "activation-bench run --op relu",
    "pytest benchmarks/test_timing.py --op relu": "activation-bench run timing --op relu",
    "pytest benchmarks/test_correctness.py": "activation-bench run correctness",
}


@pytest.mark.parametrize(("checkout", "script"), LINES.items())
def test_command_lines_read_as_the_user_types_them(checkout, script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/activation-bench"])
    assert invocation.as_called(f"Run: {checkout}.") == f"Run: {script}."
    monkeypatch.setattr(sys, "argv", ["/somewhere/pytest"])
    assert invocation.as_called(f"Run: {checkout}.") == f"Run: {checkout}."


def test_the_command_is_the_one_that_was_called(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/__main__.py"])
    assert invocation.command() == "python -m benchmarks"
    monkeypatch.setattr(sys, "argv", ["/somewhere/activation-bench"])
    assert invocation.command() == "activation-bench"
