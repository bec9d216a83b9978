"""In which type an op computes, from its arrays' and its parameters."""

from __future__ import annotations

import pytest

from backends.arguments import working_dtype


@pytest.mark.parametrize(
    ("dtype", "parameters", "working"),
    [
        ("float16", {}, "float16"),
        ("float16", {"axis": -1, "reduction": "mean", "alpha": None, "flag": True}, "float16"),
        ("float16", {"delta": 1.0}, "float16"),
        ("float16", {"eps": 1e-7}, "float32"),
        ("float16", {"delta": 1e5}, "float32"),
        ("bfloat16", {"delta": 1e5}, "bfloat16"),
        ("bfloat16", {"delta": 1e50}, "float64"),
        ("float32", {"eps": 1e-50}, "float64"),
        ("float32", {"value": -1e50}, "float64"),
        ("float32", {"slope": 0.0}, "float32"),
        ("float64", {"value": 1e300}, "float64"),
    ],
)
def test_the_narrowest_type_that_holds_all_parameters(dtype, parameters, working):
    assert working_dtype(dtype, parameters) == working


def test_sums_are_in_float32_at_least():
    assert [working_dtype(d, {}, least="float32") for d in ("float16", "bfloat16", "float32", "float64")] == [
        "float32",
        "float32",
        "float32",
        "float64",
    ]
