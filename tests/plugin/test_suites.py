"""Markers, and not the names of a test's arguments, say which cases it gets."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from benchmarks.plan.selection import Selection
from benchmarks.plugin import suites
from tests.job import ROOT, SMALL, Job

CHOSEN = Selection(
    ops=("relu", "tanh"), backends=("numpy",), dtypes=("float32",), sizes=(1000,), modes=("forward",)
)


def given(marker, *arguments):
    """Return the parameters that a test with a marker and these arguments gets, and their names."""
    found = []
    metafunc = SimpleNamespace(
        definition=SimpleNamespace(get_closest_marker=lambda name: name == marker),
        fixturenames=list(arguments),
        parametrize=lambda names, rows, ids=None: found.append((list(names), [tuple(row) for row in rows])),
    )
    suites.parametrize(metafunc, CHOSEN)
    return found


@pytest.mark.parametrize("arguments", [("shape",), ("device",), ("op", "rule"), ()])
def test_a_test_without_a_marker_gets_no_cases(arguments):
    assert not given("other", *arguments)


def test_a_test_that_checks_gets_what_it_takes_as_arguments():
    ((names, rows),) = given("correctness", "harness", "op", "device", "mode")
    assert names == ["op", "device"]
    assert rows == [("relu", "cpu"), ("tanh", "cpu")]


def test_a_test_of_what_a_call_costs_gets_backends_and_devices():
    assert given("call_cost", "backend", "device") == [(["backend", "device"], [("numpy", "cpu")])]


def test_a_test_that_times_gets_cases_as_strings_and_names_the_case_again():
    ((names, rows),) = given("timing", "case")
    params = dict(zip(names, rows[0], strict=True))
    assert params.items() >= {"op": "relu", "shape": "1000", "backend": "numpy"}.items()
    assert all(isinstance(value, str) for row in rows for value in row)
    item = SimpleNamespace(
        callspec=SimpleNamespace(params=params), get_closest_marker=lambda name: name == "timing"
    )
    assert str(suites.case_of(item)) == "relu-forward-float32-1000-numpy-cpu"


def test_modules_that_are_no_backend_are_named_at_the_start(tmp_path):
    path = tmp_path / "backends" / "s3_backend.py"
    path.parent.mkdir()
    path.write_text('PACKAGE = "boto3"\n')
    job = Job(
        tmp_path / "results", *SMALL, "--backend", "numpy", "--collect-only", pythonpath=tmp_path, check=0
    )  # fmt: skip
    shown = os.path.relpath(path, ROOT)
    line = f"activation-bench: passed over {shown}: it does not declare EXTRA, DEVICES, VARIANTS"
    assert line in job.output.splitlines()
