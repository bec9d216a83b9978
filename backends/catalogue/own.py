"""Ops of somebody's own, from the Python files that the environment variable ACTIVATION_BENCH_OP_SPECS lists.

A variable, and no call that adds them: all that counts ops does so when it is imported, and every worker must know
the same ones. A file assigns a tuple of `OpSpec` to `OPS`; it may import from `backends.interface`, and from the
modules of `backends.catalogue`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from backends.interface import OP_SPECS, OpSpec


def files() -> tuple[str, ...]:
    """Return the files that the variable lists."""
    return tuple(filter(None, os.environ.get(OP_SPECS, "").split(os.pathsep)))


def ops(taken: Collection[str]) -> Iterator[OpSpec]:
    """Yield the ops of all files; raise ValueError for what is none, or has a name that is `taken`."""
    known = set(taken)
    for file in files():
        for spec in _specs(Path(file)):
            if twice := known.intersection((spec.name, *spec.aliases)):
                raise ValueError(f"--op-spec: {file}: there is an op {min(twice)!r} already")
            known |= {spec.name, *spec.aliases}
            yield spec


def _specs(path: Path) -> tuple[OpSpec, ...]:
    spec = importlib.util.spec_from_file_location(f"ops_of_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"--op-spec: {path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever somebody's file raises
        raise ValueError(f"--op-spec: {path}: {type(error).__name__}: {error}") from error
    found = getattr(module, "OPS", None)
    if not isinstance(found, tuple) or not found or not all(isinstance(each, OpSpec) for each in found):
        raise ValueError(f"--op-spec: {path}: must assign OPS, a tuple of OpSpec; got {type(found).__name__}")
    return found
