"""Numba: activations made of pieces, as formulas of one element; `loops` puts the loops around them.

Literals in compiled code are float64 or int64 and promote a float32 next to them, so constants take the type of
the argument. So do parameters, which arrive in float64; whatever is computed from them alone is rounded once.
"""

# ruff: noqa: D403 - formulas begin with their variables
# ruff: noqa: FURB136 - `min` and `max` treat NaN differently in Python, in Numba and here
# ruff: noqa: PLR0124 - only NaN differs from itself

from __future__ import annotations

from typing import Any

from backends.host import Pairs
from backends.numba.compilation import formula
from backends.numba.ops import moving


@formula
def step(x: Any) -> Any:
    """1 where x > 0, else 0."""
    number = type(x)
    return x if x != x else (number(1) if x > number(0) else number(0))


@formula
def step_vjp(g: Any, x: Any) -> Any:
    """0, but NaN at NaN."""
    return g * (x if x != x else type(x)(0))


@formula
def relu(x: Any) -> Any:
    """max(x, 0), written so that NaN stays."""
    zero = type(x)(0)
    return zero if x <= zero else x


@formula
def relu_vjp(g: Any, x: Any) -> Any:
    """1 where x > 0, else 0."""
    return g * step(x)


@formula
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6)."""
    return clip(x, 0, 6)


@formula
def relu6_vjp(g: Any, x: Any) -> Any:
    """1 where 0 < x < 6, else 0."""
    return g * between(x, 0, 6)


@formula
def leaky_relu(x: Any, negative_slope: Any) -> Any:
    """Slope 1 right of zero, `negative_slope` left of it; a slope of 0 gives 0 even at -inf."""
    number = type(x)
    zero, slope = number(0), number(negative_slope)
    return (zero if slope == zero else slope * x) if x <= zero else x


@formula
def leaky_relu_vjp(g: Any, x: Any, negative_slope: Any) -> Any:
    """1 where x > 0, else the slope."""
    number = type(x)
    return g * (x if x != x else (number(1) if x > number(0) else number(negative_slope)))


@formula
def hard_sigmoid(x: Any) -> Any:
    """min(max(x + 3, 0), 6) / 6."""
    number = type(x)
    return clip(x + number(3), 0, 6) / number(6)


@formula
def hard_sigmoid_vjp(g: Any, x: Any) -> Any:
    """1/6 where -3 < x < 3, else 0; a division, since 1/6 is not exact."""
    return g * between(x, -3, 3) / type(x)(6)


@formula
def hard_silu(x: Any) -> Any:
    """x·hard_sigmoid(x): x·(x + 3) would overflow. 0 at -inf, too."""
    number = type(x)
    return number(0) if x <= number(-3) else x * hard_sigmoid(x)


@formula
def hard_silu_vjp(g: Any, x: Any) -> Any:
    """(2x + 3) / 6 between -3 and 3, 0 left of that, 1 right of it."""
    number = type(x)
    slope = (x + x + number(3)) / number(6)
    return g * (number(0) if x <= number(-3) else (number(1) if x >= number(3) else slope))


@formula
def hard_tanh(x: Any) -> Any:
    """min(max(x, -1), 1)."""
    return clip(x, -1, 1)


@formula
def hard_tanh_vjp(g: Any, x: Any) -> Any:
    """1 where -1 < x < 1, else 0."""
    return g * between(x, -1, 1)


@formula
def soft_shrink(x: Any, threshold: Any) -> Any:
    """x, nearer to 0 by the threshold, and 0 within it."""
    number = type(x)
    bound = number(threshold)
    inside = x if x != x else number(0)
    return x - bound if x > bound else (x + bound if x < -bound else inside)


@formula
def soft_shrink_vjp(g: Any, x: Any, threshold: Any) -> Any:
    """1 where |x| > threshold, else 0."""
    number = type(x)
    return g * (x if x != x else (number(1) if abs(x) > number(threshold) else number(0)))


@formula
def hard_shrink(x: Any, threshold: Any) -> Any:
    """x where |x| > threshold, else 0."""
    number = type(x)
    return number(0) if abs(x) <= number(threshold) else x


@formula
def threshold(x: Any, threshold: Any, value: Any) -> Any:
    """x where x > threshold, else the value."""
    number = type(x)
    return number(value) if x <= number(threshold) else x


@formula
def threshold_vjp(g: Any, x: Any, threshold: Any, value: Any) -> Any:  # noqa: ARG001 - called like the op
    """1 where x > threshold, else 0."""
    number = type(x)
    return g * (x if x != x else (number(1) if x > number(threshold) else number(0)))


@formula
def sparse_plus(x: Any) -> Any:
    """((x + 1) / 2)² between -1 and 1, 0 left of that, x right of it."""
    number = type(x)
    half = (x + number(1)) * number(0.5)
    return number(0) if x <= number(-1) else (half * half if x < number(1) else x)


@formula
def sparse_plus_vjp(g: Any, x: Any) -> Any:
    """sparse_sigmoid(x)."""
    return g * sparse_sigmoid(x)


@formula
def sparse_sigmoid(x: Any) -> Any:
    """min(max(x + 1, 0), 2) / 2."""
    number = type(x)
    return clip(x + number(1), 0, 2) * number(0.5)


@formula
def sparse_sigmoid_vjp(g: Any, x: Any) -> Any:
    """1/2 where -1 < x < 1, else 0."""
    return g * between(x, -1, 1) * type(x)(0.5)


@formula
def linear(x: Any) -> Any:
    """x."""
    return x


@formula
def linear_vjp(g: Any, x: Any) -> Any:  # noqa: ARG001 - called like the others
    """1, whatever x is."""
    return g


# --- shared parts ----------------------------------------------------------------------------------------------


@formula
def max_0(x: Any) -> Any:
    """Return the larger of x and 0; 0 for NaN, to be added to a NaN."""
    zero = type(x)(0)
    return x if x > zero else zero


@formula
def at_least(x: Any, bound: Any) -> Any:
    """Return x or the bound, whichever is larger; NaN stays."""
    lowest = type(x)(bound)
    return lowest if x <= lowest else x


@formula
def clip(x: Any, low: Any, high: Any) -> Any:
    """Return x within bounds; NaN stays."""
    number = type(x)
    return number(low) if x <= number(low) else (number(high) if x >= number(high) else x)


@formula
def between(x: Any, low: Any, high: Any) -> Any:
    """Return 1 where low < x < high, else 0; NaN stays."""
    number = type(x)
    inside = number(1) if (x > number(low)) & (x < number(high)) else number(0)
    return x if x != x else inside


@formula
def sign(x: Any) -> Any:
    """Return -1, 0 or 1; NaN stays."""
    number = type(x)
    return number(-1) if x < number(0) else step(x)


OPS: Pairs = {
    "step": (moving(step), moving(step_vjp)),
    "relu": (moving(relu), moving(relu_vjp)),
    "relu6": (moving(relu6), moving(relu6_vjp)),
    "leaky_relu": (moving(leaky_relu), moving(leaky_relu_vjp)),
    "hard_sigmoid": (moving(hard_sigmoid), moving(hard_sigmoid_vjp)),
    "hard_silu": (moving(hard_silu), moving(hard_silu_vjp)),
    "hard_tanh": (moving(hard_tanh), moving(hard_tanh_vjp)),
    "soft_shrink": (moving(soft_shrink), moving(soft_shrink_vjp)),
    "hard_shrink": (moving(hard_shrink), moving(soft_shrink_vjp)),
    "threshold": (moving(threshold), moving(threshold_vjp)),
    "sparse_plus": (moving(sparse_plus), moving(sparse_plus_vjp)),
    "sparse_sigmoid": (moving(sparse_sigmoid), moving(sparse_sigmoid_vjp)),
    "linear": (moving(linear), moving(linear_vjp)),
}
