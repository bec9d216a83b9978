"""Bursts during which something else had the processor are taken again, and only those."""

from __future__ import annotations

import math

from benchmarks.measure.disturbance import MOST_AGAIN, Reading, Undisturbed


def source(waits, faults=0.0):
    left = iter(waits)
    return Undisturbed(lambda iterations, n: Reading((0.001,) * n, next(left), faults))


def test_what_waits_no_longer_than_usual_is_taken_once():
    turns = source([0.0, 1e-5, 0.0, 2e-5, 1e-5, 0.0])
    for _ in range(6):
        assert turns(1, 3) == (0.001,) * 3
    assert (turns.n_again, turns.n_disturbed) == (0, 0)


def test_a_burst_without_the_processor_is_taken_again():
    turns = source([0.0] * 6 + [0.004, 0.0])
    for _ in range(7):
        turns(1, 1)
    assert (turns.n_again, turns.n_disturbed) == (1, 0)


def test_it_is_taken_again_a_few_times_and_then_counted():
    turns = source([0.0] * 6 + [0.004] * (1 + MOST_AGAIN) + [0.0])
    for _ in range(8):
        assert turns(1, 1)
    assert (turns.n_again, turns.n_disturbed) == (MOST_AGAIN, 1)


def test_threads_that_wait_for_each_other_are_the_framework_s_own_cost():
    turns = source([0.0005] * 20)
    for _ in range(20):
        turns(1, 1)
    assert (turns.n_again, turns.n_disturbed) == (0, 0)


def test_where_the_system_does_not_tell_nothing_is_taken_again():
    turns = source([None] * 10, math.nan)
    for _ in range(10):
        assert turns(1, 2) == (0.001, 0.001)
    assert turns.n_again == 0


def test_a_source_that_has_failed_gives_nothing():
    assert Undisturbed(lambda iterations, n: None)(1, 1) == ()


def test_page_faults_are_kept_for_each_burst():
    turns = source([0.0] * 3, faults=2.5)
    for _ in range(3):
        turns(1, 1)
    assert turns.faults == [2.5] * 3


def throttled(when):
    left = iter(when)
    return Undisturbed(lambda iterations, n: Reading((0.001,) * n, None, math.nan, throttled=next(left)))


def test_a_burst_in_which_the_gpu_was_slowed_down_is_taken_again():
    turns = throttled([False] * 6 + [True, False] + [True] * (1 + MOST_AGAIN))
    for _ in range(8):
        assert turns(1, 1)
    assert (turns.n_again, turns.n_disturbed) == (1 + MOST_AGAIN, 1)


def test_a_gpu_that_is_always_slowed_down_is_as_it_is():
    turns = throttled([True] * 20)
    for _ in range(20):
        assert turns(1, 1)
    assert (turns.n_again, turns.n_disturbed) == (0, 0)


def test_what_half_of_the_bursts_before_have_waited_is_not_yet_usual():
    # Two of the first four had no second processor: by their quartiles, a third one would be as usual.
    found = source([0.0, 0.9e-3, 0.0, 0.7e-3, 0.0, 1e-3, 0.0])
    for _ in range(6):
        found(1, 1)
    assert found.n_again == 1


def test_bursts_of_the_warm_up_tell_what_is_usual_and_are_taken_once():
    found = source([0.0] * 4 + [1e-3, 0.0])
    for _ in range(4):
        assert found.as_it_comes(1, 1) == (0.001,)
    assert found.faults == []
    found(1, 1)
    assert found.n_again == 1


def test_a_source_that_has_failed_gives_nothing_to_a_warm_up():
    assert Undisturbed(lambda iterations, n: None).as_it_comes(1, 1) == ()
