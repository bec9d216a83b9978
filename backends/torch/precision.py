"""PyTorch: in which type an op computes, where that of its arrays would not do."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import torch

from backends.arguments import working_dtype
from backends.base import DTYPES, NARROW


def given(
    function: Callable[..., Any], parameters: dict[str, Any], dtype: torch.dtype | None = None, *, sums: bool
) -> Callable[..., Any]:
    """Return an op with its parameters that computes in a wider type where that of its arrays would not do.

    That is where a parameter, or a sum along a row if the op `sums`, may leave the range of the type; the result
    is rounded once. Where no array (or none of `dtype`) needs that, calls ask no question.
    """
    call = partial(function, **parameters)
    working = _working(tuple(parameters.items()), sums)
    if all(wide == narrow for narrow, wide in working.items() if dtype in (None, narrow)):
        return call

    def widened(*inputs: torch.Tensor | None) -> torch.Tensor:
        own = cast("torch.Tensor", inputs[0]).dtype
        if working[own] == own:
            return cast("torch.Tensor", call(*inputs))
        wide = [a if a is None or a.dtype != own else a.to(working[own]) for a in inputs]
        return cast("torch.Tensor", call(*wide)).to(own)

    return widened


def holds(dtype: torch.dtype, parameters: dict[str, Any]) -> bool:
    """Tell whether arrays of `dtype` can hold all parameters of an op."""
    working = _working(tuple(parameters.items()), False)  # noqa: FBT003 - cached by position
    return working[dtype] is dtype


@lru_cache(maxsize=1024)
def _working(parameters: tuple[tuple[str, Any], ...], sums: bool) -> dict[torch.dtype, torch.dtype]:  # noqa: FBT001
    """Return the type to compute in for arrays of each type."""
    least = "float32" if sums else "float16"
    return {
        getattr(torch, name): getattr(torch, working_dtype(name, dict(parameters), least=least))
        for name in DTYPES + NARROW
    }
