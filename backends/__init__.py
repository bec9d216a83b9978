"""Backends: the same activations and losses, computed by different frameworks.

Importing this package imports no framework; `load` imports the one that is asked for. A backend is one module
named `*_backend.py`, here or in a folder `backends/` elsewhere on `sys.path`, whose first statements declare, as
literals, what this package must know without importing it::

    PACKAGE = "torch"            # what must be importable
    EXTRA = "torch"              # pip install 'activation-bench[torch]'
    DEVICES = ("cpu", "cuda")
    VARIANTS = ("torch",)        # the names to load it by
    ON_REQUEST = ("torch-compile",)  # optional: more names, measured only where they are asked for
    PEERS = ("scipy",)           # optional: names of other libraries, which `--peers` measures for comparison

and which has a function `create(variant, device, threads)`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

from backends.interface import Backend, BackendUnavailable, Declaration

__all__ = ["Availability", "BackendUnavailable", "available", "declarations", "load", "missing", "names", "peers"]

# Lets a backend live outside this repository: every `backends/` folder on sys.path is searched.
__path__ = pkgutil.extend_path(__path__, __name__)

_LITERALS = {field.name.upper(): field for field in fields(Declaration) if field.name != "module"}


class Availability(Mapping[str, list[str]]):
    """Devices that each backend can use here, and `reasons` for every backend and device that it cannot."""

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
    """Return what each backend declares, by name, the one that needs no extra first; imports none of them.

    Names on request follow those that are always measured.
    """
    # Not pkgutil.iter_modules, which looks into every folder here: Numba's cache has thousands of files.
    sources = [path for folder in reversed(__path__) for path in Path(folder).glob("*_backend.py")]
    # Of several folders that have a module, the first counts, as in an import.
    modules = {path.stem: path for path in sources}
    found = [_declaration(path, path.stat().st_mtime_ns) for _, path in sorted(modules.items())]
    found.sort(key=lambda declaration: (bool(declaration.extra), declaration.module))
    usual = {variant: declaration for declaration in found for variant in declaration.variants}
    return usual | {
        variant: declaration for declaration in found for variant in (*declaration.on_request, *declaration.peers)
    }


def names(*, on_request: bool = False) -> tuple[str, ...]:
    """Return the names of the backends that are measured unless some are chosen; with `on_request`, of all."""
    return tuple(
        name for name, declaration in declarations().items() if on_request or name in declaration.variants
    )


def peers() -> tuple[str, ...]:
    """Return the names of other libraries, whose mistakes are news and no failure of ours."""
    return tuple(name for name, declaration in declarations().items() if name in declaration.peers)


def missing(name: str) -> str | None:
    """Return why the package of backend `name` cannot be imported, or None if it is installed."""
    declaration = _find(name)
    if importlib.util.find_spec(declaration.package) is not None:
        return None
    hint = f"; install it with: pip install 'activation-bench[{declaration.extra}]'" if declaration.extra else ""
    return f"{name}: the package {declaration.package!r} is not installed{hint}"


def load(name: str, device: str = "cpu", *, threads: int | None = None) -> Backend:
    """Import backend `name` for `device`, computing with `threads` threads (None: the framework's choice).

    Raises ValueError for an unknown name or device, BackendUnavailable when the package or device is missing.
    """
    declaration = _find(name)
    if device not in declaration.devices:
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
        raise ValueError(f"backend: unknown name {name!r}; valid names: {', '.join(found)}")
    return found[name]


@cache
def _declaration(source: Path, modified_ns: int) -> Declaration:
    """Read a module's literal assignments from its source, once for each version of it."""
    del modified_ns
    tree = ast.parse(source.read_text(encoding="utf-8"))
    facts = {
        _LITERALS[target.id].name: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in _LITERALS
    }
    required = {name for name, field in _LITERALS.items() if field.default is MISSING}
    if lacking := required - {name.upper() for name in facts}:
        raise ImportError(f"{source}: does not declare {', '.join(sorted(lacking))} as literals")
    return Declaration(module=f"{__name__}.{source.stem}", **facts)
