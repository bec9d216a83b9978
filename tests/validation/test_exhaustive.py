"""The survey of every float32: it covers all, finds one wrong number, and blames nobody for the ruler's errors."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.plan.selection import CHECKED_MODES
from benchmarks.record.schema import Check
from benchmarks.validation import exhaustive

pytest.importorskip("numba")

STRIDE = 1_048_583
"""A prime: 4,096 bit patterns go through all exponents."""
SIGMOID = Check(op="sigmoid", mode="forward", dtype="float32", backend="numba", device="cpu")


def test_it_covers_every_number_once():
    blocks = list(exhaustive._blocks(1))
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    assert (blocks[0].start, blocks[-1].stop, {block.step for block in blocks}) == (0, 2**32, {1})
    assert [bits for block in exhaustive._blocks(2**29 + 1) for bits in block][:3] == [0, 2**29 + 1, 2**30 + 2]


@pytest.mark.parametrize("mode", CHECKED_MODES)
@pytest.mark.parametrize("op", ["sigmoid", "gelu", "relu"])
def test_our_kernels_hold(op, mode):
    found = exhaustive.table([op], [mode], ["numpy", "numba"], STRIDE)
    assert found["holds"].tolist() == ["yes", "yes"], found.to_dict("records")
    assert (found["the ruler is off by"].astype(float) < 1e-6).all()


@pytest.mark.parametrize(("off", "status"), [(30, "failed"), (2, "ok")])
def test_the_number_that_is_farthest_off_is_found(monkeypatch, off, status):
    right = exhaustive.computed

    def wrong(backend, check, x):
        found = right(backend, check, x).copy()
        if x.dtype == np.float32:
            found[2000] += np.float32(off * np.spacing(found[2000]))
        return found

    monkeypatch.setattr(exhaustive, "computed", wrong)
    found = exhaustive.survey(SIGMOID, STRIDE)
    at = np.array([2000 * STRIDE], np.uint32).view(np.float32)[0]
    assert (found.verdict.status, found.at) == (status, at)
    assert found.error == pytest.approx(off, abs=1)
    holds = exhaustive.table(["sigmoid"], ["forward"], ["numba"], STRIDE)["holds"].tolist()
    assert holds == ["yes" if status == "ok" else "no"]


def test_nobody_is_blamed_for_the_ruler(monkeypatch):
    right = exhaustive.computed

    def bent(backend, check, x):
        found = right(backend, check, x)
        return found if x.dtype == np.float32 else found * (1 + 1e-5)

    monkeypatch.setattr(exhaustive, "computed", bent)
    found = exhaustive.survey(SIGMOID, STRIDE)
    assert found.verdict.status == "ok"
    assert found.ruler_error > 10
