"""Search for the worst points of an op: where a backend's result is farthest from exact.

From a dense sample, the worst points are varied, in steps that shrink to a few units of the last place, and the
worst of those again: a hill climb from many summits at once. Ops along an axis are searched by rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np

from backends.base import output_shape
from backends.interface import OpSpec
from benchmarks.check import accuracy, oracle, samples
from benchmarks.check.namespaces import Array
from benchmarks.check.oracle import Expected
from benchmarks.plan import inputs

RADII = (0.3, 0.03, 1e-3, 1e-5)
"""Relative sizes of the steps, round after round; the last round steps by a few units of the last place."""
WORST = 12
"""Points that each round starts from."""
CHILDREN = 16
"""Variations of each."""

Evaluate = Callable[[tuple[Array, ...], Array | None], Array]
"""Returns a backend's result for inputs and a cotangent (None for a forward pass)."""


@dataclass(frozen=True)
class Sample:
    """Inputs, the exact result for them, and the cotangent it is for.

    The first `n_sample` points (or rows) were sampled, the others sought out for their errors.
    """

    arrays: tuple[Any, ...]
    cotangent: Array | None
    expected: Expected
    n_sample: int


def worst_points(evaluate: Evaluate, op: str, mode: str, dtype: str, saved: str = "input") -> tuple[Array, Sample]:
    """Return what a backend makes of the dense sample and of the points found from there, and what is exact."""
    spec = inputs.spec_of(op, saved)
    generator = np.random.default_rng(zlib.crc32(f"search {op} {mode} {dtype}".encode()))
    sample = dense(op, mode, dtype, saved)
    got = evaluate(sample.arrays, sample.cotangent)
    for radius in (*RADII, 0.0):
        worst = _worst(got, sample, accuracy.budget(op, mode, saved=saved))
        more = attempt(spec, mode, dtype, _vary(spec, sample.arrays, worst, radius, dtype, generator))
        got = np.concatenate([got, evaluate(more.arrays, more.cotangent)])
        sample = _joined(sample, more)
    return got, sample


@lru_cache(maxsize=4)
def designed(op: str, mode: str, dtype: str, saved: str = "input") -> Sample:
    """Return the designed sample; kept while the backends are judged by it, one after the other."""
    return attempt(inputs.spec_of(op, saved), mode, dtype, samples.designed_sample(op, dtype, saved))


@lru_cache(maxsize=4)
def dense(op: str, mode: str, dtype: str, saved: str = "input") -> Sample:
    """Return the designed sample, with many more points over all exponents and sizes of rows."""
    spec = inputs.spec_of(op, saved)
    drawn = samples.designed_sample(op, dtype, saved), samples.scattered_sample(op, dtype, saved)
    arrays = [
        None if a is None else a if d.extent in ("classes", "broadcast") else np.concatenate([a, b])
        for d, a, b in zip(spec.inputs, *drawn, strict=True)
    ]
    return attempt(spec, mode, dtype, arrays)


@lru_cache(maxsize=4)
def along_curve(op: str, mode: str, dtype: str) -> Sample:
    """Return an elementwise activation along the course notes' curve, for a cotangent of ones."""
    x = oracle.COURSE_NOTES_X.astype(dtype)
    if mode == "forward":
        return Sample((x,), None, oracle.forward(op, [x], {}, dtype), len(x))
    g = np.ones_like(x)
    return Sample((x,), g, oracle.backward(op, g, [x], {}, dtype), len(x))


def attempt(
    spec: OpSpec,
    mode: str,
    dtype: str,
    arrays: Sequence[Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    wide: bool = False,
) -> Sample:
    """Return inputs, a cotangent and the exact result; without `parameters`, losses are not reduced."""
    if parameters is None:
        parameters = {"reduction": "none"} if spec.kind == "loss" else {}
    n_points = len(arrays[0]) if arrays[0].ndim else 1
    if mode == "forward":
        return Sample(
            tuple(arrays), None, oracle.forward(spec.name, arrays, parameters, dtype, wide=wide), n_points
        )
    g = inputs.cotangent(output_shape(spec, arrays, spec.complete(parameters)), dtype)
    return Sample(tuple(arrays), g, oracle.gradient(spec, g, arrays, parameters, dtype, wide=wide), n_points)


def _worst(got: Array, sample: Sample, allowed: float) -> Array:
    """Return the indices, along the first axis, of the largest finite errors: of all, and of those allowed."""
    errors = accuracy.ulp_error(got, sample.expected)
    errors = np.where(np.isfinite(errors), errors, 0).reshape(len(errors), -1).max(axis=1)
    within_budget = np.where(errors <= allowed, errors, 0)
    return np.unique(np.concatenate([np.argsort(e)[-WORST // 2 :] for e in (errors, within_budget)]))


def _joined(sample: Sample, more: Sample) -> Sample:
    """Return two samples as one; what is shared by all points is the same in both."""
    n_first = sample.arrays[0].shape[:1]

    def join(a: Any, b: Any) -> Any:
        return a if a is None or a.shape[:1] != n_first else np.concatenate([a, b])

    arrays = tuple(join(a, b) for a, b in zip(sample.arrays, more.arrays, strict=True))
    names = ("high", "low", "scale")
    expected = [np.concatenate([getattr(t.expected, name) for t in (sample, more)]) for name in names]
    return Sample(arrays, join(sample.cotangent, more.cotangent), Expected(*expected), sample.n_sample)


def _vary(
    spec: OpSpec, arrays: Sequence[Any], worst: Array, radius: float, dtype: str, generator: np.random.Generator
) -> list[Any]:
    """Return `CHILDREN` variations of each of the `worst` points, the first input moved."""
    n = len(arrays[0])
    chosen: list[Any] = [
        None if a is None else np.repeat(a[worst], CHILDREN, axis=0) if len(a) == n else a for a in arrays
    ]
    first = chosen[0].astype(np.float64)
    step = radius or 4 * float(ml_dtypes.finfo(dtype).eps)
    with np.errstate(over="ignore", invalid="ignore"):
        moved = first * (1 + step * generator.standard_normal(first.shape))
        chosen[0] = samples.within(moved, spec.inputs[0].domain).astype(dtype)
    return chosen
