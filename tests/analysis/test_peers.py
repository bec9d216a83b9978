"""Other libraries, to compare with: measured where they are asked for, judged alike, no failures of ours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import backends
from backends.interface import Gap
from benchmarks.analysis.peers import mean_lead
from benchmarks.plan import arguments as selection
from benchmarks.record.frames import to_frame
from benchmarks.report.sections import results
from benchmarks.report.text import markdown
from tests import synthetic
from tests.job import Job
from tests.synthetic import study


def options(*arguments):
    import argparse

    parser = argparse.ArgumentParser()
    selection.add_options(parser.add_argument)
    return selection.chosen(parser.parse_args(arguments))


def test_peers_join_what_is_measured_only_when_asked_for():
    assert not set(backends.peer_names()) & set(options().resolve().backends)
    assert set(options("--peers").backends) == {*backends.names(), *backends.peer_names()}
    assert options("--peers", "--backend", "numpy").backends == ("numpy", *backends.peer_names())
    assert options("--backend", "scipy").backends == ("scipy",)


def test_what_a_library_lacks_is_a_gap_of_its_own():
    scipy = backends.load("scipy")
    assert scipy.supports("sigmoid", dtype="float32", allocation="reuse") is True
    for op, mode, allocation, why in (
        ("dice", "forward", "fresh", "scipy.special has no dice"),
        ("sigmoid", "backward", "fresh", "no gradients"),
        ("softmax", "forward", "reuse", "takes no out="),
    ):
        gap = scipy.supports(op, dtype="float32", mode=mode, allocation=allocation)
        assert isinstance(gap, Gap)
        assert why in gap.reason


@pytest.mark.parametrize("name", backends.peer_names())
def test_a_peer_computes_what_numpy_does(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    try:
        peer = backends.load(name)
    except backends.BackendUnavailable as error:
        pytest.skip(str(error))
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    op = next(op for op in ("sigmoid", "mean_squared_error") if peer.implements(op))
    arrays = (x,) if op == "sigmoid" else (x, x[::-1].copy())
    got = peer.to_numpy(peer.bind(op, *arrays)())
    np.testing.assert_allclose(got, backends.load("numpy").bind(op, *arrays)(), rtol=1e-5)


@pytest.mark.skipif(backends.missing("onnxruntime") is not None, reason=str(backends.missing("onnxruntime")))
def test_what_is_bound_by_its_address_lives_as_long_as_the_call():
    run = backends.load("onnxruntime", threads=1).bind("tanh", np.full(10_000, 0.5), allocation="reuse")
    others = [np.zeros(10_000) for _ in range(10)]
    np.testing.assert_allclose(run(), np.tanh(0.5))
    del others


def frame(*rows):
    return to_frame([synthetic.record(*row[:1], n=1000) | row[1] for row in rows])


def timed(median_s, *, peer=False):
    return {"median_s": median_s, "ci95_low_s": 0.99 * median_s, "ci95_high_s": 1.01 * median_s, "peer": peer}


def test_the_fastest_is_set_beside_the_fastest_accurate_peer():
    wrong = timed(1e-7, peer=True) | {"status": "inaccurate", "reason": "300 ULP", "median_s": None}
    records = frame(
        ("numpy", timed(4e-6)),
        ("torch", timed(2e-6)),
        ("scipy", timed(6e-6, peer=True)),
        ("numexpr", timed(8e-6, peer=True)),
        ("onnxruntime", wrong),
    )
    table = study(records).beside_peers
    (row,) = table.to_dict("records")
    assert (row["backend"], row["peer"], row["inaccurate"]) == ("torch", "scipy", "onnxruntime")
    assert row["ratio"] == pytest.approx(3)
    assert row["ratio_low"] < 3 < row["ratio_high"]
    assert mean_lead(table) == pytest.approx(3)
    assert "| torch" in markdown.page(results.peers(study(records)))


def test_without_an_accurate_peer_there_is_no_ratio():
    wrong = timed(1e-7, peer=True) | {"status": "inaccurate", "reason": "300 ULP", "median_s": None}
    table = study(frame(("numpy", timed(4e-6)), ("scipy", wrong))).beside_peers
    assert pd.isna(table["ratio"]).all()
    assert study(frame(("numpy", timed(4e-6)))).beside_peers.empty


def test_a_peer_is_judged_and_timed_in_the_same_run(tmp_path):
    arguments = ("--op", "sigmoid", "dice", "--size", "1000", "--mode", "forward", "--backend", "numpy")
    job = Job(tmp_path, *arguments, "--backend", "scipy", "-k", "timing", check=0)
    assert "scipy.special has no dice (upstream)" in job.output
    records = job.records.set_index(["op", "backend"])
    assert records.loc[("sigmoid", "scipy"), "status"] == "ok"
    assert bool(records.loc[("sigmoid", "scipy"), "peer"])
    assert (job.results / "latest" / "peers.md").exists()
