"""The package that is built of the two folders, and the module that stands for it in a checkout."""

from __future__ import annotations

import importlib.util
import sys
import tomllib

import pytest

import activation_bench
import backends.interface
from tests.job import ROOT


@pytest.fixture(scope="module")
def built():
    """Return setup.py as a module."""
    spec = importlib.util.spec_from_file_location("built", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "wheel"),
    [
        ("import backends\n", "import activation_bench.backends as backends\n"),
        ("import os, backends\n", "import os, activation_bench.backends as backends\n"),
        ("import backends.base as b\n", "import activation_bench.backends.base as b\n"),
        ("from backends import base\n", "from activation_bench.backends import base\n"),
        ("from benchmarks import (\n  a,\n)\n", "from activation_bench.benchmarks import (\n  a,\n)\n"),
        ("if 1: 'ü'; from backends import a\n", "if 1: 'ü'; from activation_bench.backends import a\n"),
        ("import backends_of_others\n", "import backends_of_others\n"),
        ('"""As `from backends import base` does."""\n', '"""As `from backends import base` does."""\n'),
        ('name = f"{__package__}.worker"\n', 'name = f"{__package__}.worker"\n'),
    ],
)  # fmt: skip
def test_imports_of_the_folders_are_rewritten_and_nothing_else(source, wheel, built):
    assert built.renamed(source, "x.py") == wheel


@pytest.mark.parametrize(
    "source",
    [
        "import backends.base\n",
        "name = 'backends.base'\n",
        "name = f'benchmarks.commands.{command}'\n",
        "code = 'import sys; from backends import load'\n",
        "code = '''\nimport backends\n'''\n",
    ],
)
def test_what_would_name_a_module_wrongly_stops_the_build(source, built):
    with pytest.raises(ValueError, match=r"x\.py, line 1"):
        built.renamed(source, "x.py")


def test_the_settings_of_a_run_are_those_of_the_checkout(built):
    (table,) = built._SETTINGS.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert tomllib.loads(table)["tool"]["pytest"] == project()["tool"]["pytest"]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_option_enters_the_tests_of_others():
    """A pytest plugin that is an entry point would be loaded by every pytest in the environment."""
    assert "entry-points" not in project()["project"]


def test_each_name_for_programs_is_there_and_imported_when_it_is_used():
    assert set(activation_bench._HOMES) <= set(activation_bench.__all__) <= set(dir(activation_bench))
    assert activation_bench.OpSpec is backends.interface.OpSpec
    for name in set(activation_bench.__all__) - {"backends"}:
        assert callable(getattr(activation_bench, name))
    with pytest.raises(AttributeError, match="module 'activation_bench' has no attribute 'nothing'"):
        activation_bench.nothing


def test_the_script_runs_the_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/somewhere/activation-bench", "recommend", "--help"])
    with pytest.raises(SystemExit, match="0"):
        activation_bench.main()
    text = capsys.readouterr().out
    assert "usage: activation-bench recommend" in text
    assert "python -m" not in text
