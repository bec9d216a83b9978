"""JAX: in which type an op computes, where that of its arrays would not do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from backends.arguments import working_dtype


def widening(function: Callable[..., Any], *, sums: bool) -> Callable[..., Any]:
    """Return an op that computes in a wider type where a parameter, or a sum of a row, may leave its own.

    It rounds once. `sums` says that it adds up rows. All of this is decided while JAX traces, and
    XLA converts numbers as it loads and stores them.
    """
    least = "float32" if sums else "float16"

    @wraps(function)
    def call(*inputs: Any, **parameters: Any) -> Any:
        dtype = inputs[0].dtype
        working = working_dtype(dtype.name, parameters, least=least)
        if working == dtype.name:
            return function(*inputs, **parameters)
        wide = [a if a is None or a.dtype != dtype else a.astype(working) for a in inputs]
        return function(*wide, **parameters).astype(dtype)

    return call
