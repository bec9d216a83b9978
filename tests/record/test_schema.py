"""The schema: said once, derived everywhere, and older than itself where a run is."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from benchmarks.record import history, saved, schema
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import load_run
from benchmarks.record.schema import Case, Ending, Verdict, column, columns_of, row
from tests.trees import copied

OLD = Path(__file__).with_name("schema_1")
"""What a run left behind when journals had no schema number: its journal, saved JSON, tables and history."""


def test_a_columns_type_unit_and_meaning_are_those_of_its_field():
    named = {each.name: each for each in schema.COLUMNS}
    assert (named["median_s"].dtype, named["median_s"].unit) == ("float64", "s")
    assert [named[name].dtype for name in ("shape", "git_dirty", "peak_bytes")] == ["string", "boolean", "Int64"]
    assert named["allocation"].meaning.startswith("fresh (a new output every call), reuse (")
    assert all(each.meaning for each in (*schema.COLUMNS, *schema.COST_COLUMNS, *schema.ACCURACY_COLUMNS))


def test_a_row_has_the_columns_of_its_parts_and_leaves_out_those_it_lacks():
    case = Case("relu", "forward", "float32", (2, 3), "numpy", "cpu", allocation="reuse")
    measured = schema.Measured(case=case, kind="elementwise", n_elements=6, peer=False, ending=Ending(status="ok"))
    assert row(measured) == {
        "op": "relu", "mode": "forward", "dtype": "float32", "shape": "2x3", "backend": "numpy", "device": "cpu",
        "allocation": "reuse", "cache": "hot", "timing": "latency", "memory": "retained", "launch": "eager",
        "saved": "input",
        "team": "usual",
        "kind": "elementwise", "n_elements": 6,
        "peer": False, "status": "ok", "reason": "", "warning": "", "checks": "",
    }  # fmt: skip


def test_a_part_may_be_of_several_kinds():
    names = [each.name for each in schema.ACCURACY_COLUMNS]
    assert len(names) == len(set(names))
    assert {each.name for each in columns_of(Verdict)} <= set(names)


def test_what_came_later_is_in_older_records_what_it_was_then():
    @dataclass(frozen=True)
    class Kept:
        memory: Literal["retained", "released"] = column("who keeps it", before="released", default="retained")

    frame = to_frame([{}, {"memory": "retained"}], columns_of_local(Kept))
    assert frame["memory"].tolist() == ["released", "retained"]


def columns_of_local(kind):
    """Return the columns of a class whose annotations cannot be looked up in a module."""
    kind.__annotations__ = {"memory": Literal["retained", "released"]}
    return columns_of(kind)


def test_a_retired_column_is_left_out_and_an_unknown_one_refused():
    assert "variant" not in to_frame([{"op": "relu", "variant": "numpy"}])
    with pytest.raises(ValueError, match="unknown columns varient"):
        to_frame([{"varient": "numpy"}])


@pytest.mark.parametrize("name", ["journal.jsonl", "saved.json", "records.csv"])
def test_what_an_older_run_left_behind_reads_as_it_was(name):
    expected = pd.read_csv(OLD / "records.csv").drop(columns="variant")
    # pytest-benchmark's file knows good cases alone, and the bandwidth of the run's beginning.
    good = expected[expected["status"] == "ok"] if name == "saved.json" else expected
    good = good.drop(columns="fraction_of_bandwidth") if name == "saved.json" else good
    records = saved.load(str(OLD / name), OLD).records
    found = pd.read_csv(io.StringIO(records.to_csv(index=False)))
    pd.testing.assert_frame_equal(found[list(good)], good, rtol=1e-9)


def test_an_older_journal_keeps_its_bursts_rounds_and_accuracy():
    run = load_run(OLD / "journal.jsonl")
    lines = [json.loads(line) for line in (OLD / "journal.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line["type"] == "rounds"]
    assert len(run.rounds) == sum(len(burst) for line in kept for bursts in line["processes"] for burst in bursts)
    assert len(run.bursts) == sum(len(bursts) for line in kept for bursts in line["processes"])
    pd.testing.assert_frame_equal(
        run.accuracy[["op", "backend", "max_ulp"]],
        pd.read_csv(OLD / "accuracy.csv")[["op", "backend", "max_ulp"]].astype(
            run.accuracy.dtypes[["op", "backend", "max_ulp"]]
        ),
    )
    assert run.complete


def test_an_older_history_is_read(tmp_path):
    machine = pd.read_csv(OLD / "records.csv")["machine_id"][0]
    folder = tmp_path / "history" / f"machine_id={machine}"
    folder.mkdir(parents=True)
    shutil.copy(OLD / "history.parquet", folder / "old.parquet")
    found = history.read(tmp_path)
    assert found["median_s"].notna().sum() == pd.read_csv(OLD / "records.csv")["median_s"].notna().sum()
    assert list(found.columns) == [each.name for each in schema.COLUMNS]


def test_a_journal_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "newer.jsonl"
    path.write_text('{"type": "run", "schema": 99}\n')
    with pytest.raises(ValueError, match="has schema 99, and this version reads up to"):
        load_run(path)


# --- a policy that nobody has heard of ------------------------------------------------------------------------

THROW_AWAY = """
    weather: Literal["sunny", "rainy"] = column("what it is like outside", before="rainy", default="sunny")"""


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """Copy what runs, add a policy to the schema and nowhere else, and measure with it."""
    parts = ("backends", "benchmarks", "conftest.py", "pyproject.toml", "tests/stated_bandwidth.py")
    tree = copied(tmp_path_factory.mktemp("weather"), *parts)
    path = tree / "benchmarks" / "record" / "schema.py"
    source = path.read_text(encoding="utf-8")
    before = "    timing: Timing = column("
    assert source.count(before) == 1
    path.write_text(source.replace(before, f"{THROW_AWAY.strip(chr(10))}\n{before}"), encoding="utf-8")
    shutil.copytree(OLD, tree / "old")
    ours(
        tree, "-m", "pytest", "-p", "stated_bandwidth", "benchmarks/test_timing.py", "--op", "relu",
        "--size", "1000", "--mode", "forward", "--backend", "numpy", "--weather", "sunny", "rainy",
        "--memory", "released",
        "--benchmark-max-time=0.01", "--results", "results", "--benchmark-save=new",
    )  # fmt: skip
    return tree


def ours(tree, *arguments, status=0):
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_a_policy_is_declared_once_and_found_in_ids_and_records(weather):
    (path,) = (weather / "results").glob("runs/*/*_new.json")
    names = [each["name"] for each in json.loads(path.read_text())["benchmarks"] if "op" in each["params"]]
    assert names == [
        "test_timing[relu-forward-float32-1000-numpy-cpu-released]",
        "test_timing[relu-forward-float32-1000-numpy-cpu-rainy-released]",
    ]
    records = pd.read_csv(weather / "results" / "latest" / "records.csv")
    assert records["weather"].tolist() == ["sunny", "rainy"]


def test_tables_the_page_and_answers_have_it(weather):
    latest = weather / "results" / "latest"
    policies = pd.read_csv(latest / "policies.csv")
    assert {"sunny_s", "rainy_s", "rainy_ratio"} <= set(policies.columns)
    assert "weather" in pd.read_csv(latest / "medians.csv").columns
    assert "rainy" in (latest / "report.html").read_text(encoding="utf-8")
    question = ("--op", "relu", "--size", "1000", "--weather", "rainy", "--memory", "released")
    assert "rainy" in ours(
        weather, "-m", "benchmarks", "recommend", *question, "--results", "results", "--run", "new"
    )


def test_older_records_are_compared_as_what_they_were(weather):
    arguments = (
        "compare",
        "old/journal.jsonl",
        "new",
        "--across-machines",
        "--results",
        "results",
        "--format",
        "json",
    )
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=weather, capture_output=True, text=True, check=False
    )
    cases = json.loads(done.stdout)["cases"]
    assert {each["verdict"] for each in cases if each["weather"] == "sunny"} == {"new"}
    fresh = [each for each in cases if each["weather"] == "rainy" and each["allocation"] == "fresh"]
    verdicts = {each["backend"]: each["verdict"] for each in fresh}
    assert verdicts.pop("numpy") in ("slower", "faster", "same", "ambiguous")
    assert verdicts == {"torch": "missing"}


# --- the group is the unit ------------------------------------------------------------------------------------


def test_a_group_cut_short_is_known_as_such(tmp_path):
    lines = [
        {"type": "run", "schema": 2, "run_id": "1", "saved_as": "", "command": "", "machine": {}, "seed": 0},
        {"type": "begin", "cases": ["relu-forward-float32-10-numpy-cpu"]},
        {"type": "group", "cases": [{"op": "relu", "shape": "10", "status": "ok", "burst_medians_s": [[1e-6]]}]},
        {"type": "begin", "cases": ["relu-forward-float32-20-numpy-cpu", "relu-forward-float32-20-torch-cpu"]},
    ]
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"type": "group", "cases": [{"op": "re')
    run = load_run(path)
    assert not run.complete
    assert len(run.records) == 1
    (warning,) = run.warnings
    assert "relu-forward-float32-20-numpy-cpu and relu-forward-float32-20-torch-cpu" in str(warning)
