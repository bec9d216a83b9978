"""Sittings: how many it takes, and how often the verdicts after them are wrong, on effects of known truth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.record.schema import CASE_KEYS, SITTING_COLUMNS
from benchmarks.stats import sittings
from benchmarks.stats.effects import Criteria, estimate_mean
from benchmarks.stats.sittings import LOOKS, undecided

N_CASES = 6


def row(i=0, effect=0.0, **more):
    """One sitting of case number `i`."""
    policies = {"allocation": "fresh", "cache": "hot", "timing": "latency"}
    found = dict.fromkeys(SITTING_COLUMNS) | dict.fromkeys(CASE_KEYS, "x") | policies
    found |= {"op": f"op{i}", "base_status": "ok", "head_status": "ok", "reason": ""}
    if effect is not None:
        found |= {"base_s": 1e-5, "head_s": 1e-5 * math.exp(effect), "effect": effect, "pairs": 4}
    return found | more


def frame(rows):
    return pd.DataFrame(rows, columns=list(SITTING_COLUMNS))


def conclude(rows, criteria):
    return sittings.conclude(rows, CASE_KEYS, criteria)


def verdict_on(effects):
    return conclude(frame([row(effect=effect) for effect in effects]), Criteria())["verdict"].item()


def trial(draw, n_cases=N_CASES):
    """Take sittings of each case as `ab` does, with `draw(case)` for an effect; return the final verdicts."""
    rows, due = [], list(range(n_cases))
    for n in range(1, LOOKS[-1] + 1):
        rows += [row(i, draw(i)) for i in due]
        if n in LOOKS:
            cases = conclude(frame(rows), Criteria())
            due = [int(op[2:]) for op in undecided(cases)["op"]]
            if not due:
                break
    return cases.set_index("op")


NOISE = {
    # Between fresh processes: what was seen on the development machine, and twice that.
    "quiet": lambda rng: rng.normal(0, 0.015),
    "noisy": lambda rng: rng.normal(0, 0.03),
    "heavy tails": lambda rng: 0.01 * rng.standard_t(2),
    # A call that takes one of two speeds, 1 to 3, in each process by chance.
    "two speeds": lambda rng: rng.choice([0, 0, math.log(3), -math.log(3)]) + rng.normal(0, 0.005),
}


@pytest.mark.parametrize("noise", NOISE)
def test_code_against_itself_is_called_changed_in_at_most_one_run_of_twenty(noise):
    alarms = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = trial(lambda i, rng=rng: NOISE[noise](rng))
        alarms += found["verdict"].isin(["slower", "faster"]).any()
    assert alarms <= 1


def test_a_slow_down_is_found_and_nothing_else_blamed():
    found = blamed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        verdicts = trial(lambda i, rng=rng: NOISE["quiet"](rng) + math.log1p(0.1 if i == 3 else 0))["verdict"]
        found += verdicts["op3"] == "slower"
        blamed += (verdicts.drop("op3") == "slower").any()
    assert found >= 19
    assert blamed <= 1


def test_a_slow_down_within_the_threshold_is_never_a_regression():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert trial(lambda i, rng=rng: NOISE["quiet"](rng) + math.log(1.03))["verdict"].ne("slower").all()


def test_what_is_decided_takes_no_more_sittings():
    rng = np.random.default_rng(0)
    found = trial(lambda i: rng.normal(0, 0.002) + math.log1p(0.1 if i == 3 else 0))
    assert found["samples"].drop("op3").eq(LOOKS[0]).all()
    assert found["samples"]["op3"] < LOOKS[-1]


def test_the_last_look_is_the_last():
    rng = np.random.default_rng(0)
    assert trial(lambda i: rng.normal(0, 0.3), 1)["samples"].item() == LOOKS[-1]


def test_a_few_sittings_that_agree_prove_no_change_yet():
    # As when a process happens to be slow three times running.
    assert verdict_on([0.5, 0.5, 0.501]) == "ambiguous"
    assert verdict_on([0.5, 0.5, 0.501, 0.5, 0.499]) == "slower"
    assert verdict_on([0.001, 0.0, 0.001]) == "same"


def test_one_sitting_far_off_does_not_make_a_change():
    assert verdict_on([0.0, 0.001, 0.0, 0.001, 1.2]) == "ambiguous"


def test_the_values_are_those_of_the_sittings():
    found = conclude(frame([row(effect=0.1), row(effect=0.1), row(effect=0.1)]), Criteria()).iloc[0]
    assert (found["base"], found["head"]) == (1e-5, pytest.approx(1.105e-5, rel=1e-3))
    assert found["ratio"] == pytest.approx(math.exp(0.1))
    assert found["samples"] == 3


def test_a_failure_counts_when_it_recurs():
    failing = row(effect=None, head_status="failed", reason="head: 12 ULP")
    once = conclude(frame([failing, row(), row(), row()]), Criteria()).iloc[0]
    assert (once["verdict"], once["reason"]) == ("same", "head: 12 ULP")
    twice = conclude(frame([failing, failing]), Criteria()).iloc[0]
    assert (twice["verdict"], twice["reason"]) == ("now failing", "head: 12 ULP")
    assert undecided(conclude(frame([failing]), Criteria()))["verdict"].tolist() == ["ambiguous"]


def test_a_case_on_one_side_only_is_new_or_fails_now():
    rows = [row(0, None, base_status="unavailable")] * 2 + [row(1, None, head_status="unavailable")] * 2
    assert conclude(frame(rows), Criteria())["verdict"].tolist() == ["new", "now failing"]


def test_nothing_measured_gives_no_case():
    assert conclude(frame([]), Criteria()).empty
    assert sittings.undecided(conclude(frame([]), Criteria())).empty


def test_evidence_is_weaker_by_the_number_of_looks():
    effects = [0.10, 0.13, 0.07, 0.11, 0.09]
    alone = estimate_mean(effects, Criteria()).p
    (found,) = conclude(frame([row(effect=effect) for effect in effects]), Criteria())["p"]
    assert 0 < alone < 0.01
    assert found == pytest.approx(len(LOOKS) * alone)
