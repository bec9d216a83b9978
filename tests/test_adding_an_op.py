"""Adding an op is one OpSpec, and for each backend a function and a line beside it: nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest

import backends
from tests.trees import copied

SPEC = """

OPS = (
    *OPS,
    activation(
        "cube",
        "Third power",
        lambda m, x: 3 * x**2,
        formula="x**3",
        source="a test",
        definition=lambda m, x: x**3,
        budget=Budget(4, 4, "two products, each rounded"),
        limits=((-INF, -INF, INF), (INF, INF, INF)),
        aliases=("third_power",),
    ),
)
"""
FUNCTIONS = """

@elementwise(scratch=1, quiet=True)
def cube(x: Array, square: Array, out: Out) -> Array:
    return np.multiply(np.square(x, square), x, out)


@pullback(scratch=2, numbers=(3,), quiet=True)
def cube_vjp(x: Array, square: Array, d: Array, three: Array) -> Array:
    return np.multiply(np.square(x, square), three, d)


OPS |= {"cube": (cube, cube_vjp)}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Copy what runs, and add an op to the catalogue and to NumPy alone, as a contributor would."""
    copy = copied(tmp_path_factory.mktemp("tree"), "backends", "benchmarks", "conftest.py", "pyproject.toml")
    append(copy / "backends" / "catalogue" / "piecewise.py", SPEC)
    append(copy / "backends" / "numpy" / "piecewise.py", FUNCTIONS)
    return copy


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def run(tree, *arguments):
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_added_op_is_checked_timed_and_reported_and_missing_elsewhere(tree):
    results = tree / "results"
    run(
        tree,
        "-m",
        "pytest",
        "benchmarks",
        "--op",
        "third_power",
        "--size",
        "1000",
        "--check",
        "all",
        "--results",
        str(results),
    )
    records = pd.read_csv(results / "latest" / "records.csv")
    assert set(records["op"]) == {"cube"}
    assert set(records["mode"]) == {"forward", "backward"}
    by_backend = records.groupby("backend")["status"].unique().map(list).to_dict()
    assert by_backend == {name: ["ok"] if name == "numpy" else ["unavailable"] for name in backends.names()}
    accuracy = pd.read_csv(results / "latest" / "accuracy.csv")
    checked = accuracy[accuracy["backend"] == "numpy"]
    assert set(checked["status"]) == {"ok"}
    assert set(checked["dtype"]) == {"float16", "bfloat16", "float32", "float64"}
    page = (results / "latest" / "report.html").read_text(encoding="utf-8")
    assert "cube" in page
    for name in backends.names():
        if name != "numpy" and backends.missing(name) is None:
            assert f"{name} does not implement cube yet" in page


def test_an_added_op_is_in_the_generated_tables(tree):
    if reasons := [reason for name in backends.names() if (reason := backends.missing(name))]:
        pytest.skip("; ".join(reasons))
    tables = run(
        tree,
        "-c",
        "from benchmarks.commands import docs; print(docs.ops_table(), docs.support_table(), docs.gaps_table())",
    )
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in tables.splitlines() if "`cube`" in line]
    (row,) = [line for line in lines if "`x**3`" in line]
    assert "`third_power`" in row
    assert ["`cube`", *("all" if name == "numpy" else "none" for name in backends.names())] in lines
    assert ["numba", "`cube`", "all", "numba does not implement cube yet", "ours to write"] in lines
