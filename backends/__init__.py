"""Backends: the same activations and losses, computed by different frameworks.

Importing this package imports no framework; `load` imports the one that is asked for. A backend of ours is a
package with a module `backend.py`; one of yours is a module named `*_backend.py` in a folder `backends/` on
`sys.path`, or one that an installed package names (`plugins`). Literals at its top level declare what must be
known before it is imported::

    PACKAGE = "torch"            # what must be importable
    EXTRA = "torch"              # pip install 'activation-bench[torch]'
    DEVICES = ("cpu", "cuda")
    VARIANTS = ("torch",)        # the names to load it by
    ON_REQUEST = ("torch-compile",)  # optional: more names, measured only if somebody asks for them
    PEERS = ("scipy",)           # optional: other libraries, measured for comparison by `--peers`

and it has a function `create(variant, device, threads)`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

from backends import plugins
from backends.interface import Backend, BackendUnavailable, Declaration, kind_of

__all__ = [
    "Availability",
    "BackendUnavailable",
    "available",
    "declarations",
    "load",
    "missing",
    "names",
    "passed_over",
    "peers",
]

OWN = Path(__file__).resolve().parent
"""The folder of our own backends."""

# Its packages are named after the frameworks: with this folder on the path, they would be imported instead.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != OWN]

# Lets a backend live outside this repository: every `backends/` folder on sys.path is searched.
__path__ = pkgutil.extend_path(__path__, OWN.name)

_LITERALS = {field.name.upper(): field for field in fields(Declaration) if field.name != "module"}


class Availability(Mapping[str, list[str]]):
    """Devices that each backend can use here, and `reasons` why it cannot use the others."""

    def __init__(self, devices: Mapping[str, list[str]], reasons: Mapping[str, str]) -> None:
        self._devices = dict(devices)
        self.reasons = dict(reasons)

    def __getitem__(self, name: str) -> list[str]:
        return self._devices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)

    def __repr__(self) -> str:
        return f"Availability({self._devices!r}, reasons={self.reasons!r})"


def declarations() -> dict[str, Declaration]:
    """Return what each backend declares, by name, without importing any; one that needs no extra comes first.

    Names on request follow those that are measured by default. Modules that declare nothing are in `passed_over`.
    """
    found = [answer for answer in _answers().values() if isinstance(answer, Declaration)]
    here = f"{__name__}."
    found.sort(key=lambda each: (bool(each.extra), not each.module.startswith(here), each.module))
    usual = {variant: declaration for declaration in found for variant in declaration.variants}
    return usual | {
        variant: declaration for declaration in found for variant in (*declaration.on_request, *declaration.peers)
    }


def passed_over() -> dict[Path, str]:
    """Return the modules that are named as backends and are none, each with the reason in one line."""
    return {path: answer for path, answer in _answers().items() if isinstance(answer, str)}


def names(*, on_request: bool = False) -> tuple[str, ...]:
    """Return the names of the backends that are measured by default; with `on_request`, of all backends."""
    return tuple(
        name for name, declaration in declarations().items() if on_request or name in declaration.variants
    )


def peer_names() -> tuple[str, ...]:
    """Return the names of other libraries; their mistakes are reported, but fail no run."""
    return tuple(name for name, declaration in declarations().items() if name in declaration.peers)


def candidate_names() -> tuple[str, ...]:
    """Return the names of functions that somebody wants to try (see `backends.candidates`)."""
    return tuple(name for name, declaration in declarations().items() if declaration.candidate)


def candidate(name: str) -> Declaration | None:
    """Return what a candidate declares; None for any other backend."""
    declaration = declarations().get(name)
    return declaration if declaration and declaration.candidate else None


def missing(name: str) -> str | None:
    """Return why the package of backend `name` cannot be imported, or None if it is installed."""
    declaration = _find(name)
    if importlib.util.find_spec(declaration.package) is not None:
        return None
    hint = f"; install it with: pip install 'activation-bench[{declaration.extra}]'" if declaration.extra else ""
    return f"{name}: the package {declaration.package!r} is not installed{hint}"


def load(name: str, device: str = "cpu", *, threads: int | None = None) -> Backend:
    """Import backend `name` for `device`, computing with `threads` threads (None: the framework's choice).

    `device` is one that it declares, such as `cuda`, or one of several of them, such as `cuda:1`.
    Raises ValueError for an unknown name or device, BackendUnavailable when the package or device is missing.
    """
    declaration = _find(name)
    if kind_of(device) not in declaration.devices:
        raise ValueError(f"device: {name} runs on {', '.join(declaration.devices)}; got {device!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads: must be at least 1; got {threads!r}")
    if reason := missing(name):
        raise BackendUnavailable(reason)
    try:
        module = importlib.import_module(declaration.module)
    except ImportError as error:
        raise BackendUnavailable(f"{name}: {declaration.package} fails to import: {error}") from error
    backend: Backend = module.create(name, device, threads)
    return backend


def available() -> Availability:
    """Try every backend on every device it declares; this imports every framework that is installed."""
    devices: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for name, declaration in declarations().items():
        for device in declaration.devices:
            try:
                load(name, device)
            except BackendUnavailable as error:
                reasons[f"{name}-{device}"] = str(error)
            else:
                devices.setdefault(name, []).append(device)
    return Availability(devices, reasons)


def _find(name: str) -> Declaration:
    found = declarations()
    if name not in found:
        skipped = "".join(f"; {path} was passed over: {reason}" for path, reason in passed_over().items())
        raise ValueError(f"backend: unknown name {name!r}; valid names: {', '.join(found)}{skipped}")
    return found[name]


def _answers() -> dict[Path, Declaration | str]:
    """Return what each module that may be a backend declares, or why it is not a backend."""
    # If several folders have a module of one name, the first counts, as in an import.
    modules = {module: path for folder in reversed(__path__) for module, path in _modules(Path(folder))}
    answers = {
        path: _declaration(module, path, path.stat().st_mtime_ns) for module, path in sorted(modules.items())
    }
    return answers | _of_packages({name for answer in answers.values() for name in _names(answer)})


def _of_packages(taken: set[str]) -> dict[Path, Declaration | str]:
    """Return what the backends of installed packages declare; none replaces one whose name is `taken`."""
    answers: dict[Path, Declaration | str] = {}
    for entry, path in plugins.sources():
        try:
            answer = _declaration(entry.value, path, path.stat().st_mtime_ns)
        except OSError:
            answer = f"{plugins.named(entry)} names it, and there is no such module"
        if double := sorted(taken & set(_names(answer))):
            answer = f"{plugins.named(entry)} declares {', '.join(double)}, which another backend is called"
        taken |= set(_names(answer))
        answers[path] = answer
    return answers


def _names(answer: Declaration | str) -> tuple[str, ...]:
    return () if isinstance(answer, str) else (*answer.variants, *answer.on_request, *answer.peers)


def _modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the modules of a folder `backends/` that may be backends; in our own folder, those of its packages."""
    # Not pkgutil.iter_modules: it looks into every folder here, and Numba's cache has thousands of files.
    if folder.resolve() == OWN:
        for path in OWN.glob("*/*backend.py"):
            yield f"{__name__}.{path.parent.name}.{path.stem}", path
    for path in folder.glob("*_backend.py"):
        yield f"{__name__}.{path.stem}", path


@cache
def _declaration(module: str, source: Path, modified_ns: int) -> Declaration | str:
    """Read a module's literal assignments from its source, once for each version, or say why that fails."""
    del modified_ns
    try:
        facts = dict(_literals(ast.parse(source.read_bytes())))
    except (OSError, SyntaxError, ValueError) as error:
        return f"its declarations cannot be read: {error}".replace("\n", " ")
    if lacking := [
        name for name, field in _LITERALS.items() if field.default is MISSING and field.name not in facts
    ]:
        return f"it does not declare {', '.join(lacking)}"
    return Declaration(module=module, **facts)


def _literals(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a Declaration that a module assigns. Raises ValueError for values of other types."""
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and (field := _LITERALS.get(target.id)):
                value = ast.literal_eval(node.value)
                texts = [value] if field.type == "str" else value
                if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
                    wanted = "a string" if field.type == "str" else "a tuple of strings"
                    raise ValueError(f"{target.id} must be {wanted}; got {value!r}")
                yield field.name, value if field.type == "str" else tuple(texts)
