"""Merged runs: shards and machines become one run, keyed by case and machine, and unlike things do not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import count

import pytest

from benchmarks.__main__ import make_parser
from benchmarks.commands import compare, trend
from benchmarks.commands import merge as command
from benchmarks.judge.trend import trends
from benchmarks.machine import fingerprint as machine
from benchmarks.record import history, merge, merged, recorder, saved, unfinished
from benchmarks.record.journal import JOURNALS, load_run, load_runs, read_journal
from benchmarks.record.planned import SHARD, WHOLE, plan_of
from benchmarks.record.recorder import Recorder
from benchmarks.record.schema import Case, Ending, Measured, Rounds, Times
from benchmarks.report.terminal.console import open_console

PLACES = ("numpy", "torch")
SIZES = (1000, 2000, 3000, 4000)


def cases(*sizes, places=PLACES):
    return [Case("relu", "forward", "float32", (n,), name, "cpu") for n in sizes for name in places]


_fingerprint = cache(machine.fingerprint)
_now = count()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Ask the machine and the repository once, and not for each run."""
    monkeypatch.setattr(recorder, "get_commit_info", dict)
    monkeypatch.setattr(recorder.doubts, "busy_share", float)
    monkeypatch.setattr(recorder, "id_at", lambda _: f"2026{next(_now):08d}")
    monkeypatch.setattr(merge, "id_at", lambda _: f"2026{next(_now):08d}")


@pytest.fixture
def on(monkeypatch):
    """Return a function that says which machine is measured on from now on."""

    def _on(host="a", kind="equal"):
        found = replace(_fingerprint(1), machine_id=kind, host=host)
        monkeypatch.setattr(recorder.fingerprint, "fingerprint", lambda *_: found)

    _on()
    return _on


def times(median_s):
    known = {"median_s": median_s, "ci95_low_s": 0.99 * median_s, "ci95_high_s": 1.01 * median_s}
    rest = dict.fromkeys(("processes", "bursts", "rounds", "iterations"), 1)
    return Times(
        **known, **rest, mean_s=median_s, min_s=median_s, iqr_s=0.0, stop_reason="", again=0, disturbed=0,
        page_faults=0.0, elements_per_s=1.0, gigabytes_per_s=1.0, fraction_of_bandwidth=None,
    )  # fmt: skip


def measured(case, median_s):
    about = {"kind": "elementwise", "n_elements": case.n_elements, "peer": False, "ending": Ending(status="ok")}
    return Measured(case=case, times=times(median_s), **about)


def record(
    results,
    *sizes,
    shard=None,
    saved_as="nightly",
    median_s=1e-6,
    ends=True,
    places=PLACES,
    slower=0,
    **conditions,
):
    """Record a run of groups of these sizes, one of them `slower`: a shard of all SIZES, or a whole run."""
    made = Recorder(results, saved_as=saved_as, command="pytest", threads=1)
    others = [n for n in SIZES if n not in sizes] if shard else []
    known = {"numpy": "2.0", "--order-seed": made.run_id, SHARD: shard or "none", **conditions}
    known = {WHOLE: "4 tests (abc)", **known} if shard else known
    made.intend(plan_of(cases(*sizes, places=places), known, cases(*others)))
    for n in sizes if ends else sizes[:-1]:
        group = cases(n, places=places)
        taken_s = median_s * (2 if n == slower else 1)
        made.begin(group)
        made.group([measured(case, taken_s) for case in group], [Rounds(bursts_s=((taken_s,) * 4,))] * len(group))
    if ends:
        made.end({"rounds": 1.0})
    made.close()
    return made.path


def run(*words, results):
    """Run the command; return how it ended."""
    options = make_parser(("merge", "compare", "trend")).parse_args([*map(str, words), "--results", str(results)])
    module = {"merge": command, "compare": compare, "trend": trend}[options.command]
    return module.run(options, open_console())


def shards(results, on, **more):
    """Record both shards of a plan, on two hosts of one kind."""
    paths = []
    for number, host in ((1, "a"), (2, "b")):
        on(host)
        paths.append(record(results, *SIZES[number - 1 :: 2], shard=f"{number}/2", **more))
    return paths


# A shard


def test_a_shard_is_part_of_a_run_and_no_baseline(tmp_path, on):
    found = load_run(record(tmp_path, 1000, 2000, shard="1/2"))
    assert not found.complete
    assert (found.part, found.n_groups) == ("shard 1/2", 4)
    missing = "relu-forward-float32-3000 and relu-forward-float32-4000"
    assert found.shortfall == f"This is shard 1/2 alone, 2 of 4 groups not measured: {missing}."


