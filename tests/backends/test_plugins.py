"""What installed packages add by entry points: found without an import, and in the way of nothing of ours."""

from __future__ import annotations

import sys

import pytest

import backends
from backends import plugins
from backends.catalogue import OPS

BACKEND = """
PACKAGE = "numpy"
EXTRA = ""
DEVICES = ("cpu",)
VARIANTS = ("{name}",)


def create(variant, device, threads):
    return variant
"""
SPEC = """
from activation_bench import Budget, activation

{name} = activation(
    "{op}", "Third power", lambda m, x: 3 * x**2, formula="x**3", source="a test",
    definition=lambda m, x: x**3, budget=Budget(4, 4, "two products"), aliases=("{alias}",),
)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package `cubes` with these modules and entry points."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_entries", plugins._entries.__wrapped__)

    def installed(group, value, **modules):
        about = tmp_path / "cubes-1.0.dist-info"
        for folder in (about, tmp_path / "cubes"):
            folder.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: cubes\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[{group}]\ncube = {value}\n")
        for name, text in {"__init__": "", **modules}.items():
            (tmp_path / "cubes" / f"{name}.py").write_text(text)

    yield installed
    for name in [name for name in sys.modules if name.partition(".")[0] == "cubes"]:
        del sys.modules[name]


def test_a_backend_of_an_installed_package_is_known_without_an_import(install):
    install(plugins.BACKENDS, "cubes.fast", fast=BACKEND.format(name="cube"))
    assert "cube" in backends.names()
    assert next(iter(backends.names())) == "numpy"
    assert "cubes" not in sys.modules
    assert backends.load("cube") == "cube"


@pytest.mark.parametrize(
    ("value", "source", "reason"),
    [
        ("cubes.slow", "", "the entry point cube of cubes names it, and there is no such module"),
        (
            "cubes.fast",
            BACKEND.format(name="numpy"),
            "the entry point cube of cubes declares numpy, which another",
        ),
        ("cubes.fast", "PACKAGE = 'numpy'\n", "it does not declare EXTRA, DEVICES, VARIANTS"),
    ],
)
def test_what_is_no_backend_is_passed_over_and_hides_none(value, source, reason, install):
    before = backends.names(on_request=True)
    install(plugins.BACKENDS, value, fast=source)
    assert backends.names(on_request=True) == before
    ((path, said),) = backends.passed_over().items()
    assert path.name == f"{value.rpartition('.')[2]}.py"
    assert said.startswith(reason)


@pytest.mark.parametrize("value", ["cubes.ops", "cubes.ops:CUBE", "cubes.ops:OPS"])
def test_ops_of_an_installed_package_are_found(value, install):
    install(plugins.OPS, value, ops=SPEC.format(name="CUBE", op="cube", alias="third") + "OPS = [CUBE]\n")
    (spec,), reasons = plugins.ops(OPS)
    assert (spec.name, spec.aliases, reasons) == ("cube", ("third",), {})


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("", "AttributeError: module 'cubes.ops' has no attribute 'OPS'"),
        ("OPS = [1]\n", "TypeError: cubes.ops: must be an OpSpec, or several; got 1"),
        (SPEC.format(name="OPS", op="relu", alias="x"), "there is another op called relu"),
        (SPEC.format(name="OPS", op="x", alias="relu"), "there is another op called relu"),
    ],
)
def test_ops_that_cannot_be_had_are_passed_over_with_the_reason(source, reason, install):
    install(plugins.OPS, "cubes.ops", ops=source)
    assert plugins.ops(OPS) == ([], {"the entry point cube of cubes": reason})
