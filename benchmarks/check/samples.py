"""Samples: the points at which a backend's errors are looked for."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np

from backends.catalogue import OPS
from backends.interface import Input, OpSpec
from benchmarks.check.deviations import INF
from benchmarks.plan.inputs import CLASSES, Array, _draw_input, _others, draw, spec_of

SPECIAL_VALUES = (0.0, -0.0, 1e-30, -1e-30, 88.0, -88.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan)

N_SCATTERED = 2000

MASKED = 3
"""The class that is masked in some rows."""
LENGTHS = tuple(range(1, 65))
FEW_LENGTHS = (*range(1, 6), *range(7, 10), *range(15, 18), *range(31, 34), 63, 64)
"""Around the ends of vectors of 2 to 32 numbers: where each length is compiled, all would take minutes."""

LEAST_PARAMETER = 2.0**-166
"""Next to 0, and too small for float32."""
LARGE_PARAMETERS = (2.0**17, 2.0**166)
"""Too large for float16, and for float32."""
EXPONENTS = ("gamma",)
"""Parameters whose powers under- and overflow for good reason: their range is tried by the catalogue."""


def designed_sample(op: str, dtype: str, saved: str = "input") -> tuple[Any, ...]:
    """Return points chosen to find errors: around zero and the kinks, over all exponents, special values.

    Elementwise ops get a vector, ops along an axis get rows of `CLASSES` entries of very different sizes.
    """
    spec = spec_of(op, saved)
    generator = np.random.default_rng(zlib.crc32(f"sample {op} {dtype}".encode()))
    if spec.along_axis:
        return _rows(spec, dtype, generator)
    points = _points(spec, dtype)
    others = _others(spec, lambda other: _beside(spec, other, points, dtype, generator))
    return _joined(spec, (points, *others), _meeting(spec, dtype))


def special_sample(op: str, dtype: str, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    """Return few points, but every special value of each input beside every one of the others.

    Zeros, ends of domains, infinities, NaN, and numbers so large or small that products of two leave the range;
    for ops along an axis rows that are masked, undefined or one-sided, with every kind of target. Inputs that are
    `optional`, or shared by all points, are given at random. `parameters` may narrow the domain.
    """
    spec = OPS[op]
    generator = np.random.default_rng(zlib.crc32(f"special {op} {dtype}".encode()))
    arrays = _special_rows(spec, dtype, generator) if spec.along_axis else _meeting(spec, dtype)
    if (parameters or {}).get("log_input") is False:
        arrays = (np.abs(arrays[0]), *arrays[1:])  # a rate
    return tuple(
        _draw_input(declared, (1, CLASSES), dtype, generator) if a is None else a
        for declared, a in zip(spec.inputs, arrays, strict=True)
    )


def of_length(op: str, dtype: str, length: int) -> tuple[Any, ...]:
    """Return an array of this length (its rows, or a row's entries) with special values in every other place.

    Which one comes last depends on the length, and all do at some.
    """
    spec = OPS[op]
    special = special_sample(op, dtype)
    if not spec.along_axis:
        chosen = (np.arange(length) * 5 + length) % len(special[0])
        return tuple(a if len(a) == 1 else a[chosen] for a in special)
    columns = 2 * length if op == "glu" else length
    ordinary = draw(op, (6, columns), dtype)
    first = ordinary[0]
    if spec.inputs[0].domain in ("real", "log_distribution"):
        first[2, -1], first[3, 0] = np.nan, np.nan
        if columns > 1:
            first[4, -1], first[5, 0] = -np.inf, -np.inf
    return (first, *ordinary[1:])


def large(op: str, shape: tuple[int, ...], dtype: str, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return ordinary inputs of a large shape, with optional ones where rows may be ignored."""
    return draw(op, shape, dtype, optional=parameters.get("ignore_index") is not None)


def ends(op: str) -> list[dict[str, Any]]:
    """Return parameters at the ends of their ranges, one at a time: 0, or next to it, the other end, and beyond.

    Where a range is open, its end is a number that float16, then one that float32 cannot hold.
    """
    found: list[dict[str, Any]] = []
    for parameter in OPS[op].parameters:
        if parameter.name == "ignore_index":
            found.append({"ignore_index": MASKED})  # of rows that hold anything
        if parameter.choices or parameter.whole or parameter.name in EXPONENTS:
            continue
        low = [LEAST_PARAMETER] if parameter.above is not None else [parameter.minimum]
        high = [*LARGE_PARAMETERS] if parameter.maximum is None else [parameter.maximum]
        if low == [None]:
            low = [-most for most in LARGE_PARAMETERS]
        found += [{parameter.name: value} for value in (*low, *(() if parameter.name == "eps" else high))]
    return found


def scattered_sample(op: str, dtype: str, saved: str = "input") -> tuple[Any, ...]:
    """Return many points at random, to go with `designed_sample`: over all exponents, and around the kinks.

    Ops along an axis get rows of many sizes.
    """
    spec = spec_of(op, saved)
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
    if domain == "signed_unit":
        return np.clip(values, -1, 1)
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
    if domain not in ("unit", "signed_unit"):
        return within(points, domain).astype(points.dtype)
    near_0 = np.abs(points.astype(np.float64))
    near_0 = near_0[near_0 <= 1]  # without NaN, which PyTorch's losses of probabilities refuse
    found = np.concatenate([near_0, 1 - near_0, np.linspace(0, 1, 101)])
    return (found if domain == "unit" else np.concatenate([found, -found, [np.nan]])).astype(points.dtype)


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
    if spec.inputs[0].domain == "real" and spec.kind == "along_axis":
        first[14, 2:5], first[15], first[16, 4] = -np.inf, -np.inf, np.inf
    return _joined(spec, (first, *others), _special_rows(spec, dtype, generator))


def _joined(spec: OpSpec, arrays: Sequence[Any], more: Sequence[Any]) -> tuple[Any, ...]:
    """Return two samples as one; what is shared by all points is that of the first."""
    return tuple(
        a if a is None or d.extent in ("classes", "broadcast") else np.concatenate([a, b])
        for d, a, b in zip(spec.inputs, arrays, more, strict=True)
    )


def _meeting(spec: OpSpec, dtype: str) -> tuple[Any, ...]:
    """Return every special value of each input beside every one of the others; None for shared inputs."""
    own = [
        _special_of(declared.domain, dtype, spec.kind, first=declared is spec.inputs[0])
        for declared in spec.inputs
        if declared.extent == "same"
    ]
    columns = iter(np.array(list(product(*own))).T)
    return tuple(next(columns).astype(dtype) if d.extent == "same" else None for d in spec.inputs)


def _special_of(domain: str, dtype: str, kind: str, *, first: bool) -> list[float]:
    """Return the special values of a domain, as numbers of `dtype`, for the `first` input or for another.

    A cotangent makes a subnormal number of another input that is the smallest normal one; and beside an infinite
    logarithm, a power of so small a target underflows.
    """
    info = ml_dtypes.finfo(dtype)
    tiny, most = float(info.smallest_normal) * (1 if first else 2**8), float(info.max)
    large = most / 1000 if kind == "loss" else most / 2  # see `_points`
    below_1 = 1 - float(info.epsneg)
    inside: dict[str, tuple[float, ...]] = {
        "real": (0, -0.0, 1, -1, 2.5, -2.5, tiny, -tiny, large, -large, INF, -INF, np.nan),
        # PyTorch's losses of probabilities refuse NaN.
        "unit": (0, *((tiny,) if first else ()), 0.25, 0.5, below_1, 1),
        "signed_unit": (0, -0.0, tiny, -tiny, 0.5, -0.5, below_1, -below_1, 1, -1, np.nan),
        "nonnegative": (0, tiny, 1, 2.5, large, np.nan),
        "positive": (tiny, 1, 2.5, large, np.nan),
        "sign": (-1, 1, np.nan),
    }
    return [float(np.asarray(value, dtype)) for value in inside[domain]]


def _special_rows(spec: OpSpec, dtype: str, generator: np.random.Generator) -> tuple[Any, ...]:
    """Return every special row of the first input beside every special target; None for shared inputs."""
    first = _rows_of(spec.inputs[0].domain, dtype, spec.kind, generator)
    if len(spec.inputs) == 1:
        return (first,)
    declared = spec.inputs[1]
    if declared.extent == "rows":
        second = np.array([0, MASKED], np.int64)
    else:
        second = _rows_of(declared.domain, dtype, spec.kind, generator)
    pairs = np.repeat(first, len(second), axis=0), np.concatenate([second] * len(first))
    return (*pairs, *[None] * len(spec.inputs[2:]))


def _rows_of(domain: str, dtype: str, kind: str, generator: np.random.Generator) -> Array:
    """Return the special rows of a domain: class `MASKED` is masked, or class 0 alone is not."""
    info = ml_dtypes.finfo(dtype)
    row = _draw_input(Input("x", domain), (CLASSES,), dtype, generator).astype(np.float64)  # type: ignore[arg-type]
    least = np.abs(row[row != 0]).min()
    tiny = row / least * float(info.smallest_normal) * 2**8  # so that no product of it is subnormal
    hot = np.eye(CLASSES)

    def but(value: float, *places: int) -> Array:
        changed = row.copy()
        changed[list(places)] = value
        return changed

    if domain == "real":
        most = float(info.max) / (1000 if kind == "loss" else 2)
        masked = [but(-INF, MASKED), but(-INF, *range(1, CLASSES)), but(-INF, *range(CLASSES))]
        large = row / np.abs(row).max() * most
        rows = [row, but(0, *range(CLASSES)), *masked, but(INF, 0), but(INF, 0, MASKED), large, tiny]
        rows += [np.where(hot[1] == 1, np.nan, masked[0]), but(np.nan, 0)]
    elif domain == "log_distribution":
        rows = [row, but(-INF, MASKED), np.where(hot[0] == 1, 0, -INF), but(np.nan, 0)]
    elif domain == "distribution":
        rows = [row, but(0, MASKED), hot[0], hot[MASKED], np.full(CLASSES, 1 / CLASSES)]
    elif domain == "one_hot":
        rows = [hot[0], hot[MASKED]]
    else:
        rows = [row, hot[0], 1 - hot[0], np.zeros(CLASSES), np.ones(CLASSES)]
        rows += [tiny] if info.bits > 16 else []
    return np.array(rows).astype(dtype)


def _vary_logits(rows: Array) -> None:
    """Make rows equal, huge, tiny, one-sided and masked."""
    rows[0], rows[1] = 0.0, 5.0
    factors = np.array([[10], [40], [100], [1e3], [1e-20], [1e-3]])
    rows[2:8] = (rows[2:8].astype(np.float64) * factors).astype(rows.dtype)
    rows[8, 3], rows[9, 3], rows[10] = 1000, -1000, np.linspace(-1000, 1000, CLASSES)
    rows[11, 0], rows[12, 2] = -88, 88
