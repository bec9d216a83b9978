"""How Numba's kernels are compiled, and cached on disk.

A kernel closes over one formula, a module-level function that Numba can compile (`formula`). Numba's disk cache
tells closures apart by a file name, made of the qualified name, and by the pickled closure, which refers to such a
function by its name. Kernels are therefore named after their formula. Since a reference says nothing about the
code behind it, the names also contain a checksum of the sources.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
from numba import njit
from numba.extending import register_jitable

# IEEE results instead of exceptions; no fastmath, since `contract` would undo exact products.
OPTIONS = {"error_model": "numpy"}

F = TypeVar("F", bound=Callable[..., Any])


def formula(function: F) -> F:
    """Let compiled code call `function`; it stays a Python function, and nothing is compiled yet.

    It becomes part of its callers however long it is: LLVM vectorises no loop with a call in it.
    """
    return cast("F", register_jitable(**OPTIONS, forceinline=True)(function))


def subroutine(function: F) -> F:
    """Let compiled code call `function`, which has loops of its own: it is compiled once for all its callers."""
    return cast("F", register_jitable(**OPTIONS)(function))


def _allow_long_vectors() -> None:
    """Let LLVM use vectors of 512 bits if the processor does not slow down: long formulas are 1.4 times as fast.

    LLVM prefers 256 bits on all Intel processors, because those before Ice Lake, which brought AVX512_VBMI2, slow
    down. Numba reads this before it first compiles. NUMBA_CPU_FEATURES in the environment takes precedence.
    """
    features = llvm.get_host_cpu_features()
    if numba.config.CPU_FEATURES is None and features.get("avx512vbmi2"):
        numba.config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


_allow_long_vectors()


def _checksum() -> str:
    """Identify the code that kernels are compiled from: Numba itself looks at a kernel's own file alone."""
    folder = Path(__file__).parent
    sources = sorted([*folder.glob("*.py"), folder.parent / "gelu_constants.py"])
    return f"{zlib.crc32(b''.join(source.read_bytes() for source in sources)):08x}"


SOURCES = _checksum()
"""What the code is that kernels are compiled from."""


def jit(kernel: Callable[..., None], **options: Any) -> Callable[..., None]:
    """Return a kernel that is compiled when it is first called, and kept on disk where that is possible."""
    try:
        return cast("Callable[..., None]", njit(cache=True, **OPTIONS, **options)(kernel))
    except RuntimeError:  # no folder to cache in: neither beside this file nor in the user's home
        return cast("Callable[..., None]", njit(**OPTIONS, **options)(kernel))
