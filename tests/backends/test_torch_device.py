"""What PyTorch's backend says and asks of a device that is not here: made-up answers, and no GPU."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from backends.interface import BackendUnavailable

torch = pytest.importorskip("torch")
backend = importlib.import_module("backends.torch.backend")


@pytest.mark.parametrize(
    ("cuda", "hip", "told"),
    [("13.0", None, "CUDA 13.0"), (None, "6.2.4", "ROCm 6.2.4"), (None, None, "the CPU alone")],
)
def test_what_it_is_built_for_is_told_where_there_is_no_device(monkeypatch, cuda, hip, told):
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", hip, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailable, match=rf"torch: PyTorch finds no CUDA device \(built for {told}\)"):
        backend.create("torch", "cuda", None)


def test_settings_say_where_the_device_is_amds(monkeypatch):
    assert "built for" not in backend.TorchBackend("torch", "cpu", 1).settings()
    monkeypatch.setattr(torch.version, "hip", "6.2.4", raising=False)
    assert backend.TorchBackend("torch", "cuda", 1).settings().startswith("built for ROCm 6.2.4, ")


def test_compiling_for_a_gpu_takes_triton_and_a_c_compiler(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match="needs the package triton"):
        backend._require_triton("torch-compile")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(backend.shutil, "which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BackendUnavailable, match="needs a C compiler"):
        backend._require_triton("torch-compile")
    monkeypatch.setenv("CC", "icx")
    backend._require_triton("torch-compile")


def test_what_is_kept_and_not_used_is_free_and_given_back(monkeypatch):
    asked = []
    cuda = SimpleNamespace(
        memory_reserved=lambda: 500,
        memory_allocated=lambda: 200,
        mem_get_info=lambda: (1000, 8000),
        empty_cache=lambda: asked.append("empty_cache"),
    )
    monkeypatch.setattr(backend.torch, "cuda", cuda)
    there, host = (backend.TorchBackend("torch", device, 1) for device in ("cuda", "cpu"))
    assert (there.free_bytes(), host.free_bytes()) == (1300, None)
    there.release_memory()
    host.release_memory()
    assert asked == ["empty_cache"]
    assert host.transfer_seconds(8, pinned=False) is None


def test_one_of_several_gpus_is_opened_and_one_too_many_is_refused(monkeypatch):
    opened = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 2,
        set_device=opened.append,
        synchronize=lambda: opened.append("waited"),
    )
    monkeypatch.setattr(backend.torch, "cuda", cuda)
    monkeypatch.setattr(backend.torch, "zeros", lambda n, device: opened.append(device))
    there = backend.create("torch", "cuda:1", None)
    assert (there.device, opened) == ("cuda:1", [1, "cuda", "waited"])
    there.synchronize()
    assert opened[3:] == ["waited"]
    with pytest.raises(BackendUnavailable, match="torch: PyTorch finds no cuda:2; the last of 2 is cuda:1"):
        backend.create("torch", "cuda:2", None)