def test_a_shard_that_was_cut_short_is_gone_on_with_and_one_that_ended_is_not(tmp_path, on):
    record(tmp_path, 1000, 2000, shard="1/2")
    with pytest.raises(ValueError, match=r"no run in .* was cut short"):
        unfinished.find(None, tmp_path)
    path = record(tmp_path, 3000, 4000, shard="2/2", ends=False)
    assert unfinished.find(None, tmp_path).path == path


# Shards of one run


def test_all_shards_are_one_complete_run_under_their_name(tmp_path, on):
    shards(tmp_path, on)
    assert run("merge", "nightly", results=tmp_path) == 0
    found = saved.load("nightly", tmp_path)
    assert (found.complete, found.unmeasured, found.n_groups, len(found.records)) == (True, (), 4, 8)
    assert not found.records.duplicated(["shape", "backend"]).any()
    assert set(found.records["run_id"]) == {found.run_id}
    assert found.records.groupby("host").size().to_dict() == {"a": 4, "b": 4}
    assert found.machine["host"] is None, "each record names its own"
    assert len(found.bursts) == 8 * 4


def test_a_merged_run_is_in_the_history_and_its_shards_are_not(tmp_path, on):
    shards(tmp_path, on)
    run("merge", "nightly", results=tmp_path)
    assert len(history.read(tmp_path)) == 8
    assert run("trend", results=tmp_path) == 0


def test_missing_shards_are_said_and_make_no_baseline(tmp_path, on, capsys):
    path, _ = shards(tmp_path, on)
    run("merge", path, results=tmp_path)
    said = capsys.readouterr().out
    assert "Warning: This is shard 1/2 alone, 2 of 4 groups not measured" in said
    assert "Not in the history, and no baseline" in said
    assert not (tmp_path / "history").exists()
    with pytest.raises(ValueError, match="is no baseline"):
        run("compare", "nightly", "nightly", results=tmp_path)
    with pytest.raises(ValueError, match="is merged of several runs; go on with the one that was cut short"):
        unfinished.find(str(max((tmp_path / JOURNALS).iterdir())), tmp_path)


def test_trend_names_merged_runs_that_are_not_complete(tmp_path, on, capsys):
    first, second = shards(tmp_path, on)
    run("merge", first, "--into", "part", results=tmp_path)
    with pytest.raises(ValueError, match="no saved run"):
        run("trend", results=tmp_path)
    missing = "2 of 4 groups not measured: relu-forward-float32-2000 and relu-forward-float32-4000."
    merged_id = max(path.stem for path in (tmp_path / JOURNALS).iterdir())
    told = (
        f"not in the history: {merged_id}, merged as 'part', is not complete. This is shard 1/2 alone, {missing}\n"
    )
    assert capsys.readouterr().err == told
    run("merge", first, second, "--into", "whole", results=tmp_path)
    assert run("trend", results=tmp_path) == 0
    assert capsys.readouterr().err == told, "what is whole is in the history"


def test_trend_says_on_how_many_machines_a_merged_run_is_not_complete(tmp_path, on, capsys):
    whole = record(tmp_path, 1000)
    on("b", kind="other")
    cut_short = record(tmp_path, 1000, 2000, ends=False)
    run("merge", whole, cut_short, "--into", "fleet", results=tmp_path)
    with pytest.raises(ValueError, match="no saved run"):
        run("trend", results=tmp_path)
    first, second = capsys.readouterr().err.splitlines()
    said = "is not complete on 1 of 2 machines. On other-b: The run was cut short, 1 of 2 groups not measured: "
    assert first.endswith(f", merged as 'fleet', {said}relu-forward-float32-2000.")
    assert second.endswith(f"{cut_short.stem} was cut short; see docs/interrupted.md")


def test_a_merged_run_takes_what_was_missing_later(tmp_path, on):
    first, second = shards(tmp_path, on)
    run("merge", first, "--into", "part", results=tmp_path)
    run("merge", "part", second, "--into", "whole", results=tmp_path)
    assert saved.load("whole", tmp_path).complete
    assert len(saved.load("whole", tmp_path).records) == 8


