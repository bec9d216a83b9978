"""NumPy: activations of two arrays. What is linear in x has a vjp that is the op itself, with g in place of x."""

from __future__ import annotations

import numpy as np

from backends import numpy_parts as parts
from backends.numpy_blocks import elementwise, pullback, silent


@elementwise(scratch=1)
def prelu(x: np.ndarray, weight: np.ndarray, out: np.ndarray, low: np.ndarray) -> None:
    """max(x, 0) + weight·min(x, 0)."""
    parts.rectify(x, out, low)
    np.minimum(x, low, out=low)
    with silent():  # a weight above 1 may overflow, and one of 0 meet infinity
        low *= weight
    out += low


@pullback(scratch=1)
def prelu_vjp(x: np.ndarray, weight: np.ndarray, out: np.ndarray, right: np.ndarray) -> None:
    """1 where x > 0, else the weight."""
    np.greater(x, 0, out=right)
    np.subtract(1, right, out=out)
    with silent():  # 0 may meet an infinite weight
        out *= weight
    out += right
    parts.keep_nan(x, out)


@elementwise(scratch=2)
def swiglu(x: np.ndarray, gate: np.ndarray, out: np.ndarray, a: np.ndarray, e: np.ndarray) -> None:
    """x·gate·σ(gate)."""
    with silent():  # the product may overflow, and 0 meet infinity
        if parts.exp_is_finite(gate):
            np.negative(gate, out=e)
            np.exp(e, out=e)
            e += 1
            np.divide(gate, e, out=out)
            out *= x
            return
        np.abs(gate, out=a)
        tail = parts.exp_minus(a, e)
        np.maximum(e, gate >= 0, out=out)  # exp(min(gate, 0))
        e += 1
        out /= e
        out *= parts.no_less(gate)
        out *= x
        parts.left(gate, out, tail)
        parts.keep_infinite(x, gate, out)


def swiglu_vjp(g: np.ndarray, x: np.ndarray, gate: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """g·gate·σ(gate)."""
    del x
    return swiglu(g, gate, out=out)


@elementwise(scratch=3, dtype=np.float64)
def geglu(
    x: np.ndarray,
    gate: np.ndarray,
    out: np.ndarray,
    a: np.ndarray,
    y: np.ndarray,
    right: np.ndarray,
    *,
    approximate: str,
) -> None:
    """x·gelu(gate), in float64 as gelu, rounded once for float32."""
    parts.gelu(gate, y, a, y, right, approximate=approximate)
    with silent():  # the product may overflow, and 0 meet infinity
        np.multiply(x, y, out=out, casting="same_kind")
        parts.keep_infinite(x, gate, out)


def geglu_vjp(
    g: np.ndarray, x: np.ndarray, gate: np.ndarray, *, approximate: str, out: np.ndarray | None = None
) -> np.ndarray:
    """g·gelu(gate)."""
    del x
    return geglu(g, gate, approximate=approximate, out=out)


@elementwise(scratch=1)
def reglu(x: np.ndarray, gate: np.ndarray, out: np.ndarray, zero: np.ndarray) -> None:
    """x·max(gate, 0)."""
    parts.rectify(gate, out, zero)
    with silent():  # the product may overflow, and 0 meet infinity
        out *= x


def reglu_vjp(g: np.ndarray, x: np.ndarray, gate: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """g·max(gate, 0)."""
    del x
    return reglu(g, gate, out=out)
