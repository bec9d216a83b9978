"""Every float32 there is, through ops of one input: how far the results are from exact, and where most.

A *ruler*, the NumPy backend in float64, tells where a result may be far off: its own error is a billionth of that
of float32. What is right there, mpmath says, which is too slow for four billion numbers. It also says how far the
ruler itself is off, at the same points and at points that are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd

import backends
from backends.catalogue import OPS
from backends.interface import Backend, Mode
from benchmarks import quantities
from benchmarks.check import accuracy, oracle
from benchmarks.check.accuracy import Status
from benchmarks.check.namespaces import WidePrecision
from benchmarks.check.oracle import Expected
from benchmarks.machine.resources import default_threads
from benchmarks.record.schema import Check, Verdict
from benchmarks.validation.device import NO, YES

Array = np.ndarray[Any, np.dtype[Any]]

ONE_INPUT = tuple(name for name, spec in OPS.items() if spec.kind == "elementwise" and len(spec.inputs) == 1)
"""The ops that have one number for each number."""
BACKENDS = ("numpy", "numba")
RULER = "numpy"
ALL = 2**32
BLOCK = 2**21
"""So many numbers are computed at once."""
WORST, DRAWN, MOST = 4, 4, 32
"""Of each block mpmath is asked at 4 points that are farthest off, at 4 drawn, and at 32 of those over budget."""
_STATUSES: tuple[Status, ...] = ("ok", "known_deviation", "inaccurate", "failed")


@dataclass(frozen=True)
class Asked:
    """The points of a block that mpmath is asked about: inputs, results, and what the ruler says of them."""

    x: Array
    got: Array
    ruled: Array


@dataclass(frozen=True)
class Found:
    """The largest error in ULP and where it is, the worst verdict, and the ruler's own largest error in ULP."""

    n: int
    error: float
    at: float
    verdict: Verdict
    ruler_error: float


class _Wide(WidePrecision):
    """The textbook's mathematics in float64, for the sizes at which an ULP is measured."""

    pi = math.pi

    @staticmethod
    def erfc(z: Any) -> Any:
        from scipy import special  # late: it takes a quarter of a second

        return special.erfc(z)


def table(ops: Sequence[str], modes: Sequence[str], names: Sequence[str], stride: int = 1) -> pd.DataFrame:
    """Return the largest error of each op, mode and backend over every `stride`-th float32."""
    rows = []
    for op in ops:
        for mode in modes:
            for name in names:
                check = Check(op=op, mode=mode, dtype="float32", backend=name, device="cpu")
                rows.append(_row(check, survey(check, stride)))
    return pd.DataFrame(rows)


def survey(check: Check, stride: int = 1) -> Found:
    """Return how far a backend's results are off, at every `stride`-th float32."""
    backend, ruler = backends.load(check.backend), backends.load(RULER)
    ask = partial(_asked, check, backend, ruler)
    found: list[Found] = []
    with ThreadPoolExecutor(default_threads()) as pool:
        blocks = list(_blocks(stride))
        for bits, asked in zip(blocks, pool.map(ask, blocks), strict=True):
            found.append(_judged(check, backend, len(bits), asked))
    return _worst(found)


def _blocks(stride: int) -> Iterator[range]:
    step = stride * BLOCK
    return (range(first, min(first + step, ALL), stride) for first in range(0, ALL, step))


def _asked(check: Check, backend: Backend, ruler: Backend, bits: range) -> Asked:
    x = np.arange(bits.start, bits.stop, bits.step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        x = np.where(np.isnan(x), np.float32(np.nan), x)  # NumPy tells of a NaN that is not quiet
        wide = x.astype(np.float64)
        got, ruled = computed(backend, check, x), computed(ruler, check, wide)
        size = np.maximum(np.abs(ruled), _scale(check, wide))
    errors = accuracy.ulp_error(got, Expected(ruled, np.zeros_like(ruled), size))
    over = np.flatnonzero(errors > accuracy.budget(check.op, check.mode))
    generator = np.random.default_rng(bits.start)
    asked = np.concatenate(
        [
            np.argpartition(errors, -min(WORST, len(x)))[-WORST:],
            generator.permutation(over)[:MOST],
            generator.integers(0, len(x), DRAWN),
        ]
    )
    return Asked(x[asked], got[asked], ruled[asked])


def computed(backend: Backend, check: Check, x: Array) -> Array:
    """Return a backend's result for one array; gradients are for a cotangent of ones."""
    given = backend.asarray(x)
    if check.mode == "forward":
        return np.asarray(backend.to_numpy(getattr(backend, check.op)(given)))
    return np.asarray(backend.to_numpy(backend.vjp(check.op)(backend.asarray(np.ones_like(x)), given)))


def _scale(check: Check, x: Array) -> Array:
    """Return the size at which an ULP is measured where that is not the result's; 0 elsewhere."""
    spec, m = OPS[check.op], _Wide("float32")
    if check.mode == "forward":
        found = spec.budget.forward_scale(m, x, **spec.defaults) if spec.budget.forward_scale else 0.0
    else:
        scale = spec.budget.backward_scale
        found = scale(m, np.ones_like(x), x, **spec.defaults) if scale else 0.0
    return np.broadcast_to(np.nan_to_num(np.abs(found), posinf=0.0), x.shape)


def _judged(check: Check, backend: Backend, n: int, asked: Asked) -> Found:
    """Judge some results by mpmath, as the correctness suite does."""
    if check.mode == "forward":
        exact = oracle.forward(check.op, [asked.x], {}, check.dtype)
    else:
        exact = oracle.backward(check.op, np.ones_like(asked.x), [asked.x], {}, check.dtype)
    promised = backend.promised_ulp(check.op, mode=cast("Mode", check.mode), dtype=check.dtype)
    verdict = accuracy.assess(
        asked.got, exact, check, first_input=asked.x, complete=False, promised=float(promised)
    )
    errors = accuracy.ulp_error(asked.got, exact)
    # Those of known deviations are told by their reasons.
    counted = np.where(errors <= verdict.max_ulp_elsewhere, errors, -1.0)
    worst = int(np.argmax(counted))
    return Found(n, max(0.0, float(counted[worst])), float(asked.x[worst]), verdict, _off(asked.ruled, exact))


def _off(ruled: Array, exact: Expected) -> float:
    """Return the ruler's largest error, in ULP of float32."""
    with np.errstate(all="ignore"):
        unit = np.spacing(np.minimum(exact.scale, np.finfo(np.float32).max / 2).astype(np.float32))
        off = np.abs((ruled - exact.high) - exact.low) / unit
    return float(np.max(off, where=np.isfinite(off), initial=0.0))


def _worst(found: Sequence[Found]) -> Found:
    farthest = max(found, key=lambda each: each.error)
    verdict = max((each.verdict for each in found), key=lambda each: _STATUSES.index(each.status))
    off = max(each.ruler_error for each in found)
    return Found(sum(each.n for each in found), farthest.error, farthest.at, verdict, off)


def _row(check: Check, found: Found) -> dict[str, object]:
    return {
        "op": check.op,
        "mode": check.mode,
        "backend": check.backend,
        "numbers": quantities.count(found.n),
        "largest error": f"{found.error:.3g} ULP",
        "at": f"{found.at:.9g}",
        "allowed": f"{found.verdict.budget_ulp:.3g}",
        "the ruler is off by": f"{found.ruler_error:.1g}",
        "holds": NO if found.verdict.status in ("failed", "inaccurate") else YES,
        "reason": found.verdict.reason,
    }
