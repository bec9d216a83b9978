"""Inputs: seeded draws for timing, designed samples and special values for correctness.

All are host arrays that depend on the case alone, never on the backend, so that every backend computes the same
numbers and a run can be repeated.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from backends.catalogue import OPS
from backends.interface import Input, OpSpec
from benchmarks.plan.cases import Case

Array = np.ndarray[Any, np.dtype[Any]]

SPECIAL_VALUES = (0.0, -0.0, 1e-30, -1e-30, 88.0, -88.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan)
CLASSES = 10  # as in the course notes
N_SCATTERED = 2000
PERIOD = 2**20
"""Larger arrays repeat after about so many values: no branch predictor remembers as many, and drawing takes
longer than timing."""


def draw(op: str, shape: Sequence[int], dtype: str, *, optional: bool = False) -> tuple[Any, ...]:
    """Draw inputs for timing, from the domain of each input; those that are `optional` only if asked, else None.

    Reals are normal with standard deviation 2, cut at ±10, so that no result is subnormal in float32 or wider, and
    no input in any type: subnormal numbers slow some kernels 40 times. Probabilities stay away from 0 and 1, where
    losses are infinite. The seed is a hash of the op, shape and dtype.
    """
    spec = OPS[op]
    generator = np.random.default_rng(zlib.crc32(f"{op} {tuple(shape)} {dtype}".encode()))
    period = _period(shape) if len(shape) > 1 or not spec.along_axis else shape

    def array(declared: Input) -> Array:
        values = _draw_input(declared, period, dtype, generator)
        return _repeated(values, shape) if declared.extent in ("same", "rows") else values

    return tuple(None if declared.optional and not optional else array(declared) for declared in spec.inputs)


def cotangent(shape: Sequence[int], dtype: str) -> Array:
    """Draw a cotangent: normal, bounded away from zero by its nature only, the same for every backend."""
    generator = np.random.default_rng(zlib.crc32(f"cotangent {tuple(shape)} {dtype}".encode()))
    values = np.asarray(generator.standard_normal(_period(shape), dtype=_drawn(dtype)), dtype)
    return _repeated(_normal(values), shape)


def bytes_needed(case: Case) -> int:
    """Return about how many bytes the inputs and outputs of a case take: each input's as many as the first's.

    A result that is being written, and the one before it, which is not given back before.
    """
    arrays = (
        len(OPS[case.op].inputs) + 2 * (2 if case.mode == "forward+backward" else 1) + (case.mode != "forward")
    )
    return arrays * case.n_elements * np.dtype(case.dtype).itemsize


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


def _others(spec: OpSpec, draw_one: Callable[[Input], Array]) -> list[Array | None]:
    """Return the inputs after the first; None for optional ones."""
    return [None if other.optional else draw_one(other) for other in spec.inputs[1:]]


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


def _period(shape: Sequence[int]) -> tuple[int, ...]:
    """Return `shape` with its first axis cut so that about `PERIOD` values remain."""
    if not shape:
        return ()
    return (min(shape[0], max(1, PERIOD // max(1, prod(shape[1:])))), *shape[1:])


def _repeated(values: Array, shape: Sequence[int]) -> Array:
    """Repeat `values` along the first axis until that is as long as the first of `shape`."""
    return np.resize(values, (shape[0], *values.shape[1:])) if values.ndim else values


def _drawn(dtype: str) -> Any:
    """Return the type in which values of `dtype` are drawn: the generator has no narrower one than float32."""
    return np.float64 if dtype == "float64" else np.float32


def _draw_input(declared: Input, shape: Sequence[int], dtype: str, generator: np.random.Generator) -> Array:
    """Draw one input to go with a first input of `shape`, classes along its last axis."""
    if declared.extent == "rows":
        return generator.integers(0, shape[-1], tuple(shape[:-1]), dtype=np.int64)
    shape = {"same": tuple(shape), "classes": tuple(shape[-1:]), "broadcast": (1,) if shape else ()}[
        declared.extent
    ]
    return _normal(np.asarray(_DRAW[declared.domain](generator, shape, _drawn(dtype)), dtype))


def _normal(values: Array) -> Array:
    """Return `values` with every subnormal one replaced by the smallest normal number of its sign."""
    smallest = ml_dtypes.finfo(values.dtype).smallest_normal
    subnormal = (values != 0) & (np.abs(values) < smallest)
    return np.where(subnormal, np.copysign(smallest, values), values) if subnormal.any() else values


def _real(generator: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    return np.clip(generator.standard_normal(shape, dtype=dtype) * 2, -10, 10)


def _distribution(generator: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    weights = np.exp(np.asarray(generator.standard_normal(shape, dtype=dtype)))
    return weights / weights.sum(axis=-1, keepdims=True)


def _one_hot(generator: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    labels = generator.integers(0, max(shape[-1], 1), (*shape[:-1], 1))
    return (labels == np.arange(shape[-1])).astype(dtype)


_DRAW: dict[str, Any] = {
    "real": _real,
    "unit": lambda generator, shape, dtype: generator.random(shape, dtype=dtype).clip(2**-8, 1 - 2**-8),
    "positive": lambda generator, shape, dtype: generator.random(shape, dtype=dtype) * 2 + dtype(0.125),
    "nonnegative": lambda *where: np.abs(_real(*where)),
    "sign": lambda generator, shape, _: generator.integers(0, 2, shape) * 2 - 1,
    "distribution": _distribution,
    "log_distribution": lambda *where: np.log(_distribution(*where)),
    "one_hot": _one_hot,
}


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
