"""Tiers of tests: each test is in one, and what is not asked for is not made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests import everyday
from tests.everyday import COMPILED, CORRECTNESS, EACH_OP, EMPTY, FEW, FULL, LONG, SHORT, is_asked_for, tiers
from tests.faults import ROOT

EVERY_DAY = "not certification and not full"
IN_FULL = "full and not certification"
SUITE = "benchmarks/test_correctness.py"


@pytest.mark.parametrize(
    ("expression", "tier", "asked"),
    [
        (EVERY_DAY, set(), True),
        (EVERY_DAY, {"full"}, False),
        (EVERY_DAY, {"full", "certification"}, False),
        (IN_FULL, set(), False),
        (IN_FULL, {"full"}, True),
        (IN_FULL, {"full", "certification"}, False),
        ("full and certification", {"full", "certification"}, True),
        ("full and certification", {"full"}, False),
        ("certification", {"certification"}, True),
        ("", {"full"}, True),
        ("timing and not full", {"full"}, True),
        ("no expression (", {"full"}, True),
    ],
)
def test_a_tier_that_is_not_asked_for_is_not_made(expression, tier, asked):
    assert is_asked_for(expression, frozenset(tier)) is asked


@pytest.mark.parametrize(
    ("op", "dtype", "backend", "tier"),
    [
        ("relu", "float32", "numpy", set()),
        ("relu", "float64", "numpy", {"full"}),
        ("softmax", "float64", "torch", set()),
        ("softmax", "float32", "numba", set()),
        ("softmax", "float64", "numba", {"full"}),
        ("softmax_cross_entropy_with_integer_labels", "float32", "numba", set()),
        ("gelu", "float32", "numba", {"full"}),
        ("gelu", "float64", "numba", {"full", "certification"}),
        ("softplus", "float64", "numba", {"full", "certification"}),
        ("softplus", "float64", "jax", set()),
        ("sigmoid", "bfloat16", "numba", {"full"}),
        ("softplus", "bfloat16", "numba", {"full", "certification"}),
    ],
)
def test_rare_ops_are_compiled_seldom(op, dtype, backend, tier):
    params = {"op": op, "dtype": dtype, "backend": backend, "mode": "forward", "device": "cpu"}
    assert tiers(f"{SUITE}::test_accuracy", "test_accuracy", params) == tier


@pytest.mark.parametrize(
    ("op", "backend", "tier"),
    [
        ("poisson", "torch", set()),
        ("quantile", "jax", set()),
        ("quantile", "numba", {"full"}),
        ("log_softmax", "jax", {"full"}),
        ("poisson", "jax", {"full", "certification"}),
    ],
)
def test_parameters_are_tried_every_day_where_that_is_soon_compiled(op, backend, tier):
    params = {"op": op, "dtype": "float64", "backend": backend, "mode": "forward", "device": "cpu"}
    assert tiers(f"{SUITE}::test_parameters", "test_parameters", params) == tier


@pytest.mark.parametrize(
    ("dtype", "backend", "tier"),
    [
        ("float16", "numba-parallel", {"full"}),
        ("bfloat16", "numba-parallel", {"full", "certification"}),
        ("bfloat16", "numba", {"full"}),
    ],
)
def test_long_sums_are_compiled_in_parallel_for_one_narrow_type(dtype, backend, tier):
    params = {"op": "softmax", "dtype": dtype, "backend": backend, "mode": "forward", "device": "cpu"}
    name = "test_sums_beyond_narrow_types"
    assert tiers(f"{SUITE}::{name}", name, params) - {"full"} == tier - {"full"}


def test_the_tests_that_are_named_exist():
    paths = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "benchmarks").glob("test_*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    named = {*FULL, *LONG, *EACH_OP, *EMPTY, *SHORT, *FEW, *COMPILED, *CORRECTNESS}
    assert [name for name in sorted(named) if f"def {name}(" not in text] == []


def test_what_takes_longest_is_for_neither_day_nor_night():
    for name in LONG & FULL.keys():
        assert tiers(f"tests/x.py::{name}", name, {}) == {"full", "certification"}


def test_in_full_what_is_divided_in_the_end_is_the_correctness_suite():
    named = {"tests/backends/b": "full", "benchmarks/suite": "full", "tests/a": "full", "tests/measure/m": "full"}
    items = [SimpleNamespace(nodeid=nodeid, keywords={marker}) for nodeid, marker in named.items()]
    found = [item.nodeid for item in sorted(items, key=everyday.place)]
    assert found == ["tests/a", "tests/measure/m", "benchmarks/suite", "tests/backends/b"]


def test_every_day_the_correctness_suite_comes_first_and_backends_last():
    names = ("benchmarks/suite", "tests/backends/b", "tests/measure/m")
    items = [SimpleNamespace(nodeid=nodeid, keywords=set()) for nodeid in names]
    found = [item.nodeid for item in sorted(items, key=everyday.place)]
    assert found == ["benchmarks/suite", "tests/measure/m", "tests/backends/b"]


@pytest.mark.parametrize(
    ("expression", "given", "made"),
    [
        (EVERY_DAY, "tests", ["relu-numpy"]),
        (IN_FULL, "tests", ["relu-numba"]),
        ("full and certification", "tests", ["gelu-numba-parallel"]),
        ("certification and full", "tests", ["gelu-numba-parallel"]),
        ("full", "tests", ["relu-numba", "gelu-numba-parallel"]),
        ("", "tests", ["relu-numpy", "relu-numba", "gelu-numba-parallel"]),
        (EVERY_DAY, f"{SUITE}::test_accuracy", ["relu-numpy", "relu-numba", "gelu-numba-parallel"]),
    ],
)
def test_only_the_tier_that_is_asked_for_is_made_and_all_where_a_test_is_named(expression, given, made):
    calls = [
        SimpleNamespace(id=f"{op}-{backend}", params={"op": op, "dtype": "float32", "backend": backend}, marks=[])
        for op, backend in (("relu", "numpy"), ("relu", "numba"), ("gelu", "numba-parallel"))
    ]
    definition = SimpleNamespace(
        nodeid=f"{SUITE}::test_accuracy", name="test_accuracy", get_closest_marker=lambda _: None
    )
    config = SimpleNamespace(option=SimpleNamespace(markexpr=expression), args=[given])
    metafunc = SimpleNamespace(config=config, definition=definition, _calls=calls)
    hook = everyday.pytest_generate_tests(metafunc)
    next(hook)
    with pytest.raises(StopIteration):
        next(hook)
    assert [call.id for call in metafunc._calls] == made
