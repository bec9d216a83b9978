"""How a trial ends: cheated before wrong, wrong before unsure, slower only than what was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.analysis.study import Study
from benchmarks.analysis.trials import Heat, ended, heats
from benchmarks.analysis.verdicts import Standing
from benchmarks.exits import Exit
from benchmarks.record.schema import Ending
from benchmarks.record.trials import Judged, Layout, Trial
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER
from tests import synthetic

OK = Ending(status="ok")
TRIAL = Trial("f", "tanh", "k.py:f", "numpy 2", ("float32",), (Judged("forward", "float32", OK),))
FAST = Heat("forward", "float32", "1024", 1024, "ok", own_s=1e-6, than=Standing(0.5, 0.4, 0.6, FASTER))
SLOW = replace(FAST, than=Standing(2.0, 1.9, 2.1, FASTER))
SAME = replace(FAST, than=Standing(1.0, 0.99, 1.01, EQUAL))
OPEN = replace(FAST, than=Standing(1.1, 0.8, 1.3, CLOSE))


def lost(status, reason=""):
    return replace(FAST, own_s=None, than=None, status=status, reason=reason)


def judged(status, dtype="float32", mode="forward"):
    return Judged(mode, dtype, Ending(status=status, reason="why"))


@pytest.mark.parametrize(
    ("found", "than", "expected"),
    [
        ([FAST], "numpy", Exit.FINE),
        ([SLOW], "", Exit.FINE),
        ([FAST, SLOW], "numpy", Exit.WORSE),
        ([SAME, OPEN], "numpy", Exit.FINE),
        ([OPEN], "numpy", Exit.UNSURE),
        ([], "numpy", Exit.UNSURE),
        ([], "", Exit.FINE),
        ([FAST, lost("cheated")], "", Exit.CHEATED),
        ([SLOW, lost("failed")], "numpy", Exit.WRONG),
        ([lost("invalid")], "", Exit.WRONG),
        ([lost("timeout")], "", Exit.FINE),
    ],
)
def test_times_decide_what_they_can(found, than, expected):
    assert ended(TRIAL, found, than) is expected


def test_a_case_without_time_left_makes_not_slower_unknown_and_slower_stays():
    assert ended(TRIAL, [FAST], "numpy", n_missed=1) is Exit.UNSURE
    assert ended(TRIAL, [FAST, SLOW], "numpy", n_missed=1) is Exit.WORSE
    assert ended(TRIAL, [FAST], n_missed=1) is Exit.FINE


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (judged("failed"), Exit.WRONG),
        (judged("crashed"), Exit.WRONG),
        (judged("timeout"), Exit.UNSURE),
        (judged("unavailable"), Exit.UNSURE),
        (judged("known_deviation"), Exit.FINE),
        (judged("failed", mode="backward"), Exit.WRONG),
    ],
)
def test_checks_decide_before_times(each, expected):
    others = (Judged("forward", "float32", OK),) * (each.mode == "backward")
    assert ended(replace(TRIAL, judged=(each, *others)), []) is expected


def test_a_wrong_type_that_nobody_asked_for_decides_nothing():
    assert ended(replace(TRIAL, judged=(*TRIAL.judged, judged("failed", "float64"))), [FAST]) is Exit.FINE


def test_a_layout_that_is_refused_is_not_wrong_and_a_wrong_one_is():
    refused = Layout("0-d", Ending(status="failed", reason="ValueError: no 0-d arrays"))
    wrong = Layout("3-D", Ending(status="failed", reason="3 of 24 values exceed 8 ULP"))
    shape = Layout("0-d", Ending(status="failed", reason="WrongResult: f has shape (1,) where () is due"))
    assert ended(replace(TRIAL, layouts=(refused,)), []) is Exit.FINE
    assert ended(replace(TRIAL, layouts=(refused, wrong)), []) is Exit.WRONG
    assert ended(replace(TRIAL, layouts=(shape,)), []) is Exit.WRONG


def test_each_case_is_compared_with_the_fastest_other_and_with_the_one_asked_for():
    study = Study(synthetic.run(records=synthetic.single_policy()))
    found = [heat for heat in heats(study, "numpy", than="torch") if heat.shape == "1024"]
    assert found
    timed = study.rows.query("shape == '1024'")
    for heat in found:
        if heat.own_s is None:
            continue
        (own,) = timed[timed["median_s"] == heat.own_s].itertuples()
        others = timed.query(f"op == '{own.op}' and mode == '{own.mode}' and backend != 'numpy'")
        assert heat.rival_s == others["median_s"].min()
        assert heat.standing.ratio == pytest.approx(heat.own_s / heat.rival_s, rel=0.05)
