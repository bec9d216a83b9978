"""What a known deviation is: where a framework's own function exceeds its accuracy budget, and by how much.

Those we know of are listed in `benchmarks.check.known_deviations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import ml_dtypes
import numpy as np

from backends.catalogue import OPS
from backends.interface import kind_of
from benchmarks.record.schema import DEVICES, Check

Array = np.ndarray[Any, np.dtype[Any]]

INF = float("inf")


ALL_DIGITS = 2.0**53
"""No digit is right: 2^24 ULP in float32, 2^53 in float64 (see `KnownDeviation.limit`)."""


@dataclass(frozen=True)
class KnownDeviation:
    """One framework's error of up to `max_ulp` in one region of the first input x.

    `at` says which region:

    - `interval`: low <= x <= high;
    - `row`: low <= x <= high for some x in the same row, or for some entry of the second input in it;
    - `anywhere`: all of it, where x does not tell, because another input does;
    - `undefined`: the exact result is NaN;
    - `zero`: the exact result is 0;
    - `subnormal`: x or the exact result is subnormal, or so near that an intermediate is;
    - `huge`: the third power of x, or of the second input, overflows; `top`: 16 times x does.

    `saved` is what the gradient starts from, as in `Check`; x is then y, the output.

    `beside` narrows that to where the second input is this number. `issue` is where the framework's maintainers
    were told, as owner/repository#number.

    `cancels` bounds the error of a result that cancels, as an absolute error in units of the dtype's epsilon and
    of max(1, |x|). `seen_in` holds the dtypes in which every processor shows the deviation at the default
    parameters, so that its absence is news.

    `devices` says where it is. One that names none comes from the framework's formula, whatever the device. All
    were measured on the host. The one run on a GPU so far (an H200) exceeded none of those known then. No GPU has
    shown those found since, at infinities, in masked rows and at ends of parameters: their formulas are composed
    of the same operations on every device, or were read in PyTorch's CUDA kernels too. One of a device's own
    kernels or compiler names that device, and excuses nothing on the others.
    """

    backends: tuple[str, ...]
    ops: tuple[str, ...]
    modes: tuple[str, ...]
    max_ulp: float
    reason: str
    low: float = -INF
    high: float = INF
    at: str = "interval"
    dtypes: tuple[str, ...] = ("float16", "bfloat16", "float32", "float64")
    seen_in: tuple[str, ...] = ("float32", "float64")
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cancels: float = INF
    devices: tuple[str, ...] = DEVICES
    beside: float | None = None
    saved: str = "input"
    issue: str = ""

    @property
    def description(self) -> str:
        """The reason, and where the framework's maintainers were told."""
        return f"{self.reason} ({self.issue})" if self.issue else self.reason

    def applies(self, check: Check, parameters: Mapping[str, Any] | None = None) -> bool:
        """Tell whether the deviation concerns this check; parameters not given are at their defaults."""
        given = OPS[check.op].defaults | dict(parameters or {})
        return (
            check.op in self.ops
            and check.mode in self.modes
            and check.saved == self.saved
            and check.backend in self.backends
            and check.dtype in self.dtypes
            and kind_of(check.device) in self.devices
            and all(given[name] == value for name, value in self.parameters.items())
        )

    def covers(
        self,
        x: Array,
        exact: Array,
        dtype: np.dtype[Any],
        second: Array | None = None,
        rows: Array | None = None,
    ) -> Array:
        """Return where, among first inputs `x` (NaN where unknown) with results `exact`, the deviation lies.

        `second` is the second input; `rows` the first, if it has classes along its last axis.
        """
        if self.beside is not None:
            if second is None or second.shape != exact.shape:
                return np.zeros(exact.shape, bool)
            wider = replace(self, beside=None).covers(x, exact, dtype, second, rows)
            return np.asarray(wider & (second == self.beside))
        info = ml_dtypes.finfo(dtype)
        tiny, most = float(info.tiny), float(info.max)
        x = x.astype(np.float64)
        size = np.abs(x)
        # The range of float16 is too narrow for a margin.
        margin = 1 if info.bits == 16 and info.nmant > 7 else 1000
        regions: dict[str, Any] = {
            "interval": lambda: (x >= self.low) & (x <= self.high),
            "row": lambda: self._in_rows(exact, rows, second),
            "anywhere": lambda: np.ones(exact.shape, bool),
            "undefined": lambda: np.isnan(exact),
            "zero": lambda: exact == 0,
            "subnormal": lambda: _between(size, tiny) | _between(np.abs(exact), margin * tiny),
            "huge": lambda: _largest(size, second) > most ** (1 / 3),
            "top": lambda: size > most / 16,
        }
        return np.asarray(regions[self.at]())

    def _in_rows(self, exact: Array, rows: Array | None, second: Array | None) -> Array:
        """Return which results (of a row, or of its entries) have an entry of the interval in their row."""
        if rows is None:
            return np.zeros(exact.shape, bool)
        found = (rows >= self.low) & (rows <= self.high)
        if second is not None and second.shape == rows.shape:
            found |= (second >= self.low) & (second <= self.high)
        inside = np.asarray(found.any(axis=-1, keepdims=True))
        return np.broadcast_to(inside if exact.ndim == rows.ndim else inside[..., 0], exact.shape)

    def is_due(self, dtype: str) -> bool:
        """Tell whether a sample all over the region must show the deviation."""
        return dtype in self.seen_in and dtype in self.dtypes

    def limit(self, x: Array, exact: Array, dtype: np.dtype[Any]) -> Array:
        """Return the largest error allowed at each first input `x` with result `exact`, in ULP.

        `ALL_DIGITS` means all that `dtype` has.
        """
        info = ml_dtypes.finfo(dtype)
        most = 2.0 ** (info.nmant + 1) if self.max_ulp == ALL_DIGITS else self.max_ulp
        if self.cancels == INF:
            return np.full(x.shape, most)
        unit = np.spacing(np.minimum(np.abs(np.nan_to_num(exact)), float(info.max) / 2).astype(dtype))
        absolute = self.cancels * float(info.eps) * np.maximum(1, np.abs(x.astype(np.float64)))
        with np.errstate(over="ignore"):
            return np.asarray(np.minimum(most, absolute / unit.astype(np.float64)))


def _largest(size: Array, second: Array | None) -> Array:
    """Return the size of the larger of two inputs, or of the one that there is."""
    if second is None or second.shape != size.shape:
        return size
    return np.fmax(size, np.abs(second.astype(np.float64)))


def _between(size: Array, limit: float) -> Array:
    return (size > 0) & (size < limit)
