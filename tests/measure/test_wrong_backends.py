"""Backends that are wrong on purpose, each in one way: every one is red, untimed, and costs the others nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.job import SMALL, STATED, WRONG, Job, timed
from tests.measure.test_cheats import CHEATS, assert_refused

SOON_SEEN = (
    "remembers-addresses",
    "remembers-some-values",
    "cheap-before-the-last",
    "works-in-instalments",
    "lends-its-results",
    "forged-replies",
)
"""Cheats that stand for the others on a normal day."""
MISTAKES = {
    **{cheat: CHEATS[cheat] for cheat in SOON_SEEN},
    "off-by-ten-ulp": ("failed", "values exceed 8 ULP"),
    "wrong-dtype": ("failed", "result is float64"),
    "stale": ("invalid", "the output is that of the call before"),
    "queued-unsynchronised": ("invalid", "were not waited for"),
    "raises": ("failed", "RuntimeError: out of luck"),
    "crashes": ("crashed", "SIGABRT"),
}
HONEST = ("numpy", "keeps-a-workspace")


@pytest.fixture(scope="module")
def wrong_job(tmp_path_factory):
    """Time all of them, and nothing else: each is checked before and after, which is what is looked at here."""
    return Job(
        tmp_path_factory.mktemp("wrong"), *STATED, *SMALL, "-m", "timing", "--backend", *MISTAKES, *HONEST,
        "--benchmark-save=run", pythonpath=WRONG, check=1,
    )  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_backend_is_red_and_untimed(wrong_job, mistake):
    assert_refused(wrong_job.records.set_index("backend").loc[mistake], *MISTAKES[mistake])
    assert f"test_timing[sigmoid-forward-float32-1000-{mistake}-cpu]" in wrong_job.output
    assert mistake in (wrong_job.results / "latest" / "report.html").read_text(encoding="utf-8")


def test_the_others_are_measured_beside_wrong_backends(wrong_job):
    rows = wrong_job.records.set_index("backend").loc[list(HONEST)]
    assert set(rows["status"]) == {"ok"}
    assert (rows["median_s"] > 0).all()
    assert rows["checks"].str.contains("new values").all()
    (path,) = wrong_job.results.glob("runs/*/*_run.json")
    assert {row["params"]["backend"] for row in timed(path)} == {*HONEST}


def test_a_buffer_that_is_not_written_is_invalid(tmp_path):
    job = Job(
        tmp_path, *STATED, *SMALL, "-m", "timing", "--backend", "unwritten-buffer", "--allocation", "reuse",
        pythonpath=WRONG, check=1,
    )  # fmt: skip
    (row,) = job.records.to_dict("records")
    assert (row["status"], row["reason"]) == ("invalid", "the call left its output buffer as it was")


def test_a_result_that_is_not_computed_is_refused(tmp_path):
    job = Job(
        tmp_path, "--op", "sigmoid", "--size", "1000000", "--mode", "forward", "--backend", "lazy", "numpy",
        pythonpath=WRONG, check=1,
    )  # fmt: skip
    rows = job.records.set_index("backend")
    assert rows["status"].to_dict() == {"lazy": "cheated", "numpy": "ok"}
    assert "with new values in its inputs it returns what the old ones give" in rows.loc["lazy", "reason"]
    assert pd.isna(rows.loc["lazy", "median_s"])
    assert "lazy" not in (tmp_path / "latest" / "speedups.md").read_text()


def test_a_device_with_a_queue_is_waited_for(tmp_path):
    """Each call takes 3 ms in a thread of the device's own, waited for one by one or together."""
    job = Job(
        tmp_path, *STATED, *SMALL, "--backend", "queued", "--timing", "latency", "throughput", "--benchmark-only",
        pythonpath=WRONG, check=0,
    )  # fmt: skip
    assert job.records["median_s"].between(3e-3, 4e-3).all()
    assert (job.records["device_s"] == 3e-3).all()
    assert set(job.records["timing"]) == {"latency", "throughput"}


def test_a_wrong_reduction_is_found(tmp_path):
    job = Job(
        tmp_path, "--op", "mean_squared_error", "--size", "1000", "--backend", "wrong-reduction", "right",
        pythonpath=WRONG, check=1,
    )  # fmt: skip
    statuses = job.records.groupby("backend")["status"].unique().map(list).to_dict()
    assert statuses == {"wrong-reduction": ["failed"], "right": ["ok"]}


def test_a_harm_costs_its_own_cases_and_no_other(tmp_path):
    harms = ("closes-its-descriptors", "half-a-message", "stray-bytes", "says-why-and-exits")
    harmless = ("uses-up-descriptors", "prints-gigabytes", "forks-a-child", "numpy")
    job = Job(tmp_path, *STATED, *SMALL, "-m", "timing", "--backend", *harms, *harmless, "--case-timeout", "20s",
              pythonpath=WRONG, check=1)  # fmt: skip
    statuses = job.records.set_index("backend")["status"]
    assert statuses.loc[list(harms)].to_list() == ["crashed", "timeout", "failed", "crashed"]
    assert set(statuses.loc[list(harmless)]) == {"ok"}
    assert len(job.output) < 10**6


def test_a_hang_costs_one_case(tmp_path):
    job = Job(tmp_path, *STATED, *SMALL, "--backend", "hangs", "numpy", "--benchmark-only", "--case-timeout", "3s",
              pythonpath=WRONG, check=1)  # fmt: skip
    assert job.records.set_index("backend")["status"].to_dict() == {"hangs": "timeout", "numpy": "ok"}
