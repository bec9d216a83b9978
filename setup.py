"""How the checkout becomes a wheel: its two folders move into one package, whose name no other project has.

A checkout has the packages `backends` and `benchmarks` and the module `activation_bench`, and so has an editable
installation. In a wheel they are `activation_bench.backends`, `activation_bench.benchmarks` and `activation_bench`
itself, so that a project with a folder `benchmarks/` of its own can install it. The statements that import one of
the two folders are rewritten on the way, and nothing else is: all other text that names a module is made from
`__package__`, and what is not stops the build. Everything else stands in pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

PACKAGE = "activation_bench"
FOLDERS = ("backends", "benchmarks")
CHECKOUT = find_packages(str(Path(__file__).parent), include=[f"{folder}*" for folder in FOLDERS])
"""The packages under the names that they have in the checkout."""

_SETTINGS = re.compile(r"^\[tool\.pytest\.ini_options\]\n(?:(?!\[).*\n)*", re.MULTILINE)
"""The table of pyproject.toml that `activation-bench run` brings with it."""
_NAMES = "|".join(FOLDERS)
_MODULE = re.compile(rf"(?:{_NAMES})(?:\.\w*)+|.*\b(?:from|import)\s+(?:{_NAMES})\b.*", re.DOTALL)
"""Text that names a module of a folder, or holds code that imports one."""


def renamed(source: str, where: str) -> str:
    """Return a module with its imports of the two folders as they are in the wheel.

    Raises ValueError for what names a module in a way that is not rewritten.
    """
    tree = ast.parse(source)
    _refuse_names_in_text(tree, where)
    lines = source.split("\n")
    # From the end, so that what is still to be changed stays where it is.
    for node in sorted(_imports(tree), key=lambda node: (node.lineno, node.col_offset), reverse=True):
        line, column = lines[node.lineno - 1], _column(lines[node.lineno - 1], node.col_offset)
        lines[node.lineno - 1] = line[:column] + _as_in_the_wheel(node, line[column:], where)
    return "\n".join(lines)


def _imports(tree: ast.Module) -> Iterator[ast.ImportFrom | ast.alias]:
    """Yield what imports from one of the folders: a `from`, or one name of an `import`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            yield node
        elif isinstance(node, ast.Import):
            yield from (alias for alias in node.names if _is_ours(alias.name))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in FOLDERS


def _as_in_the_wheel(node: ast.ImportFrom | ast.alias, rest: str, where: str) -> str:
    """Return the rest of a line, which begins with `node`."""
    if isinstance(node, ast.ImportFrom):
        return re.sub(r"^from\s+", f"from {PACKAGE}.", rest)
    if "." in node.name and not node.asname:
        raise ValueError(f"{where}, line {node.lineno}: import {node.name}: write `from ... import` or `as`")
    name = node.name if node.asname else f"{node.name} as {node.name}"
    return f"{PACKAGE}.{name}{rest.removeprefix(node.name)}"


def _column(line: str, offset: int) -> int:
    """Return the index of what lies `offset` bytes, as an AST counts, from the start of a line."""
    return len(line.encode()[:offset].decode())


def _refuse_names_in_text(tree: ast.Module, where: str) -> None:
    """Raise ValueError for text that names a module, documentation apart: in the wheel it would be wrong."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in documentation or not isinstance(node.value, str):
            continue
        if _MODULE.fullmatch(node.value):
            raise ValueError(
                f"{where}, line {node.lineno}: {node.value!r}: make the module's name from __package__"
            )


class BuildRenamed(build_py):
    """Copies modules as they are in the wheel."""

    def run(self) -> None:
        """Copy the modules, what else is in the packages, and the settings of pytest."""
        if self.editable_mode:
            return
        built = Path(self.build_lib)
        for stale in (PACKAGE, *FOLDERS):
            shutil.rmtree(built / stale, ignore_errors=True)
        super().run()
        (found,) = _SETTINGS.findall(Path("pyproject.toml").read_text(encoding="utf-8"))
        settings = re.sub(rf'"((?:{_NAMES})\.[\w.]+)"', rf'"{PACKAGE}.\1"', found)
        (built / PACKAGE / "pyproject.toml").write_text(settings, encoding="utf-8")
        (built / PACKAGE / "py.typed").touch()

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return the modules of a package: the top one has a single module, which is its `__init__`."""
        if package == PACKAGE:
            return [(package, "__init__", f"{PACKAGE}.py")]
        return list(super().find_package_modules(package, package_dir))

    def build_module(self, module: str, module_file: str, package: str | tuple[str, ...]) -> tuple[str, bool]:
        """Copy one module."""
        made: tuple[str, bool] = super().build_module(module, module_file, package)
        source = Path(module_file).read_text(encoding="utf-8")
        Path(made[0]).write_text(renamed(source, module_file), encoding="utf-8")
        return made


class EditableAsItIs(editable_wheel):
    """Leaves the packages where they are, under the names that they have there."""

    def finalize_options(self) -> None:
        """Name what the checkout has."""
        self.distribution.packages = CHECKOUT
        self.distribution.package_dir = {}
        self.distribution.py_modules = [PACKAGE]
        super().finalize_options()


if __name__ == "__main__":
    setup(
        packages=[PACKAGE, *(f"{PACKAGE}.{name}" for name in CHECKOUT)],
        package_dir={PACKAGE: "."},
        package_data={"": ["templates/*"]},
        cmdclass={"build_py": BuildRenamed, "editable_wheel": EditableAsItIs},
    )
