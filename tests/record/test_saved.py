"""Saved runs are found by name, number or file, and compared from the command line."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.record import saved
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS, write_journal_line
from tests.synthetic import record

MACHINE = {"machine_id": "a1b2c3d4e5f6", "threads": 2}
BANDWIDTH = {
    "type": "bandwidth",
    "device": "cpu",
    "n_bytes": [1000, 10**7],
    "copy": [50.0, 50.0],
    "read": [60.0, 60.0],
    "stores": ["plain", "plain"],
}
OPS = ("step", "sigmoid", "tanh", "relu")


def times(factor=1.0):
    """Make the records of a run: eight cases of NumPy, whose relu takes `factor` times as long."""
    made = [record("numpy", op, n=n, settings="") for op in OPS for n in (1000, 100_000)]
    for row in made:
        row["shape"] = str(row["n_elements"])
        slower = factor if row["op"] == "relu" else 1.0
        for name in ("median_s", "ci95_low_s", "ci95_high_s"):
            row[name] *= slower
    return made


@pytest.fixture
def results(tmp_path):
    """Return a maker of saved runs in a results folder: a journal, and pytest-benchmark's file beside it."""
    count = iter(range(1, 100))

    def save(name, factor=1.0, end=True, regressed=False, machine=MACHINE, journal=True, **more):
        number = next(count)
        run_id = f"20261125T0900{number:02d}.000Z"
        rows = [row | {"run_id": run_id, "saved_as": name} | more for row in times(factor)]
        opening = {"run_id": run_id, "saved_as": name, "command": "pytest", "machine": machine, "seed": 0}
        lines = [{"type": "run", **opening}, *[BANDWIDTH] * 2, *({"type": "case", **row} for row in rows)]
        lines += [{"type": "end", "time_s": {}, "reference_s": 7e-5}] * end
        lines += [{"type": "regressed", "reason": "median of relu"}] * regressed
        if journal:
            (tmp_path / JOURNALS).mkdir(parents=True, exist_ok=True)
            with (tmp_path / JOURNALS / f"{run_id}.jsonl").open("w") as file:
                for line in lines:
                    write_journal_line(file, line)
        folder = tmp_path / "runs" / "Linux"
        folder.mkdir(parents=True, exist_ok=True)
        content = {"benchmarks": [{"extra_info": row | {"burst_medians_s": [[1e-6, 1.1e-6]]}} for row in rows]}
        (folder / f"{number:04d}_{name}.json").write_text(json.dumps(content))
        return tmp_path

    return save


def compare(results, *arguments):
    return main(["compare", *arguments, "--results", str(results)])


def test_a_run_is_found_by_name_number_id_and_file(results):
    folder = results("before")
    results("after", factor=2)
    file = next(folder.glob("runs/*/0002_after.json"))
    names = (
        "after",
        "2",
        "0002",
        "20261125T090002.000Z",
        str(file),
        str(next(folder.glob(f"{JOURNALS}/*02.000Z*"))),
    )
    assert {saved.load(name, folder).run_id for name in names} == {"20261125T090002.000Z"}
    assert saved.load("before", folder).run_id == "20261125T090001.000Z"


def test_pytest_benchmark_s_file_is_enough_without_its_journal(results):
    folder = results("alone", journal=False)
    run = saved.load("1", folder)
    assert len(run.records) == len(run.bursts) / 2 == 8
    assert run.machine == {"machine_id": MACHINE["machine_id"]}


def test_a_report_s_table_is_a_run_too(tmp_path):
    to_frame(times()).to_csv(tmp_path / "records.csv", index=False)
    run = saved.load(str(tmp_path / "records.csv"), tmp_path)
    assert run.records["median_s"].tolist() == pytest.approx([row["median_s"] for row in times()])
    assert run.machine["machine_id"] == MACHINE["machine_id"]


def test_of_one_name_the_newest_good_run_is_meant(results):
    results("main")
    good = results("main")
    results("main", regressed=True)
    results("main", end=False)
    assert saved.load("main", good).run_id == "20261125T090002.000Z"


def test_what_is_not_there_is_said_with_what_is(results):
    folder = results("before")
    with pytest.raises(ValueError, match="later: no such run, number or file; saved are before"):
        saved.load("later", folder)
    with pytest.raises(ValueError, match="nothing is saved in"):
        saved.load("later", folder / "empty")


@pytest.mark.parametrize("content", ["", "{", '{"benchmarks": [{}]}', '{"benchmarks": 3}', "[]"])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"other\.json(:1)?: neither"):
        saved.load(str(path), tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("other.csv", "", "is no table of a run: it is empty"),
        ("other.csv", "a,b\n1,2\n", "is no table of a run: unknown columns a, b"),
        ("other.csv", "op,mode\n", "there are no records in it"),
        ("other.jsonl", '{"a": 1}\n', "does not begin with a run"),
        ("other.jsonl", "", "does not begin with a run"),
    ],
)
def test_a_table_or_journal_of_another_kind_is_named(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"{name}.* {words}"):
        saved.load(str(path), tmp_path)


def test_a_file_without_cases_is_named(tmp_path):
    path = tmp_path / "none.json"
    path.write_text('{"benchmarks": []}')
    with pytest.raises(ValueError, match=r"none\.json: holds no case"):
        saved.load(str(path), tmp_path)


@pytest.mark.parametrize(("factor", "status", "words"), [(1.0, 0, "8 same"), (2.0, 1, "2 slower, 6 same")])
def test_the_exit_status_says_whether_anything_is_slower(results, capsys, factor, status, words):
    folder = results("before")
    results("after", factor=factor)
    assert compare(folder, "before", "after") == status
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"regressed": True}, "is no baseline, since it failed a comparison itself: median of relu"),
        ({"end": False}, "was cut short"),
        ({"machine": {"machine_id": "other"}}, "machine_id: other in the base, a1b2c3d4e5f6 in the head"),
        ({"threads": 8}, "threads of numpy on cpu: 8 in the base, 1 in the head"),
        ({"settings": "x64=True"}, "settings of numpy on cpu: x64=True in the base, none in the head"),
        ({"allocation": "reuse"}, "allocation: reuse in the base, fresh in the head"),
    ],
)
def test_a_base_that_is_none_is_refused(results, capsys, more, words):
    folder = results("before", **more)
    results("after")
    assert compare(folder, "before", "after") == 2
    assert words in capsys.readouterr().err


def test_a_head_that_was_cut_short_is_compared_and_said(results, capsys):
    folder = results("before")
    results("after", end=False)
    assert compare(folder, "before", "after") == 0
    assert "Of the head: The run was cut short." in capsys.readouterr().out


def test_across_machines_compares_shares_and_says_so(results, capsys):
    folder = results("before", machine={"machine_id": "other"})
    results("after")
    assert compare(folder, "before", "after", "--across-machines") == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "fractions of each machine's own bandwidth, not times" in output
    assert "Differs: machine_id: other in the base" in output


@pytest.mark.parametrize(("name", "begins"), [("md", "### 8 cases, after"), ("json", "{")])
def test_other_formats_are_printed_alone_and_written_on_demand(results, capsys, tmp_path, name, begins):
    folder = results("before")
    results("after")
    assert compare(folder, "before", "after", "--format", name, "--output", str(tmp_path / "out")) == 0
    assert capsys.readouterr().out.startswith(begins)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["comparison.json", "comparison.md"]
