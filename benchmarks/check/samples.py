"""Samples: the points at which a backend's errors are looked for."""

from __future__ import annotations

import zlib
from typing import Any

import ml_dtypes
import numpy as np

from backends.catalogue import OPS
from backends.interface import Input, OpSpec
from benchmarks.plan.inputs import CLASSES, Array, _draw_input, _others

SPECIAL_VALUES = (0.0, -0.0, 1e-30, -1e-30, 88.0, -88.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan)

N_SCATTERED = 2000


def designed_sample(op: str, dtype: str) -> tuple[Any, ...]:
    """Return points chosen to find errors: around zero and the kinks, over all exponents, special values.

    Elementwise ops get a vector, ops along an axis get rows of `CLASSES` entries of very different sizes.
    """
    spec = OPS[op]
    generator = np.random.default_rng(zlib.crc32(f"sample {op} {dtype}".encode()))
    if spec.along_axis:
        return _rows(spec, dtype, generator)
    points = _points(spec, dtype)
    return (points, *_others(spec, lambda other: _beside(spec, other, points, dtype, generator)))


def scattered_sample(op: str, dtype: str) -> tuple[Any, ...]:
    """Return many points at random, to go with `designed_sample`: over all exponents, and around the kinks.

    Ops along an axis get rows of many sizes.
    """
    spec = OPS[op]
    generator = np.random.default_rng(zlib.crc32(f"scattered {op} {dtype}".encode()))
    info = ml_dtypes.finfo(dtype)
    if spec.along_axis:
        first = _draw_input(spec.inputs[0], (N_SCATTERED // 20, CLASSES), dtype, generator).astype(np.float64)
        if spec.inputs[0].domain == "real":
            first *= 10.0 ** generator.uniform(-3, 2, (len(first), 1))
    else:
        low, high = np.log(float(info.smallest_subnormal)), np.log(float(info.max)) - 7
        everywhere = np.exp(generator.uniform(low, high, N_SCATTERED // 4))
        ordinary = np.exp(generator.uniform(np.log(1e-3), np.log(100), N_SCATTERED // 2))
        near = np.repeat((*spec.kinks, 0.0), 64)
        near = near + generator.standard_normal(near.size) * 10.0 ** generator.uniform(-7, 0, near.size)
        first = np.concatenate([everywhere, ordinary, near])
        first[: N_SCATTERED * 3 // 4] *= generator.choice([-1.0, 1.0], N_SCATTERED * 3 // 4)
    with np.errstate(over="ignore"):
        first = first.astype(dtype)
    if spec.along_axis:
        return (first, *_others(spec, lambda other: _draw_input(other, first.shape, dtype, generator)))
    points = _spread_out(first, spec.inputs[0].domain)
    return (points, *_others(spec, lambda other: _beside(spec, other, points, dtype, generator)))


def within(values: Array, domain: str) -> Array:
    """Bring values into a domain: those of probabilities between 0 and 1, others not below 0 where need be."""
    if domain in ("unit", "distribution"):
        return np.clip(values, 0, 1)
    if domain in ("nonnegative", "positive"):
        return np.abs(values)
    return np.minimum(values, 0) if domain == "log_distribution" else values


def special_values(dtype: str) -> Array:
    """Return zeros, tiny, large, infinite, NaN and subnormal values of `dtype`."""
    smallest = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    values = np.array([*SPECIAL_VALUES, smallest, -smallest, 1000 * smallest])
    return values.astype(dtype)


def _points(spec: OpSpec, dtype: str) -> Array:
    """Return a vector for elementwise ops: special values, a dense middle, the kinks, and every exponent."""
    info = ml_dtypes.finfo(dtype)
    # A loss of nearly the largest number overflows half way, for good reason.
    top = np.log10(float(info.max)) - (3 if spec.kind == "loss" else 0.1)
    logarithmic = 10.0 ** np.linspace(np.log10(float(info.smallest_subnormal)) + 0.1, top, 60)
    ladder = np.geomspace(0.01, 800, 60)  # where exponentials leave 1 and reach their limits
    near_kinks = [k + d for k in (*spec.kinks, 0.0) for d in (-1e-3, -1e-7, 0.0, 1e-7, 1e-3)]
    middle = np.linspace(-10, 10, 161)
    parts: list[Any] = [middle, near_kinks, ladder, -ladder, logarithmic, -logarithmic]
    with np.errstate(over="ignore"):
        points = np.concatenate([special_values(dtype), np.concatenate(parts).astype(dtype)])
    return _spread_out(points, spec.inputs[0].domain)


def _spread_out(points: Array, domain: str) -> Array:
    """Bring points all over the reals into a domain, so that they lie dense at its ends."""
    if domain != "unit":
        return within(points, domain).astype(points.dtype)
    near_0 = np.abs(points.astype(np.float64))
    near_0 = near_0[near_0 <= 1]  # without NaN, which PyTorch's losses of probabilities refuse
    return np.concatenate([near_0, 1 - near_0, np.linspace(0, 1, 101)]).astype(points.dtype)


def _beside(spec: OpSpec, declared: Input, points: Array, dtype: str, generator: np.random.Generator) -> Array:
    """Return another input to go with `points`: ordinary values with zeros and ones among them.

    Where it is an activation's argument too, values as far out as its tails reach without underflow.
    """
    values = _draw_input(declared, points.shape, dtype, generator)
    if declared.extent != "same":
        return values
    if spec.kind == "elementwise":
        reach = 0.9 * float(np.log(float(ml_dtypes.finfo(dtype).max)))
        return generator.permutation(np.linspace(-reach, reach, points.size)).astype(dtype)
    if declared.domain in ("real", "unit", "nonnegative"):
        values[::7] = 0.0
    if declared.domain != "sign":
        values[3::7] = 1.0
    return values


def _rows(spec: OpSpec, dtype: str, generator: np.random.Generator) -> tuple[Any, ...]:
    """Return rows for ops along an axis: ordinary, equal, huge, one-sided, masked and undefined."""
    first = _draw_input(spec.inputs[0], (30, CLASSES), dtype, generator)
    others = _others(spec, lambda other: _draw_input(other, first.shape, dtype, generator))
    for declared, other in zip(spec.inputs[1:], others, strict=True):
        if declared.domain == "distribution" and other is not None:
            other[::2] = np.eye(CLASSES)[np.arange(15) % CLASSES]
    if spec.inputs[0].domain == "real":
        _vary_logits(first)
    elif spec.inputs[0].domain != "log_distribution":
        first[0] = np.array([0.1, 0.05, 0.6, 0, 0.05, 0.1, 0, 0.1, 0, 0])  # the course notes' example
        first[1] = np.eye(CLASSES)[4]
    first[13, 1] = np.nan
    if spec.kind == "along_axis":
        first[14, 2:5], first[15], first[16, 4] = -np.inf, -np.inf, np.inf
    return (first, *others)


def _vary_logits(rows: Array) -> None:
    """Make rows equal, huge, tiny, one-sided and masked."""
    rows[0], rows[1] = 0.0, 5.0
    factors = np.array([[10], [40], [100], [1e3], [1e-20], [1e-3]])
    rows[2:8] = (rows[2:8].astype(np.float64) * factors).astype(rows.dtype)
    rows[8, 3], rows[9, 3], rows[10] = 1000, -1000, np.linspace(-1000, 1000, CLASSES)
    rows[11, 0], rows[12, 2] = -88, 88
