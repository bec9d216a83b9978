"""Another type: what it gains in speed and costs in accuracy, and how sure that is."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.__main__ import main
from benchmarks.analysis import beside, dtypes
from benchmarks.analysis.answer import Question
from benchmarks.analysis.study import Study
from benchmarks.record import saved
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run
from benchmarks.record.schema import ACCURACY_COLUMNS
from benchmarks.report.sections import results
from tests.synthetic import MACHINE, record


def timed(backend: str, dtype: str, seconds: float, max_ulp: float = 0.5, **more: object) -> dict[str, object]:
    """Return a record whose median is known to 1 %."""
    ends = {"ci95_low_s": 0.99 * seconds, "ci95_high_s": 1.01 * seconds}
    about = {"dtype": dtype, "median_s": seconds, "max_ulp": max_ulp, "warning": None}
    return record(backend, **{**ends, **about, **more})  # type: ignore[arg-type]


def checked(backend: str, dtype: str, max_ulp: float) -> dict[str, object]:
    """Return the row of an accuracy check with a budget of 4 ULP."""
    case = {"op": "sigmoid", "mode": "forward", "device": "cpu", "budget_ulp": 4.0, "status": "ok"}
    return {**case, "backend": backend, "dtype": dtype, "max_ulp": max_ulp}


ROWS = [
    timed("numpy", "float32", 4e-6), timed("numpy", "bfloat16", 8e-6),
    timed("torch", "float32", 2e-6), timed("torch", "bfloat16", 1e-6),
    timed("jax", "float32", 3e-6),
]  # fmt: skip


def study(rows=ROWS, checks=()) -> Study:
    return Study(Run(records=to_frame(rows), accuracy=to_frame(checks, ACCURACY_COLUMNS), machine=MACHINE))


def by_backend(found: Study) -> dict[str, tuple[float, str]]:
    gains = found.type_gains
    return {name: (ratio, verdict) for name, ratio, verdict in gains[["backend", "ratio", "verdict"]].to_numpy()}


def test_each_backend_stands_beside_itself_and_the_fastest_beside_the_fastest():
    assert by_backend(study()) == {
        "recommended": (pytest.approx(2.0), "faster"),
        "numpy": (pytest.approx(0.5), "faster"),
        "torch": (pytest.approx(2.0), "faster"),
    }


def test_the_recommended_is_the_fastest_that_is_accurate_in_each_type():
    errors = (("torch", "bfloat16", 9.0), ("numpy", "bfloat16", 1.0), ("torch", "float32", 1.0))
    found = study(checks=[checked(*each) for each in errors])
    assert by_backend(found)["recommended"] == (pytest.approx(0.25), "faster")
    row = found.type_gains.iloc[0]
    assert (row["backend"], row["usual"], row["other"]) == ("recommended", "torch", "numpy")


def test_errors_of_two_types_are_compared_as_shares_of_the_result():
    row = study().type_gains.iloc[0]
    assert row["usual_error"] == 0.5 * 2.0**-23
    assert row["other_error"] == 0.5 * 2.0**-7
    for dtype, eps in (("float16", 2.0**-10), ("float64", 2.0**-52)):
        assert study([ROWS[0], timed("numpy", dtype, 1e-6)]).type_gains["other_error"].tolist() == [0.5 * eps] * 2


@pytest.mark.parametrize(("factor", "verdict"), [(1.06, "too close to call"), (1.01, "equal"), (1.2, "faster")])
def test_two_types_took_no_turns_together_so_their_intervals_decide(factor, verdict):
    rows = [timed("torch", "float32", 1e-6 * factor), timed("torch", "bfloat16", 1e-6)]
    assert by_backend(study(rows))["torch"] == (pytest.approx(factor), verdict)


def test_float32_is_the_usual_type_wherever_it_was_measured():
    rows = [timed("torch", dtype, 1e-6) for dtype in ("float64", "float16", "float32")]
    assert set(study(rows).type_gains["usual_dtype"]) == {"float32"}
    assert set(study(rows[:2]).type_gains["usual_dtype"]) == {"float64"}


def test_of_one_type_and_of_policies_nothing_is_compared():
    assert study(ROWS[::2]).type_gains.empty
    assert study([ROWS[0], timed("numpy", "bfloat16", 1e-6, allocation="reuse")]).type_gains.empty
    assert dtypes.sentences(study(ROWS[::2]).type_gains) == []


def test_it_is_said_in_a_line_what_is_gained_and_lost():
    (sentence,) = dtypes.sentences(study().type_gains)
    assert sentence == (
        "bfloat16 instead of float32, at 1,024 elements: the fastest 2.0× as fast (faster in 1 of 1 case), "
        "numpy 0.50×, torch 2.0×. Largest error: 0.0039 of the result, instead of 6.0×10⁻⁸."
    )
    rows = [*ROWS[:3], timed("torch", "bfloat16", 1e-6, warning="the machine was 8% slower than usual meanwhile")]
    (sentence,) = dtypes.sentences(study(rows).type_gains)
    assert "the fastest ~2.0×" in sentence
    assert "numpy 0.50×, torch ~2.0×" in sentence


def test_a_type_whose_error_is_not_known_is_told_without_it():
    rows = [ROWS[2], timed("torch", "bfloat16", 1e-6, max_ulp=math.nan)]
    assert dtypes.sentences(study(rows).type_gains)[0].endswith("torch 2.0×. Its error is not known.")


def test_the_table_has_the_recommended_first():
    assert [cell.text for cell in results.types(study()).rows[0]] == [
        "sigmoid", "forward", "bfloat16", "1,024", "recommended: torch", "2.00 µs", "1.00 µs", "2.0×", "5.96×10⁻⁸",
        "0.00391",
    ]  # fmt: skip


def test_an_answer_for_several_types_says_what_each_gains(monkeypatch, capsys):
    def answered(rows, *dtypes):
        monkeypatch.setattr(saved, "load_or_last", lambda run, folder: study(rows).run)
        return main(["recommend", "--op", "sigmoid", "--size", "1024", "--dtype", *dtypes])

    assert answered(ROWS, "fp32", "bf16") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if " instead of " in line]
    assert len(said) == 3
    assert said[0] == (
        "sigmoid forward, 1,024 elements, bfloat16 instead of float32, recommended: torch, 1.00 µs instead of "
        "2.00 µs, 2.00 times as fast (1.97–2.03). Largest error: 0.0039 of the result, instead of 6.0×10⁻⁸."
    )
    assert answered(ROWS, "fp32", "bf16", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dtype"], found["other_types"][0]["dtype"]) == ("float32", "bfloat16")
    assert [gain["backend"] for gain in found["gains"]] == ["recommended", "numpy", "torch"]
    assert answered(ROWS, "fp32", "bf16", "--max-ulp", "9") == 0
    assert "recommended" not in capsys.readouterr().out, "that is within the budget"
    assert answered([*ROWS, timed("torch", "float16", 2e-6)], "bf16", "fp16") == 0
    assert "bfloat16 instead of float16: torch, 1.00 µs instead of 2.00 µs" in capsys.readouterr().out
    only = [row for row in ROWS if row["dtype"] == "float32"]
    assert answered(only, "fp32", "bf16") == 3
    command = "pytest benchmarks --op sigmoid --size 1024 --mode forward --dtype float32 bfloat16"
    assert f"Run: {command}\n" in capsys.readouterr().err, "measured alone, it could not be compared"


def test_types_that_were_not_measured_alike_have_no_answer():
    found = study([timed("numpy", dtype, 1e-6, n=n) for dtype, n in (("float32", 512), ("float16", 1024))])
    with pytest.raises(ValueError, match="--dtype: this run did not measure float32 and float16 alike, with 512"):
        beside.other_types(found, Question("sigmoid", 512), ["float32", "float16"])
