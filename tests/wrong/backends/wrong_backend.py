"""Backends that are wrong on purpose, each in one way: the harness must reject every one.

Found when `tests/wrong` is on PYTHONPATH, like any backend that lives outside the repository.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from backends.base import BaseBackend
from backends.interface import Gap

PACKAGE = "numpy"
EXTRA = "wrong"
DEVICES = ("cpu",)
VARIANTS = (
    "right",
    "off-by-ten-ulp",
    "constant",
    "wrong-dtype",
    "wrong-shape",
    "wrong-reduction",
    "right-at-first",
    "stale",
    "unwritten-buffer",
    "lazy",
    "wrong-in-the-middle",
    "raises",
    "crashes",
    "hangs",
)


def create(variant: str, device: str, threads: int | None) -> WrongBackend:
    """Open the mistake called `variant`."""
    del threads
    return WrongBackend(variant, device, 1)


class WrongBackend(BaseBackend):
    """sigmoid and mean_squared_error, spoilt."""

    gaps: tuple[Gap, ...] = ()

    @property
    def version(self) -> str:
        """None."""
        return "0"

    def asarray(self, array: Any, dtype: str | None = None) -> np.ndarray:
        """Copy."""
        return np.array(array, dtype)

    def to_numpy(self, array: Any) -> np.ndarray:
        """Pass on."""
        return np.asarray(array)

    def is_native(self, array: Any) -> bool:
        """Any NumPy array will do."""
        return isinstance(array, np.ndarray)

    def implements(self, op: str) -> bool:
        """Two ops are enough for every mistake."""
        return op in ("sigmoid", "mean_squared_error")

    def _bind(self, *arguments: Any) -> Callable[[], Any]:
        """Compute once and for all, where that is the mistake: this is used where an output is reused."""
        run = super()._bind(*arguments)
        result = run()
        return (lambda: result) if self.name == "unwritten-buffer" else run

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        right = {"sigmoid": _sigmoid, "mean_squared_error": _mean_squared_error}[op]
        return _spoil(self.name, lambda *inputs: right(*inputs, **parameters))

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        right = {"sigmoid": _sigmoid_vjp, "mean_squared_error": _mean_squared_error_vjp}[op]
        return _spoil(self.name, lambda *inputs: right(*inputs, **parameters))


def _spoil(mistake: str, right: Callable[..., Any]) -> Callable[..., Any]:
    calls, results = count(), dict[int, Any]()
    if mistake in ("stale", "lazy"):

        def remembered(*inputs: Any) -> Any:
            found = results.setdefault(id(inputs[0]), None)
            if found is None:
                found = results[id(inputs[0])] = np.asarray(right(*inputs))
            # `lazy` makes a fresh view of what it has computed: right, and far too fast.
            return found.view() if mistake == "lazy" else found

        return remembered

    def wrong(*inputs: Any) -> Any:
        result = np.asarray(right(*inputs))
        return _MISTAKES[mistake](result, inputs, next(calls))

    return wrong


def _late(result: Any, inputs: Any, n_calls: int) -> Any:
    # Right while it is prepared and checked, wrong once it is timed.
    del inputs
    return result if n_calls < 100 else result + result.dtype.type(1)


def _unwritten(result: Any, inputs: Any, n_calls: int) -> Any:
    # Long results only, and where no sample is likely to look.
    if result.size > 500:
        result[1:5] = np.nan
    return result


def _raise(result: Any, inputs: Any, n_calls: int) -> Any:
    raise RuntimeError("out of luck")


def _sleep_and_return(result: Any, inputs: Any, n_calls: int) -> Any:
    time.sleep(60)
    return result


_MISTAKES: dict[str, Callable[[Any, Any, int], Any]] = {
    "right": lambda result, inputs, n: result,
    "off-by-ten-ulp": lambda result, inputs, n: result + 10 * np.spacing(np.abs(result)),
    "constant": lambda result, inputs, n: np.full_like(result, 0.5),
    "wrong-dtype": lambda result, inputs, n: result.astype(np.float64),
    "wrong-shape": lambda result, inputs, n: result[..., None],
    "wrong-reduction": lambda result, inputs, n: result * max(inputs[0].size, 2),
    "right-at-first": _late,
    "stale": lambda result, inputs, n: result,
    "unwritten-buffer": lambda result, inputs, n: result,
    "lazy": lambda result, inputs, n: result,
    "wrong-in-the-middle": _unwritten,
    "raises": _raise,
    "crashes": lambda result, inputs, n: os.abort(),
    "hangs": _sleep_and_return,
}


def _sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _sigmoid_vjp(g: Any, x: Any) -> Any:
    return g * _sigmoid(x) * _sigmoid(-x)


def _mean_squared_error(prediction: Any, target: Any, *, reduction: str) -> Any:
    losses = np.square(prediction - target)
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def _mean_squared_error_vjp(g: Any, prediction: Any, target: Any, *, reduction: str) -> Any:
    n = prediction.size if reduction == "mean" else 1
    return (2 * g * (prediction - target) / n).astype(prediction.dtype)
