"""How close to the limit: who is first, and by how much, against numbers computed by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from benchmarks.analysis.limits import means, sentences
from benchmarks.record.frames import to_frame
from benchmarks.report.sections import results
from benchmarks.report.text import markdown
from tests import synthetic
from tests.synthetic import study


def row(backend, median_s, share, op="relu", n=1_000_000, **more):
    spread = 0.01 * median_s
    return synthetic.record(backend, op, n=n) | {
        "median_s": median_s,
        "ci95_low_s": median_s - spread,
        "ci95_high_s": median_s + spread,
        "gigabytes_per_s": 8e-9 * n / median_s,
        "fraction_of_bandwidth": share,
        "warning": None,
        **more,
    }


def frame(*rows):
    return to_frame(list(rows))


def shares(records):
    return study(records).shares


def text_of(records):
    return " ".join(markdown.page(results.limits(study(records))).split())


def test_the_first_its_share_its_lead_and_the_limit():
    found = shares(frame(row("numpy", 400e-6, 0.25), row("numba", 100e-6, 1.0), row("torch", 125e-6, 0.8)))
    (only,) = found.to_dict("records")
    assert (only["first"], only["runner_up"], only["outcome"]) == ("numba", "torch", "faster")
    assert only["ratio"] == pytest.approx(1.25)
    assert only["limit_gigabytes_per_s"] == pytest.approx(80)
    assert only["ns_per_element"] == pytest.approx(0.1)
    assert [only[name] for name in ("numpy", "numba", "torch")] == pytest.approx([0.25, 1.0, 0.8])
    assert [only[name] for name in ("share_low", "share_high")] == pytest.approx([1 / 1.01, 1 / 0.99])


def test_the_share_of_the_first_is_told_with_its_interval():
    found = frame(row("numpy", 400e-6, 0.25), row("numba", 100e-6, 0.5))
    assert "| 50 to 51 % |" in text_of(found)
    steady = frame(row("numba", 100e-6, 0.5, ci95_low_s=100e-6, ci95_high_s=100e-6))
    assert "| 50 % |" in text_of(steady)
    unsure = frame(row("numba", 100e-6, 0.5, ci95_high_s=math.inf))
    assert "| too few rounds |" in text_of(unsure)


def test_a_lead_that_is_none_is_told_with_its_verdict():
    records = frame(row("numpy", 100e-6, 0.5), row("torch", 100.5e-6, 0.49))
    assert shares(records)["outcome"].tolist() == ["equal"]
    assert " 1.0×, equal |" in text_of(records)


def test_a_limit_that_was_rejected_or_not_measured_is_left_out():
    assert shares(frame(row("numpy", 1e-4, None), row("torch", 2e-4, None))).empty
    assert sentences(shares(frame(row("numpy", 1e-4, None)))) == []


def test_one_backend_alone_is_first_before_nobody():
    records = frame(row("numpy", 1e-4, 0.5))
    found = shares(records)
    assert found["first"].tolist() == ["numpy"]
    assert found["ratio"].isna().all()
    (lead,) = next(each for each in results.limits(study(records)).columns if "lead" in each.name).cells
    assert lead.text == ""


def test_means_are_over_what_all_have_and_large_cases():
    found = shares(
        frame(
            *(row(name, 1e-4, share) for name, share in (("numpy", 0.25), ("torch", 1.0))),
            *(row(name, 1e-4, share, op="tanh") for name, share in (("numpy", 0.04), ("torch", 0.25))),
            row("numpy", 1e-4, 0.9, n=1000),
            row("torch", 1e-4, 0.9, n=1000),
        )
    )
    mean = means(found).set_index("backend")
    assert mean["share"].to_dict() == pytest.approx({"numpy": 0.1, "torch": 0.5})
    assert mean["n_cases"].tolist() == [2, 2]


def test_sentences_name_what_memory_limits_and_what_is_farthest_from_it():
    found = shares(frame(row("numba", 1e-4, 0.96), row("torch", 2e-4, 0.48), row("numba", 4e-4, 0.3, op="tanh")))
    (sentence,) = sentences(found)
    assert "relu (numba, 96 %)" in sentence
    assert "farthest from it: tanh (numba, 30 %)" in sentence


def test_the_tables_are_written_beside_the_report_and_stand_in_it(written):
    assert len(pd.read_csv(written["limits.csv"])) == len(synthetic.made_up().shares) > 0
    assert written["limits.md"].read_text().startswith("# How close to the limit")
    assert 'id="limit"' in written["report.html"].read_text()
