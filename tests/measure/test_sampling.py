"""Calibration, warm-up, turns, intervals and the stopping rule, on clocks we make ourselves."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.measure import sampling as measure
from benchmarks.measure.sampling import Lane, Rule
from benchmarks.stats import intervals, pairs

RULE = Rule(precision=0.02, confidence=0.95, max_s=0.5)
FIRST = pairs.LOOKS[0]


def sample(burst, iterations, rule=RULE):
    lane = Lane(burst, iterations)
    measure.take_turns([lane], rule, random.Random(1))
    return measure.combine([lane], rule.confidence)


@pytest.mark.parametrize("call_s", [3e-8, 1e-6, 1e-4, 5e-3, 2.0])
def test_rounds_are_long_enough_for_the_clock_and_not_much_longer(call_s):
    iterations = measure.calibrate(lambda iterations, n: [iterations * call_s] * n)
    assert iterations * call_s >= measure.ROUND_S
    assert iterations == 1 or iterations * call_s < 3 * measure.ROUND_S


def test_a_slow_first_call_does_not_make_rounds_short():
    calls = iter([0.6, *[1e-6] * 1000])
    iterations = measure.calibrate(lambda iterations, n: [iterations * next(calls) for _ in range(n)])
    assert iterations * 1e-6 >= measure.ROUND_S


def test_rounds_are_long_enough_though_something_disturbed_the_calibration():
    # As when another program takes a processor from a parallel kernel: the first calls take a time slice each.
    calls = itertools.chain([8e-3] * 5, itertools.repeat(2e-6))
    lane = measure.open_lane(lambda iterations, n: [iterations * next(calls) for _ in range(n)])
    assert measure.ROUND_S <= lane.iterations * 2e-6 < 3 * measure.ROUND_S


def test_an_immeasurably_fast_call_ends_calibration():
    assert measure.calibrate(lambda iterations, n: [0.0] * n) == 1_000_000


def test_a_round_has_no_more_calls_than_there_are_inputs_to_overwrite():
    assert measure.calibrate(lambda iterations, n: [iterations * 1e-6] * n, at_most=32) == 32


def test_calibration_ends_with_its_source():
    assert measure.calibrate(lambda iterations, n: []) == 0


def test_warming_up_goes_on_while_calls_become_faster():
    speeds = iter([8e-3, 6e-3, 4e-3, 2e-3, 1e-3, 1e-3, 1e-3])
    taken = []

    def burst(iterations, n):
        taken.append(next(speeds))
        return [taken[-1]] * n

    measure.warm_up(burst, 1)
    assert taken == [8e-3, 6e-3, 4e-3, 2e-3, 1e-3, 1e-3]


def test_warming_up_ends_at_last():
    ever_faster = (0.1 * 0.9**i for i in itertools.count())
    taken = []
    measure.warm_up(lambda iterations, n: taken.append(next(ever_faster)) or [taken[-1]] * n, 1)
    assert sum(taken) <= 2 * measure.WARM_UP_S


def test_steady_rounds_stop_at_once():
    sampling = sample(lambda iterations, n: [0.001] * n, 10)
    assert (sampling.stop_reason, sampling.n_bursts) == ("precision reached", FIRST)
    assert sampling.median_s == pytest.approx(1e-4)
    assert sampling.low_s == sampling.high_s == pytest.approx(1e-4)


def test_one_that_is_alone_goes_on_until_it_is_precise_or_its_time_is_up():
    generator = np.random.default_rng(2)
    sampling = sample(lambda iterations, n: [0.02 * (1 + 0.05 * abs(generator.normal()))] * n, 1)
    assert sampling.stop_reason in ("time used up", "precision reached")
    assert FIRST < sampling.n_bursts <= measure.LEAST_TURNS


def test_slow_calls_still_get_the_fewest_turns():
    sampling = sample(lambda iterations, n: [1.0] * n, 1, Rule(precision=1e-9, confidence=0.95, max_s=0.1))
    assert sampling.n_bursts == FIRST


def test_a_burst_counts_by_its_fastest_round():
    late = itertools.cycle([3.0, 1.0, 2.0])
    sampling = sample(lambda iterations, n: [1e-3 * next(late) for _ in range(n)], 1)
    assert sampling.median_s == pytest.approx(1e-3)
    assert sampling.n_rounds == measure.MOST_ROUNDS * sampling.n_bursts


def noisy(generator, seconds, noise=0.02, background=lambda now: 1.0):
    clock = itertools.count()

    def burst(iterations, n_rounds):
        slow = background(next(clock)) * generator.lognormal(0, noise)
        return (iterations * seconds * slow * generator.lognormal(0, 0.01, n_rounds)).tolist()

    return burst


BACKGROUNDS = {
    "steady": lambda now: 1.0,
    "bursts": lambda now: 1 + 0.5 * (now % 7 < 2),
    "drift": lambda now: 1 + 0.01 * now,
}


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_same_code_is_not_called_faster_and_a_tenth_is(background):
    generator = np.random.default_rng(4)
    told = {1.0: [], 1.12: []}
    for ratio, trial in itertools.product(told, range(100)):
        lanes = [Lane(noisy(generator, 0.005 * r, background=BACKGROUNDS[background]), 1) for r in (ratio, 1.0)]
        measure.take_turns(lanes, RULE, random.Random(trial))
        found = measure.between(lanes[:1], lanes[1:], RULE)
        told[ratio].append((pairs.verdict(found.low, found.high), found.low <= ratio <= found.high))
    assert sum(verdict == "faster" for verdict, _ in told[1.0]) == 0
    assert sum(verdict == "faster" for verdict, _ in told[1.12]) >= 95
    assert sum(holds for found in told.values() for _, holds in found) >= 0.95 * 200


def test_lanes_take_turns_in_an_order_that_the_seed_gives():
    def order(seed):
        seen = []
        lanes = [Lane(lambda i, n, k=k: seen.append(k) or [0.01] * n, 1) for k in range(4)]
        measure.take_turns(lanes, RULE, random.Random(seed))
        return seen

    assert order(1) == order(1) != order(2)
    assert all(sorted(order(1)[i : i + 4]) == [0, 1, 2, 3] for i in range(0, 4 * FIRST, 4))


def test_a_clear_loser_leaves_and_its_time_goes_to_the_others():
    generator = np.random.default_rng(6)
    rivals = [Lane(noisy(generator, 0.002, noise=0.1), 1) for _ in range(2)]
    loser = Lane(noisy(generator, 0.010), 1)
    measure.take_turns([*rivals, loser], RULE, random.Random(0))
    assert (loser.stop_reason, len(loser.bursts)) in [("decided", n) for n in pairs.LOOKS[:3]]
    assert len(rivals[0].bursts) == len(rivals[1].bursts) > FIRST


def test_all_bursts_of_a_turn_have_as_many_rounds():
    seen = {}
    lanes = [
        Lane(lambda i, n, s=s: seen.setdefault(s, []).append(n) or [s] * n, 1) for s in (0.0001, 0.001, 0.006)
    ]
    measure.take_turns(lanes, RULE, random.Random(0))
    assert {n for each in seen.values() for n in each[1:]} == {4}


def test_a_pair_in_question_has_sixty_turns_though_its_time_is_up():
    generator = np.random.default_rng(7)
    lanes = [Lane(noisy(generator, s, noise=0.3), 1) for s in (0.010, 0.0105)]
    measure.take_turns(lanes, Rule(precision=0.02, confidence=0.95, max_s=0.3), random.Random(0))
    assert {len(lane.bursts) for lane in lanes} == {measure.LEAST_TURNS}
    assert {lane.stop_reason for lane in lanes} == {"time used up"}


def test_a_lane_that_fails_stops_and_the_others_go_on():
    left = iter([[0.01]] * 3)
    failing = Lane(lambda i, n: next(left, []), 1)
    steady = Lane(lambda i, n: [0.01] * n, 1)
    measure.take_turns([failing, steady], RULE, random.Random(0))
    assert (failing.stop_reason, len(failing.bursts)) == ("failed", 2)
    assert steady.stop_reason == "precision reached"


def test_several_processes_widen_the_interval_to_their_differences():
    lanes = [Lane(lambda i, n, s=s: [s] * n, 1, heat) for heat, s in enumerate((0.010, 0.011, 0.012))]
    measure.take_turns(lanes, RULE, random.Random(0))
    alone, together = measure.combine(lanes[:1], 0.95), measure.combine(lanes, 0.95)
    assert alone.high_s - alone.low_s < 1e-9
    assert together.low_s < 0.010
    assert together.high_s > 0.012
    assert together.median_s == pytest.approx(0.011)
    assert len(together.processes) == 3


def test_processes_of_one_case_do_not_compete():
    lanes = [Lane(lambda i, n, s=s: [s] * n, 1, heat) for heat, s in enumerate((0.010, 0.020))]
    measure.take_turns(lanes, RULE, random.Random(0))
    assert {lane.stop_reason for lane in lanes} == {"precision reached"}


def test_cases_are_compared_process_by_process():
    sides = [[Lane(lambda i, n: [0.01] * n, 1, values=[v * s] * 20) for v in (1, 2)] for s in (1.2, 1.0)]
    found = measure.between(*sides, RULE)
    assert (found.ratio, found.turns) == (pytest.approx(1.2), 40)


def test_interval_over_processes_covers_their_mean_as_often_as_promised():
    generator = np.random.default_rng(5)
    found = [intervals.processes_interval(generator.lognormal(0, 0.1, 4).tolist(), 0.95) for _ in range(2000)]
    hits = sum(low <= 1 <= high for low, high in found) / 2000
    assert abs(hits - 0.95) < 4 * (0.95 * 0.05 / 2000) ** 0.5


def test_one_process_says_nothing_about_others():
    assert intervals.processes_interval([1.0], 0.95) == (-math.inf, math.inf)


def test_a_single_round_has_no_range():
    sampling = measure.Sampling((((0.5,),),), (1,), (1.0,), "time used up", 0.5, 0.5)
    assert sampling.iqr_s == 0


def test_rounds_of_processes_with_other_numbers_of_calls_are_compared_per_call():
    sampling = measure.Sampling((((1.0,),), ((3.0,),)), (10, 20), (1.0, 1.0), "precision reached", 0.1, 0.15)
    assert sampling.per_call_s == pytest.approx([0.1, 0.15])
    assert sampling.median_s == pytest.approx(statistics.median([0.1, 0.15]))


def test_the_margin_of_a_run_is_that_of_its_verdicts():
    lanes = [Lane(noisy(np.random.default_rng(i), s, noise=0.002), 1) for i, s in enumerate((0.010, 0.0103))]
    wide, narrow = (replace(RULE, margin=margin) for margin in (0.05, 0.002))
    measure.take_turns(lanes, wide, random.Random(0))
    assert measure.between(lanes[1:], lanes[:1], wide).verdict == "equal"
    assert measure.between(lanes[1:], lanes[:1], narrow).verdict == "faster"


def test_one_without_hope_leaves_at_the_first_look_however_it_scatters():
    generator = np.random.default_rng(3)
    lanes = [Lane(noisy(generator, s, noise=0.1), 1) for s in (0.010, 0.0104, 0.050)]
    measure.take_turns(lanes, RULE, random.Random(0))
    assert len(lanes[2].bursts) == pairs.LOOKS[0]
    assert not pairs.compare(lanes[2].values, lanes[0].values).known
    assert len(lanes[1].bursts) > pairs.LOOKS[0]


def test_one_that_left_before_the_machine_slowed_down_is_not_taken_for_a_faster_one():
    generator, turn = np.random.default_rng(5), itertools.count()
    slow = [1.0]

    def background(now):
        return slow[0]

    def between():
        slow[0] = 1.0 if next(turn) < 14 else 1.5

    lanes = [Lane(noisy(generator, s, 0.02, background), 1) for s in (0.010, 0.0103, 0.0125)]
    measure.take_turns(lanes, RULE, random.Random(0), between)
    first, second, third = lanes
    assert len(third.values) < len(first.values)
    assert statistics.median(third.values) < statistics.median(first.values)
    assert third.median_s / first.median_s == pytest.approx(1.25, abs=0.03)
    assert first.pace == second.pace == 1.0
    sampling = measure.combine([third], 0.95)
    assert sampling.median_s == third.median_s
    assert sampling.low_s <= sampling.median_s <= sampling.high_s


def test_the_time_of_who_left_early_is_its_ratio_times_the_time_of_who_stayed():
    generator = np.random.default_rng(2)
    lanes = [Lane(noisy(generator, s, noise=0.3), 1) for s in (0.01, 0.0101, 0.05)]
    measure.take_turns(lanes, RULE, random.Random(4))
    first, left = max(lanes, key=lambda lane: len(lane.values)), lanes[2]
    assert len(left.values) < len(first.values)
    assert left.median_s / first.median_s == pytest.approx(measure.between([left], [first], RULE).ratio)


def test_whoever_leaves_is_surely_slower_than_all_that_may_be_the_fastest():
    generator = np.random.default_rng(9)
    for seed in range(5):
        lanes = [Lane(noisy(generator, s, noise=0.05), 1) for s in (0.010, 0.0101, 0.0102, 0.0112)]
        measure.take_turns(lanes, RULE, random.Random(seed))
        if len(lanes[3].values) < len(lanes[0].values):
            assert all(
                measure.between(lanes[3:], [lane], RULE).verdict == "faster"
                for lane in lanes[:3]
                if measure.between([lane], [min(lanes, key=lambda each: each.median_s)], RULE).verdict != "faster"
            )
