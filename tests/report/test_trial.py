"""The screen about a function that was tried, from made-up findings."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.analysis.trials import Heat
from benchmarks.analysis.verdicts import Standing
from benchmarks.exits import Exit
from benchmarks.record.schema import Ending, Verdict
from benchmarks.record.trials import Judged, Layout, Point, Region, Trial
from benchmarks.report.terminal.trial import render, verdict
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

MOST_LINES = 32


def errors(status="ok", max_ulp=2.1, reason=""):
    return Verdict(
        status=status, reason=reason, n_points=632, max_ulp=max_ulp, max_ulp_elsewhere=max_ulp,
        max_ulp_normal=max_ulp, mean_ulp=0.4, worst_input=-3.4, budget_ulp=8.0,
    )  # fmt: skip


REGIONS = (
    Region("below -10", 120, 0.5, 0.1),
    Region("-10 to -1", 90, 2.1, 0.4),
    Region("not finite", 3, 0.0, 0.0),
)
SPECIALS = (
    Point("x = nan", "nan", "nan", 0.0),
    Point("x = inf", "nan", "inf", math.inf),
    Point("x = 0", "0", "0", 0.0),
    Point("x = -0", "-0", "0", 0.0),
)
TRIAL = Trial(
    name="fast_gelu",
    op="gelu",
    sentence="kernels.py:fast_gelu as gelu: a function of torch (its file imports no other)",
    settings="torch 2.11.0, 2 threads",
    decisive=("float32",),
    judged=(
        Judged("forward", "float32", errors(), Point("x = -3.4", "-0.0011", "-0.00112", 2.1), REGIONS),
        Judged("backward", "float32", errors(), Point("x = -3.4", "1", "1", 0.0)),
        Judged("forward", "float64", Ending(status="unavailable", reason="it takes no float64")),
    ),
    specials=SPECIALS,
    layouts=(
        Layout("empty", Ending(status="ok")),
        Layout("0-d", Ending(status="failed", reason="ValueError: 0-d")),
    ),
    gradient="by torch's own differentiation, right",
)
HEAT = Heat(
    "forward", "float32", "1048576", 1_048_576, "ok", "", ("result", "clock"), 2e-4, "torch", 4e-4,
    Standing(0.5, 0.49, 0.51, FASTER),
)  # fmt: skip
NOT = replace(
    HEAT, mode="backward", status="failed", reason="backward cross-check: wrong", own_s=None, standing=None
)


def screen(trial=TRIAL, heats=(HEAT,), ended=Exit.FINE, width=100, **more):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render(trial, heats, ended, console, **more)
    return console.file.getvalue()


def test_one_screen_says_what_is_right_where_and_how_fast():
    text = screen()
    assert text.startswith("fast_gelu as gelu: RIGHT in float32; faster than all others in 1 of 1 case\n")
    for said in (
        "kernels.py:fast_gelu as gelu: a function of torch (its file imports no other); torch 2.11.0, 2 threads",
        "x = -3.4: got -0.0011, exact -0.00112",
        "exact everywhere",
        "below -10: 0.50; -10 to -1: 2.1; not finite: 0",
        "special values: WRONG: inf gives nan, exact inf; right at nan, 0 and -0; 0 gives 0; -0 gives -0",
        "it takes no float64",
        "layouts: 0-d: ValueError: 0-d; right: empty",
        "gradient: by torch's own differentiation, right",
        "2.00 times faster",
        "checks passed in every timed case (docs/cheats.md): result, clock",
        "These are times of single calls",
    ):
        assert said in " ".join(text.split())
    assert len(text.splitlines()) <= MOST_LINES


def test_a_special_value_is_wrong_however_much_error_is_allowed():
    judged = (replace(TRIAL.judged[0], ending=replace(errors(), budget_ulp=math.inf)), *TRIAL.judged[1:])
    text = " ".join(screen(replace(TRIAL, judged=judged)).split())
    assert "special values: WRONG: inf gives nan, exact inf; right at nan, 0 and -0" in text


def test_the_name_of_the_fastest_other_stays_whole():
    ahead = replace(HEAT, rival="numba-parallel", than=HEAT.standing, n_elements=8_388_608)
    text = screen(heats=(ahead,), width=80, than="numba-parallel")
    assert "numba-parallel  400 µs" in text


def test_a_wrong_function_is_named_with_the_input_and_what_is_exact():
    bad = Judged(
        "forward", "float32", errors("failed", 1e6, "1 of 632 values"), Point("x = 2.05", "0", "0.967", 1e6)
    )
    text = screen(replace(TRIAL, judged=(bad,)), (), Exit.WRONG)
    assert text.startswith("fast_gelu as gelu: WRONG: forward in float32: x = 2.05: got 0, exact 0.967\n")
    assert "speed" not in text
    assert "These are times of" not in text


def test_what_cheated_failed_or_cannot_be_told_says_why_first():
    cheated = replace(NOT, status="cheated", reason="results are remembered")
    assert screen(heats=(HEAT, cheated), ended=Exit.CHEATED).startswith(
        "fast_gelu as gelu: CHEATED: results are remembered\n"
    )
    assert screen(heats=(HEAT, NOT), ended=Exit.WRONG).startswith("fast_gelu as gelu: WRONG: backward cross-check")
    hung = Judged("forward", "float32", Ending(status="timeout", reason="no answer within 20 s"))
    text = screen(replace(TRIAL, judged=(hung,)), (), Exit.UNSURE)
    assert text.startswith("fast_gelu as gelu: COULD NOT TELL: no answer within 20 s\n")


@pytest.mark.parametrize(
    ("standing", "ended", "said"),
    [
        (Standing(2.0, 1.9, 2.1, FASTER), Exit.WORSE, "RIGHT, but slower than numpy in 1 of 1 case"),
        (Standing(0.5, 0.4, 0.6, FASTER), Exit.FINE, "RIGHT in float32, and not slower than numpy"),
        (Standing(1.1, 0.8, 1.4, CLOSE), Exit.UNSURE, "COULD NOT TELL whether it is slower than numpy"),
    ],
)
def test_the_backend_asked_for_decides_the_first_line(standing, ended, said):
    text = screen(heats=(replace(HEAT, than=standing),), ended=ended, than="numpy")
    assert text.splitlines()[0] == f"fast_gelu as gelu: {said}"


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing(2.0, 1.9, 2.1, FASTER), "2.00 times slower"),
        (Standing(0.25, 0.2, 0.3, FASTER), "4.00 times faster"),
        (Standing(0.25, 0.2, 0.3, FASTER, ("load", "")), "~4.00 times faster"),
        (Standing(1.0, 0.99, 1.01, EQUAL), "as fast"),
        (Standing(1.0, 0.8, 1.2, CLOSE), "too close to call"),
        (None, ""),
    ],
)
def test_a_comparison_in_words(standing, said):
    assert verdict(standing) == said
