"""The example of a backend of one's own is found on the path, checked, timed and recorded, like ours."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.job import RIGHT, Job


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return Job(
        tmp_path_factory.mktemp("right"), "--op", "relu", "mean_squared_error", "--size", "1000",
        "--backend", "example", "numpy", "--check", "all", pythonpath=RIGHT, check=0,
    )  # fmt: skip


def test_it_is_timed_beside_ours(job):
    assert job.records.groupby("op")["backend"].agg(set).to_dict() == {
        "relu": {"example", "numpy"},
        "mean_squared_error": {"example", "numpy"},
    }
    assert (job.records["status"] == "ok").all()
    assert (job.records["median_s"] > 0).all()
    assert "example" in (job.results / "latest" / "report.html").read_text(encoding="utf-8")


def test_it_is_checked_in_every_mode_and_type(job):
    accuracy = pd.read_csv(job.results / "latest" / "accuracy.csv").query("backend == 'example'")
    # It has no gradients that start from an output, and nobody has asked for them.
    from_output = accuracy["saved"] == "output"
    assert set(accuracy["status"][~from_output]) == {"ok"}
    assert set(accuracy["status"][from_output]) == {"unavailable"}
    assert set(accuracy["op"]) == {"relu", "mean_squared_error"}
    assert set(accuracy["mode"]) == {"forward", "backward"}
    assert set(accuracy["dtype"]) == {"float32", "float64", "float16", "bfloat16"}


def test_it_may_lack_the_ops_that_are_not_asked_for(job):
    assert "categorical_cross_entropy" not in job.output
