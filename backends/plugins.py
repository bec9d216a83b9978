"""What installed packages add: backends and ops of theirs, which they name by entry points.

    [project.entry-points."activation_bench.backends"]
    cubes = "cubes.backend"        # a module with the literals and the `create` of a backend

    [project.entry-points."activation_bench.ops"]
    cubes = "cubes.ops"            # a module with `OPS`, or "cubes.ops:CUBE", an OpSpec or several

A backend's module is imported when it is loaded, and not before; ops are imported with the catalogue, in every
process of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from backends.interface import OpSpec

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from importlib.metadata import EntryPoint

BACKENDS, OPS = "activation_bench.backends", "activation_bench.ops"
"""The groups of entry points."""


def sources() -> Iterator[tuple[EntryPoint, Path]]:
    """Yield the entry points of backends, each with its module's file: where it would lie, if there is none."""
    for entry in _entries(BACKENDS):
        found = _spec(entry.value)
        there = found and found.has_location and found.origin
        yield entry, Path(there or f"{entry.value.replace('.', '/')}.py")


def ops(taken: Iterable[str]) -> tuple[list[OpSpec], dict[str, str]]:
    """Return the ops of installed packages, and why others are passed over, by the entry point in words.

    An op whose name or alias is `taken` is passed over, as is all of a package that cannot be imported.
    """
    names, found, reasons = set(taken), list[OpSpec](), dict[str, str]()
    for entry in _entries(OPS):
        try:
            specs = _specs(entry)
        except Exception as error:  # whatever a stranger's module raises, ours go on
            reasons[named(entry)] = f"{type(error).__name__}: {error}".replace("\n", " ")
            continue
        own = {name for spec in specs for name in (spec.name, *spec.aliases)}
        if double := sorted(names & own):
            reasons[named(entry)] = f"there is another op called {', '.join(double)}"
            continue
        names |= own
        found += specs
    return found, reasons


def named(entry: EntryPoint) -> str:
    """Return an entry point in words."""
    of = f" of {entry.dist.name}" if entry.dist else ""
    return f"the entry point {entry.name}{of}"


def _specs(entry: EntryPoint) -> tuple[OpSpec, ...]:
    loaded: Any = entry.load()
    value = loaded.OPS if isinstance(loaded, ModuleType) else loaded
    specs = (value,) if isinstance(value, OpSpec) else tuple(value)
    if strangers := [spec for spec in specs if not isinstance(spec, OpSpec)]:
        raise TypeError(f"{entry.value}: must be an OpSpec, or several; got {strangers[0]!r}")
    return specs


@cache
def _entries(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group, found once: that reads a file of every installed package."""
    from importlib.metadata import entry_points  # late: no command needs it to print its help

    return tuple(sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)))


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing the packages around it, which `importlib.util.find_spec` does."""
    found: ModuleSpec | None = None
    path: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}".removeprefix(".")
        finders: list[Callable[..., ModuleSpec | None]] = [
            finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec")
        ]
        found = next((spec for find in finders if (spec := find(name, path))), None)
        if found is None:
            return None
        path = found.submodule_search_locations
    return found
