"""What a measurement cannot be is noticed; what it may well be is not."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from benchmarks.machine import bandwidth
from benchmarks.machine.bandwidth import LADDER
from benchmarks.machine.limit import Bandwidth
from benchmarks.measure import plausibility
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.limits import Limits
from benchmarks.measure.prepared import bytes_moved
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.plan import inputs
from benchmarks.record.schema import Case, Times, Verdict

LIMIT = Bandwidth(LADDER, (100.0,) * len(LADDER), (150.0,) * len(LADDER), ("plain",) * len(LADDER))
CASE = Case("relu", "forward", "float32", (10_000,), "numpy", "cpu")


def times(median_s, fraction=0.9):
    empty = dict.fromkeys((each.name for each in fields(Times)), 0)
    known = {"median_s": median_s, "min_s": 0.99 * median_s, "ci95_high_s": 1.01 * median_s}
    return Times(**empty | known | {"fraction_of_bandwidth": fraction})


def too_fast(n, median_s, limit, verdicts):
    return plausibility.too_fast(times(median_s), 8 * n, limit, verdicts)


def timed(n, median_s, fraction=0.9, **other):
    return replace(CASE, shape=(n,), **other), times(median_s, fraction)


def verdict(status="ok"):
    numbers = dict.fromkeys(
        (
            "n_points",
            "max_ulp",
            "max_ulp_elsewhere",
            "max_ulp_normal",
            "mean_ulp",
            "max_abs_error",
            "worst_input",
            "budget_ulp",
        ),
        0,
    )
    return Verdict(status=status, reason="", **numbers)


@pytest.mark.parametrize(("gigabytes_per_s", "found"), [(90, False), (160, False), (220, False), (240, True)])
def test_more_bytes_than_the_device_can_read_are_impossible(gigabytes_per_s, found):
    n = 1_000_000
    reason = too_fast(n, 8 * n / (gigabytes_per_s * 1e9), LIMIT, [verdict()])
    assert bool(reason) == found
    assert not found or "1.6 times as fast as the device moves as many" in reason


def test_what_fewer_bytes_reach_is_not_impossible():
    """A cache that others use too may be slow for copies at one moment, and fast for a kernel at the next."""
    rates = tuple(300.0 if n < 2**20 else 40.0 for n in LADDER)
    disturbed = replace(LIMIT, copy=rates, read=rates)
    n = 1_000_000
    assert too_fast(n, 8 * n / 100e9, disturbed, [verdict()]) is None
    assert too_fast(n, 8 * n / 500e9, disturbed, [verdict()])
    assert too_fast(100, 800 / 500e9, disturbed, [verdict()])
    assert too_fast(100 * n, 800 * n / 100e9, disturbed, [verdict()]), "no cache is as large"


def test_an_output_that_is_known_to_deviate_may_need_fewer_bytes():
    assert too_fast(10**6, 1e-6, LIMIT, [verdict("known_deviation")]) is None


def test_without_a_bandwidth_nothing_is_impossible():
    assert too_fast(10**6, 1e-9, None, [verdict()]) is None


def test_time_that_is_flat_while_the_size_grows_a_hundredfold_is_noticed():
    small, large = timed(10_000, 1e-4), timed(1_000_000, 1.1e-4)
    assert "does not grow with size" in plausibility.too_flat(*large, [small])


def test_a_small_case_that_waited_for_the_scheduler_makes_no_large_one_flat():
    """As seen beside another program: 4.5 ms in most bursts of 32,768 elements, 6 us in three of eight."""
    (case, waited), large = timed(32_768, 4.5e-3), timed(8_388_608, 1.4e-3)
    assert plausibility.too_flat(*large, [(case, replace(waited, min_s=6e-6))]) is None


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (timed(10_000, 1e-4), timed(1_000_000, 1e-3)),  # it grows
        (timed(100_000, 1e-4), timed(1_000_000, 1.1e-4)),  # tenfold only
        (timed(10_000, 1e-4, 0.01), timed(1_000_000, 1.1e-4, 0.3)),  # both are launches, on a fast device
        (timed(10_000, 1e-4, backend="torch"), timed(1_000_000, 1.1e-4)),  # another's
        (timed(10_000, 1e-4, cache="cold"), timed(1_000_000, 1.1e-4)),
    ],
)
def test_time_that_has_a_reason_to_be_flat_is_not(small, large):
    assert plausibility.too_flat(*large, [small]) is None


@pytest.mark.parametrize(
    ("later_s", "at_once_s", "call_s", "found"),
    [
        (1e-3, 1e-3, 1e-3, False),
        (1e-3, 1.3e-3, 1e-3, False),  # fetching varies
        (1e-3, 2e-3, 1e-3, True),  # one call behind
        (1e-6, 5e-6, 1e-6, False),  # a clock's worth
        (1e-6, 3e-3, 3e-6, True),  # a whole queue of short calls
    ],
)
def test_work_that_goes_on_after_its_round_is_noticed(later_s, at_once_s, call_s, found):
    assert plausibility.is_pending(later_s, at_once_s, call_s) == found


def test_doubts_are_said_in_words():
    assert plausibility.doubts(1e-5, 0.01, 0.02) == ""
    text = plausibility.doubts(0.01, -0.08, 0.31)
    assert "8 % faster than usual" in text
    assert "31 % of the processors" in text
    assert "1 % of the numbers are subnormal" in text


class _Recorded:
    """Takes the place of a recorder, and of a pool that may use one thread."""

    threads = 1

    def bandwidth(self, device, measured):
        self.last = measured


@pytest.mark.parametrize(
    ("again", "is_invalid"), [([150.0], False), ([60.0, 60.0, 150.0], False), ([60.0, 60.0, 60.0], True)]
)
def test_a_disturbed_measurement_of_the_bandwidth_accuses_nobody(monkeypatch, again, is_invalid):
    """The bandwidth is measured again before a case is called faster than it, three times; the fastest counts."""
    slow, *others = (
        replace(LIMIT, read=(rate,) * len(LADDER), copy=(rate,) * len(LADDER)) for rate in (60.0, *again)
    )
    left = list(others)
    monkeypatch.setattr(bandwidth, "measure_host", lambda threads, ladder: left.pop(0))
    limits = Limits(_Recorded(), _Recorded(), Stopwatch())
    limits._found["cpu"] = [slow]
    assert bool(limits.exceeded("cpu", times(8e6 / 100e9), 8_000_000, [verdict()])) == is_invalid
    assert limits.recorder.last == others[-1]
    assert not left


def test_the_fastest_measurement_counts_also_once_no_more_are_made(monkeypatch):
    slow, fast = (replace(LIMIT, read=(rate,) * len(LADDER), copy=(rate,) * len(LADDER)) for rate in (60.0, 150.0))
    monkeypatch.setattr(bandwidth, "measure_host", lambda threads, ladder: slow)
    limits = Limits(_Recorded(), _Recorded(), Stopwatch())
    limits._found["cpu"] = [slow, fast, slow, slow]
    assert limits.exceeded("cpu", times(8e6 / 100e9), 8_000_000, [verdict()]) is None


def test_an_op_that_gathers_reads_one_element_of_each_row():
    case = Case("negative_log_likelihood", "forward", "float32", (6, 10), "numpy", "cpu")
    host = inputs.draw(case.op, case.shape, case.dtype)
    assert bytes_moved(case, host, ()) == (6 * 4 + 6 * 8 + 4, 4)
    assert bytes_moved(replace(case, mode="backward"), host, ()) == (6 * 8 + 4 + 240, 240)


@pytest.mark.parametrize(
    ("times_s", "remembers"),
    [
        ([(5e-5, 5e-6)] * 5, True),
        ([(5e-5, 5e-6)] * 4 + [(6e-6, 5e-6)], False),  # once it was not: that was chance
        ([(1.4e-6, 0.4e-6)] * 5, False),  # a microsecond may be the processor's
        ([(9e-3, 4e-3)] * 5, False),
        ([], False),
    ],
)
def test_results_are_remembered_where_every_first_call_is_slow(times_s, remembers):
    assert plausibility.remembers(times_s) == remembers


def test_a_result_is_deferred_that_takes_longer_to_fetch_than_a_plain_array():
    assert plausibility.is_deferred([(2e-4, 2e-6)] * 5, 1e-6)
    assert not plausibility.is_deferred([(2.2e-6, 2e-6), *[(2e-4, 2e-6)] * 4], 1e-6), "disturbances only add"
    assert not plausibility.is_deferred([(2e-6, 5e-7)] * 5, 1e-6)
    assert not plausibility.is_deferred([(4.5e-6, 1.5e-6)] * 5, 3e-4), "another processor has written it"
    assert not plausibility.is_deferred([], 1e-6)


def burst(round_s, n_rounds, *, factor=1.0, woken_by=1.0, around_s=2e-4, woken_s=None):
    """Return a burst by a clock that is so many times too slow: `wall_s` is what passed by a true one.

    Calls take 50 us, or a round each.
    """
    if woken_s is None:
        woken_s = 2e-3 + round_s / 2 if round_s < 2e-3 else min(8 * round_s, 2.2e-2) if round_s < 2e-2 else 0.0
    wall_s = factor * n_rounds * round_s + woken_by * woken_s + around_s
    n = max(1, round(round_s / 5e-5)) if round_s < 2e-3 else 1
    return Reading((round_s,) * n_rounds, 0.0, 0.0, wall_s=wall_s, woken_s=woken_s, iterations=n)


ROUNDS = [(5e-4, 5), (5e-4, 10), (1e-3, 3), (1e-3, 5), (1.9e-3, 3), (3e-3, 3), (2e-2, 1)]


@pytest.mark.parametrize(("round_s", "n_rounds"), ROUNDS)
def test_a_clock_that_runs_at_two_thirds_of_its_speed_is_cleared_by_no_burst(round_s, n_rounds):
    slow, patched = (burst(round_s, n_rounds, factor=1.5, woken_by=factor) for factor in (1.5, 1.0))
    awake = burst(round_s, n_rounds, factor=1.5, woken_s=0.0)
    assert plausibility.tells_of_a_clock(slow)
    assert not any(map(plausibility.clears_a_clock, (slow, patched, awake)))


@pytest.mark.parametrize(("round_s", "n_rounds"), ROUNDS)
def test_a_true_clock_is_cleared_unless_something_comes_between(round_s, n_rounds):
    assert plausibility.clears_a_clock(burst(round_s, n_rounds, around_s=4e-4 + 1e-5 * n_rounds))
    assert not plausibility.clears_a_clock(burst(round_s, n_rounds, around_s=0.02))


@pytest.mark.parametrize(("round_s", "n_rounds"), [(5e-4, 3), (1e-3, 1), (1e-4, 5), (1e-6, 100), (0.0, 3)])
def test_a_short_burst_tells_nothing_of_a_clock(round_s, n_rounds):
    """What is allowed around it would hide a clock at two thirds of its speed."""
    assert not plausibility.tells_of_a_clock(burst(round_s, n_rounds))
    assert not plausibility.clears_a_clock(burst(round_s, n_rounds))


def test_waking_calls_that_are_said_to_take_long_explain_little():
    assert not plausibility.clears_a_clock(burst(1e-3, 5, factor=2.0, woken_by=0.0, woken_s=1.0))


def test_a_clock_that_is_not_compared_is_not_cleared():
    assert not plausibility.clears_a_clock(Reading((1e-3,) * 10, None, 0.0))


def test_more_processors_than_threads_are_noticed_over_all_bursts():
    assert plausibility.too_many_threads([(0.02, 0.01)] * 3, 1, queued=False) == pytest.approx(2)
    assert plausibility.too_many_threads([(0.02, 0.01)] * 3, 2, queued=False) is None
    assert plausibility.too_many_threads([(0.014, 0.01), (0.012, 0.01)] * 3, 1, queued=False) is None
    assert plausibility.too_many_threads([(0.022, 0.01)] * 3, 1, queued=True) is None
    assert plausibility.too_many_threads([], 1, queued=False) is None


def test_a_processor_that_was_taken_away_from_a_thread_that_sleeps_counts_for_none():
    """All that it is away for counts as that thread's time, beside the time of the one that computes."""
    quiet = [(0.007, 0.007)]
    assert plausibility.too_many_threads(quiet * 18 + [(0.4, 0.2)] * 2, 1, queued=False) is None
    assert plausibility.too_many_threads(quiet * 54 + [(0.4, 0.2)] * 6, 1, queued=False) is None
    assert plausibility.too_many_threads(quiet * 12 + [(0.014, 0.007)] * 12, 1, queued=False) == pytest.approx(
        1.45, abs=0.05
    )


def test_what_passes_between_many_short_rounds_is_no_wrong_clock():
    assert plausibility.clears_a_clock(burst(25e-5, 100, around_s=100 * 2e-5, woken_s=0.0))
    assert not plausibility.clears_a_clock(burst(1e-3, 40, factor=1.5))
