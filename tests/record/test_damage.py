"""Every file that is read can be anything: one line says which, where and what to do; good runs are found."""

from __future__ import annotations

import errno
import json
import os
import shutil
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.record import history, journal, places, recorder, saved, tables
from benchmarks.record.damage import UnreadableError, named
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS, journal_line, load_run, read_journal, write_journal_line
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import COLUMNS
from benchmarks.report.text import csv
from benchmarks.validation import made_up
from tests.synthetic import record


@pytest.fixture(scope="module")
def written_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    made_up.write(folder, sealed=True)
    return folder


@pytest.fixture
def results(written_once, tmp_path):
    return shutil.copytree(written_once, tmp_path / "results")


def command(capsys, *arguments):
    """Return the exit status of a command, what it printed, and the lines that it wrote to stderr."""
    capsys.readouterr()
    status = int(main([str(argument) for argument in arguments]))
    output, errors = capsys.readouterr()
    return status, output, errors.splitlines()


# --- files that are named -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command_name", ["report", "compare"])
@pytest.mark.parametrize("file", [made_up.JOURNAL, made_up.SAVED, made_up.TABLE], ids=str)
def test_a_named_file_that_was_changed_ends_in_one_line(results, capsys, file, command_name):
    path = results / file
    content = path.read_bytes()
    at = content.index(b"e-0", len(content) // 2)
    path.write_bytes(content[:at] + b"e-1" + content[at + 3 :])
    (results / JOURNALS / f"{made_up.ALONE}.jsonl").unlink(missing_ok=True)
    arguments = [path] if command_name == "report" else [path, path]
    status, _, errors = command(capsys, command_name, *arguments, "--results", results)
    assert status == 2
    (line,) = errors
    place = "benchmark" if file == made_up.SAVED else ""
    assert line.startswith(f"error: {path}:{place}"), line
    assert "; " in line, "what to do"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["[]"], "1: must be a JSON object; got list"),
        (["1"], "1: must be a JSON object; got int"),
        (["[" * 99_999], "1: is not JSON"),
        (['{"type": "run"}'], "1: run_id: must be a text; got None"),
        (['{"type": "run", "schema": "new"}'], "1: has schema 'new'"),
        (["RUN", "", '{"type": "group"}'], "3: cases: must be a list; got None"),
        (["RUN", '{"type": "group", "cases": [3]}'], "2: "),
        (["RUN", '{"type": "group", "cases": [{"op": 3}]}'], "2: op: must be a text or nothing; got 3"),
        (
            ["RUN", '{"type": "cost", "floor_s": "fast"}', '{"type": "end"}'],
            "2: floor_s: must hold float64; got 'fast'",
        ),
        (["RUN", '{"type": "group", "cases": [{"op": "relu", "shape": "big"}]}'], "2: shape: must be numbers"),
        (["RUN", '{"type": "cost", "call_s": [1]}'], "2: call_s: must hold float64; got [1]"),
        (["RUN", '{"type": "accuracy", "n_points": 1e300}'], "2: n_points: must hold Int64"),
        (["RUN", '{"type": "bandwidth", "device": "cpu"}'], "2: 'n_bytes' is missing"),
        (["RUN", '{"type": "warning", "text": 7}'], "2: text: must be a text; got 7"),
    ],
)
def test_a_line_of_another_kind_is_named(tmp_path, lines, words):
    opening = json.dumps(
        {"type": "run", "run_id": "1", "saved_as": "", "command": "", "machine": {}, "seed": None}
    )
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(opening if line == "RUN" else line for line in lines) + "\n")
    with pytest.raises(UnreadableError) as error:
        load_run(path)
    assert f"{path}:{words}" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"op,median_s\nrelu,fast\n", ":2: is no table of a run: median_s: must hold float64; got 'fast'"),
        (b"op,n_elements\nrelu,1\nrelu,9999999999999999999\n", ":3: is no table of a run: n_elements"),
        (b"op,median_s\nrelu\n", ":2: is no table of a run: 1 cells under 2 names"),
        (b"op,op\nrelu,relu\n", ":1: is no table of a run: a column is there twice"),
        (b"op\n\xff\n", ":byte 4: is not UTF-8"),
        (b'op,mode\n"relu,forward\n', ":2: is no table of a run: unexpected end of data"),
    ],
)
def test_a_table_s_wrong_line_is_named(tmp_path, content, words):
    path = tmp_path / "records.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as error:
        tables.read(path, COLUMNS)
    assert f"{path}{words}" in str(error.value)


