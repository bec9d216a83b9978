"""The seal on the harness in a worker: what its functions and the clock were before a backend was imported."""

from __future__ import annotations

import builtins
import copyreg
import gc
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from multiprocessing import connection, reduction
from multiprocessing.reduction import ForkingPickler
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

import backends
import benchmarks

PACKAGES = (
    benchmarks.__name__,
    *(f"{backends.__name__}.{module}" for module in ("base", "host", "interface", "catalogue")),
)
"""What is sealed, with all modules below."""
BESIDE = (np, connection, reduction)
"""Modules by which the harness looks at results, and sends what it has found: sealed as its own are."""
CLOCKS = ("perf_counter", "perf_counter_ns", "sleep", "monotonic", "time")
_BUILTINS = frozenset(name for name in vars(builtins) if not name.startswith("_"))


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


@dataclass(frozen=True)
class _Space:
    """The names that a module or class had; `hides` those that matter if they come later, None for all."""

    label: str
    space: Mapping[str, Any]
    names: frozenset[str]
    hides: frozenset[str] | None = None

    def come(self) -> Iterator[str]:
        """Yield what can be called, has come since, and hides something else."""
        for name in self.space.keys() - self.names:
            if (self.hides is None or name in self.hides) and callable(self.space[name]):
                yield f"{self.label}.{name}"


class Seal:
    """Notes every function, and every class with its methods, of the harness's modules loaded by now.

    A name that a module gets later is no matter, unless it hides one of Python's own. A method that a class gets
    later may hide one that it inherits, such as that by which its instances are pickled.
    """

    def __init__(self) -> None:
        modules = [*(module for module in list(sys.modules.values()) if _is_sealed(module)), *BESIDE]
        names = {str(module.__name__) for module in modules}
        self._classes = {
            value: f"{value.__module__}.{value.__qualname__}"
            for module in modules
            for value in vars(module).values()
            if isinstance(value, type) and value.__module__ in names
        }
        self._spaces = [
            *(_Space(module.__name__, vars(module), frozenset(vars(module)), _BUILTINS) for module in modules),
            *(_Space(label, vars(each), frozenset(vars(each))) for each, label in self._classes.items()),
        ]
        self._notes = [note for each in self._spaces for note in _notes(each.label, each.space)]
        self._reduced = self._with_reducers()
        for owner, few in (
            (time, CLOCKS),
            (gc, ("disable", "enable", "isenabled")),
            (builtins, _BUILTINS),
        ):
            self._notes += [note for note in _notes(owner.__name__, vars(owner)) if note.name in few]

    def broken(self, *instances: object) -> list[str]:
        """Return the names of what was exchanged, or is hidden: in a module, a class or one of these instances."""
        hidden = {
            f"{type(each).__name__}.{name}"
            for each in instances
            for name in vars(each).keys() & set(dir(type(each)))
        }
        changed = {note.label for note in self._notes if not note.holds()}
        come = {name for each in self._spaces for name in each.come()}
        return sorted(hidden | changed | come | (self._with_reducers() - self._reduced))

    def _with_reducers(self) -> set[str]:
        """Return the classes for which somebody has registered how they are pickled."""
        registered = {*copyreg.dispatch_table, *ForkingPickler(BytesIO()).dispatch_table}
        return {label for each, label in self._classes.items() if each in registered}


def _is_sealed(module: ModuleType) -> bool:
    """Tell whether a module is the harness's; the worker's own runs under another name than its own."""
    spec = getattr(module, "__spec__", None)
    name = spec.name if spec else ""
    return any(name == package or name.startswith(f"{package}.") for package in PACKAGES)


def _notes(label: str, space: Mapping[str, Any]) -> Iterator[_Note]:
    for name, value in list(space.items()):
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        inner = getattr(inner, "__wrapped__", inner)  # what a cache, or NumPy's dispatcher, calls
        if callable(inner) or isinstance(value, ModuleType):
            function = inner if isinstance(inner, FunctionType) else None
            parts = _parts(function) if function else ()
            yield _Note(f"{label}.{name}", space, name, value, function, parts)


def _parts(function: FunctionType) -> tuple[object, ...]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


def _is(a: object, b: object) -> bool:
    return a is b
