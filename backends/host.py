"""Backends whose arrays are NumPy arrays: how arrays come in and go out, and outputs that are reused.

Such a backend has functions `<op>(*inputs, out=None, **parameters)` and
`<op>_vjp(g, *inputs, out=None, **parameters)`, which write into `out` if it is given; and of some ops
`<op>_vjp_from_output(g, y, out=None, **parameters)`. For an op (not for a vjp), `out` may be the first input. A
function may have an attribute `bind`; see `Function`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, cast

import numpy as np

from backends.arguments import working_dtype
from backends.base import (
    NARROW,
    BaseBackend,
    Functions,
    host_array,
    is_plain,
    merged,
    output_shape,
    restorable,
)
from backends.catalogue import find
from backends.interface import Allocation, Gap, InPlace, Mode, OpSpec

PROMISED_ULP = 4.0
"""The error of a few roundings around elementary functions of up to 2 ULP."""
PROMISED_NARROW_ULP = 1.0
"""Computed in float32 and rounded once."""
EXCEPTIONS: Mapping[tuple[str, str], tuple[float, str]] = {
    ("sigmoid", "backward"): (5, "the error of exp, and four more roundings"),
    ("tanh", "backward"): (6, "where it is subnormal, 4·exp(-2|x|) is 4 times a subnormal number"),
    ("silu", "backward"): (5, "the error of exp, and six more roundings"),
    # The square of x, the numerator's last sum and product, the denominator's last sum, a quotient and a product:
    # each is up to 1 ULP of a result just below a power of two.
    ("tanh_shrink", "forward"): (6, "six roundings around a quotient of polynomials: 4.18 is the worst found"),
    ("tanh_shrink", "backward"): (6, "a square doubles the error of tanh"),
    ("squareplus", "backward"): (6, "a hypot, two sums and two quotients"),
    ("mish", "backward"): (6, "two polynomials in exp(x), which cancel near the zero at -1.19"),
    ("mish", "forward"): (5, "the error of exp, and six more roundings"),
    ("gelu", "forward"): (6, "right of 0, x - x·cdf(-x) doubles the error of a polynomial of degree 22"),
    ("gelu", "backward"): (7, "as forward, and terms that cancel near the zero at -0.75"),
    ("swiglu", "forward"): (6, "silu's error, and a product: 5.03 is the worst that was found"),
    ("swiglu", "backward"): (6, "silu's error, and a product: 5.03 is the worst that was found"),
    ("geglu", "forward"): (6, "gelu's error, and a product"),
    ("geglu", "backward"): (6, "gelu's error, and a product"),
    ("mean_squared_logarithmic_error", "backward"): (5, "the error of log1p, and five more roundings"),
    ("binary_focal_cross_entropy", "forward"): (8, "the power gamma multiplies the error of its base"),
    ("binary_focal_cross_entropy", "backward"): (8, "as forward"),
}
"""Larger errors that are promised, in ULP, and why."""

Run = Callable[[], np.ndarray]
Bind = Callable[..., Run]


class Function(Protocol):
    """An op, made by `bound_by`: `bind` looks at the arrays once and returns a `Run`; a call does both."""

    __name__: str
    bind: Bind

    def __call__(self, *arrays: Any, **options: Any) -> np.ndarray:
        """Compute."""


Pairs = dict[str, tuple[Function, Function]]
"""Each op of a module, and its vjp, by the name of the op."""
FromOutput = dict[str, Function]
"""The vjps that start from the op's output, by the name of the op."""


def by_name(*tables: Pairs, from_output: FromOutput) -> Functions:
    """Return the ops of all modules under their names, and their vjps under `<op>_vjp`.

    Those that start from the op's output are under `<op>_vjp_from_output`.
    """
    found: Functions = {f"{op}{ENDING}": vjp for op, vjp in from_output.items()}
    for op, (forward, vjp) in merged(*tables).items():
        found |= {op: forward, f"{op}_vjp": vjp}
    return found


ENDING = "_vjp_from_output"
"""What the name of such a vjp ends in."""


