"""The reference kernel and the stopwatch, on clocks we make ourselves."""

from __future__ import annotations

import pytest

from benchmarks.machine import pulse as drift
from benchmarks.machine.pulse import Pulse
from benchmarks.measure import stopwatch


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that moves on by `clock.step` at each reading."""

    class Clock:
        now, step = 0.0, 1e-3

        def __call__(self):
            self.now += self.step
            return self.now

    clock = Clock()
    monkeypatch.setattr(drift, "perf_counter", clock)
    monkeypatch.setattr(stopwatch, "perf_counter", clock)
    return clock


def groups(pulse, n):
    """Return the deviations of some groups of three beats."""
    found = []
    for _ in range(n):
        for _ in range(3):
            pulse.beat()
        found.append(pulse.deviation())
    return found


def test_a_steady_machine_does_not_drift(clock):
    assert groups(Pulse(), 5) == pytest.approx([0] * 5)


def test_a_machine_that_slows_down_is_noticed_until_it_recovers(clock):
    pulse = Pulse()
    groups(pulse, 5)
    clock.step = 1.2e-3
    assert groups(pulse, 3) == pytest.approx([0.2] * 3)
    clock.step = 1e-3
    assert groups(pulse, 1) == pytest.approx([0])


def test_a_single_slow_beat_is_no_drift(clock):
    pulse = Pulse()
    groups(pulse, 5)
    for step in (1e-3, 5e-3, 1e-3):
        clock.step = step
        pulse.beat()
    assert pulse.deviation() == pytest.approx(0)


def test_a_group_without_beats_has_not_drifted():
    assert Pulse().deviation() == 0


def test_the_reference_kernel_takes_a_few_milliseconds():
    pulse = Pulse()
    pulse.beat()
    assert 0 < pulse._beats[0] < 0.1


def test_phases_and_the_rest_add_up_to_the_whole(clock):
    watch = stopwatch.Stopwatch()
    for name in ("checks", "rounds", "checks"):
        with watch.phase(name):
            clock.now += 1
    spent = watch.spent()
    assert spent["checks"] == pytest.approx(2.002)
    assert spent["rounds"] == pytest.approx(1.001)
    assert sum(spent.values()) == pytest.approx(clock.now - clock.step)
