"""Inputs: seeded draws for timing, designed samples and special values for correctness.

All are host arrays that depend on the case alone, never on the backend, so that every backend computes the same
numbers and a run can be repeated.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from backends.catalogue import OPS
from backends.interface import Input, OpSpec

Array = np.ndarray[Any, np.dtype[Any]]

SPECIAL_VALUES = (0.0, -0.0, 1e-30, -1e-30, 88.0, -88.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan)
CLASSES = 10  # as in the course notes
PERIOD = 2**20
"""Larger arrays repeat after about so many values: no branch predictor remembers as many, and drawing takes
longer than timing."""


def draw(op: str, shape: Sequence[int], dtype: str) -> tuple[Array, ...]:
    """Draw inputs for timing, from the domain of each input.

    Reals are normal with standard deviation 2, cut at ±10, so that no result is subnormal: subnormal numbers
    slow some kernels 40 times. The seed is a hash of the op, shape and dtype.
    """
    spec = OPS[op]
    generator = np.random.default_rng(zlib.crc32(f"{op} {tuple(shape)} {dtype}".encode()))
    period = _period(shape) if len(shape) > 1 or not spec.along_axis else shape
    return tuple(_repeated(_draw_input(declared, period, dtype, generator), shape) for declared in spec.inputs)


def cotangent(shape: Sequence[int], dtype: str) -> Array:
    """Draw a cotangent: normal, bounded away from zero by its nature only, the same for every backend."""
    generator = np.random.default_rng(zlib.crc32(f"cotangent {tuple(shape)} {dtype}".encode()))
    wide: Any = np.dtype(dtype).type
    return _repeated(np.asarray(generator.standard_normal(_period(shape), dtype=wide)), shape)


def designed_sample(op: str, dtype: str) -> tuple[Array, ...]:
    """Return points chosen to find errors: around zero and the kinks, over all exponents, special values.

    Elementwise ops get a vector, ops along an axis get rows of `CLASSES` entries of very different sizes.
    """
    spec = OPS[op]
    generator = np.random.default_rng(zlib.crc32(f"sample {op} {dtype}".encode()))
    if spec.along_axis:
        return _rows(spec, dtype, generator)
    points = _points(spec, dtype)
    others = [_draw_input(other, points.shape, dtype, generator) for other in spec.inputs[1:]]
    for other in others:
        other[::7] = 0.0
        other[3::7] = 1.0
    return (points, *others)


def special_values(dtype: str) -> Array:
    """Return zeros, tiny, large, infinite, NaN and subnormal values of `dtype`."""
    smallest = np.finfo(np.dtype(dtype)).smallest_subnormal
    subnormals = [smallest, -smallest, 1000 * smallest]
    return np.array([*SPECIAL_VALUES, *subnormals], dtype=dtype)


def _period(shape: Sequence[int]) -> tuple[int, ...]:
    """Return `shape` with its first axis cut so that about `PERIOD` values remain."""
    if not shape:
        return ()
    return (min(shape[0], max(1, PERIOD // max(1, prod(shape[1:])))), *shape[1:])


def _repeated(values: Array, shape: Sequence[int]) -> Array:
    """Repeat `values` along the first axis until that is as long as the first of `shape`."""
    return np.resize(values, (shape[0], *values.shape[1:])) if values.ndim else values


def _draw_input(declared: Input, shape: Sequence[int], dtype: str, generator: np.random.Generator) -> Array:
    shape = tuple(shape)
    if declared.domain == "labels":
        return generator.integers(0, shape[-1], shape[:-1], dtype=np.int64)
    wide: Any = np.dtype(dtype).type
    if declared.domain == "unit":
        return generator.random(shape, dtype=wide)
    values = generator.standard_normal(shape, dtype=wide)
    if declared.domain == "distribution":
        weights = np.exp(values)
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype)
    values *= 2
    return np.clip(values, -10, 10, out=values) if values.ndim else np.clip(values, -10, 10)


def _points(spec: OpSpec, dtype: str) -> Array:
    """Return a vector for elementwise ops: special values, a dense middle, the kinks, and every exponent."""
    info = np.finfo(np.dtype(dtype))
    # A loss of nearly the largest number overflows half way, for good reason.
    top = np.log10(float(info.max)) - (3 if spec.kind == "loss" else 0.1)
    exponents = np.linspace(np.log10(float(info.smallest_subnormal)) + 0.1, top, 60)
    logarithmic = 10.0**exponents
    ladder = np.geomspace(0.01, 800, 60)  # where exponentials leave 1 and reach their limits
    near_kinks = [k + d for k in (*spec.kinks, 0.0) for d in (-1e-3, -1e-7, 0.0, 1e-7, 1e-3)]
    middle = np.linspace(-10, 10, 161)
    parts: list[Any] = [middle, near_kinks, ladder, -ladder, logarithmic, -logarithmic]
    return np.concatenate([special_values(dtype), np.concatenate(parts).astype(dtype)])


def _rows(spec: OpSpec, dtype: str, generator: np.random.Generator) -> tuple[Array, ...]:
    """Return rows for ops along an axis: ordinary, equal, huge, one-sided, masked and undefined."""
    first = _draw_input(spec.inputs[0], (30, CLASSES), dtype, generator)
    others = [_draw_input(other, first.shape, dtype, generator) for other in spec.inputs[1:]]
    for declared, other in zip(spec.inputs[1:], others, strict=True):
        if declared.domain == "distribution":
            other[::2] = np.eye(CLASSES, dtype=dtype)[np.arange(15) % CLASSES]
    if spec.inputs[0].domain == "distribution":
        first[0] = np.array([0.1, 0.05, 0.6, 0, 0.05, 0.1, 0, 0.1, 0, 0], dtype)  # the course notes' example
        first[1] = np.eye(CLASSES, dtype=dtype)[4]
    else:
        first[0], first[1] = 0.0, 5.0
        first[2:8] *= np.array([[10], [40], [100], [1e4], [1e-20], [1e-3]], dtype)
        first[8, 3], first[9, 3], first[10] = 1000, -1000, np.linspace(-1000, 1000, CLASSES)
        first[11, 0], first[12, 2] = -88, 88
    first[13, 1] = np.nan
    if spec.kind == "along_axis":
        first[14, 2:5], first[15], first[16, 4] = -np.inf, -np.inf, np.inf
    return (first, *others)