def bound_by(bind: Bind) -> Function:
    """Return an op that calls what `bind(*arrays, out=None, **parameters)` returns."""

    def function(*arrays: Any, **options: Any) -> np.ndarray:
        return bind(*arrays, **options)()

    made = cast("Function", function)
    made.bind, made.__doc__ = bind, bind.__doc__
    return made


FLOAT32_MAX = float(np.finfo(np.float32).max)


class HostBackend(BaseBackend):
    """Ops that are looked up by name in `functions` and compute on NumPy arrays."""

    gaps: tuple[Gap, ...] = ()
    takes_narrow: frozenset[np.dtype] = frozenset()
    """Narrow types that functions take, computing in float32; for others, arrays are converted first."""

    _functions: Mapping[str, Callable[..., Any]]

    def __init__(self, name: str, threads: int, functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(name, "cpu", threads)
        self._functions = functions

    def asarray(self, array: Any, dtype: str | None = None) -> np.ndarray:
        """Copy a host array."""
        return host_array(array, dtype)

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        """Copy an array."""
        return np.array(array)

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `numpy.ndarray`, and of no subclass."""
        return is_plain(array)

    def implements(self, op: str) -> bool:
        """Tell whether there are functions for the op and its vjp."""
        return op in self._functions and f"{op}_vjp" in self._functions

    def takes_output(self, op: str) -> bool:
        """Tell whether there is a function for the op's vjp that starts from the op's output."""
        return f"{op}{ENDING}" in self._functions

    def promised_ulp(self, op: str, *, mode: Mode, dtype: str) -> float:
        """Return the largest error, in ULP, of an op that acts elementwise; infinity for others."""
        if find(op).along_axis:
            return math.inf
        if dtype in NARROW:
            return PROMISED_NARROW_ULP
        return EXCEPTIONS.get((op, mode), (PROMISED_ULP, ""))[0]

    def _kernel(self, name: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        """Return the function called `name`, with its parameters, for float32, float64 and `takes_narrow`."""
        return partial(self._functions[name], **self._options(parameters))

    def _options(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of functions for an op's parameters."""
        return parameters

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return self._called(op, parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return self._called(f"{op}_vjp", parameters)

    def _vjp_from_output(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return self._called(f"{op}{ENDING}", parameters)

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        reuse = allocation == "reuse"
        dtype = inputs[0].dtype
        output = np.empty(output_shape(spec, inputs, parameters), dtype) if reuse else None
        forward = self._bound(spec.name, inputs, output, parameters)
        if mode == "forward":
            return forward
        gradient = np.empty(inputs[0].shape, dtype) if reuse else None
        backward = self._bound(f"{spec.name}_vjp", (cotangent, *inputs), gradient, parameters)
        if mode == "backward":
            return backward
        return lambda: (forward(), backward())

    def _bind_from_output(
        self, spec: OpSpec, y: Any, cotangent: Any, parameters: dict[str, Any], allocation: Allocation
    ) -> Callable[[], Any]:
        gradient = np.empty(y.shape, y.dtype) if allocation == "reuse" else None
        return self._bound(f"{spec.name}{ENDING}", (cotangent, y), gradient, parameters)

    def _bind_inplace(self, spec: OpSpec, inputs: Sequence[Any], parameters: dict[str, Any]) -> InPlace:
        x, pristine = inputs[0].copy(), inputs[0].copy()
        forward = self._bound(spec.name, (x, *inputs[1:]), x, parameters)
        return restorable(forward, partial(np.copyto, x, pristine))

    def _bound(
        self, name: str, arrays: Sequence[Any], out: np.ndarray | None, parameters: dict[str, Any]
    ) -> Callable[[], Any]:
        """Return a call of the function `name` on these arrays, which writes into `out` if it is given.

        Looking for narrow types, or at shapes, on every call would cost as much as a small op itself.
        """
        if self._is_widened(arrays[0].dtype, working_type(parameters)):
            return self._widened(name, arrays, out, parameters)
        if bind := getattr(self._functions[name], "bind", None):
            return cast("Run", bind(*arrays, out=out, **self._options(parameters)))
        return partial(self._kernel(name, parameters), *arrays, out=out)

    def _called(self, name: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        """Return `f(*arrays)` for arrays of any type."""
        kernel, working = self._kernel(name, parameters), working_type(parameters)

        def call(*arrays: Any) -> Any:
            if self._is_widened(arrays[0].dtype, working):
                return self._widened(name, arrays, None, parameters)()
            return kernel(*arrays)

        return call

    def _is_widened(self, dtype: np.dtype, working: np.dtype) -> bool:
        """Tell whether functions do not take arrays of a type, where `working` is the narrowest to compute in."""
        return dtype.itemsize < working.itemsize and (working == np.float64 or dtype not in self.takes_narrow)

    def _widened(
        self, name: str, arrays: Sequence[Any], out: np.ndarray | None, parameters: dict[str, Any]
    ) -> Run:
        """Return a call that converts arrays to a type that functions take, computes, and rounds once."""
        kernel, working, dtype = self._kernel(name, parameters), working_type(parameters), arrays[0].dtype

        def run() -> np.ndarray:
            result: np.ndarray = kernel(
                *(a.astype(working) if a is not None and a.dtype == dtype else a for a in arrays)
            )
            with np.errstate(over="ignore"):  # what exceeds the narrow range is infinite
                if out is None:
                    return result.astype(dtype)
                out[...] = result
                return out

        return run


def working_type(parameters: Mapping[str, Any]) -> np.dtype:
    """Return the narrowest type to compute in: float64 where float32 cannot hold a parameter."""
    return np.dtype(working_dtype("float32", parameters))


def computed_in(dtype: np.dtype) -> type[np.floating[Any]]:
    """Return the type of the numbers that arrays of `dtype` are computed with, where it is a type of functions."""
    return np.float64 if dtype.itemsize == 8 else np.float32


def output(out: np.ndarray | None, like: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return `out`, or a new array in C order for an output like `like`."""
    return np.empty(like.shape if shape is None else shape, like.dtype) if out is None else out


def total_weight(labels: np.ndarray, weight: np.ndarray | None, ignore_index: int | None) -> float:
    """Return the divisor of a mean over labelled rows: how many take part, or the sum of their weights."""
    part = labels if ignore_index is None else labels[labels != ignore_index]
    return part.size if weight is None else float(weight[part].sum(dtype=np.float64))


def share(g: np.ndarray, losses: float, reduction: str) -> Any:
    """Return the cotangent of each loss from `g`, that of their mean or sum; divided in float64, rounded once."""
    return rounded(sharing(g, losses, reduction)(), g.dtype)


def sharing(g: np.ndarray, losses: float, reduction: str) -> Callable[[], float]:
    """Return a call that returns the `share` of what `g` holds by then, before it is rounded.

    What does not depend on its value is done here, and nothing is made of NumPy's type: that takes 2,300
    instructions, as much as a small op.
    """
    divisor = losses if reduction == "mean" and losses else 1.0
    value_of = cast("Callable[[], float]", g.item if g.dtype.itemsize > 2 else partial(float, g))
    return value_of if divisor == 1 else lambda: value_of() / divisor


def rounded(value: float, dtype: np.dtype | type[np.floating[Any]]) -> Any:
    """Return a number of the type that arrays of `dtype` are computed with; one beyond its range is infinite."""
    number = computed_in(np.dtype(dtype))
    is_within = -FLOAT32_MAX <= value <= FLOAT32_MAX or value != value  # noqa: PLR0124 - NaN
    return number(value if is_within or number is np.float64 else math.copysign(math.inf, value))


def reduced(
    parts: np.ndarray | float, losses: float, dtype: np.dtype, reduction: str, out: np.ndarray | None
) -> np.ndarray:
    """Return the sum of `parts`, or that divided by the number of `losses`, as an array without dimensions.

    It is added in float64, and rounded to float32 first for narrower types; the mean of no losses is NaN.
    """
    out = np.empty((), dtype) if out is None else out
    if not isinstance(parts, float):
        with np.errstate(over="ignore", invalid="ignore"):  # as the losses themselves may: infinite, or inf - inf
            parts = float(np.sum(parts, dtype=np.float64))
    total = parts if reduction == "sum" else parts / losses if losses else math.nan
    if abs(total) > FLOAT32_MAX and dtype != np.float64:
        total *= math.inf
    out[()] = total if dtype.itemsize > 2 else np.float32(total)
    return out
