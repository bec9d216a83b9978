"""A page says of its op what the catalogue, the known deviations and the backends say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from backends.catalogue import OPS
from backends.interface import Gap
from benchmarks.check.deviations import KnownDeviation
from benchmarks.reference import ops, support

LACKS = Gap("it has no `kernel` for |x|", "upstream", ops=("gelu",), dtypes=("float16",))


def backend(how="`F.gelu`.", gaps=(), ulp=float("inf")):
    """Return what a page asks of a backend, one that supports all but its gaps."""

    def supports(op, *, dtype=None, mode="forward"):
        return next((gap for gap in gaps if op in gap.ops and dtype in gap.dtypes), True)

    return SimpleNamespace(
        gaps=gaps, supports=supports, how=lambda op: how, promised_ulp=lambda op, mode, dtype: ulp
    )


@pytest.fixture(scope="module")
def gelu():
    ours = backend("x·cdf(x), of |x|", ulp=6.0)
    return ops.page(OPS["gelu"], {"ours": ours, "also": ours, "torch": backend(gaps=(LACKS,))})


def test_a_page_opens_with_what_the_op_is(gelu):
    assert gelu.startswith("# gelu\n\nGaussian error linear unit")
    assert "- **Formula:** `x * normal_cdf(x)`" in gelu
    assert "`b.gelu(x, approximate='none')`" in gelu
    assert f"- **Here:** {OPS['gelu'].choice}" in gelu


def test_a_page_says_what_arguments_take(gelu):
    assert cells(gelu, "`x`") == ["`x`", "any numbers", ""]
    assert cells(gelu, "`approximate`") == ["`approximate`", "`'none'` or `'tanh'`", "`'none'`"]


def test_a_page_says_who_computes_the_op_and_how(gelu):
    assert cells(gelu, "ours, also") == ["ours, also", "all", r"x·cdf(x), of \|x\|"]
    assert cells(gelu, "torch") == ["torch", "float32, float64, bfloat16", "`F.gelu`."]
    assert cells(gelu.partition("## Gaps")[2], "torch") == [
        "torch", "float16", r"it has no `kernel` for \|x\|", "the framework's",
    ]  # fmt: skip


def test_a_page_says_what_is_promised(gelu):
    budget = OPS["gelu"].budget
    assert f"A result may be off by {budget.forward:g} ULP, and a gradient by {budget.backward:g} ULP" in gelu
    assert "`ours`, `also` promise 6 and 6 ULP" in gelu


def test_the_example_of_the_course_notes_is_on_the_pages_that_have_one():
    page = ops.page(OPS["mean_squared_error"], {})
    assert 'With `reduction="sum"` the loss is 0.195.' in page
    assert "course notes' example" not in ops.page(OPS["huber"], {})


def test_limits_and_kinks_are_told():
    assert "f(−∞) = 0, f′(−∞) = 0; f(∞) = ∞, f′(∞) = 1" in ops.page(OPS["softplus"], {})
    assert "relu'(0) = 0" in ops.page(OPS["relu"], {})


@pytest.mark.parametrize(
    ("deviation", "where", "error"),
    [
        ({"low": 1.0}, "`x` ≥ 1", "4 ULP"),
        ({"high": -0.5, "cancels": 16}, "`x` ≤ −0.5", "16 ε·max(1, abs(x))"),
        ({"low": -3, "high": 3}, "`x` from −3 to 3", "4 ULP"),
        ({"low": float("inf")}, "`x` = ∞", "4 ULP"),
        ({"at": "row", "high": float("-inf")}, "rows with an entry = −∞", "4 ULP"),
        ({"at": "undefined"}, "where the exact result is NaN", "4 ULP"),
        ({"parameters": {"approximate": "tanh"}}, "anywhere, `approximate='tanh'`", "4 ULP"),
    ],
)
def test_where_a_known_deviation_lies_is_said_in_words(monkeypatch, deviation, where, error):
    known = KnownDeviation(("torch",), ("gelu",), ("forward",), 4, "it cancels", **deviation)
    monkeypatch.setattr(ops, "KNOWN_DEVIATIONS", (known,))
    table = ops.deviations_table("gelu")
    assert cells(table, "torch") == ["torch", "forward", where, error, "it cancels"]


def test_where_a_known_deviation_is_of_some_dtypes_alone_they_are_told(monkeypatch):
    known = KnownDeviation(
        ("torch",), ("gelu",), ("forward",), 4, "it cancels", dtypes=("float64",), devices=("cuda",)
    )
    monkeypatch.setattr(
        ops, "KNOWN_DEVIATIONS", (known, KnownDeviation(("jax",), ("gelu",), ("forward",), 4, "so"))
    )
    table = ops.deviations_table("gelu")
    assert cells(table, "torch") == ["torch", "forward", "float64", "cuda", "anywhere", "4 ULP", "it cancels"]
    assert cells(table, "jax") == ["jax", "forward", "all", "all", "anywhere", "4 ULP", "so"]


def test_known_deviations_that_differ_in_one_thing_share_a_row(monkeypatch):
    common = {"max_ulp": float("inf"), "reason": "it is NaN", "issue": "pytorch/pytorch#1"}
    monkeypatch.setattr(
        ops,
        "KNOWN_DEVIATIONS",
        tuple(
            KnownDeviation(("torch",), ("gelu",), (mode,), low=x, high=x, **common)
            for x in (-float("inf"), 0.0)
            for mode in ("forward", "backward")
        ),
    )
    table = ops.deviations_table("gelu")
    why = "it is NaN ([issue](https://github.com/pytorch/pytorch/issues/1))"
    assert cells(table, "torch") == ["torch", "forward, backward", "`x` = −∞; `x` = 0", "any", why]
    assert table.count("\n") == 2


def test_every_op_has_a_page_without_any_backend():
    for spec in OPS.values():
        assert ops.page(spec, {}).count("## ") >= 2, spec.name


def test_gaps_of_every_op_are_on_no_page_of_one():
    every = Gap("it copies", "never", allocations=("reuse",))
    loaded = {"torch": backend(gaps=(every,))}
    assert support.gaps_table(loaded, "gelu") == ""
    assert "it copies" in support.gaps_table(loaded)


def cells(text, first):
    """Return the cells of the first row of a table that begins so."""
    rows = [[cell.strip() for cell in line.replace(r"\|", "¦").split("|")[1:-1]] for line in text.splitlines()]
    return [cell.replace("¦", r"\|") for cell in next(row for row in rows if row and row[0] == first)]
