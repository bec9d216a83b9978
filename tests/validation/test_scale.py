"""Large inputs: nothing is read twice, and what is made up is what commands take."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.analysis import runs
from benchmarks.judge.trend import trends
from benchmarks.record import history, journal, merge, saved
from benchmarks.record.journal import JOURNALS, load_run, load_runs
from benchmarks.record.rows import Rows
from benchmarks.report.pages import runs as runs_page
from benchmarks.validation import scale
from benchmarks.validation.scale import Extent

SMALL = Extent(n_cases=20, n_shards=2, n_machines=3, cases_each=10, n_runs=4, cases_of_run=10)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    scale.write(folder, SMALL)
    return folder


@pytest.fixture
def read(monkeypatch):
    """Count how often each file is read as a whole."""
    counted: Counter[str] = Counter()
    for module in (merge, journal, history):
        whole = module.content_of

        def content_of(path, whole=whole):
            counted[path.name] += 1
            return whole(path)

        monkeypatch.setattr(module, "content_of", content_of)
    return counted


def test_what_is_made_up_is_as_large_as_asked_for(results):
    assert len(load_run(results / JOURNALS / "large.jsonl").records) == 20
    assert len(list((results / JOURNALS).glob("fleet-?.jsonl"))) == 3
    assert len(history.read(results)) == 4 * 10


def test_merging_reads_each_journal_once(results, read):
    names = [str(results / JOURNALS / f"fleet-{i}.jsonl") for i in range(3)]
    sections = merge.sections(merge.sources(names, results))
    assert len(sections) == 3
    assert read == {f"fleet-{i}.jsonl": 1 for i in range(3)}


def test_a_run_is_found_by_its_name_without_reading_the_others(results, read):
    saved.load("large", results)
    assert read == {"large.jsonl": 1}


def test_shards_of_a_made_up_run_become_that_run(results, tmp_path):
    found = merge.sections(merge.sources([str(results / JOURNALS / f"parts-{i}.jsonl") for i in (1, 2)], results))
    path = merge.write(found, tmp_path, saved_as="whole", command="merge")
    whole = load_run(path)
    assert (whole.complete, len(whole.records), len(whole.pairs)) == (True, 20, 40)


def test_the_frames_of_the_machines_of_a_merged_run_are_made_at_once_and_each_is_as_it_was(
    results, tmp_path, monkeypatch
):
    names = [str(results / JOURNALS / f"fleet-{i}.jsonl") for i in range(3)]
    found = merge.sections(merge.sources(names, results))
    path = merge.write(found, tmp_path, saved_as="fleet", command="merge")
    made: list[object] = []
    frame = Rows.frame
    monkeypatch.setattr(Rows, "frame", lambda rows: made.append(rows) or frame(rows))
    machines = load_runs(path)
    assert not made
    runs.label([("fleet", machine) for machine in machines])
    assert (len(machines), len(made)) == (3, 4), "records, checks, costs and pairs of all machines"
    for name, machine in zip(names, machines, strict=True):
        alone = load_run(Path(name))
        whole = {"run_id": machine.run_id, "saved_as": "fleet"}
        pd.testing.assert_frame_equal(machine.records, alone.records.assign(**whole), check_dtype=False)
        for table in ("accuracy", "costs", "pairs", "bursts", "bandwidth", "curves"):
            pd.testing.assert_frame_equal(getattr(machine, table), getattr(alone, table))
        assert (machine.machine, machine.warnings) == (alone.machine, alone.warnings)


def test_a_page_of_more_machines_joins_no_more_frames(results, tmp_path, monkeypatch):
    joined: list[object] = []
    concat = pd.concat
    monkeypatch.setattr(pd, "concat", lambda frames, **how: joined.append(how) or concat(frames, **how))
    counts = []
    alone = load_run(results / JOURNALS / "fleet-0.jsonl")
    for n_machines in (9, 12):
        joined.clear()
        found = [("fleet", replace(alone, machine={"machine_id": f"{i}"})) for i in range(n_machines)]
        runs_page.write(runs_page.beside(runs.label(found)), tmp_path)
        counts.append(len(joined))
    assert counts[0] == counts[1]


def test_a_trend_reads_each_file_of_the_history_once(results, read):
    assert len(trends(history.read(results))) == 10
    assert sorted(read.values()) == [1] * 4


def test_machines_side_by_side_are_each_compared_with_the_first_alone(results, monkeypatch):
    compared: list[object] = []
    judge = runs.of_medians
    monkeypatch.setattr(runs, "of_medians", lambda *ends: compared.append(ends) or judge(*ends))
    loaded = [(f"{i}", load_run(results / JOURNALS / f"fleet-{i}.jsonl")) for i in range(3)]
    runs.gather(runs.label(loaded))
    assert len(compared) == (3 - 1) * 10


def test_every_command_takes_what_is_made_up():
    found = scale.table(SMALL)
    assert found["exit"].isin(["0", "3"]).all(), found
    assert len(found) == 10
