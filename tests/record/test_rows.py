"""Rows: what a run holds until somebody asks for a frame, and what is read of it either way."""

from __future__ import annotations

import math
from dataclasses import fields

import pandas as pd
import pytest

from benchmarks.analysis import tables
from benchmarks.analysis.errors import with_errors
from benchmarks.analysis.grounds import Grounds
from benchmarks.analysis.recommend import decision_table
from benchmarks.analysis.study import Study
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import load_run
from benchmarks.record.rows import Rows, filled, is_missing, taken, to_rows
from benchmarks.record.run import Run, best_samples
from benchmarks.record.schema import ACCURACY_COLUMNS
from benchmarks.validation import made_up
from tests import synthetic
from tests.synthetic import record


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """Return a run's journal."""
    results = tmp_path_factory.mktemp("results")
    made_up.write(results, sealed=True)
    return results / made_up.JOURNAL


def test_a_journal_becomes_frames_only_where_they_are_asked_for(journal):
    run = load_run(journal)
    frames = [each.name for each in fields(Run) if isinstance(vars(load_run(journal))[each.name], pd.DataFrame)]
    assert not frames
    decision_table(run)
    assert not any(isinstance(value, pd.DataFrame) for value in vars(run).values())
    records = run.records
    assert isinstance(records, pd.DataFrame)
    assert run.records is run.at_hand("records") is records


def test_other_fields_change_without_a_frame(journal):
    run = load_run(journal)
    changed = run.changed(accuracy=to_rows([], ACCURACY_COLUMNS), complete=False)
    assert (changed.complete, run.complete) == (False, True)
    assert changed.accuracy.empty
    assert len(run.accuracy)
    assert isinstance(vars(changed)["records"], Rows)
    assert changed.records.equals(run.records)


def test_a_run_without_tables_has_frames_of_its_own():
    one, other = Run(), Run()
    one.records.loc[0, "op"] = "relu"
    assert other.records.empty
    assert Run().records.empty


@pytest.mark.parametrize("rule", ["measured", "keyed", "errors", "samples"])
def test_rows_and_frames_follow_one_rule(rule):
    gaps = [{}, {"op": "relu", "status": "failed"}, {"status": "ok", "median_s": 1e-6}, record("numpy", op="z")]
    records = [*synthetic.records(), *gaps, *synthetic.records()[::-2]]
    checks = [*synthetic.accuracy(), *({**row, "sample": "searched"} for row in synthetic.accuracy()[::3])]
    found = []
    for make in (to_rows, to_frame):
        rows, accuracy = make(records), make(checks, ACCURACY_COLUMNS)
        match rule:
            case "measured":
                found.append(tables.measured(rows))
            case "keyed":
                found.append(tables.keyed(rows))
            case "errors":
                erring = with_errors(tables.measured(rows), best_samples(accuracy))
                found.append([list(map(str, erring[name])) for name in ("error_ulp", "budget_ulp")])
            case "samples":
                found.append(best_samples(accuracy))
    if rule == "errors":
        assert found[0] == found[1]
    else:
        pd.testing.assert_frame_equal(found[0].frame(), found[1], check_dtype=False)


def test_answers_are_the_same_from_rows_and_from_frames():
    rows, frames = (
        Run(records=make(synthetic.records()), accuracy=make(synthetic.accuracy(), ACCURACY_COLUMNS))
        for make in (to_rows, to_frame)
    )
    assert decision_table(rows) == decision_table(frames)
    assert list(map(repr, Grounds(rows).leads)) == list(map(repr, Study(frames).leads))
    assert Grounds(rows).noise == Study(frames).noise


def test_what_is_missing_is_known_whatever_stands_for_it():
    assert all(map(is_missing, (None, math.nan, pd.NA, float("nan"))))
    assert not any(map(is_missing, ("", 0, False, math.inf, [], "nan")))


def test_gaps_are_filled_and_rows_taken_in_rows_as_in_frames():
    records = [record("numpy", warning=None), record("torch", warning="x")]
    for make in (to_rows, to_frame):
        assert list(taken(filled(make(records), {"warning": ""}), [1, 0])["warning"]) == ["x", ""]
    assert len(to_rows([])) == 0
