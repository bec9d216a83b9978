"""What processes of ours find, wherever they are started."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

import backends
import backends.base
from benchmarks import processes
from tests.job import ROOT


def entries():
    return processes.environment()["PYTHONPATH"].split(os.pathsep)


def test_our_packages_are_found_and_the_current_folder_is_not_searched(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert entries() == [str(ROOT)]
    assert processes.environment()["PYTHONSAFEPATH"] == "1"
    assert "-P" in processes.command("x")


@pytest.mark.parametrize(("file", "is_on_the_path"), [("x_backend.py", True), ("numpy.py", False)])
def test_a_folder_called_backends_is_on_the_path_if_it_holds_one(file, is_on_the_path, tmp_path, monkeypatch):
    (tmp_path / "backends").mkdir()
    (tmp_path / "backends" / file).touch()
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path / "backends")])
    assert (str(tmp_path) in entries()) == is_on_the_path


def test_our_folder_backends_is_not_on_the_path_itself(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'backends'}{os.pathsep}/somewhere")
    assert entries() == [str(ROOT), "/somewhere"]


def test_no_installed_package_comes_before_the_standard_library(monkeypatch, tmp_path):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(processes, "ROOT", tmp_path / "site-packages")
    assert entries() == [""]


def test_an_alias_gives_the_same_modules_and_leaves_them_as_they_are(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    processes.answer_to("another_name", "backends")
    processes.answer_to("another_name", "backends")
    assert sum(isinstance(each, processes._Alias) for each in sys.meta_path) == 1
    try:
        assert importlib.import_module("another_name.base") is backends.base
        assert importlib.import_module("another_name") is backends
        assert backends.base.__spec__.name == backends.base.__name__ == "backends.base"
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("another_name.nothing")
    finally:
        for name in [name for name in sys.modules if name.startswith("another_name")]:
            del sys.modules[name]


def test_a_name_is_no_alias_of_itself():
    before = list(sys.meta_path)
    processes.answer_to("backends", "backends")
    assert sys.meta_path == before
