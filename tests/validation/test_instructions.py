"""Instructions are counted per call: free of what happens once, by function, and the same for the same code."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest

import backends
from benchmarks import processes
from benchmarks.__main__ import main
from benchmarks.exits import Exit
from benchmarks.validation import callgrind, counted, instructions

PART = """# callgrind format
desc: Trigger: --dump-before=getpgrp

positions: line
events: Ir
summary: 1070

ob=/usr/lib/libpython3.11.so.1.0
fl=ceval.c
fn=_PyEval_EvalFrameDefault
10 30
12 20
cob=/usr/lib/numpy/_multiarray_umath.so
cfi=ufunc.c
cfn=ufunc_generic_fastcall
calls=2 7
12 1000
13 5

ob=/usr/lib/numpy/_multiarray_umath.so
fn=ufunc_generic_fastcall
7 1000
ob=/usr/lib/libpython3.11.so.1.0
fn=_PyEval_EvalFrameDefault
14 15

totals: 1070
"""


def test_what_a_call_takes_is_the_difference_of_twice_as_many():
    start_up, each = 345, 4016
    assert instructions.per_call(start_up + 100 * each, start_up + 200 * each, 100) == each


def test_a_part_says_how_many_instructions_it_counts():
    assert callgrind.total(PART) == 1070


def test_a_text_without_a_total_is_refused():
    with pytest.raises(ValueError, match="totals: N"):
        callgrind.total("# callgrind format\n")


def test_functions_are_counted_without_what_they_call():
    assert callgrind.functions(PART) == {
        ("libpython3.11.so.1.0", "_PyEval_EvalFrameDefault"): 30 + 20 + 5 + 15,
        ("_multiarray_umath.so", "ufunc_generic_fastcall"): 1000,
    }
    assert sum(callgrind.functions(PART).values()) == callgrind.total(PART)


def test_each_call_is_a_row_and_each_way_to_make_it_a_column(monkeypatch):
    monkeypatch.setattr(
        instructions, "_counted", lambda calls: [("totals: 500\n", "totals: 123900\n") for _ in calls]
    )
    found = instructions.table(["relu"], 1).set_index("call")
    assert found.loc["np.tanh(x)", "bare"] == "1,234"
    assert found.loc["relu, forward", ["one-liner", "numpy, fresh", "numpy, reuse"]].tolist() == ["1,234"] * 3
    assert found.loc["relu, forward"].isna()["bare"]


def test_a_breakdown_begins_with_the_function_that_takes_most(monkeypatch):
    monkeypatch.setattr(instructions, "_counted", lambda calls: [("", PART) for _ in calls])
    first = instructions.breakdown(["relu"], 1).iloc[0]
    assert (first["function"], first["instructions"]) == ("ufunc_generic_fastcall", "10")


def test_the_calls_of_a_process_are_those_that_it_was_told(monkeypatch):
    marks: list[int] = []
    calls: list[None] = []
    monkeypatch.setattr(counted.Call, "bind", lambda call: lambda: calls.append(None))
    monkeypatch.setattr(callgrind, "mark", lambda: marks.append(len(calls)))
    counted.make(3, [counted.Call("relu", "forward", "numpy", "fresh", 1)])
    assert [b - a for a, b in pairwise(marks)] == [3, 6]


def test_a_missing_valgrind_is_said_in_a_line(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert main(["validate", "instructions"]) is Exit.USAGE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "valgrind" in error
    assert "apt-get install valgrind" in error


@pytest.mark.skipif(callgrind.missing() is not None, reason="valgrind is not installed")
def test_a_bound_tanh_takes_as_many_instructions_as_the_ufunc(monkeypatch):
    monkeypatch.setattr(backends, "missing", lambda name: None if name == "numpy" else "left out")
    monkeypatch.setattr(instructions, "BARE_CALLS", {"np.tanh(x)": None})
    monkeypatch.setattr(instructions, "CHECKED_MODES", ("forward",))
    found = instructions.table(["tanh"], 1).set_index("call")
    bare, bound = found.loc["np.tanh(x)", "bare"], found.loc["tanh, forward", "numpy, fresh"]
    counts = [int(each.replace(",", "")) for each in (bare, bound)]
    assert min(counts) > 1000
    assert counts[1] == pytest.approx(counts[0], rel=0.02)


@pytest.mark.skipif(callgrind.missing() is not None, reason="valgrind is not installed")
def test_a_process_that_fails_under_valgrind_says_why():
    command = [sys.executable, "-c", "raise SystemExit('no such op')"]
    with pytest.raises(RuntimeError, match="no such op"):
        callgrind.parts(command, processes.environment())