def test_a_shard_that_was_cut_short_leaves_the_whole_cut_short(tmp_path, on):
    first, _ = shards(tmp_path, on)
    on("c")
    second = record(tmp_path, 2000, 4000, shard="2/2", ends=False)
    run("merge", first, second, results=tmp_path)
    found = saved.load_each("nightly", tmp_path)[0]
    assert (found.complete, found.unmeasured) == (False, ("relu-forward-float32-4000",))


def test_a_group_that_was_measured_twice_counts_as_the_later_one_has_it(tmp_path, on, capsys):
    shards(tmp_path, on)
    on("c")
    record(tmp_path, *SIZES[1::2], shard="2/2", median_s=5e-6)
    run("merge", "nightly", results=tmp_path)
    told = capsys.readouterr().out
    assert "Note: 2 groups in " in told
    assert "the latest, counts" in told
    found = saved.load("nightly", tmp_path)
    assert len(found.records) == 8
    assert found.records.groupby("shape")["median_s"].max().to_dict() == {
        "1000": 1e-6, "2000": 5e-6, "3000": 1e-6, "4000": 5e-6,
    }  # fmt: skip
    assert not any("ended while" in str(each) for each in found.warnings)


# What must not stand beside each other


@pytest.mark.parametrize("name", ["numpy", "--margin"])
def test_shards_under_different_conditions_are_refused_with_how(tmp_path, on, name):
    record(tmp_path, *SIZES[::2], shard="1/2", **{name: "old"})
    record(tmp_path, *SIZES[1::2], shard="2/2", **{name: "new"})
    with pytest.raises(ValueError, match=f"differ:\n  {name}: old in .*1/2.* and new in .*2/2") as caught:
        run("merge", "nightly", results=tmp_path)
    assert "--force" in str(caught.value)
    assert len(list((tmp_path / JOURNALS).iterdir())) == 2, "nothing is written"
    run("merge", "nightly", "--force", results=tmp_path)
    assert any("Merged in spite of differences" in str(each) for each in saved.load("nightly", tmp_path).warnings)


def test_seeds_and_hosts_may_differ_and_are_named(tmp_path, on, capsys):
    shards(tmp_path, on)
    run("merge", "nightly", results=tmp_path)
    assert "Note: --order-seed: 2026" in capsys.readouterr().out


def test_a_comparison_is_never_made_of_two_halves(tmp_path, on):
    record(tmp_path, 1000, places=("numpy",))
    record(tmp_path, 1000, places=("torch",))
    paths = sorted((tmp_path / JOURNALS).iterdir())
    with pytest.raises(ValueError, match="numpy-cpu took no turns with torch-cpu"):
        run("merge", *paths, results=tmp_path)


def test_journals_of_versions_without_a_plan_stand_alone(tmp_path, on):
    paths = [record(tmp_path, 1000), record(tmp_path, 2000)]
    lines = [line for line in paths[0].read_text().splitlines(keepends=True) if '"type": "plan"' not in line]
    paths[0].write_text("".join(line.rpartition(', "crc32"')[0] + "}\n" for line in lines))
    with pytest.raises(ValueError, match=r"conditions: unknown of .*, which an older version wrote"):
        run("merge", *paths, results=tmp_path)
    assert run("merge", paths[0], results=tmp_path) == 0


# Several machines


def two_machines(results, on, name="fleet", slower=0):
    paths = []
    for kind, host, median_s in (("desk", "a", 1e-6), ("server", "b", 5e-7)):
        on(host, kind)
        paths.append(record(results, *SIZES, saved_as=name, median_s=median_s, slower=slower, numpy=f"of {kind}"))
    run("merge", *paths, results=results)
    return saved.load_each(name, results)


def test_each_machine_of_a_merged_run_is_a_run_of_its_own(tmp_path, on, capsys):
    desk, server = two_machines(tmp_path, on)
    assert (desk.machine_name, server.machine_name) == ("desk-a", "server-b")
    assert desk.records["median_s"].eq(1e-6).all()
    assert server.records["median_s"].eq(5e-7).all()
    assert desk.run_id == server.run_id
    assert "The machines differ in numpy" in capsys.readouterr().out
    assert sorted(path.parent.name for path in (tmp_path / "history").rglob("*.parquet")) == [
        "machine_id=desk", "machine_id=server",
    ]  # fmt: skip