def test_names_stay_on_one_line():
    assert named("a\nb.jsonl") == r"'a\nb.jsonl'"
    assert named("ü.jsonl") == "ü.jsonl"
    assert named("\udcff") == r"'\udcff'"


# --- files that are found -------------------------------------------------------------------------------------

BAD = {
    "list": lambda path: path.write_text("[]\n"),
    "number": lambda path: path.write_text("1\n"),
    "no id": lambda path: path.write_text('{"type": "run", "saved_as": "x"}\n'),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\n"),
    "empty": lambda path: path.touch(),
    "cut": lambda path: path.write_text('{"type": "ru'),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo if hasattr(os, "mkfifo") else lambda path: path.mkdir(),
    "dangling": lambda path: path.symlink_to("nowhere"),
}


def spoil(results, bad):
    """Have a bad file among the journals and the history."""
    BAD[bad](results / JOURNALS / f"20260909 {bad}.jsonl")
    BAD[bad](results / "history" / f"machine_id={made_up.MACHINE}" / f"{bad}.parquet")


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_file_costs_the_good_ones_nothing(results, capsys, bad):
    spoil(results, bad)
    for name in ("accuracy.csv", "pairs.csv"):
        (results / "latest" / name).unlink()
        BAD[bad](results / "latest" / name)
    assert saved.load(made_up.OTHER, results).run_id == made_up.OTHER
    assert saved.newest(results).run_id == made_up.OTHER
    assert saved.load_or_last(None, results).run_id == made_up.RUN
    assert set(history.read(results)["run_id"]) == {made_up.RUN, made_up.OTHER}
    errors = capsys.readouterr().err.splitlines()
    assert errors
    assert all(line.startswith("passed over: ") for line in errors), errors


def test_bad_files_cost_no_command_the_good_ones(results, capsys):
    for bad in BAD:
        spoil(results, bad)
    (results / "latest" / "accuracy.csv").write_text("nothing,of,this\n")
    there = ("--results", results)
    for arguments in (
        ("compare", made_up.RUN, made_up.OTHER, *there),
        ("report", *there, "--output", results / "out"),
        ("trend", *there, "--format", "md"),
        ("recommend", "--table", *there),
        ("export", "--format", "csv", *there, "--output", results / "out"),
    ):
        status, _, errors = command(capsys, *arguments)
        assert status == 0, (arguments, errors)
        assert all(line.startswith("passed over: ") for line in errors), errors


def test_a_bad_last_table_is_passed_over_for_the_newest_journal(results, capsys):
    (results / made_up.TABLE).write_text("in the way")
    assert saved.load_or_last(None, results).run_id == made_up.OTHER
    assert "passed over: " in capsys.readouterr().err


def test_of_the_last_table_no_more_is_read_than_which_run_it_is_of(results, capsys):
    (results / "latest" / "checksums.json").unlink()
    with (results / made_up.TABLE).open("a") as file:
        file.write("what,follows,is,in,its,journal\n")
    assert saved.load_or_last(None, results).run_id == made_up.RUN
    assert not capsys.readouterr().err


def test_a_damaged_run_does_not_stand_for_an_older_one_of_its_name_unnoticed(results, capsys):
    journals = results / JOURNALS
    text = (journals / f"{made_up.OTHER}.jsonl").read_text()
    for run_id in ("20270101", "20270102"):
        (journals / f"{run_id}.jsonl").write_text(text)
    (journals / "20270102.jsonl").write_text(text.replace("e-0", "e-1", 1))
    assert saved.load(made_up.OTHER, results).run_id == made_up.OTHER
    assert "20270102.jsonl" in capsys.readouterr().err


# --- checksums ------------------------------------------------------------------------------------------------


def written(path, *records):
    with path.open("w") as file:
        for each in records:
            write_journal_line(file, each)
    return path.read_bytes()


