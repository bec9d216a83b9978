"""The arguments of an op's call: which is which, and whether shapes, axis and labels go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from numbers import Real
from typing import Any

from backends.interface import Input, OpSpec

_HELD: Mapping[str, tuple[float, float]] = {
    "float16": (2.0**-14, (2 - 2.0**-10) * 2.0**15),
    "bfloat16": (2.0**-126, (2 - 2.0**-7) * 2.0**127),
    "float32": (2.0**-126, (2 - 2.0**-23) * 2.0**127),
}
"""The smallest normal and the largest number of each type; float64 holds every parameter."""


def sort_arguments(
    spec: OpSpec, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Split a call into the op's inputs, which may be given by name, and its completed parameters.

    Optional inputs that are not given are None.
    """
    names = [declared.name for declared in spec.inputs]
    by_name = {name: kwargs[name] for name in names[len(args) :] if name in kwargs}
    rest = [by_name.get(declared.name) for declared in spec.inputs[len(args) :]]
    lacking = [d.name for d in spec.inputs[len(args) :] if not d.optional and d.name not in by_name]
    if lacking or len(args) > len(names):
        required = [d.name for d in spec.inputs if not d.optional]
        raise TypeError(
            f"{spec.name}: takes {len(required)} arrays ({', '.join(required)}); got {len(args) + len(by_name)}"
        )
    return (*args, *rest), spec.complete({name: value for name, value in kwargs.items() if name not in by_name})


def working_dtype(dtype: str, parameters: Mapping[str, Any], *, least: str = "float16") -> str:
    """Return the type to compute in: `dtype`, or float32 or float64 where that cannot hold a parameter.

    In float16, a delta of 1e5 is infinite and an eps of 1e-8 is 0, and 0/0 or inf - inf is NaN where the exact
    result is an ordinary number. `least` is float32 for ops whose sums or counts leave the range of float16.
    """
    return _working_dtype(dtype, tuple(parameters.values()), least)


@lru_cache(maxsize=1024)  # by the call: 0.2 us
def _working_dtype(dtype: str, parameters: tuple[Any, ...], least: str) -> str:
    numbers = [abs(float(v)) for v in parameters if isinstance(v, Real) and v]
    types = [dtype, "float32"] if least == "float16" or dtype in ("float32", "float64") else ["float32"]
    for name in types:
        low, high = _HELD.get(name, (0.0, float("inf")))
        if all(low <= value <= high for value in numbers):
            return name
    return "float64"


def without_axis(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """Return `shape` without the length along `axis`."""
    rest = list(shape)
    del rest[axis]
    return tuple(rest)


def validate_shape(
    spec: OpSpec, declared: Input, shape: tuple[int, ...], first: tuple[int, ...], parameters: dict[str, Any]
) -> None:
    """Raise ValueError unless `shape` is what the declared extent asks for."""
    if declared.extent == "broadcast":
        if _broadcasts(shape, first):
            return
        wanted = "a shape that broadcasts"
    else:
        exact = first
        if declared.extent == "rows":
            exact = without_axis(first, parameters["axis"])
        elif declared.extent == "classes":
            exact = (first[parameters["axis"]],)
        if shape == exact:
            return
        wanted = f"shape {exact}"
    raise ValueError(
        f"{spec.name}: {declared.name} must have {wanted} to go with {spec.inputs[0].name} of shape {first}; "
        f"got {shape}"
    )


def validate_axis(spec: OpSpec, axis: int, ndim: int) -> None:
    """Raise ValueError unless an array of `ndim` dimensions has `axis`."""
    if ndim == 0:
        raise ValueError(f"{spec.name}: a 0-d array has no axis; got axis {axis}")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{spec.name}: axis must be from {-ndim} to {ndim - 1}; got {axis}")


def validate_labels(spec: OpSpec, name: str, labels: Any, classes: int, parameters: dict[str, Any]) -> None:
    """Raise ValueError unless all labels are from 0 to `classes` - 1, or `ignore_index`."""
    ignored = parameters.get("ignore_index")
    if ignored is not None:
        labels = labels[labels != ignored]
    if 0 in labels.shape:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        allowed = f"from 0 to {classes - 1}" + ("" if ignored is None else f", or {ignored}")
        raise ValueError(f"{spec.name}: {name} must be {allowed}; got {wrong}")


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Tell whether `shape` stretches to `to`: counted from the last, its lengths are 1 or the same."""
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False))
