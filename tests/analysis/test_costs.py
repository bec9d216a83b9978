"""Costs of a call, memory, and policies side by side."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from benchmarks.record.frames import to_frame
from tests.synthetic import failure, record, study


def pair(median_s: float, first_call_s: float) -> pd.DataFrame:
    """Return records of numpy, with 2 s a call and 5 s the first time, and of jax."""
    return to_frame(
        [
            record("numpy", median_s=2.0, first_call_s=5.0),
            record("jax", median_s=median_s, first_call_s=first_call_s),
        ]
    )


@pytest.mark.parametrize(
    ("median_s", "first_call_s", "calls"),
    [
        (1.5, 15.0, 20),  # half a second saved a call, ten to pay back
        (1.0, 5.5, 1),  # part of a call is a call
        (1.0, 5.0, 0),
        (1.0, 0.1, 0),  # the first call is already cheaper
        (1.98, 6.0, math.inf),  # equal, as far as can be told: nothing is saved
        (2.0, 6.0, math.inf),
        (3.0, 6.0, math.inf),
        (3.0, 0.1, math.inf),  # ahead at first, behind for good later
    ],
)
def test_a_first_call_is_paid_back_after_this_many_calls(
    median_s: float, first_call_s: float, calls: float
) -> None:
    found = study(pair(median_s, first_call_s)).break_even
    assert found["backend"].tolist() == ["jax"]
    assert found["break_even_calls"].tolist() == [calls]


def test_break_even_needs_both_first_calls_under_the_same_policies() -> None:
    frame = to_frame([record("numpy", first_call_s=None), record("jax"), record("jax", allocation="reuse")])
    assert study(frame).break_even.empty
    assert study(to_frame([])).break_even.empty


def test_break_even_on_another_device_is_against_the_baseline_on_the_host() -> None:
    frame = pair(1.5, 15.0)
    frame.loc[1, "device"] = "cuda"
    assert study(frame).break_even["break_even_calls"].tolist() == [20]


def test_first_calls_give_the_median_and_range_of_cases_that_are_paid_back() -> None:
    rows = []
    for op, median_s in (("relu", 1.5), ("tanh", 1.8), ("elu", 3.0)):
        rows += [record("numpy", op, median_s=2.0, first_call_s=5.0)]
        rows += [record("jax", op, median_s=median_s, first_call_s=15.0)]
    found = study(to_frame(rows)).first_calls.set_index("backend").loc["jax"]
    expected = {
        "break_even_median": 50,
        "break_even_min": 20,
        "break_even_max": 50,
        "n_never": 1,
        "n_compared": 3,
    }
    # 10 s over 0.2 s a call, the difference of two rounded numbers: a call more at most.
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1)


def test_memory_is_that_of_each_op_s_largest_size_with_a_measurement() -> None:
    rows = [
        record("numpy", "relu", n=1024, peak_bytes=4096),
        record("numpy", "relu", n=2048, peak_bytes=24_576),
        record("torch", "relu", n=4096, peak_bytes=None),
        record("torch", "tanh", n=1024, peak_bytes=2048, dtype="bfloat16"),
        record("torch", "elu", n=1024, peak_bytes=2048, dtype="unheard-of"),
        failure("jax", "failed", "wrong") | {"peak_bytes": 1},
    ]
    found = study(to_frame(rows)).peaks.set_index("op")
    assert found["ratio"].dropna().to_dict() == {"relu": 3.0, "tanh": 1.0}
    assert math.isnan(found.loc["elu", "ratio"])
    assert study(to_frame([])).peaks.empty


def test_a_backend_stands_beside_itself_under_other_policies() -> None:
    rows = [
        record("torch", median_s=6.0),
        record("torch", median_s=2.0, allocation="reuse", warning="hot"),
        record("numpy", median_s=9.0),  # under the default alone
    ]
    (row,) = study(to_frame(rows)).side_by_side.to_dict("records")
    assert (row["backend"], row["fresh_s"], row["reuse_s"], row["reuse_ratio"]) == ("torch", 6.0, 2.0, 3.0)
    assert (row["fresh_warning"], row["reuse_warning"]) == ("", "hot")


def test_combinations_name_the_policies_that_vary_the_default_first() -> None:
    rows = [
        record("numpy", allocation="reuse", cache="cold"),
        record("numpy", cache="cold"),
        record("numpy", allocation="reuse"),
    ]
    assert study(to_frame(rows)).combinations == ["fresh, cold", "reuse, hot", "reuse, cold"]
    assert study(to_frame([*rows, record("numpy")])).combinations[0] == "fresh, hot"


def test_without_the_default_its_ratio_is_unknown() -> None:
    rows = [
        record("jax"),
        record("torch", allocation="reuse"),
        record("torch", allocation="inplace"),
    ]
    (row,) = study(to_frame(rows)).side_by_side.to_dict("records")
    assert math.isnan(row["reuse_ratio"])
    assert math.isnan(row["inplace_ratio"])


def test_one_policy_leaves_nothing_to_compare() -> None:
    for rows in ([], [record("numpy"), record("torch")]):
        assert study(to_frame(rows)).combinations == []
        assert study(to_frame(rows)).side_by_side.empty
