"""Regions: where among the inputs errors lie, the worst point, and what a function makes of special values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np

from backends.catalogue import OPS
from benchmarks.check import accuracy
from benchmarks.check.namespaces import Array
from benchmarks.check.search import Sample
from benchmarks.record.trials import Point, Region

BOUNDS = (-10.0, -1.0, -0.01, 0.01, 1.0, 10.0)
"""Of single numbers: both tails, what lies between, and what is next to 0."""
SIZES = (1.0, 20.0)
"""Of rows, by the largest number in them."""
SHOWN = 4
"""Numbers of a row that a point names."""


def regions(op: str, got: Array, sample: Sample) -> tuple[Region, ...]:
    """Return the errors by regions of the first input, of ordinary results, of subnormal ones and of the others.

    Regions without a point are left out. Of an input that is no number for each result, rows are told apart by the
    largest number in them.
    """
    errors, exact = accuracy.ulp_error(got, sample.expected), sample.expected.high
    alike = _is_elementwise(op, got, sample)
    x = sample.arrays[0] if alike else _size_of_rows(sample.arrays[0], got.shape)
    normal = np.isfinite(exact) & np.isfinite(x)
    tiny = normal & (exact != 0) & (np.abs(exact) < float(ml_dtypes.finfo(got.dtype).smallest_normal))
    parts = [(label, normal & ~tiny & inside) for label, inside in _parts(x, BOUNDS if alike else SIZES)]
    parts += [("result subnormal", tiny), ("not finite", ~normal)]
    return tuple(
        Region(label, int(inside.sum()), float(errors[inside].max()), float(errors[inside].mean()))
        for label, inside in parts
        if inside.any()
    )


def worst(op: str, got: Array, sample: Sample) -> Point | None:
    """Return the point with the largest error; None where there are no results."""
    errors = accuracy.ulp_error(got, sample.expected)
    if not errors.size:
        return None
    return _point(op, np.unravel_index(int(np.argmax(errors)), errors.shape), got, sample, errors)


def specials(op: str, got: Array, sample: Sample) -> tuple[Point, ...]:
    """Return what a function makes of each special value of its only input: results in the order of the inputs."""
    errors = accuracy.ulp_error(got, sample.expected)
    return tuple(_point(op, (i,), got, sample, errors) for i in range(len(got)))


def special_inputs(dtype: str) -> Array:
    """Return NaN, the infinities, both zeros, the largest numbers and the smallest subnormal ones."""
    info = ml_dtypes.finfo(dtype)
    most, least = float(info.max), float(info.smallest_subnormal)
    return np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, most, -most, least, -least]).astype(dtype)


def shown(value: Any, digits: int = 8) -> str:
    """Return a number in as few letters as tell it: `-0`, `inf`, `3.4028235e+38`."""
    return f"{float(value):.{digits}g}"


def _point(op: str, index: Any, got: Array, sample: Sample, errors: Array) -> Point:
    return Point(
        _given(op, sample, got, index), shown(got[index]), shown(sample.expected.high[index]), float(errors[index])
    )


def _given(op: str, sample: Sample, got: Array, index: Any) -> str:
    """Return the inputs at a result: numbers, or the beginning of a row of them and the place in it."""
    names = [declared.name for declared, a in zip(OPS[op].inputs, sample.arrays, strict=True) if a is not None]
    arrays = [a for a in sample.arrays if a is not None]
    if _is_elementwise(op, got, sample):
        alike = [(name, a) for name, a in zip(names, arrays, strict=True) if a.shape == got.shape]
        return ", ".join(f"{name} = {shown(a[index], 6)}" for name, a in alike)
    row = arrays[0][index[0]] if index else arrays[0]
    numbers = ", ".join(shown(value, 3) for value in np.ravel(row)[:SHOWN])
    place = f"entry {index[-1]} of " if len(index) > 1 else ""
    return f"{place}{names[0]} = [{numbers}, ...]"


def _is_elementwise(op: str, got: Array, sample: Sample) -> bool:
    """Tell whether each result belongs to one number of the first input."""
    return not OPS[op].along_axis and sample.arrays[0].shape == got.shape


def _size_of_rows(first: Array, shape: tuple[int, ...]) -> Array:
    """Return the largest size of a number in each row, for each of its results; NaN where one is."""
    sizes = np.abs(first.astype(np.float64)).max(axis=-1, initial=0.0) if first.ndim else np.abs(first)
    if not shape:
        return np.asarray(sizes.max(initial=0.0))
    return np.broadcast_to(sizes if len(shape) < first.ndim else sizes[..., None], shape)


def _parts(x: Array, bounds: tuple[float, ...]) -> Iterator[tuple[str, Array]]:
    ends = (-np.inf, *bounds, np.inf)
    for low, high in pairwise(ends):
        label = (
            f"below {high:g}" if low == -np.inf else f"from {low:g}" if high == np.inf else f"{low:g} to {high:g}"
        )
        yield label, (x >= low) & (x < high)
