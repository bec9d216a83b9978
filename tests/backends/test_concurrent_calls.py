"""Threads that make one bound call at once: each gets what it would get alone, or is told that it cannot."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest

import backends
from backends.catalogue import OPS
from backends.numpy.blocks import shareable
from benchmarks.plan import inputs
from tests.everyday import KINDS

THREADS = 4
CALLS = 8
"""Of each thread."""
SHAPES = ((60, 50), (300, 400))
"""In one of NumPy's blocks, and in several."""


@pytest.fixture(autouse=True)
def _eager_to_switch():
    """Let Python change threads a thousand times as often as it does by itself."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(usual)


def load(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    return backends.load(name)


def at_once(run):
    """Return the results of several threads that call at once, each several times."""
    barrier = Barrier(THREADS)

    def calls():
        barrier.wait()
        return [run() for _ in range(CALLS)]

    with ThreadPoolExecutor(THREADS) as pool:
        return [result for each in [pool.submit(calls) for _ in range(THREADS)] for result in each.result()]


@pytest.mark.parametrize(
    ("name", "op"), [(name, op) for name in backends.names() for op in (OPS if name == "numpy" else sorted(KINDS))]
)
def test_threads_may_share_a_fresh_call(name, op):
    b = load(name)
    for shape in SHAPES:
        for mode in ("forward", "backward"):
            run = b.bind(op, *inputs.draw(op, shape, "float32"), mode=mode)
            expected = b.to_numpy(run())
            for result in at_once(run):
                np.testing.assert_array_equal(b.to_numpy(result), expected)


@pytest.mark.parametrize("out", [None, np.zeros(3)], ids=["fresh", "reuse"])
def test_who_finds_the_scratch_in_use_gets_other_unless_the_output_is_shared_too(out):
    entered, leave, made = Event(), Event(), []

    def bind(x, out=None):
        made.append(x)
        is_first = len(made) == 1

        def run():
            if is_first:
                entered.set()
                assert leave.wait(10)
            return x

        return run

    run = shareable(bind, quiet=False)(np.ones(3), out=out)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run)
        assert entered.wait(10)
        try:
            if out is None:
                assert run() is made[1]
            else:
                with pytest.raises(RuntimeError, match=r"another thread is in this call.*: bind one for each"):
                    run()
        finally:
            leave.set()
        assert other.result(10) is made[0]
    assert run() is made[0], "and it is free again"


@pytest.mark.parametrize("quiet", [False, True])
def test_an_error_of_a_kernel_is_its_own(quiet):
    def fail():
        raise RuntimeError("the kernel's own")

    run = shareable(lambda *arrays: fail, quiet=quiet)(np.ones(3))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the kernel's own"):
            run()
