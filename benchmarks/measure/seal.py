"""The seal on the harness in a worker: what its functions and the clock were before a backend was imported."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FunctionType, ModuleType
from typing import Any

import backends
import benchmarks

PACKAGES = (
    benchmarks.__name__,
    *(f"{backends.__name__}.{module}" for module in ("base", "host", "interface", "catalogue")),
)
"""What is sealed, with all modules below."""
CLOCKS = ("perf_counter", "perf_counter_ns", "sleep", "monotonic", "time")


@dataclass(frozen=True)
class _Note:
    """What a name stood for, in a module or class: a function's code and defaults can be exchanged within it."""

    label: str
    space: Mapping[str, Any]
    name: str
    value: object
    function: FunctionType | None
    parts: tuple[object, ...]

    def holds(self) -> bool:
        """Tell whether the name stands for the same."""
        return self.space.get(self.name) is self.value and (
            self.function is None or all(map(_is, _parts(self.function), self.parts))
        )


class Seal:
    """Notes every function, and every class with its methods, of the harness's modules loaded by now."""

    def __init__(self) -> None:
        modules = [module for module in list(sys.modules.values()) if _is_sealed(module)]
        names = {str(module.__name__) for module in modules}
        self._notes = [note for module in modules for note in _of_module(module, names)]
        self._notes += [*_notes(Connection.__name__, vars(Connection))]
        for owner, few in ((time, CLOCKS), (gc, ("disable", "enable", "isenabled"))):
            self._notes += [note for note in _notes(owner.__name__, vars(owner)) if note.name in few]

    def broken(self, *instances: object) -> list[str]:
        """Return the names of what is no longer what it was, or hidden by an attribute of one of these instances.

        What has come since is no matter.
        """
        hidden = {
            f"{type(each).__name__}.{name}"
            for each in instances
            for name in vars(each).keys() & set(dir(type(each)))
        }
        return sorted(hidden | {note.label for note in self._notes if not note.holds()})


def _is_sealed(module: ModuleType) -> bool:
    """Tell whether a module is the harness's; the worker's own runs under another name than its own."""
    spec = getattr(module, "__spec__", None)
    name = spec.name if spec else ""
    return any(name == package or name.startswith(f"{package}.") for package in PACKAGES)


def _of_module(module: ModuleType, names: set[str]) -> Iterator[_Note]:
    yield from _notes(module.__name__, vars(module))
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ in names:
            yield from _notes(f"{module.__name__}.{name}", vars(value))


def _notes(label: str, space: Mapping[str, Any]) -> Iterator[_Note]:
    for name, value in list(space.items()):
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if callable(inner) or isinstance(value, ModuleType):
            function = inner if isinstance(inner, FunctionType) else None
            parts = _parts(function) if function else ()
            yield _Note(f"{label}.{name}", space, name, value, function, parts)


def _parts(function: FunctionType) -> tuple[object, ...]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


def _is(a: object, b: object) -> bool:
    return a is b
