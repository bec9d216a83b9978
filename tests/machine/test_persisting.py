"""What CUDA's driver is asked for, here of a made-up one: none of this shows that a GPU's cache forgets."""

from __future__ import annotations

import pytest

from benchmarks.machine import persisting


class MadeUpDriver:
    """libcuda, with two devices; `fails` names what returns an error."""

    def __init__(self, fails=""):
        self.fails, self.asked = fails, []

    def __getattr__(self, name):
        def call(*arguments):
            self.asked.append(name)
            if name == "cuDeviceGet":
                self.index = arguments[1]
            return 101 if name == self.fails else 0

        return call


def test_persisting_lines_are_undone_in_the_context_that_frameworks_share():
    driver = MadeUpDriver()
    assert persisting.undoing("cuda:1", lambda name: driver)()
    assert driver.index == 1
    assert driver.asked == [
        *("cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2"),
        *("cuCtxResetPersistingL2Cache", "cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"),
    ]


@pytest.mark.parametrize(
    ("fails", "n_asked"),
    [
        ("cuInit", 1),
        ("cuDevicePrimaryCtxRetain", 3),
        ("cuCtxPushCurrent_v2", 5),
        ("cuCtxResetPersistingL2Cache", 7),
    ],
)
def test_a_driver_that_fails_says_so_and_leaves_no_context_behind(fails, n_asked):
    driver = MadeUpDriver(fails)
    assert not persisting.undoing("cuda", lambda name: driver)()
    assert len(driver.asked) == n_asked


def test_where_there_is_nothing_to_ask_there_is_no_call():
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    class Older:
        """A driver before CUDA 11."""

    assert persisting.undoing("cuda", missing) is None
    assert persisting.undoing("cuda", lambda name: Older()) is None
    assert persisting.undoing("cpu", lambda name: MadeUpDriver()) is None
