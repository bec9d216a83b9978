"""A study of a run: every table that is derived from the records is computed once, whatever is written."""

from __future__ import annotations

import cProfile
import inspect
import io
from pathlib import Path
from types import CodeType

from rich.console import Console

from benchmarks.analysis import (
    costs,
    devices,
    errors,
    limits,
    peers,
    policies,
    ranges,
    summary,
    surprises,
    tables,
    threads,
    troubles,
)
from benchmarks.analysis.study import Study
from benchmarks.report.files import write
from benchmarks.report.terminal.summary import render_summary
from tests import pages, synthetic
from tests.synthetic import record

MODULES = (costs, devices, errors, limits, peers, policies, ranges, summary, surprises, tables, threads, troubles)
SMALL = {
    tables: {"backend_order", "either_doubt", "geometric_mean", "keyed", "label", "lead", "varying"},
    errors: {"front"},  # of the rows of one case
    limits: {"shared_by"},
    peers: {"is_peer", "marked", "marked_pairs"},
    ranges: {"from_on", "size_classes"},
    threads: {"brief"},  # where several numbers of threads were measured
    summary: {"ending", "first_line", "problem_sentences", "reason", "unchecked_sentences"},
}
"""What is no table: names, words, single numbers."""
SEVERAL = {"tables.best": 2, "tables.leads": 2}
"""On each device, and across devices."""


def table_functions() -> dict[CodeType, str]:
    """Return the functions that compute a table or sentences, by their code."""
    found = {}
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if own and name not in SMALL.get(module, ()):
                found[function.__code__] = f"{module.__name__.rpartition('.')[2]}.{name}"
    return found


def test_a_report_and_its_summary_compute_each_table_once(tmp_path: Path) -> None:
    functions, study = table_functions(), Study(pages.varied())
    with cProfile.Profile() as profile:
        paths = write(study, tmp_path)
        render_summary(study, paths["report.html"], Console(file=io.StringIO(), width=100))
    counts = {functions[call.code]: call.callcount for call in profile.getstats() if call.code in functions}
    # Of records and of checks, each reason and those alike; and of each map, those of the backends it leaves out.
    assert counts.pop("troubles.problems") > 4
    several = {name: n for name, n in counts.items() if n > 1}
    assert several == SEVERAL
    assert set(functions.values()) - set(counts) == {"troubles.problems"}, "a table that nobody asks for"


def test_a_study_computes_what_it_is_asked_for_alone() -> None:
    study = synthetic.study(synthetic.single_policy())
    assert list(study.medians.columns) == study.backends[: len(study.medians.columns)]
    assert set(vars(study)) == {"run", "rows", "backends", "medians"}
    assert study.medians is study.medians


def test_a_run_narrowed_down_is_a_study_of_its_own() -> None:
    frame = synthetic.single_policy()
    whole, part = synthetic.study(frame), synthetic.study(frame[frame["op"] == "relu"])
    assert set(part.rows["op"]) == {"relu"}
    assert len(part.rows) < len(whole.rows)


def test_what_nobody_measured_has_tables_without_rows() -> None:
    study = synthetic.study(synthetic.single_policy().iloc[:0])
    for name in ("rows", "rated", "winners", "shares", "beside_peers", "beside_host", "side_by_side", "erring"):
        assert getattr(study, name).empty
    assert study.contests == []
    assert study.surprises == []
    assert not study.has_baseline
    assert synthetic.study(synthetic.to_frame([record("numpy")])).has_baseline
