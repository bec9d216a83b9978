"""The host: equal machines are told apart, and nobody learns what they are called."""

from __future__ import annotations

import hashlib
import socket

import pytest

from benchmarks.machine import host

MACHINE_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def named(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: "node7")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "machine-id").write_text(f"{MACHINE_ID}\n")
    return tmp_path / "root"


def test_a_host_is_the_same_in_every_run_whatever_its_results_folder(root, tmp_path):
    found = host.identity(None, tmp_path / "a", root)
    assert found == host.identity(None, tmp_path / "b", root)
    assert not (tmp_path / "a").exists(), "a machine with an id of its own needs no key"


def test_equal_machines_are_told_apart_by_their_names_and_by_their_ids(root, tmp_path, monkeypatch):
    first = host.identity(None, tmp_path, root)
    monkeypatch.setattr(socket, "gethostname", lambda: "node8")
    second = host.identity(None, tmp_path, root)
    (root / "etc" / "machine-id").write_text("f" * 32)
    assert len({first, second, host.identity(None, tmp_path, root)}) == 3


def test_the_name_cannot_be_looked_up_without_the_key(root, tmp_path):
    found = host.identity(None, tmp_path, root)
    assert "node7" not in found
    for text in ("node7", "activation-bench node7"):
        assert not hashlib.sha256(text.encode()).hexdigest().startswith(found)


@pytest.mark.parametrize("content", [None, "", "uninitialized\n"])
def test_a_machine_without_an_id_gets_a_key_that_stays_in_the_results(root, tmp_path, content):
    path = root / "etc" / "machine-id"
    path.unlink() if content is None else path.write_text(content)
    first = host.identity(None, tmp_path / "results", root)
    assert first == host.identity(None, tmp_path / "results", root)
    assert first != host.identity(None, tmp_path / "others", root)
    assert (tmp_path / "results" / host.KEY).stat().st_mode & 0o777 == 0o600


def test_without_a_place_for_a_key_the_host_is_not_known(root, tmp_path):
    (root / "etc" / "machine-id").unlink()
    (tmp_path / "file").write_text("")
    assert host.identity(None, tmp_path / "file", root) is None


def test_a_name_that_is_another_each_time_says_nothing(root, tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert host.identity(None, tmp_path, root) is None
    monkeypatch.setenv("CI", "")
    monkeypatch.setattr(socket, "gethostname", lambda: "3f2a9c0d1b7e")
    assert host.identity(None, tmp_path, root) is None


def test_a_name_that_is_given_counts_and_none_leaves_it_out(root, tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert host.identity("pool", tmp_path, root) == "pool"
    assert host.identity(host.NONE, tmp_path, root) is None