def test_a_line_that_was_changed_moved_or_lost_is_noticed(tmp_path):
    path = tmp_path / "x.jsonl"
    content = written(path, {"a": 1.25}, {"b": 2}, {"c": 3})
    first, second, third = content.splitlines(keepends=True)
    for damaged, line in (
        (content.replace(b"1.25", b"1.26"), 1),
        (second + first + third, 1),
        (first + third, 2),
        (first + second + second + third, 3),
        (first + b'{"b": 2}\n' + third, 2),
        (first + second + third.replace(b"3", b"4", 1).strip(), 3),
    ):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableError, match=rf"x\.jsonl:{line}: was changed after it was written"):
            read_journal(path)
    path.write_bytes(first + second + third[:9])
    assert read_journal(path) == [{"a": 1.25}, {"b": 2}]


def test_lines_of_an_older_version_are_read_and_may_be_followed_by_new_ones(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"b": 2}\n')
    with path.open("a") as file:
        write_journal_line(file, {"c": 3})
    assert read_journal(path) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_a_table_is_read_while_it_is_replaced(tmp_path, monkeypatch):
    old, new = (csv.page(to_frame([record("numpy", n=n)])) for n in (1024, 2048))
    tables.write(tmp_path, {"records.csv": old})
    seen = []

    def replace(path, content):
        made = real(path, content)
        seen.append(tables.read(tmp_path / "records.csv", COLUMNS)["n_elements"][0])
        return made

    real = tables.atomic.replace
    monkeypatch.setattr(tables.atomic, "replace", replace)
    tables.write(tmp_path, {"records.csv": new})
    assert seen == [1024, 2048, 2048]


def test_a_table_changed_by_hand_is_read_without_its_checksums(tmp_path):
    tables.write(tmp_path, {"records.csv": csv.page(to_frame([record("numpy")]))})
    path = tmp_path / "records.csv"
    path.write_text(path.read_text().replace("sigmoid", "tanh"))
    with pytest.raises(
        UnreadableError, match=r"records\.csv:2: .*or delete checksums\.json if you changed the table"
    ):
        tables.read(path, COLUMNS)
    (tmp_path / tables.CHECKSUMS).unlink()
    assert tables.read(path, COLUMNS)["op"] == ["tanh"]


# --- texts ----------------------------------------------------------------------------------------------------


@given(st.text("'=+-@\t\r1e.x "))
def test_a_harmless_text_can_be_taken_back(text):
    assert tables.raw(tables.harmless(text)) == text


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "'=1", "-", "=", "''@x"])
def test_no_text_of_a_table_is_a_formula(tmp_path, text):
    frame = to_frame([record("numpy", reason=text, saved_as="0001", warning="nan", settings="1e5")])
    page = csv.page(frame)
    assert f"'{text}" in page
    (tmp_path / "records.csv").write_text(page, newline="")
    (row,) = tables.read(tmp_path / "records.csv", COLUMNS).frame().to_dict("records")
    assert [row[name] for name in ("reason", "saved_as", "warning", "settings")] == [text, "0001", "nan", "1e5"]


@pytest.mark.parametrize("text", ["-1", "+1.5e-3", "-inf", "plain", "a=b", ""])
def test_a_number_keeps_its_sign(text):
    assert tables.harmless(text) == text


def test_numbers_come_back_to_the_last_bit(tmp_path):
    frame = to_frame([record("numpy", median_s=1.1e-7 / 3, max_ulp=float("inf"))])
    (tmp_path / "records.csv").write_text(csv.page(frame))
    assert tables.read(tmp_path / "records.csv", COLUMNS).frame().equals(frame)


def test_half_a_character_becomes_one_that_every_file_can_hold(tmp_path):
    written(tmp_path / "x.jsonl", {"a": "\udcff", "b": "ü"})
    assert read_journal(tmp_path / "x.jsonl") == [{"a": r"\udcff", "b": "ü"}]


# --- disks and folders ----------------------------------------------------------------------------------------


