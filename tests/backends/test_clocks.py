"""The arithmetic around a device's clock, on made-up devices: no GPU is asked here."""

from __future__ import annotations

import ctypes
from functools import partial
from types import SimpleNamespace

import pytest

clock_of_torch = pytest.importorskip("backends.torch.clock")
clock_of_jax = pytest.importorskip("backends.jax.clock")
driver = pytest.importorskip("backends.jax.driver")


class MadeUpCuda:
    """A device with a queue: a call takes `call_s` on it, and `launch_s` of the host's time to queue."""

    def __init__(self, call_s, launch_s, *, waits=False):
        self.call_s, self.launch_s, self.waits = call_s, launch_s, waits
        self.now = 0.0  # of the host
        self.done = 0.0  # when the device will have worked off its queue
        self.queued = 0

    def run(self):
        self.now += self.launch_s
        self.done = max(self.done, self.now) + self.call_s
        self.queued += 1
        if self.waits:
            self.synchronize()

    def synchronize(self):
        self.now = max(self.now, self.done)

    def _sleep(self, cycles):
        self.done = max(self.done, self.now) + cycles / 2e9

    def Event(self, *, enable_timing):  # noqa: N802 - as in torch.cuda
        assert enable_timing
        return MadeUpEvent(self)


class MadeUpEvent:
    def __init__(self, cuda):
        self.cuda = cuda

    def record(self):
        self.at = max(self.cuda.done, self.cuda.now)

    def query(self):
        return self.at <= self.cuda.now

    def synchronize(self):
        self.cuda.now = max(self.cuda.now, self.at)

    def elapsed_time(self, stop):
        return 1e3 * (stop.at - self.at)


@pytest.fixture
def on_made_up_time(monkeypatch):
    """Read the host's clock of a made-up device."""

    def use(cuda):
        monkeypatch.setattr(clock_of_torch, "perf_counter", lambda: cuda.now)
        return cuda

    return use


@pytest.mark.parametrize(
    ("call_s", "launch_s", "iterations"),
    [
        (2e-6, 2e-5, 50),  # short: launches take ten times as long
        (190e-6, 8e-6, 5),
        (300e-6, 90e-6, 3),  # 3 launches that took longer than the device used to spin
        (2e-6, 5e-3, 20),  # the host is slow
    ],
)
def test_events_hold_no_launches(on_made_up_time, call_s, launch_s, iterations):
    cuda = on_made_up_time(MadeUpCuda(call_s, launch_s))
    assert clock_of_torch.seconds_per_call(cuda, cuda.run, iterations) == pytest.approx(call_s)


def test_a_first_call_that_takes_memory_is_not_timed(on_made_up_time):
    cuda = on_made_up_time(MadeUpCuda(300e-6, 10e-6))

    def run():
        if cuda.queued == 0:
            cuda.done += 1e-3
        cuda.run()

    assert clock_of_torch.seconds_per_call(cuda, run, 3) == pytest.approx(300e-6)


def test_launches_that_suddenly_take_longer_are_seen_and_tried_again(on_made_up_time):
    cuda = on_made_up_time(MadeUpCuda(5e-6, 1e-5))

    def run():
        cuda.launch_s = 1e-5 if cuda.queued < 30 else 6e-5
        cuda.run()

    assert clock_of_torch.seconds_per_call(cuda, run, 20) == pytest.approx(5e-6)


def test_a_call_that_waits_for_the_device_has_no_time_of_its_own(on_made_up_time):
    cuda = on_made_up_time(MadeUpCuda(5e-6, 1e-5, waits=True))
    assert clock_of_torch.seconds_per_call(cuda, cuda.run, 20) is None


def test_without_a_way_to_spin_nothing_is_told():
    assert clock_of_torch.seconds_per_call(SimpleNamespace(), lambda: None, 20) is None


class MadeUpQueue:
    """Results that are there `call_s` after each other, handed over in `launch_s`, and seen 10 µs later."""

    def __init__(self, call_s, launch_s, work_s=3e-3):
        self.call_s, self.launch_s, self.work_s = call_s, launch_s, work_s
        self.now = self.done = 0.0

    def start(self, seconds):
        self.now += self.launch_s
        self.done = max(self.done, self.now) + seconds
        return self.done

    def wait(self, result):
        self.now = max(self.now, result + 1e-5)

    def seconds(self, iterations):
        return clock_of_jax.seconds_per_call(
            lambda: self.start(self.call_s),
            iterations,
            lambda: self.start(self.work_s),
            self.wait,
            lambda result: result <= self.now,
            lambda: self.now,
        )


@pytest.mark.parametrize("iterations", [1, 3, 1000])
@pytest.mark.parametrize("call_s", [2e-6, 8e-5, 4e-3])
def test_results_that_follow_each_other_tell_the_devices_time(iterations, call_s):
    if call_s * max(clock_of_jax.LEAST_CALLS, 2 * iterations) < 1e-5:
        assert MadeUpQueue(call_s, 7e-5).seconds(iterations) is None  # over before the host sees anything
    else:
        assert MadeUpQueue(call_s, 7e-5).seconds(iterations) == pytest.approx(call_s)


def test_where_other_work_is_too_short_there_is_more_of_it():
    assert MadeUpQueue(2e-6, 7e-5, work_s=1e-3).seconds(1000) == pytest.approx(2e-6)


def test_where_calls_cannot_be_handed_over_in_time_nothing_is_told():
    assert MadeUpQueue(2e-6, 1e-3).seconds(1000) is None


class MadeUpDriver:
    """libcuda, with a cache of 60 MB; `fails` names what returns an error."""

    def __init__(self, fails=""):
        self.fails = fails

    def __getattr__(self, name):
        def call(*arguments):
            if name == self.fails:
                return 100
            if name == "cuDeviceGetAttribute":
                found, attribute, _ = arguments
                assert attribute == 38
                ctypes.cast(found, ctypes.POINTER(ctypes.c_int))[0] = 62_914_560
            return 0

        return call


def test_the_driver_tells_the_cache():
    assert driver.cache_bytes(lambda name: MadeUpDriver()) == 62_914_560


def test_the_driver_is_asked_of_the_device_of_that_number():
    class Second(MadeUpDriver):
        def cuDeviceGet(self, device, index):  # noqa: N802 - the driver's name
            return 0 if index == 1 else 101

    assert driver.cache_bytes(lambda name: Second(), index=1) == 62_914_560
    assert driver.cache_bytes(lambda name: Second()) is None


@pytest.mark.parametrize("fails", ["cuInit", "cuDeviceGet", "cuDeviceGetAttribute"])
def test_a_driver_that_fails_tells_nothing(fails):
    assert driver.cache_bytes(lambda name: MadeUpDriver(fails)) is None


def test_without_a_driver_the_cache_is_unknown():
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    assert driver.cache_bytes(missing) is None


def test_what_xla_plans_counts_outputs_and_temporaries():
    """On the host's XLA: that a GPU's plans read alike is not shown here."""
    import jax
    import jax.numpy as jnp

    from backends.jax.backend import _planned_bytes

    x = jnp.ones(1000, jnp.float32)
    assert _planned_bytes(partial(jax.jit(jnp.negative), x)) == 4000
    assert _planned_bytes(lambda: x) is None
    assert _planned_bytes(partial(jnp.shape, x)) is None
