"""The checks of a device, on a made-up one: none of this shows that a GPU passes them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from benchmarks.machine import gpus
from benchmarks.machine.gpus import Gpu, Load
from benchmarks.measure.devices import Clock, Transfers
from benchmarks.measure.pool import CaseError
from benchmarks.validation import device
from benchmarks.validation.device import NO, UNKNOWN, YES, Checks

GPU = Gpu("made up", "1", None, None, None, "", "", None, (), memory_bytes=2**34, nominal_gb_s=4917.0)


class MadeUpPool:
    """Answers as `answers` says by method; an exception is raised."""

    def __init__(self, graphs=None, **answers):
        self.graphs = graphs
        usual = {
            "prepare": None,
            "release": None,
            "rounds": [5e-3] * 5,
            "device_seconds": Clock(9.9e-4, 9.8e-4, 1e-3),
            "copy_seconds": [n / 4.2e12 for n in device.DEVICE_LADDER],
            "read_seconds": [n / 4.5e12 for n in device.DEVICE_LADDER],
            "settings": "tf32=False",
            "transfers": Transfers(0.1, 0.2, 0.01, 0.02),
            "free_bytes": 2**34,
            "take": CaseError("out_of_memory", "CUDA out of memory"),
        }
        self.answers = usual | answers

    def facts(self, backend, place):
        return SimpleNamespace(settings=self.answers["settings"])

    def call(self, backend, place, method, *arguments):
        answer = self.answers[method]
        if method == "prepare" and arguments[0].launch == "graph" and self.graphs:
            raise self.graphs
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def checked(monkeypatch):
    """Return what the checks find on a made-up device: how each of them holds, by its name."""

    def check(used=(0, 2**29), gpu=GPU, **answers):
        loads = [None if used is None else Load(None, (), None, None, each) for each in used or (0, 0)]
        monkeypatch.setattr(gpus, "load", lambda at=0: loads.pop(0))
        monkeypatch.setattr(gpus, "gpus", lambda: [gpu] if gpu else None)
        return {each.check: each for each in Checks(MadeUpPool(**answers), "cuda").of("torch")}

    return check


def test_a_device_as_it_should_be_holds_everywhere(checked):
    found = checked()
    assert {each.holds for each in found.values()} == {YES}
    assert "1.010 times as long" in found["host and device clock"].found
    assert "85 % of 4,917" in found["copies"].found
    assert found["transfers, pinned"].found == "26.8 GB/s there, 13.4 back"


@pytest.mark.parametrize(
    ("check", "facts"),
    [
        ("memory at start", {"used": (0, 60 * 2**30)}),  # three quarters of the device taken at once
        ("host and device clock", {"rounds": [5.5e-3] * 5}),
        ("copies", {"copy_seconds": [n / 2e12 for n in device.DEVICE_LADDER]}),
        ("copies", {"copy_seconds": [n / 6e12 for n in device.DEVICE_LADDER]}),  # more than it is built for
        ("reads", {"read_seconds": [n / 2e12 for n in device.DEVICE_LADDER]}),
        ("cold calls", {"device_seconds": Clock(4e-6, 4e-6, 4e-6)}),  # 8,400 GB/s: from the cache
        ("persisting lines", {"settings": "tf32=False, persisting_lines=kept"}),
        ("graphs", {"graphs": CaseError("failed", "CUDA error: an illegal memory access was encountered")}),
        ("out of memory", {"take": None}),
        ("out of memory", {"take": CaseError("failed", "RuntimeError: no")}),
        ("transfers, pinned", {"transfers": CaseError("crashed", "it is gone")}),
    ],
)
def test_what_does_not_hold_is_named(checked, check, facts):
    assert checked(**facts)[check].holds == NO


@pytest.mark.parametrize(
    ("check", "facts"),
    [
        ("memory at start", {"used": None}),
        ("host and device clock", {"device_seconds": None}),
        ("copies", {"gpu": None}),
        ("reads", {"gpu": None}),
        ("cold calls", {"device_seconds": None}),
        ("graphs", {"graphs": CaseError("unavailable", "it captures no graphs of its calls")}),
        ("out of memory", {"free_bytes": None}),
        ("transfers, pinned", {"transfers": Transfers(0.1, 0.2, None, None)}),
    ],
)
def test_what_cannot_be_told_is_no_failure(checked, check, facts):
    assert checked(**facts)[check].holds == UNKNOWN


def test_a_check_that_fails_leaves_the_others(checked):
    found = checked(prepare=CaseError("failed", "RuntimeError: out of luck\nand more"))
    assert found["host and device clock"].found == "failed: RuntimeError: out of luck"
    assert found["transfers, pageable"].holds == YES


def test_findings_are_written_too(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "load", lambda: None)
    monkeypatch.setattr(device, "places", lambda place: [])
    table = device.table("cuda", 1, tmp_path / "checks.json")
    assert table["holds"].tolist() == [UNKNOWN]
    assert json.loads((tmp_path / "checks.json").read_text())[0]["check"] == "telemetry"