@pytest.fixture
def disk(monkeypatch):
    """Return a disk that is full while its attribute says so: half of each line goes onto it."""
    real = os.write
    state = SimpleNamespace(full=False)

    def write(descriptor, data):
        if not state.full:
            return real(descriptor, data)
        real(descriptor, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal.os, "write", write)
    return state


def test_a_line_that_does_not_fit_leaves_nothing_behind(tmp_path, disk):
    path = tmp_path / "x.jsonl"
    with path.open("a") as file:
        write_journal_line(file, {"a": 1})
        disk.full = True
        with pytest.raises(OSError, match="No space left"):
            write_journal_line(file, {"b": 2})
        disk.full = False
        write_journal_line(file, {"c": 3})
    assert read_journal(path) == [{"a": 1}, {"c": 3}]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a recorder whose other places to write are in this test's folder."""
    monkeypatch.setattr(recorder.tempfile, "gettempdir", lambda: str(tmp_path / "elsewhere"))
    return Recorder(tmp_path / "results", saved_as="", command="pytest", threads=1)


def kinds(path):
    return [line["type"] for line in read_journal(path) if line["type"] != "warning"]


def test_a_journal_that_another_program_writes_to_is_not_that_of_the_run(run):
    run.begin([])
    run.end({})
    run.close()
    assert run.run().complete
    *lines, _ = run.path.read_bytes().splitlines(keepends=True)
    forged = journal_line({"type": "end", "time_s": {}, "elapsed_s": 1.0}, sum(map(len, lines)))
    run.path.write_bytes(b"".join([*lines, forged]))
    assert kinds(run.path) == ["run", "begin", "end"]  # its checksums are right
    with pytest.raises(UnreadableError, match=r"\.changed: was changed by another program while"):
        run.run()
    assert not run.path.exists()


def test_a_disk_that_was_full_for_a_while_costs_no_line_and_repeats_none(run, disk):
    disk.full = True
    run.begin([])
    run.group([], [])
    disk.full = False
    run.end({})
    run.close()
    assert (kinds(run.path), run.lost) == (["run", "begin", "group", "end"], "")


def test_what_a_full_disk_took_from_a_journal_is_written_elsewhere_and_reported(run, disk, monkeypatch, tmp_path):
    def replace(path, content):
        if path.parent.name != "elsewhere":
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(recorder.atomic, "replace", replace)
    disk.full = True
    run.end({})
    run.close()
    assert run.path.parent == tmp_path / "elsewhere"
    assert kinds(run.path) == ["run", "end"]
    assert run.run().complete
    assert str(run.path) in run.lost


def test_a_run_without_any_place_left_is_still_reported(run, disk, monkeypatch):
    def replace(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder.atomic, "replace", replace)
    disk.full = True
    run.end({})
    run.close()
    assert run.run().complete
    assert "could not be written" in run.lost


def test_a_results_folder_deleted_meanwhile_is_there_again(run, tmp_path):
    run.begin([])
    shutil.rmtree(tmp_path / "results")
    run.end({})
    run.close()
    assert kinds(run.path) == ["run", "begin", "end"]
    assert (run.path.is_relative_to(tmp_path / "results"), run.lost) == (True, "")


def test_a_folder_that_can_be_written_into_is_usable(tmp_path):
    assert places.unusable(tmp_path / "new" / "results") == ""


@pytest.mark.parametrize("name", ["latest", "runs", "runs/journals"])
def test_a_file_in_the_way_is_known_before_anything_is_measured(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert f"{tmp_path / name} is not a folder" in places.unusable(tmp_path)


def test_missing_rights_are_known_before_anything_is_measured(tmp_path, monkeypatch):
    (tmp_path / "latest").mkdir()
    monkeypatch.setattr(places.os, "access", lambda path, _: path.name != "latest")
    assert f"no right to write into {tmp_path / 'latest'}" in places.unusable(tmp_path)


def test_a_full_disk_is_known_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_500_000))
    assert "1.5 MB are free there" in places.unusable(tmp_path)


def test_names_that_are_no_text_are_refused(tmp_path):
    assert places.unusable(tmp_path / "\udcff").startswith("--results: must be text in UTF-8")
    assert places.unusable(tmp_path, "\udcff").startswith("--benchmark-save: must be text in UTF-8")
