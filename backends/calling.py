"""How to call what a backend computes from code of your own: the lines that import and call it.

Where an op is one call of the framework's own, they are that call; anything else goes through this package. Which
it is, is read from the source of the op's function, without importing the framework: the call is what the function
returns, its parameters filled in. Beside the implementations lies `calling`, where a framework has an `Idiom`.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import backends
from backends.catalogue import find
from backends.interface import OpSpec

PACKAGE = "activation_bench"
"""The installed package, which has `backends` as an attribute."""


@dataclass(frozen=True)
class Idiom:
    """How users of a framework write a call of its own: lines that make `y`, and lines that make its gradient too.

    In them `{call}` stands for the call, `{inputs}` for the names of the inputs, and `{first}` for that of the
    first. `gradient` makes `gradient` from the cotangent `g`; none if the framework has no gradients. `wide` comes
    first where arrays are float64.
    """

    imports: tuple[str, ...] = ()
    forward: tuple[str, ...] = ("y = {call}",)
    gradient: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()


def lines(
    backend: str,
    op: str,
    *,
    mode: str = "forward",
    dtype: str = "float32",
    device: str = "cpu",
    allocation: str = "fresh",
    saved: str = "input",
    threads: int | None = None,
) -> tuple[str, ...]:
    """Return lines of Python that compute `y`, or `gradient` from the cotangent `g`, or both.

    Inputs go by their names in the catalogue, and parameters have their defaults. A backend that is not known here
    is called as any other. Raises ValueError for an unknown op.
    """
    spec = find(op)
    module = _modules(tuple(backends.__path__)).get(backend, "")
    if allocation == "fresh" and saved == "input" and (idiom := _idioms(module).get(backend)):
        framed = idiom.forward if mode == "forward" else idiom.gradient
        function = _functions(module).get(spec.name)
        if framed and function and (call := function.call(spec)):
            return tuple(_in_framework(idiom, framed, function, call, dtype))
    return tuple(_in_package(backend, spec, mode, device, allocation, saved, threads))


def _in_framework(
    idiom: Idiom, framed: Sequence[str], function: _Function, call: ast.expr, dtype: str
) -> Iterator[str]:
    """Yield the framework's own call, with its imports."""
    used = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    inputs = [name for name in function.inputs if name in used]
    named = {"call": ast.unparse(call), "inputs": ", ".join(inputs), "first": inputs[0]}
    body = [*(idiom.wide if dtype == "float64" else ()), *(line.format(**named) for line in framed)]
    own = [line for line in idiom.imports if any(f"{line.split()[-1]}." in each for each in body)]
    yield from dict.fromkeys([*own, *(line for name, line in function.imports.items() if name in used)])
    yield ""
    yield from body


def _in_package(
    backend: str, spec: OpSpec, mode: str, device: str, allocation: str, saved: str, threads: int | None
) -> Iterator[str]:
    """Yield a call through this package, which any backend can be called by."""
    given = [repr(backend), *[f"device={device!r}"] * (device != "cpu"), *[f"threads={threads}"] * bool(threads)]
    taken = spec.inputs if saved == "input" else spec.of_output.inputs
    inputs = ", ".join(declared.name for declared in taken if not declared.optional)
    yield f"from {PACKAGE} import {backends.OWN.name}"
    yield ""
    yield f"b = backends.load({', '.join(given)})  # its arrays: b.asarray(a), b.to_numpy(y)"
    if allocation != "fresh":
        options = f"{inputs}, allocation={allocation!r}" + f", saved={saved!r}" * (saved != "input")
        cotangent = f", mode={mode!r}, cotangent=g" * (mode != "forward")
        results = {"forward": "y", "backward": "gradient"}.get(mode, "y, gradient")
        yield f"run = b.bind({spec.name!r}, {options}{cotangent})"
        yield f"{results} = run()"
        return
    if mode != "backward":
        yield f"y = b.{spec.name}({inputs})"
    if mode != "forward":
        pull = "vjp" if saved == "input" else "vjp_from_output"
        yield f"gradient = b.{pull}({spec.name!r})(g, {inputs})"


# --- what the sources say ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Function:
    """The function of an op, as its module has it, and what that module imports, by the names it gives them."""

    source: ast.FunctionDef
    imports: Mapping[str, str]

    @property
    def inputs(self) -> list[str]:
        return [argument.arg for argument in self.source.args.args]

    def call(self, spec: OpSpec) -> ast.expr | None:
        """Return what the function returns, its parameters filled in; None if it does more than call others."""
        body = [each for each in self.source.body if not _is_docstring(each)]
        if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
            return None
        absent = [name for name, declared in zip(self.inputs, spec.inputs, strict=True) if declared.optional] + [
            argument.arg for argument in self.source.args.kwonlyargs if argument.arg == "out"
        ]
        filled: ast.expr = _Filled(spec.defaults, absent).visit(deepcopy(body[0].value))
        names = {node.id for node in ast.walk(filled) if isinstance(node, ast.Name)}
        return filled if names <= {*self.imports, *self.inputs} else None


class _Filled(ast.NodeTransformer):
    """Puts values in the place of parameters, and leaves out arguments that are not given."""

    def __init__(self, values: Mapping[str, Any], absent: Sequence[str]) -> None:
        self._values = {**values, **dict.fromkeys(absent)}
        self._absent = absent

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        """Leave out `name=name` of what is not given."""
        if isinstance(node.value, ast.Name) and node.value.id in self._absent:
            return None
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Fill a parameter in."""
        return ast.Constant(self._values[node.id]) if node.id in self._values else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Decide whether a parameter has a value, as in `approximate == "tanh"`."""
        self.generic_visit(node)
        match node:
            case ast.Compare(ast.Constant(one), [ast.Eq()], [ast.Constant(other)]):
                return ast.Constant(one == other)
        return node


@cache
def _modules(folders: tuple[str, ...]) -> Mapping[str, str]:
    """Return the module of each backend in these folders; kept, since a page asks for hundreds of calls."""
    del folders
    return {name: declaration.module for name, declaration in backends.declarations().items()}


@cache
def _idioms(module: str) -> Mapping[str, Idiom]:
    """Return the idiom of each variant of a backend's package; none where it has no module `calling`."""
    name = f"{module.rpartition('.')[0]}.calling"
    if not name.startswith(f"{__package__}.") or name == __name__ or find_spec(name) is None:
        return {}
    found: Mapping[str, Idiom] = importlib.import_module(name).IDIOMS
    return found


@cache
def _functions(module: str) -> Mapping[str, _Function]:
    """Return the functions of a backend's ops: of its module, or of a package's modules that hold ops."""
    found = find_spec(module)
    if found is None or found.origin is None:
        return {}
    path = Path(found.origin)
    paths = [path]
    if path.stem == "backend":  # ops are divided among modules as in the catalogue
        paths = [path.with_name(each.name) for each in (backends.OWN / "catalogue").glob("[a-z]*.py")]
    return {
        op: function for each in paths if each.exists() for op, function in _listed(ast.parse(each.read_bytes()))
    }


def _listed(tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    """Yield the functions that a module's table `OPS` has by name."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    imports = dict(_imports(tree))
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name("OPS"), value=ast.Dict(keys, values)):
                for key, value in zip(keys, values, strict=True):
                    match key, value:
                        case ast.Constant(str(op)), ast.Name(name) if name in functions:
                            yield op, _Function(functions[name], imports)


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a module imports from elsewhere than from here, each with the statement."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{__package__}."):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                alone = deepcopy(node)
                alone.names = [alias]
                yield alias.asname or alias.name.partition(".")[0], ast.unparse(alone)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
