"""What JAX is asked on a device, asked of its CPU under a device's name: this shows that the calls fit JAX's own.

None of it shows what a GPU answers.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from backends.interface import BackendUnavailable, NotSupported

jax = pytest.importorskip("jax")
backend = importlib.import_module("backends.jax.backend")


@pytest.fixture
def renamed(monkeypatch):
    """Return JAX on the CPU, under the name of a device."""
    monkeypatch.setattr(backend, "SQUARE", 256)
    return backend.JaxBackend("jax", "cuda", 1, jax.devices("cpu")[0])


def test_copies_are_made_where_the_device_is(renamed):
    copy = renamed.copier(4096)
    assert renamed.to_numpy(copy()).tolist() == [-1.0] * 1024


@pytest.mark.parametrize("pinned", [False, True])
def test_transfers_take_time_both_ways_and_pinned_ones_may_not_be_offered(renamed, pinned):
    found = renamed.transfer_seconds(2**20, pinned=pinned)
    assert min(found) > 0 if found else pinned
    assert renamed.transfer_seconds(0, pinned=pinned) is not None or pinned


def test_the_time_of_a_long_call_is_its_own_or_not_known(renamed):
    x = renamed.asarray(np.ones(2**22), "float32")
    found = renamed.device_seconds(renamed.bind("tanh", x), 3)
    assert found is None or 1e-5 < found < 1


@pytest.mark.parametrize(("mode", "outputs"), [("forward", 1), ("backward", 1), ("forward+backward", 2)])
def test_the_peak_of_a_call_is_at_least_its_outputs(renamed, mode, outputs):
    x = renamed.asarray(np.ones(1000), "float32")
    g = None if mode == "forward" else renamed.asarray(np.ones(1000), "float32")
    assert renamed.peak_bytes(renamed.bind("sigmoid", x, mode=mode, cotangent=g)) >= 4000 * outputs


def test_the_host_is_asked_nothing():
    host = backend.JaxBackend("jax", "cpu", 1, jax.devices("cpu")[0])
    assert (host.copier(8), host.transfer_seconds(8, pinned=False), host.cache_bytes()) == (None, None, None)
    assert (host.device_seconds(lambda: None, 1), host.peak_bytes(lambda: None)) == (None, None)
    assert host.free_bytes() is None


def test_one_of_several_devices_is_opened_and_one_too_many_is_refused(monkeypatch):
    here = jax.devices("cpu")[0]
    monkeypatch.setattr(backend.jax, "devices", lambda kind: ["the first", here] if kind == "cuda" else [here])
    there = backend.create("jax", "cuda:1", None)
    assert (there.device, there._device) == ("cuda:1", here)
    with pytest.raises(BackendUnavailable, match="JAX finds no device 'cuda:2': the last of 2 is cuda:1"):
        backend.create("jax", "cuda:2", None)


def test_it_says_whose_graphs_there_are(renamed):
    with pytest.raises(NotSupported, match="XLA makes graphs \\(command buffers\\) itself"):
        renamed.captured(lambda: lambda: None)
