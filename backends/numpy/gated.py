"""NumPy: activations of two arrays.

Where an op is linear in x, its vjp is the op itself, with g in place of x.
"""

from __future__ import annotations

from typing import Any

from backends.host import Function, Pairs, Run, bound_by
from backends.numpy import gelu as gelus
from backends.numpy import parts
from backends.numpy import ufuncs as np
from backends.numpy.blocks import Array, Out, Result, elementwise, pullback, quietly


@elementwise(scratch=3, zeros=True)
def prelu(x: Array, weight: Array, low: Array, high: Array, y: Array, zero: Array, out: Out) -> Result:
    """max(x, 0) + weight·min(x, 0)."""
    np.minimum(x, zero, out=low)
    quietly(np.multiply, low, weight, y)  # a weight above 1 may overflow, and one of 0 meet infinity
    return np.add(np.maximum(x, zero, out=high), y, out)


@pullback(scratch=3, numbers=(0, 1))
def prelu_vjp(x: Array, weight: Array, y: Array, d: Array, z: Array, zero: Array, one: Array) -> Result:
    """1 where x > 0, else the weight."""
    right = parts.above_zero(x, y, zero)
    np.subtract(one, right, out=d)
    quietly(np.multiply, d, weight, z)  # 0 may meet an infinite weight
    return np.add(z, right, d)


@elementwise(scratch=3, numbers=(1,), quiet=True)
def swiglu(x: Array, gate: Array, a: Array, e: Array, y: Array, one: Array, out: Out) -> Result:
    """x·gate·σ(gate); the product may overflow, and 0 meet infinity."""
    if parts.exp_is_finite(gate):
        np.negative(gate, e)
        np.exp(e, y)
        np.add(y, one, e)
        return np.multiply(x, np.divide(gate, e, y), out)
    np.abs(gate, a)
    tail = parts.left_tail(gate, parts.exp_minus(a, e))
    np.maximum(e, gate >= 0, out=y)  # exp(min(gate, 0))
    e += 1
    y /= e
    y *= parts.no_less(gate)
    y *= x
    if tail is not None:
        y *= tail
    return np.positive(parts.keep_infinite(x, gate, y), out)


@elementwise(scratch=3, dtype=np.float64, quiet=True)
def geglu(x: Array, gate: Array, a: Array, y: Array, right: Array, out: Array, *, approximate: str) -> Result:
    """x·gelu(gate), in float64 as gelu, rounded once; the product may overflow, and 0 meet infinity."""
    gelus.gelu(gate, a, y, right, y, approximate=approximate)
    np.multiply(x, y, y)
    return np.add(parts.keep_infinite(x, gate, y), 0, out, casting="same_kind")


@elementwise(scratch=1, numbers=(0,), quiet=True)
def reglu(x: Array, gate: Array, y: Array, zero: Array, out: Out) -> Result:
    """x·max(gate, 0); the product may overflow, and 0 meet infinity."""
    return np.multiply(x, np.maximum(gate, zero, out=y), out)


def _linear_in_x(op: Function, name: str, doc: str) -> Function:
    """Return the vjp of an op that is linear in x: the op of the cotangent."""

    def bind(g: Array, x: Array, gate: Array, *, out: Out = None, **parameters: Any) -> Run:
        del x
        return op.bind(g, gate, out=out, **parameters)

    vjp = bound_by(bind)
    vjp.__name__, vjp.__doc__ = name, doc
    return vjp


swiglu_vjp = _linear_in_x(swiglu, "swiglu_vjp", "g·gate·σ(gate).")
geglu_vjp = _linear_in_x(geglu, "geglu_vjp", "g·gelu(gate).")
reglu_vjp = _linear_in_x(reglu, "reglu_vjp", "g·max(gate, 0).")


OPS: Pairs = {
    "prelu": (prelu, prelu_vjp),
    "swiglu": (swiglu, swiglu_vjp),
    "geglu": (geglu, geglu_vjp),
    "reglu": (reglu, reglu_vjp),
}
