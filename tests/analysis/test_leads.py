"""The table of goals: whom our kernels are compared with, and who does not count."""

from __future__ import annotations

import math

import pytest

from benchmarks.analysis import leads
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run
from benchmarks.record.schema import ACCURACY_COLUMNS
from tests import synthetic


def timed(backend, seconds, **more):
    ends = {"ci95_low_s": seconds * 0.99, "ci95_high_s": seconds * 1.01}
    return synthetic.record(backend, median_s=seconds, n=10_000, **{**ends, **more})


@pytest.fixture
def run():
    rows = [
        timed("numba", 1e-6, fraction_of_bandwidth=0.7),
        timed("numba-parallel", 2e-6),
        timed("numba", 1e-7, allocation="reuse"),  # nothing else reuses its output
        timed("torch", 1.5e-6),
        timed("jax", 2e-6),
        timed("numba", 9e-6, op="relu"),
        timed("numpy", 3e-6, op="relu"),
        timed("torch", 3.01e-6, op="relu"),
        timed("numba", 3e-6, op="tanh"),
        timed("numpy", 4e-6, op="tanh"),
    ]
    check = {"op": "sigmoid", "mode": "forward", "dtype": "float32", "device": "cpu", "status": "known_deviation"}
    checks = [{**check, "backend": "torch", "max_ulp": 1e6, "budget_ulp": 4.0}]
    return {"run": Run(to_frame(rows), to_frame(checks, ACCURACY_COLUMNS))}


def test_the_fastest_accurate_other_under_the_same_policies_is_the_one_to_beat(run):
    found = leads.leads(run).set_index("op")
    assert list(found.index) == ["sigmoid", "relu"]
    assert (found.loc["sigmoid", "other"], found.loc["sigmoid", "inaccurate"]) == ("jax", "torch")
    assert found.loc["sigmoid", "ratio"] == pytest.approx(2)
    assert found.loc["sigmoid", "low"] < 2 < found.loc["sigmoid", "high"]
    assert found.loc["sigmoid", "over_all"] == pytest.approx(1.5)


def test_numpy_is_one_of_ours(run):
    relu = leads.leads(run).set_index("op").loc["relu"]
    assert (relu["ours"], relu["other"]) == ("numpy", "torch")


def test_several_runs_have_a_line_each(run):
    twice = {"first": run["run"], "second": run["run"]}
    assert leads.table(twice)["run"].tolist() == ["first", "second"] * 2
    assert leads.means(leads.leads(twice))["run"].tolist() == ["first", "second"]
    assert "run" not in leads.table(run)


def test_the_means_name_the_ops_that_are_slower(run):
    slow = Run(to_frame([timed("numba", 2e-6), timed("jax", 1e-6)]), run["run"].accuracy)
    (means,) = leads.means(leads.leads({"slow": slow})).to_dict("records")
    assert means["slower"] == "1: sigmoid"


def test_a_run_that_says_nothing_of_accuracy_is_refused():
    run = Run(to_frame([timed("numba", 1e-6), timed("jax", 2e-6)]))
    with pytest.raises(ValueError, match="before did not check accuracy"):
        leads.leads({"before": run})


def test_the_tables_name_leads_verdicts_and_means(run):
    table = leads.table(run).set_index("op")
    assert table.loc["sigmoid", "about 10^4"] == "2.0× jax, not torch"
    assert table.loc["sigmoid", ["policies", "of the limit"]].tolist() == ["usual", "70 %"]
    assert table.loc["relu", "about 10^4"] == "1.0× torch (equal)"
    (means,) = leads.means(leads.leads(run)).to_dict("records")
    counts = [means[name] for name in ("ops", "faster", "equal", "too close to call", "slower")]
    assert counts == [2, 1, 1, 0, "0"]
    assert float(means["geometric mean"].rstrip("×")) == pytest.approx(math.sqrt(2 * 3.01 / 3), rel=0.05)
    included = float(means["inaccurate ones included"].rstrip("×"))
    assert included == pytest.approx(math.sqrt(1.5 * 3.01 / 3), rel=0.05)


def test_a_shape_that_was_asked_for_has_a_column_of_its_own():
    rows = [
        timed(backend, seconds, op="softmax", shape=shape, n_elements=math.prod(shape), fraction_of_bandwidth=None)
        for backend, seconds in (("numba", 1e-6), ("torch", 2e-6))
        for shape in ((1024, 1024), (4, 250_000))
    ]
    check = {"op": "softmax", "mode": "forward", "dtype": "float32", "device": "cpu", "status": "ok"}
    checks = [{**check, "backend": "torch", "max_ulp": 1.0, "budget_ulp": 4.0}]
    found = {"run": Run(to_frame(rows), to_frame(checks, ACCURACY_COLUMNS))}
    (line,) = leads.table(found).to_dict("records")
    assert (line["about 10^6"], line["4x250000"], line["of the limit"]) == ("2.0× torch", "2.0× torch", "")
    assert list(leads.means(leads.leads(found))["elements"]) == ["4x250000", "about 10^6"]
