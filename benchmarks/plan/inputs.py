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
from benchmarks.record.schema import Case

Array = np.ndarray[Any, np.dtype[Any]]

CLASSES = 10  # as in the course notes
PERIOD = 2**20
"""Larger arrays repeat after about a million values: no branch predictor remembers as many, and drawing takes
longer than timing."""


MOST_PLACES = 4
PLACES_BYTES = 2**26
"""Inputs lie at up to 4 places in memory, as many as fit into 64 MiB."""


def spec_of(op: str, saved: str = "input") -> OpSpec:
    """Return what the catalogue says of an op, or of its gradient as a function of the output that was saved."""
    return OPS[op] if saved == "input" else OPS[op].of_output


def draw(
    op: str, shape: Sequence[int], dtype: str, *, optional: bool = False, saved: str = "input"
) -> tuple[Any, ...]:
    """Draw inputs for timing, from the domain of each input; those that are `optional` only if asked, else None.

    Reals are normal with standard deviation 2, cut at ±10, so that no result is subnormal in float32 or wider, and
    no input in any type: subnormal numbers slow some kernels 40 times. Probabilities stay away from 0 and 1, where
    losses are infinite. The seed is a hash of the op, shape and dtype. Where the output is what was `saved`, the
    one input is drawn from where outputs lie: no backend's forward pass has a say in it.
    """
    spec = spec_of(op, saved)
    of = "" if saved == "input" else f" of {saved}"
    generator = np.random.default_rng(zlib.crc32(f"{op} {tuple(shape)} {dtype}{of}".encode()))
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


def redraw(
    op: str, row: Sequence[int], dtype: str, n: int, generator: np.random.Generator, saved: str = "input"
) -> list[Array | None]:
    """Draw new values of `n` elements of each input, or of `n` rows of shape `row`; None for what all share."""
    return [
        _draw_input(declared, (n, *row), dtype, generator)
        if declared.extent in ("same", "rows") and not declared.optional
        else None
        for declared in spec_of(op, saved).inputs
    ]


def redraw_cotangent(shape: Sequence[int], dtype: str, generator: np.random.Generator) -> Array:
    """Draw new values of a part of a cotangent."""
    return _normal(np.asarray(generator.standard_normal(shape, dtype=_drawn(dtype)), dtype))


def bytes_needed(case: Case) -> int:
    """Return about how many bytes the inputs and outputs of a case take: each input's as many as the first's.

    A result that is being written, and the one before it, which is not given back before; inputs at all of their
    places.
    """
    written = 2 * (2 if case.mode == "forward+backward" else 1)
    return written * _bytes(case) + n_places(case) * _bytes_read(case)


def n_places(case: Case) -> int:
    """Return at how many places in memory a case has its inputs: one, where copies serve another purpose.

    One, too, where calls write into a buffer: a place of its own would keep what its first call has left there.
    """
    if case.device != "cpu" or case.allocation != "fresh" or case.cache == "cold":
        return 1
    return max(1, min(MOST_PLACES, PLACES_BYTES // max(_bytes_read(case), 1)))


def _bytes(case: Case) -> int:
    return case.n_elements * np.dtype(case.dtype).itemsize


def _bytes_read(case: Case) -> int:
    read = 1 if case.saved == "output" else len(OPS[case.op].inputs)
    return (read + (case.mode != "forward")) * _bytes(case)


def _others(spec: OpSpec, draw_one: Callable[[Input], Array]) -> list[Array | None]:
    """Return the inputs after the first; None for optional ones."""
    return [None if other.optional else draw_one(other) for other in spec.inputs[1:]]


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
    "signed_unit": lambda generator, shape, dtype: (
        (generator.random(shape, dtype=dtype) - dtype(0.5)) * dtype(1.99)
    ),
    "positive": lambda generator, shape, dtype: generator.random(shape, dtype=dtype) * 2 + dtype(0.125),
    "nonnegative": lambda *where: np.abs(_real(*where)),
    "sign": lambda generator, shape, _: generator.integers(0, 2, shape) * 2 - 1,
    "distribution": _distribution,
    "log_distribution": lambda *where: np.log(_distribution(*where)),
    "one_hot": _one_hot,
}
