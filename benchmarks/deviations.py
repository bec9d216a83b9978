"""Known deviations: where a framework's own function exceeds the catalogue's accuracy budget, and by how much.

Each was measured; each is shown in the report. The suite fails when one grows beyond `max_ulp` or is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends.catalogue import OPS

Array = np.ndarray[Any, np.dtype[Any]]

INF = float("inf")


ALL_DIGITS = 2.0**53
"""No digit is right: 2^24 ULP in float32, 2^53 in float64 (see `KnownDeviation.limit`)."""


@dataclass(frozen=True)
class KnownDeviation:
    """One framework's error of up to `max_ulp` in one region of the first input.

    `at` is `interval` (low <= x <= high), `nan` (x is NaN), `subnormal` (x or the exact result is subnormal, or
    so near that an intermediate is) or `zero` (the exact result is 0). `cancels` bounds the error of a result
    that cancels, as an absolute error in units of the dtype's epsilon and of max(1, |x|). `always` says that
    every processor shows the deviation, so that its absence is news.
    """

    backends: tuple[str, ...]
    ops: tuple[str, ...]
    modes: tuple[str, ...]
    max_ulp: float
    reason: str
    low: float = -INF
    high: float = INF
    at: str = "interval"
    dtypes: tuple[str, ...] = ("float32", "float64")
    always: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cancels: float = INF

    def applies(
        self, *, op: str, mode: str, backend: str, dtype: str, parameters: Mapping[str, Any] | None = None
    ) -> bool:
        """Tell whether the deviation concerns this combination; parameters not given are at their defaults."""
        given = OPS[op].defaults | dict(parameters or {})
        return (
            op in self.ops
            and mode in self.modes
            and backend in self.backends
            and dtype in self.dtypes
            and all(given[name] == value for name, value in self.parameters.items())
        )

    def covers(self, x: Array, exact: Array, dtype: np.dtype[Any]) -> Array:
        """Return where, among first inputs `x` with results `exact`, the deviation lies."""
        if self.at == "nan":
            return np.isnan(x)
        if self.at == "zero":
            return np.asarray(exact == 0)
        if self.at == "subnormal":
            tiny = float(np.finfo(dtype).tiny)
            return _between(np.abs(x), tiny) | _between(np.abs(exact), 1000 * tiny)
        return (x >= self.low) & (x <= self.high)

    def limit(self, x: Array, exact: Array, dtype: np.dtype[Any]) -> Array:
        """Return the largest error allowed at each first input `x` with result `exact`, in ULP.

        `ALL_DIGITS` means all that `dtype` has.
        """
        info = np.finfo(dtype)
        most = 2.0 ** (info.nmant + 1) if self.max_ulp == ALL_DIGITS else self.max_ulp
        if self.cancels == INF:
            return np.full(x.shape, most)
        unit = np.spacing(np.minimum(np.abs(np.nan_to_num(exact)), float(info.max) / 2).astype(dtype))
        absolute = self.cancels * float(info.eps) * np.maximum(1, np.abs(x.astype(np.float64)))
        with np.errstate(over="ignore"):
            return np.asarray(np.minimum(most, absolute / unit.astype(np.float64)))


def _between(size: Array, limit: float) -> Array:
    return (size > 0) & (size < limit)


_SIGMOID = "sigmoid' as y(1 - y) cancels where y approaches 1"
_TANH = "tanh' as 1 - y² cancels where |y| approaches 1"
_GELU_ERF = "x/2 (1 + erf(x/√2)) cancels in the negative tail"
_GELU_ERFC = "the rounding of x/√2 is amplified by x² in erfc"
_GELU_TANH = "x/2 (1 + tanh(u)) cancels in the negative tail"
_INFINITY = "0 times infinity is NaN where the limit exists"
_NAN_GRADIENT = "the gradient at NaN is a number: a comparison with NaN is false"
_FLUSH = "subnormal numbers are flushed to zero"
_SLOPE = "leaky_relu'(0) is 1, since the condition is x >= 0"
_BOTH, _BACKWARD, _FORWARD = ("forward", "backward"), ("backward",), ("forward",)
_F32, _F64 = ("float32",), ("float64",)

KNOWN_DEVIATIONS: tuple[KnownDeviation, ...] = (
    KnownDeviation(("torch", "jax"), ("sigmoid",), _BACKWARD, ALL_DIGITS, _SIGMOID, low=1.0, cancels=16),
    KnownDeviation(("torch", "jax"), ("tanh",), _BACKWARD, ALL_DIGITS, _TANH, high=-0.5, cancels=16),
    KnownDeviation(("torch", "jax"), ("tanh",), _BACKWARD, ALL_DIGITS, _TANH, low=0.5, cancels=16),
    KnownDeviation(("torch",), ("gelu",), _BOTH, ALL_DIGITS, _GELU_ERF, high=-1.0, cancels=16),
    KnownDeviation(("torch",), ("gelu",), _BOTH, INF, _INFINITY, high=-INF),
    KnownDeviation(("torch",), ("gelu",), _BACKWARD, INF, _INFINITY, low=INF),
    KnownDeviation(
        ("torch",),
        ("gelu",),
        _FORWARD,
        INF,
        "the vectorised kernel overflows half way",
        low=1.7e38,
        dtypes=_F32,
        always=False,
    ),
    KnownDeviation(("jax",), ("gelu",), _BOTH, 4000, _GELU_ERFC, high=-1.0, parameters={"approximate": "none"}),
    KnownDeviation(
        ("jax",),
        ("gelu",),
        _BOTH,
        ALL_DIGITS,
        _GELU_TANH,
        high=-1.0,
        parameters={"approximate": "tanh"},
        cancels=16,
    ),
    KnownDeviation(("jax",), ("gelu",), _BOTH, INF, _INFINITY, high=-INF),
    KnownDeviation(("jax",), ("gelu",), _BACKWARD, INF, _INFINITY, low=INF),
    KnownDeviation(("torch", "jax"), ("silu",), _BOTH, INF, _INFINITY, high=-INF),
    KnownDeviation(("torch", "jax"), ("silu",), _BACKWARD, INF, _INFINITY, low=INF),
    KnownDeviation(("torch",), ("binary_cross_entropy_with_logits",), _FORWARD, INF, _INFINITY, high=-INF),
    KnownDeviation(
        ("torch",),
        ("softplus",),
        _FORWARD,
        1e6,
        "softplus(x) is x above the threshold of 20",
        low=20,
        high=37,
        dtypes=_F64,
    ),
    KnownDeviation(
        ("torch",),
        ("softplus",),
        _BACKWARD,
        2e7,
        "softplus' is 1 above the threshold of 20",
        low=20,
        high=37,
        dtypes=_F64,
    ),
    KnownDeviation(
        ("torch",), ("relu", "leaky_relu", "mean_absolute_error"), _BACKWARD, INF, _NAN_GRADIENT, at="nan"
    ),
    KnownDeviation(
        ("jax",),
        ("step", "relu", "leaky_relu", "mean_absolute_error"),
        _BACKWARD,
        INF,
        _NAN_GRADIENT,
        at="nan",
    ),
    KnownDeviation(("jax",), ("leaky_relu",), _BACKWARD, 2.0**32, _SLOPE, low=-1.2e-38, high=0.0, dtypes=_F32),
    KnownDeviation(("jax",), ("leaky_relu",), _BACKWARD, 2.0**61, _SLOPE, low=-2.3e-308, high=0.0, dtypes=_F64),
    KnownDeviation(
        ("jax",),
        ("mean_absolute_error",),
        _BACKWARD,
        INF,
        "the derivative of |x| at 0 is 1",
        at="zero",
    ),
    KnownDeviation(("jax",), tuple(OPS), _BOTH, ALL_DIGITS, _FLUSH, at="subnormal", always=False),
    KnownDeviation(
        ("torch",), ("sigmoid", "silu", "gelu"), _BOTH, ALL_DIGITS, _FLUSH, at="subnormal", always=False
    ),
)
