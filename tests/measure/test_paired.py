"""Paired measurement: the truth is found whatever the machine does meanwhile."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from benchmarks.measure import paired
from tests.measure.simulated import DISTURBANCES, Machine, failing

CALL_S = 1e-5


def effects(disturbance, slower, n):
    found = []
    for seed in range(n):
        machine = Machine(seed, disturbance)
        base, head = machine.source(CALL_S), machine.source(CALL_S * (1 + slower))
        found.append(paired.sitting(base, head, random.Random(seed)))
    return found


@pytest.mark.parametrize("slower", [0.0, 0.1])
@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_the_effect_is_found_without_bias(disturbance, slower):
    found = [each.effect for each in effects(disturbance, slower, 40)]
    error = statistics.stdev(found) / math.sqrt(len(found))
    assert statistics.mean(found) == pytest.approx(math.log1p(slower), abs=max(3 * error, 1e-3))
    assert error < 0.02


def test_a_side_that_is_far_slower_does_not_take_as_many_rounds_as_the_other_would():
    machine = Machine(0, "none")
    found = paired.sitting(machine.source(CALL_S), machine.source(CALL_S * 600), random.Random(0))
    assert found.effect == pytest.approx(math.log(600), abs=0.01)
    assert machine.now < 60, "four bursts a four of one round each, and not of thirty"


def test_a_steady_drift_cancels_within_each_four():
    (found,) = effects("drift", 0.1, 1)
    # What is left is of second order in the drift over a four, 0.6 %.
    assert found.effect == pytest.approx(math.log(1.1), abs=1e-3)


def test_taking_the_sides_in_a_fixed_order_would_not_cancel_it():
    machine = Machine(0, "drift")
    base, head = machine.source(CALL_S), machine.source(CALL_S)
    naive = [math.log(head(3000, 1)[0] / base(3000, 1)[0]) for _ in range(10)]
    (found,) = effects("drift", 0.0, 1)
    assert abs(found.effect) < abs(statistics.median(naive)) / 3


def test_a_quiet_machine_needs_few_pairs_and_a_noisy_one_takes_more():
    assert effects("none", 0.1, 1)[0].pairs == paired.LEAST_PAIRS
    assert max(each.pairs for each in effects("bursts", 0.1, 10)) == paired.MOST_PAIRS


def test_both_sides_seconds_per_call_are_told():
    (found,) = effects("none", 0.1, 1)
    assert found.base_s == pytest.approx(CALL_S)
    assert found.head_s == pytest.approx(1.1 * CALL_S)


def test_a_round_is_as_many_calls_on_both_sides_and_long_enough_on_the_faster():
    asked = set()
    machine = Machine()
    fast, slow = machine.source(CALL_S), machine.source(20 * CALL_S)

    def watched(source):
        def burst(iterations, n_rounds):
            asked.add((source is fast, iterations))
            return source(iterations, n_rounds)

        return burst

    paired.sitting(watched(fast), watched(slow), random.Random(0))
    last = max(iterations for _, iterations in asked)
    assert {(True, last), (False, last)} <= asked
    assert last * CALL_S >= paired.ROUND_S


def test_no_more_calls_than_there_are_inputs_to_overwrite():
    asked = []
    machine = Machine()
    source = machine.source(CALL_S)
    paired.sitting(lambda *c: asked.append(c[0]) or source(*c), source, random.Random(0), at_most=7)
    assert max(asked) == 7


@pytest.mark.parametrize("after", [0, 1, 12])
@pytest.mark.parametrize("side", [0, 1])
def test_a_side_that_fails_gives_no_effect(side, after):
    machine = Machine()
    sides = [machine.source(CALL_S), machine.source(CALL_S)]
    sides[side] = failing(sides[side], after)
    assert paired.sitting(*sides, random.Random(0)) is None
