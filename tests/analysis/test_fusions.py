"""A fused op beside the ops that compute the same one after the other."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import backends
from backends.catalogue import OPS
from benchmarks.__main__ import main
from benchmarks.analysis.study import Study
from benchmarks.record import saved
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run
from tests.synthetic import MACHINE, record

FUSED = "softmax_cross_entropy_with_integer_labels"
PARTS = ("log_softmax", "negative_log_likelihood")


def timed(backend: str, op: str, seconds: float, n: int = 2048, **more: object) -> dict[str, object]:
    """Return a record whose median is known to 1 %."""
    ends = {"ci95_low_s": 0.99 * seconds, "ci95_high_s": 1.01 * seconds}
    about = {"median_s": seconds, "shape": (n // 1024, 1024), "warning": None}
    return record(backend, op, n=n, **{**ends, **about, **more})  # type: ignore[arg-type]


ROWS = [
    *(timed("numpy", op, s) for op, s in zip((FUSED, *PARTS), (4e-6, 5e-6, 1e-6), strict=True)),
    *(timed("torch", op, s) for op, s in zip((FUSED, *PARTS), (3e-6, 1e-6, 2e-6), strict=True)),
    timed("jax", FUSED, 2e-6),
]


def study(rows=ROWS) -> Study:
    return Study(Run(records=to_frame(rows), machine=MACHINE))


@pytest.mark.parametrize("op", [name for name, spec in OPS.items() if spec.fuses])
def test_an_op_computes_what_the_ops_that_it_fuses_do(op):
    """Of the first input, and the second, which the last of the parts takes."""
    numpy, rng = backends.load("numpy"), np.random.default_rng(0)
    x = rng.normal(size=(7, 5))
    second = rng.integers(0, 5, 7) if OPS[op].along_axis else rng.integers(0, 2, x.shape).astype(float)
    first, last = OPS[op].fuses
    apart = getattr(numpy, last)(getattr(numpy, first)(x), second)
    np.testing.assert_allclose(getattr(numpy, op)(x, second), apart, rtol=1e-12)


def test_the_parts_of_one_backend_are_added_up_and_the_fastest_of_each():
    found = study().fusions.set_index("backend")
    assert found["ratio"].to_dict() == pytest.approx({"recommended": 1.0, "numpy": 1.5, "torch": 1.0})
    assert found["verdict"].to_dict() == {"recommended": "equal", "numpy": "faster", "torch": "equal"}
    assert found.loc["recommended", ["fused", "apart"]].tolist() == ["jax", "torch + numpy"]
    assert found.loc["numpy", ["fused", "apart", "parts"]].tolist() == ["numpy", "numpy", " + ".join(PARTS)]


def test_the_interval_of_a_sum_is_as_wide_as_if_all_erred_alike():
    low, high = study().fusions.set_index("backend").loc["numpy", ["ratio_low", "ratio_high"]]
    assert (low, high) == pytest.approx((1.5 * (1 - 0.01 * 2**0.5), 1.5 * (1 + 0.01 * 2**0.5)), rel=1e-3)


def test_what_lacks_a_part_is_not_compared():
    assert study([row for row in ROWS if row["op"] != PARTS[0]]).fusions.empty
    apart = [row | {"shape": (1, 2048)} if row["op"] == PARTS[0] else row for row in ROWS]
    assert study(apart).fusions.empty


def test_an_answer_says_what_is_gained_where_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(saved, "load_or_last", lambda run, folder: study().run)
    asked = ["recommend", "--op", "cross_entropy", "--size", "2048", "--fused"]
    assert main(asked) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "Fused" in line]
    assert said[1] == (
        f"{FUSED} forward, float32, 2,048 elements: 4.00 µs (numpy); its parts log_softmax + "
        "negative_log_likelihood: 6.00 µs (numpy). Fused it is 1.50 times as fast (1.48–1.52)."
    )
    assert main([*asked, "--json"]) == 0
    assert [each["fused"] for each in json.loads(capsys.readouterr().out)["fused"]] == ["jax", "numpy", "torch"]


@pytest.mark.parametrize(
    ("op", "status", "message"),
    [
        ("log_softmax", 2, f"--fused: log_softmax fuses no other functions; those that do are .*{FUSED}"),
        (FUSED, 3, f"--fused: this run did not measure {FUSED}, log_softmax and .* alike, .*--op {FUSED} log"),
    ],
)
def test_what_cannot_be_compared_is_an_error_that_says_what_could(op, status, message, monkeypatch, capsys):
    rows = [row for row in ROWS if row["op"] != PARTS[1]]
    monkeypatch.setattr(saved, "load_or_last", lambda run, folder: study(rows).run)
    assert main(["recommend", "--op", op, "--size", "2048", "--fused"]) == status
    assert re.search(message, capsys.readouterr().err)
