"""Textbook formulas that several ops share, over a math namespace `m` (see `interface.Math`).

They are for evaluation at high precision. In float64 they may overflow or cancel: never implement an op by them.
"""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

from typing import Any

from backends.interface import REDUCTIONS, Budget, Math, Parameter

INF = float("inf")
AXIS = Parameter("axis", -1, whole=True)
REDUCTION = Parameter("reduction", "mean", choices=REDUCTIONS)

EXACT = Budget(0, 0, "selects or copies its input: nothing is rounded")
ELEMENTARY = Budget(8, 8, "a few roundings around one or two elementary functions of up to 3 ULP each")


def logistic(m: Math, x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + m.exp(-x))


def d_logistic(m: Math, x: Any) -> Any:
    """σ(x)·σ(-x): even in x, and a product of two numbers that do not cancel."""
    return logistic(m, x) * logistic(m, -x)


def silu(m: Math, x: Any) -> Any:
    """x·σ(x), and its limit 0 at -inf."""
    return m.where(x > -INF, x * logistic(m, x), 0)


def normal_cdf(m: Math, x: Any) -> Any:
    """Distribution function of the standard normal, DLMF 7.2.2 and 7.18."""
    return m.erfc(-x / m.sqrt(2)) / 2


def normal_pdf(m: Math, x: Any) -> Any:
    """Density of the standard normal."""
    return m.exp(-x * x / 2) / m.sqrt(2 * m.pi)


def clip(m: Math, x: Any, low: float, high: float) -> Any:
    """x within bounds."""
    return m.where(x < low, low, m.where(x > high, high, x))


def between(m: Math, x: Any, low: float, high: float) -> Any:
    """1 where low < x < high, else 0."""
    return m.where((x > low) & (x < high), 1, 0)


def softmax(m: Math, x: Any, *, axis: int) -> Any:
    """exp(x) / Σ exp(x)."""
    e = m.exp(x)
    return m.quotient(e, m.sum(e, axis=axis, keepdims=True))


def log_softmax(m: Math, x: Any, *, axis: int) -> Any:
    """x - log(Σ exp(x))."""
    return x - m.log(m.sum(m.exp(x), axis=axis, keepdims=True))


def depth(m: Math, x: Any, *, axis: int) -> Any:
    """How far each entry lies below the largest of its row: what a stable formula must subtract and round."""
    below = m.max(x, axis=axis, keepdims=True) - x
    return m.where(below < INF, below, 0)


def softmax_scale(m: Math, x: Any, *, axis: int) -> Any:
    """Error of softmax: the rounding of x - max(x) is amplified by its size."""
    return softmax(m, x, axis=axis) * (1 + depth(m, x, axis=axis))


def times_log(m: Math, factor: Any, x: Any) -> Any:
    """factor·log(x), and 0 where the factor is."""
    return m.where(factor == 0, 0, factor * m.log(x))
