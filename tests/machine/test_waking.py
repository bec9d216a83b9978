"""Waking: how many calls come before a burst, and how long that may take."""

import pytest

from benchmarks.machine import waking
from benchmarks.machine.waking import WAKE_CALLS, WAKE_MOST_S, WAKE_S


def woken(call_s, iterations, last_round_s=0.0):
    """Return the number and the seconds of the calls that wake one whose calls take so long."""
    woken_s, n_calls = 0.0, 0
    while waking.is_due(woken_s, n_calls, last_round_s):
        woken_s += iterations * call_s
        n_calls += iterations
        last_round_s = iterations * call_s
    return n_calls, woken_s


@pytest.mark.parametrize("call_s", [1e-7, 1e-6, 1e-5])
def test_short_calls_are_made_for_two_milliseconds(call_s):
    n_calls, woken_s = woken(call_s, round(5e-4 / call_s))
    assert woken_s == pytest.approx(WAKE_S, abs=6e-4)
    assert n_calls > WAKE_CALLS


@pytest.mark.parametrize("call_s", [5e-4, 1e-3, 2.4e-3])
def test_longer_ones_until_the_caches_are_as_they_usually_are(call_s):
    assert woken(call_s, 1) == (WAKE_CALLS, pytest.approx(WAKE_CALLS * call_s))


def test_no_case_is_woken_for_long():
    n_calls, woken_s = woken(9e-3, 1)
    assert (n_calls, woken_s) == (3, pytest.approx(2.7e-2))
    assert woken(3e-2, 1, last_round_s=3e-2) == (0, 0.0)


@pytest.mark.parametrize(("call_s", "iterations"), [(1e-6, 500), (5e-4, 1), (1e-4, 5), (2.4e-3, 1), (9e-3, 1)])
def test_it_takes_no_longer_than_is_said(call_s, iterations):
    _, woken_s = woken(2 * call_s, iterations)
    assert woken_s <= waking.most_s(2 * call_s * iterations, iterations) + 1e-9
    assert waking.most_s(call_s * iterations, iterations) <= WAKE_MOST_S + call_s * iterations
