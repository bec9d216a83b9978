"""NumPy: activations of two arrays. What is linear in x has a vjp that is the op itself, with g in place of x.

`out` may be x; see `elementwise`.
"""

from __future__ import annotations

import numpy as np

from backends import numpy_parts as parts
from backends.numpy_blocks import elementwise, pullback, silent


@elementwise(scratch=1, aside=True)
def prelu(x: np.ndarray, weight: np.ndarray, out: np.ndarray, low: np.ndarray, zero: np.ndarray) -> None:
    """max(x, 0) + weight·min(x, 0)."""
    zero.fill(0)
    np.minimum(x, zero, out=low)
    np.maximum(x, zero, out=out)
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


@elementwise(scratch=2, aside=True)
def swiglu(x: np.ndarray, gate: np.ndarray, out: np.ndarray, a: np.ndarray, e: np.ndarray, y: np.ndarray) -> None:
    """x·gate·σ(gate)."""
    with silent():  # the product may overflow, and 0 meet infinity
        if parts.exp_is_finite(gate):
            np.negative(gate, out=e)
            np.exp(e, out=e)
            e += 1
            np.divide(gate, e, out=y)
            np.multiply(x, y, out=out)
            return
        np.abs(gate, out=a)
        tail = parts.exp_minus(a, e)
        np.maximum(e, gate >= 0, out=y)  # exp(min(gate, 0))
        e += 1
        y /= e
        y *= parts.no_less(gate)
        y *= x
        parts.left(gate, y, tail)
        parts.keep_infinite(x, gate, y)
        if y is not out:
            np.copyto(out, y)


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
        np.multiply(x, y, out=y)
        parts.keep_infinite(x, gate, y)
        np.copyto(out, y, casting="same_kind")


def geglu_vjp(
    g: np.ndarray, x: np.ndarray, gate: np.ndarray, *, approximate: str, out: np.ndarray | None = None
) -> np.ndarray:
    """g·gelu(gate)."""
    del x
    return geglu(g, gate, approximate=approximate, out=out)


@elementwise(scratch=1, aside=True)
def reglu(x: np.ndarray, gate: np.ndarray, out: np.ndarray, zero: np.ndarray, y: np.ndarray) -> None:
    """x·max(gate, 0)."""
    parts.rectify(gate, y, zero)
    with silent():  # the product may overflow, and 0 meet infinity
        np.multiply(x, y, out=out)


def reglu_vjp(g: np.ndarray, x: np.ndarray, gate: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """g·max(gate, 0)."""
    del x
    return reglu(g, gate, out=out)
