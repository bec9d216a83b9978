"""The history: what is appended is read again, whatever wrote it, and nothing half-written remains."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.record import history
from benchmarks.record.damage import UnreadableError
from benchmarks.record.frames import to_frame
from benchmarks.record.schema import COLUMNS
from tests import synthetic
from tests.job import ROOT, SMALL, Job
from tests.synthetic import record


def frame(**more: object) -> pd.DataFrame:
    return to_frame([record("numpy", **more), record("torch", **more)])  # type: ignore[arg-type]


def files(results: Path) -> list[str]:
    return sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file())


def test_what_is_appended_is_read_with_the_columns_and_dtypes_of_a_record(tmp_path):
    records = synthetic.run().records  # failures, gaps and texts that are hard to escape among them
    path = history.append(records, tmp_path)
    assert path == tmp_path / "history" / "machine_id=a1b2c3d4e5f6" / "20260321T101500Z.parquet"
    pd.testing.assert_frame_equal(history.read(tmp_path), records)


def test_each_run_gets_a_file_and_leaves_the_others_as_they_are(tmp_path):
    first = history.append(frame(run_id="1"), tmp_path)
    before = (first.read_bytes(), first.stat().st_mtime_ns)
    history.append(frame(run_id="2"), tmp_path)
    history.append(frame(run_id="1", machine_id="other"), tmp_path)
    assert (first.read_bytes(), first.stat().st_mtime_ns) == before
    assert len(files(tmp_path)) == 3
    assert len(history.read(tmp_path)) == 6


def test_a_run_written_twice_is_there_once(tmp_path):
    assert history.append(frame(), tmp_path) == history.append(frame(), tmp_path)
    assert len(history.read(tmp_path)) == 2


def test_histories_are_merged_by_copying_their_files(tmp_path):
    history.append(frame(run_id="1"), tmp_path / "a")
    for run_id in ("1", "2"):
        history.append(frame(run_id=run_id, machine_id="ci"), tmp_path / "b")
    shutil.copytree(tmp_path / "b" / "history", tmp_path / "a" / "history", dirs_exist_ok=True)
    merged = history.read(tmp_path / "a")
    assert set(zip(merged["machine_id"], merged["run_id"], strict=True)) == {
        ("a1b2c3d4e5f6", "1"),
        ("ci", "1"),
        ("ci", "2"),
    }


@pytest.mark.parametrize("machine", ["0123", "1e5", "../up", "a/b=c", "..", "ü |<script>", "a\nb", "%41"])
def test_no_machine_escapes_the_folder_or_comes_back_as_another(tmp_path, machine):
    path = history.append(frame(machine_id=machine, run_id="../x"), tmp_path)
    assert path.resolve().parent.parent == (tmp_path / "history").resolve()
    read = history.read(tmp_path)
    assert set(read["machine_id"]) == {machine}
    assert set(read["run_id"]) == {"../x"}


def test_records_without_a_machine_are_kept(tmp_path):
    history.append(frame(machine_id=None), tmp_path)
    assert set(history.read(tmp_path)["machine_id"]) == {"unknown"}


def test_records_of_two_runs_or_of_none_are_refused(tmp_path):
    two = pd.concat([frame(run_id="1"), frame(run_id="2")])
    with pytest.raises(ValueError, match="one run_id; got 1, 2"):
        history.append(two, tmp_path)
    with pytest.raises(ValueError, match="one run_id; got none"):
        history.append(to_frame([]), tmp_path)
    assert not files(tmp_path)


def test_a_write_that_fails_leaves_no_file_and_no_run_lost(tmp_path, monkeypatch):
    history.append(frame(run_id="1"), tmp_path)
    before = files(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        history.append(frame(run_id="2"), tmp_path)
    assert files(tmp_path) == before


def test_what_an_interrupted_write_left_is_not_read(tmp_path):
    path = history.append(frame(), tmp_path)
    path.with_name(".2.parquet.17.tmp").write_bytes(b"PAR1half")
    assert len(history.read(tmp_path)) == 2


def test_files_of_older_and_newer_versions_are_read_together(tmp_path):
    path = history.append(frame(run_id="1"), tmp_path)
    old = pd.read_parquet(path).drop(columns=["bursts", "warning", "git_dirty", "first_call_s"])
    old.assign(run_id="0").to_parquet(path.with_name("0.parquet"), index=False)
    new = pd.read_parquet(path).assign(run_id="2", joules=1.5)
    new.to_parquet(path.with_name("2.parquet"), index=False)
    read = history.read(tmp_path)
    assert {column.name: column.dtype for column in COLUMNS} == read.dtypes.astype(str).to_dict()
    assert (
        read.loc[read["run_id"] == "0", ["bursts", "warning", "git_dirty", "first_call_s"]].isna().all(axis=None)
    )
    assert read["median_s"].notna().all()


def test_whole_numbers_with_gaps_from_another_writer_stay_whole(tmp_path):
    path = history.append(frame(run_id="1"), tmp_path)
    plain = pd.read_parquet(path)
    plain["bursts"] = [8.0, float("nan")]  # as pandas writes gaps without its own dtypes
    plain.to_parquet(path, index=False)
    assert history.read(tmp_path)["bursts"].tolist() == [8, pd.NA]


@pytest.mark.parametrize("content", [b"", b"no Parquet", "cut", "wrong"])
def test_a_damaged_file_is_named_and_passed_over(tmp_path, content, capsys):
    history.append(frame(run_id="1"), tmp_path)
    path = history.append(frame(run_id="2"), tmp_path)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif content == "wrong":
        pd.DataFrame({"run_id": ["2"], "median_s": ["fast"]}).to_parquet(path)
    else:
        path.write_bytes(content)
    with pytest.raises(
        UnreadableError, match=r"machine_id=a1b2c3d4e5f6/2\.parquet.*; delete it, or copy it again"
    ):
        history.read_file(path)
    assert set(history.read(tmp_path)["run_id"]) == {"1"}
    told = capsys.readouterr().err
    assert re.fullmatch(r"passed over: .*machine_id=a1b2c3d4e5f6/2\.parquet.*\n", told), told


def test_a_history_of_damaged_files_alone_is_an_error(tmp_path):
    history.append(frame(), tmp_path).write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the files in .*history can be read"):
        history.read(tmp_path)


@pytest.mark.parametrize("older", [False, True])
def test_a_changed_byte_is_found_wherever_it_is(tmp_path, older):
    """Of a file without checksums, those of its pages alone are verified, if it has them."""
    path = history.append(frame(), tmp_path)
    if older:
        frame().drop(columns="machine_id").to_parquet(path, index=False, write_page_checksum=True)
    content = path.read_bytes()
    before = history.read_file(path)
    n_refused = 0
    for at in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        try:
            found = history.read_file(path)
        except UnreadableError:
            n_refused += 1
        else:
            assert older or found.equals(before), f"byte {at} was changed, and nobody said so"
    assert n_refused > (8 if older else 35)  # of one row, most bytes are about its columns, not of pages


def test_a_damaged_middle_is_an_error_that_names_the_file_and_the_place(tmp_path):
    path = history.append(synthetic.run().records, tmp_path)
    data = bytearray(path.read_bytes())
    data[4:4000] = bytes(3996)
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match=r"20260321T101500Z\.parquet:byte 1: was changed"):
        history.read_file(path)


def test_only_the_columns_that_are_asked_for_are_read(tmp_path):
    path = history.append(frame(), tmp_path)
    pd.read_parquet(path).drop(columns="warning").to_parquet(path)  # as an older version wrote it
    names = ["op", "shape", "median_s", "warning", "machine_id"]
    whole = history.read(tmp_path)
    pd.testing.assert_frame_equal(history.read(tmp_path, names), whole[[c for c in whole if c in names]])


def test_no_history_is_an_error_that_says_how_to_get_one(tmp_path):
    with pytest.raises(ValueError, match=r"pytest benchmarks --benchmark-save=NAME"):
        history.read(tmp_path)


def test_other_readers_of_partitioned_parquet_read_the_folder(tmp_path):
    history.append(frame(run_id="1"), tmp_path)
    history.append(frame(run_id="2", machine_id="ci"), tmp_path)
    assert set(pd.read_parquet(tmp_path / "history")["machine_id"]) == {"a1b2c3d4e5f6", "ci"}


def test_a_run_loads_neither_ruptures_nor_the_parquet_reader():
    # pandas itself loads pyarrow's core, where it is installed.
    code = "import sys, benchmarks.plugin.hooks, benchmarks.commands.trend; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert not {"ruptures", "pyarrow.parquet"} & set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def test_a_saved_run_is_in_the_history_and_others_are_not(results):
    Job(results, *SMALL, "--backend", "numpy", check=0)
    assert not (results / "history").exists()
    job = Job(results, *SMALL, "--backend", "numpy", "--benchmark-save=first", check=0)
    (row,) = history.read(results).to_dict("records")
    assert row["saved_as"] == "first"
    assert row["median_s"] == pytest.approx(float(job.records["median_s"].iloc[0]))


def test_a_history_that_cannot_be_written_costs_a_run_nothing_else(tmp_path):
    (tmp_path / "history").write_text("in the way")
    job = Job(tmp_path, *SMALL, "--backend", "numpy", "--benchmark-save=first", check=0)
    assert "Warning: this run is not in the history" in job.output
    assert "Report: " in job.output
    assert (tmp_path / "latest" / "report.html").exists()