def test_one_of_its_machines_goes_by_the_name_with_the_machine(tmp_path, on):
    two_machines(tmp_path, on)
    assert saved.load("fleet@serv", tmp_path).machine["machine_id"] == "server"
    assert saved.load("fleet@b", tmp_path).machine["machine_id"] == "server"
    with pytest.raises(ValueError, match="several machines, desk-a and server-b; name one, as in fleet@desk-a"):
        saved.load("fleet", tmp_path)
    with pytest.raises(ValueError, match="not measured on a machine 'x'; there are desk-a and server-b"):
        saved.load("fleet@x", tmp_path)
    with pytest.raises(ValueError, match="no such run"):
        saved.load("nobody@x", tmp_path)


def test_equal_machines_stay_apart_where_each_has_measured_all(tmp_path, on):
    for host in ("a", "b"):
        on(host)
        record(tmp_path, *SIZES, saved_as=host)
    paths = sorted((tmp_path / JOURNALS).iterdir())
    run("merge", *paths, "--into", "both", results=tmp_path)
    assert [each.machine_name for each in saved.load_each("both", tmp_path)] == ["equal-a", "equal-b"]
    found = trends(history.read(tmp_path))
    assert sorted({series.machine for series in found}) == ["equal-a", "equal-b"]


def test_machine_by_machine_two_merged_runs_are_compared(tmp_path, on, capsys):
    two_machines(tmp_path, on, "before")
    two_machines(tmp_path, on, "after", slower=1000)
    assert run("compare", "before", "after", results=tmp_path) == 1
    told = capsys.readouterr().out
    assert "On desk-a:" in told
    assert "On server-b:" in told
    assert run("compare", "before@desk", "after@desk", "--any-host", results=tmp_path) == 1
    with pytest.raises(ValueError, match="--format: json is of one machine"):
        run("compare", "before", "after", "--format", "json", results=tmp_path)
    with pytest.raises(ValueError, match="cannot be compared: machine_id"):
        run("compare", "before@desk", "after@server", results=tmp_path)


def test_the_parts_are_kept_as_their_runs_wrote_them(tmp_path, on):
    first, second = shards(tmp_path, on)
    run("merge", first, second, results=tmp_path)
    whole = read_journal(max((tmp_path / JOURNALS).iterdir()))
    assert whole[0]["schema"] == merged.SCHEMA, "older versions would take it for one run"
    assert [line["run_id"] for line in whole if line["type"] == merged.PART] == [first.stem, second.stem]
    kept = [line for line in whole if line["type"] == "group"]
    assert kept == [line for path in (first, second) for line in read_journal(path) if line["type"] == "group"]


def test_a_damaged_merged_journal_is_refused_and_one_cut_at_its_end_is_cut_short(tmp_path, on):
    shards(tmp_path, on)
    run("merge", "nightly", results=tmp_path)
    path = max((tmp_path / JOURNALS).iterdir())
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b'{"type": "end"')])
    assert not load_runs(path)[0].complete
    path.write_bytes(content.replace(b'"shape": "2000"', b'"shape": "2001"', 1))
    with pytest.raises(ValueError, match="was changed after it was written"):
        load_runs(path)


# What is meant


def test_folders_and_results_folders_stand_for_their_journals(tmp_path, on):
    first, second = shards(tmp_path, on)
    for name in (first.parent, tmp_path):
        assert [each.path for each in merge.sources([str(name)], tmp_path / "elsewhere")] == [first, second]


def test_runs_without_a_common_name_need_one(tmp_path, on):
    paths = [record(tmp_path, 1000, saved_as="a"), record(tmp_path, 2000, saved_as="")]
    with pytest.raises(ValueError, match=r"--into: must name the merged run.*a and no name"):
        run("merge", *paths, results=tmp_path)


def test_an_unknown_run_is_refused_with_those_there_are(tmp_path, on):
    with pytest.raises(ValueError, match="nothing is in"):
        merge.sources(["x"], tmp_path)
    record(tmp_path, 1000)
    with pytest.raises(ValueError, match="x: no such run, file or folder; there are nightly"):
        merge.sources(["x"], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there are no journals in it"):
        merge.sources([str(tmp_path / "empty")], tmp_path)


def test_a_name_stands_for_the_shards_of_its_newest_plan_alone(tmp_path, on):
    shards(tmp_path, on)
    newer = [record(tmp_path, *SIZES[i::2], shard=f"{i + 1}/2", **{WHOLE: "another"}) for i in (0, 1)]
    assert [each.path for each in merge.sources(["nightly"], tmp_path)] == newer
