"""Imports point one way, and only backend modules know a framework."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"jax", "jaxlib", "numba", "torch"}
MODULES = sorted([*(ROOT / "backends").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), ROOT / "conftest.py"])


def imports(path):
    """All absolute names that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_of(path):
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_imports_only_what_it_may(path):
    name, imported = name_of(path), imports(path)
    roots = {module.partition(".")[0] for module in imported}
    # torch has a timer of its own, beside which ours is validated.
    if name != "benchmarks.validation.agreement" and not (
        name.startswith("backends.") and any(part in name for part in ("jax", "numba", "torch"))
    ):
        assert not roots & FRAMEWORKS, "only a backend's own modules import its framework"
    if name.startswith("backends"):
        assert "benchmarks" not in roots, "backends do not know how they are measured"
    if name.endswith("_backend"):
        others = {module for module in imported if module.endswith("_backend")}
        assert not others, "backend modules do not import each other"
    if name.startswith(("benchmarks.analysis", "benchmarks.report")):
        assert "backends" not in roots, "analysis and report read records only"
    if name == "backends.interface":
        assert not roots & {"numpy", "backends"}
    if name.startswith("backends.catalogue"):
        assert "numpy" not in roots


@pytest.mark.parametrize("path", [p for p in MODULES if "backends" not in p.parts], ids=name_of)
def test_no_backend_is_named_in_the_code_outside_backends(path):
    """Data (the known deviations) and the report's baseline may name one; conditions may not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            constants = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}
            assert not constants & {"numpy", "numba", "numba-parallel", "jax", "torch"}, ast.unparse(node)
