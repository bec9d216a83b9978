"""The names that programs import, each with its signature and its docstring, read from the sources.

They are read, and not imported: what they need would take seconds, and their room lies below this one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.reference import markdown

_WIDTH = 100
"""Longer signatures get a line for each argument."""

Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Part:
    """Names of one module under one heading.

    `called` has those that programs know by another name, `package` is where they find them.
    """

    title: str
    module: str
    names: tuple[str, ...]
    package: str = ""
    called: Mapping[str, str] | None = None


PARTS = (
    Part("Measure and ask", "benchmarks/api.py", ("measure", "load", "recommend", "Result", "RunFailed")),
    Part("Check a function", "benchmarks/api.py", ("check", "Checked")),
    Part("The lines that call a backend", "backends/calling.py", ("lines",), called={"lines": "call_lines"}),
    Part("Find a backend", "backends/__init__.py", ("load", "names", "available", "missing"), "backends"),
    Part("Use a backend", "backends/base.py", ("BaseBackend",)),
    Part("A backend of NumPy arrays", "backends/host.py", ("HostBackend", "reduced", "share")),
    Part("Declare an op", "backends/interface.py", ("OpSpec", "Input", "Parameter", "Budget", "Gap")),
    Part("Declare an activation", "backends/catalogue/activations.py", ("activation",)),
)
"""All that `activation_bench` offers, but for its command."""


def pages(parts: Sequence[Part] = PARTS) -> str:
    """Return a section for each part, with an entry for each name."""
    sections = ("\n\n".join([f"## {part.title}", *_entries(part)]) for part in parts)
    return "\n" + "\n\n".join(sections) + "\n"


def _entries(part: Part) -> Iterator[str]:
    found = {node.name: node for node in _definitions(processes.HOME / part.module)}
    for name in part.names:
        shown = ".".join(filter(None, [part.package, (part.called or {}).get(name, name)]))
        yield _entry(shown, found[name])
        if isinstance(node := found[name], ast.ClassDef):
            yield from _members(node)


def _definitions(path: Path) -> Iterator[Definition]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))


def _entry(name: str, node: Definition) -> str:
    return f"### `{name}`\n\n```text\n{_signature(name, node)}\n```\n\n{_told(node)}"


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Yield one list of a class's public methods and properties."""
    rows = []
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
            called = each.name if _is_property(each) else f"{each.name}({_arguments(each, ', ')})"
            rows.append(f"- `{called}`: {' '.join(_told(each).split())}")
    if rows:
        yield "\n".join(rows)


def _is_property(node: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(each) for each in node.decorator_list)


def _signature(name: str, node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        return _fitted(name, _made_from(node), "")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return _fitted(name, _arguments(node, "\n").split("\n"), returns)


def _made_from(node: ast.ClassDef) -> list[str]:
    """Return what an object is made from: the fields of a data class, or the arguments of `__init__`."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return _arguments(each, "\n").split("\n")
    return [ast.unparse(each) for each in node.body if isinstance(each, ast.AnnAssign)]


def _arguments(node: ast.FunctionDef, separator: str) -> str:
    """Return the arguments but `self`; each with its default."""
    given = node.args
    named = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(named) - len(given.defaults)) + list(given.defaults)
    told = [_argument(each, default) for each, default in zip(named, defaults, strict=True) if each.arg != "self"]
    told += [f"*{ast.unparse(given.vararg)}"] if given.vararg else ["*"] * bool(given.kwonlyargs)
    told += [_argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    told += [f"**{ast.unparse(given.kwarg)}"] if given.kwarg else []
    return separator.join(told)


def _argument(node: ast.arg, default: ast.expr | None) -> str:
    value = "" if default is None else f"{' = ' if node.annotation else '='}{ast.unparse(default)}"
    return ast.unparse(node) + value


def _fitted(name: str, arguments: Sequence[str], returns: str) -> str:
    """Return a signature in one line, or with a line for each argument."""
    line = f"{name}({', '.join(filter(None, arguments))}){returns}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in arguments), f"){returns}"]).replace("*,,", "*,")


def _told(node: Definition) -> str:
    return markdown.plain(ast.get_docstring(node) or "")
