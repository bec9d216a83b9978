"""Shared by all backends: a call is validated against the catalogue, then dispatched.

A backend module subclasses `BaseBackend` and adds only how its framework moves arrays and computes.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar, cast

import ml_dtypes  # noqa: F401 - makes `bfloat16` the name of a NumPy dtype
import numpy as np

from backends.arguments import sort_arguments, validate_axis, validate_labels, validate_shape, without_axis
from backends.catalogue import ALIASES, OPS, find
from backends.interface import (
    ALLOCATIONS,
    MODES,
    SAVED,
    Allocation,
    Gap,
    InPlace,
    Mode,
    NotSupported,
    OpSpec,
    Saved,
)

Functions = dict[str, Callable[..., Any]]
"""Functions by the names of ops, as each module of a backend lists them."""

DTYPES = ("float32", "float64")
NARROW = ("float16", "bfloat16")

ARRAY_DTYPES = (*NARROW, *DTYPES, "int32", "int64")
"""Names that `asarray` takes; on the host, `bfloat16` is the type of ml_dtypes."""

_LOSSES = tuple(name for name, spec in OPS.items() if spec.kind == "loss")
_RESHAPING = tuple(name for name, spec in OPS.items() if spec.shape is not None)

NEVER_IN_PLACE = (
    Gap("the input is needed for the gradient", "never", modes=MODES[1:], allocations=("inplace",)),
    Gap("a loss does not have its input's shape", "never", ops=_LOSSES, allocations=("inplace",)),
    Gap("the output does not have the input's shape", "never", ops=_RESHAPING, allocations=("inplace",)),
    Gap("it would copy the input onto itself", "never", ops=("linear",), allocations=("inplace",)),
)
"""No backend can compute these by overwriting the input."""

OF_ITS_OWN_FORWARD = Gap("its gradients start from what its own forward pass saved", "todo", saved=("output",))
"""Of a backend that offers no gradient from an output that it is given."""

OVERWRITING = tuple(name for name in OPS if not any(name in gap.ops for gap in NEVER_IN_PLACE))
"""Ops whose forward can overwrite its input."""


class BaseBackend(ABC):
    """Ops as methods, validated against the catalogue.

    `threads` is the number of threads that an op may use. `asynchronous` says whether an op can return before
    its result is computed; results are then computed in the order of the calls. `binds_values` says that what
    `bind` returns computes from copies of its inputs, or what a forward pass saved: new values have no effect.
    `gaps` declares what this backend lacks, besides what no backend can do, `no_graphs` why it has no `captured`.
    """

    asynchronous: bool = False
    binds_values: bool = False
    gaps: tuple[Gap, ...] = (
        Gap("it allocates every output", "todo", allocations=("reuse",)),
        Gap("it does not overwrite inputs", "todo", allocations=("inplace",)),
    )
    no_graphs: Gap = Gap("it captures no graphs of its calls", "todo")
    _functions: Mapping[str, Callable[..., Any]] | None = None
    """The functions by name; None if the backend finds them in another way and has one for every op."""

    def __init__(self, name: str, device: str, threads: int) -> None:
        self.name = name
        self.device = device
        self.threads = threads
        self.gaps = (*NEVER_IN_PLACE, *self.gaps)

    def __repr__(self) -> str:
        return f"<{self.name} {self.version} on {self.device}, {self.threads} threads>"

    # --- what a module provides -------------------------------------------------------------------------------

    @property
    @abstractmethod
    def version(self) -> str:
        """Version of the framework that computes."""

    @abstractmethod
    def asarray(self, array: Any, dtype: str | None = None) -> Any:
        """Bring a host array to the device as a new native array; keep its dtype when `dtype` is None.

        See `host_array` for what it takes.
        """

    @abstractmethod
    def to_numpy(self, array: Any) -> np.ndarray:
        """Bring a native array back to the host."""

    @abstractmethod
    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is of the framework's own array type."""

    def implements(self, op: str) -> bool:
        """Tell whether the backend has a function for an op of this name."""
        return self._functions is None or op in self._functions

    def _absent(self, op: str) -> Gap:
        """Return the gap of an op that is not implemented."""
        return Gap(f"{self.name} does not implement {op} yet", "todo", ops=(op,))

    @abstractmethod
    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        """Return `f(*inputs)`."""

    @abstractmethod
    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        """Return `f(g, *inputs)`."""

    def takes_output(self, op: str) -> bool:
        """Tell whether the backend has a function for the op's vjp that starts from the op's output."""
        del op
        return False

    def _vjp_from_output(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        """Return `f(g, y)`; called for ops of `takes_output` alone."""
        raise NotImplementedError(f"{self.name} has no gradient of {op} from its output")

    def synchronize(self, result: Any = None) -> None:  # noqa: B027 - nothing to do where ops are synchronous
        """Wait for all work queued on the device, `result` included."""

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory, or None on the host.

        On the host the harness measures the copy bandwidth itself, for all backends alike.
        """
        del n_bytes
        return None

    def reader(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that reads `n_bytes` of the device's memory, or None on the host."""
        del n_bytes
        return None

    def device_name(self) -> str | None:
        """Return the device's model, or None on the host."""
        return None

    def settings(self) -> str:
        """Return the framework's settings that change numbers or speed, such as `x64=True`; empty without any."""
        return ""

    def cache_bytes(self) -> int | None:
        """Return the size of the device's last-level cache; None on the host or where it is unknown."""
        return None

    def transfer_seconds(self, n_bytes: int, *, pinned: bool) -> tuple[float, float] | None:
        """Return the seconds that bytes of the host's memory take to the device, and back; None on the host."""
        del n_bytes, pinned
        return None

    def free_bytes(self) -> int | None:
        """Return how much of the device's memory may still be taken; None on the host or where it is unknown."""
        return None

    def release_memory(self) -> None:  # noqa: B027 - nothing to do on the host, nor where a framework keeps nothing
        """Give back what the framework keeps of the device's memory and does not use, where it can."""

    def device_seconds(self, run: Callable[[], Any], iterations: int) -> float | None:
        """Return seconds per call by the device's own clock, launches not counted; None if that cannot be told."""
        del run, iterations
        return None

    def captured(self, bind: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
        """Return a call that replays, as one graph, what the call that `bind` returns launches on the device.

        It writes the same output each time. Raises NotSupported where there are no graphs, or none of such a call.
        """
        del bind
        raise NotSupported(self.no_graphs, "launch 'graph'")

    def peak_bytes(self, run: Callable[[], Any]) -> int | None:
        """Return how much more device memory a call takes at its peak; None on the host or if unknown."""
        del run
        return None

    def pullback(self, function: Callable[..., Any]) -> Callable[..., Any] | None:
        """Return `f(g, *inputs)`, the framework's own gradient of any function of its arrays.

        It is with respect to the first input. None where the framework does not differentiate.
        """
        del function
        return None

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        """Return a callable that only computes; the default suits backends with hand-written vjps."""
        del allocation  # always `fresh`: `gaps` rules the others out
        forward = partial(self._forward(spec.name, parameters), *inputs)
        if mode == "forward":
            return forward
        backward = partial(self._vjp(spec.name, parameters), cotangent, *inputs)
        if mode == "backward":
            return backward
        return lambda: (forward(), backward())

    def _bind_from_output(
        self, spec: OpSpec, y: Any, cotangent: Any, parameters: dict[str, Any], allocation: Allocation
    ) -> Callable[[], Any]:
        """Return a callable that only computes the vjp from the op's output."""
        del allocation  # as in `_bind`
        return partial(self._vjp_from_output(spec.name, parameters), cotangent, y)

    def _bind_inplace(self, spec: OpSpec, inputs: Sequence[Any], parameters: dict[str, Any]) -> InPlace:
        """Return a callable that overwrites a copy of the first input, in C order; see `restorable`."""
        raise NotImplementedError(f"{self.name} has no in-place {spec.name}, and `gaps` does not say so")

    # --- what users call --------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in OPS or name in ALIASES:
            return partial(self._call, find(name))
        raise AttributeError(f"{type(self).__name__} has no attribute or op {name!r}; ops: {', '.join(OPS)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *OPS]

    def vjp(self, op: str) -> Callable[..., Any]:
        """Return `f(g, *inputs, **parameters)`: the gradient with respect to the first input for cotangent `g`.

        `g` has the shape and dtype of the op's output. Raises ValueError for an unknown op.
        """
        return partial(self._call_vjp, find(op))

    def vjp_from_output(self, op: str) -> Callable[..., Any]:
        """Return `f(g, y, **parameters)`: the same gradient from the op's output y, and nothing else.

        Raises ValueError for an op whose gradient is not a function of its output.
        """
        return partial(self._call_vjp_from_output, find(op).of_output)

    def derivative(self, op: str) -> Callable[..., Any]:
        """Return `f(x, **parameters)`: f'(x), elementwise.

        Raises ValueError for an op that does not act elementwise on one input.
        """
        spec = find(op)
        if spec.derivative is None:
            elementwise = ", ".join(name for name, other in OPS.items() if other.derivative)
            raise ValueError(f"op: {op} has no elementwise derivative; ops that have one: {elementwise}")
        return partial(self._call_derivative, spec)

    def supports(
        self,
        op: str,
        *,
        dtype: str | None = None,
        mode: Mode = "forward",
        allocation: Allocation = "fresh",
        saved: Saved = "input",
    ) -> Literal[True] | Gap:
        """Return True, or the Gap (which is falsy) that stands in the way."""
        spec = find(op)
        if not self.implements(spec.name):
            return self._absent(spec.name)
        _choose("mode", mode, MODES)
        _choose("allocation", allocation, ALLOCATIONS)
        if dtype is not None:
            _choose("dtype", dtype, DTYPES + NARROW)
        _choose("saved", saved, SAVED)
        for gap in self.gaps:
            if gap.covers(
                op=spec.name, mode=mode, allocation=allocation, dtype=dtype, device=self.device, saved=saved
            ):
                return gap
        return True if saved == "input" else self._starts_from_output(spec, mode)

    def _starts_from_output(self, spec: OpSpec, mode: Mode) -> Literal[True] | Gap:
        """Return True, or why a call cannot start from the op's output alone."""
        if mode != "backward":
            return Gap(
                "only a backward pass alone starts from a saved output", "never", modes=(mode,), saved=SAVED[1:]
            )
        if spec.from_output is None:
            reason = f"the gradient of {spec.name} is not a function of its output"
            return Gap(reason, "never", ops=(spec.name,), saved=SAVED[1:])
        return True if self.takes_output(spec.name) else OF_ITS_OWN_FORWARD

    def promised_ulp(self, op: str, *, mode: Mode, dtype: str) -> float:  # noqa: ARG002
        """Return the largest error, in ULP, that this backend promises; infinity if it makes no promise."""
        return math.inf

    def how(self, op: str) -> str:
        """Return in a line how an op is computed, as its function's docstring says; empty if there is none."""
        function = (self._functions or {}).get(op)
        return (inspect.getdoc(function) or "").partition("\n")[0] if function else ""

    def bind(
        self,
        op: str,
        *inputs: Any,
        mode: Mode = "forward",
        allocation: Allocation = "fresh",
        saved: Saved = "input",
        cotangent: Any = None,
        **parameters: Any,
    ) -> Callable[[], Any]:
        """Validate, transfer and compile once; return a callable that only computes.

        Inputs may be host or native arrays. The callable returns the output (`forward`), the gradient with
        respect to the first input (`backward`, for `cotangent`, ones by default) or both, as a pair
        (`forward+backward`). With allocation `fresh` the output is new each time; with `reuse` it is allocated
        once; with `inplace` the callable is an `InPlace`: it overwrites its own copy of the first input, and
        `restore()` puts the values back. Several threads may make a `fresh` call at once; one of `reuse` or
        `inplace` is for one thread at a time, since all calls write into the same memory. With `saved="output"`,
        the gradient starts from the op's output, which is the one array given, and from nothing else. Raises the
        errors of the op itself, and NotSupported for a declared gap.
        """
        spec = find(op)
        if saved != "input":
            self._require(spec, None, mode, allocation, saved)
            spec = spec.of_output  # what is validated, and drawn, is y
        arrays, given = sort_arguments(spec, inputs, parameters)
        native = tuple(a if a is None or self.is_native(a) else self.asarray(a) for a in arrays)
        native, complete = self._validate(spec, native, given)
        self._require(spec, self.dtype_of(native[0]), mode, allocation, saved)
        if allocation == "inplace":
            return self._started(self._bind_inplace(spec, native, complete))
        shape = output_shape(spec, native, complete)
        if mode != "forward":
            if cotangent is None or not self.is_native(cotangent):
                host = np.ones(shape) if cotangent is None else cotangent
                cotangent = self.asarray(host, self.dtype_of(native[0]))
            self._validate_cotangent(spec, cotangent, native, shape)
        if saved == "input":
            run = self._bind(spec, mode, native, cotangent, complete, allocation)
        else:
            run = self._bind_from_output(spec, native[0], cotangent, complete, allocation)
        self.synchronize(run())  # the first call, which may compile
        return run

    def _started(self, run: InPlace) -> InPlace:
        """Make the first call, which may compile, and put the input back."""
        self.synchronize(run())
        run.restore()
        return run

    def dtype_of(self, array: Any) -> str:
        """Return the name of a native array's dtype, such as `float32`."""
        return str(array.dtype).rpartition(".")[2]

    # --- dispatch and validation ------------------------------------------------------------------------------

    def _call(self, spec: OpSpec, *args: Any, **kwargs: Any) -> Any:
        inputs, parameters = self._validate(spec, args, kwargs)
        self._require(spec, self.dtype_of(inputs[0]), "forward", "fresh")
        return self._forward(spec.name, parameters)(*inputs)

    def _call_vjp(self, spec: OpSpec, g: Any, *args: Any, **kwargs: Any) -> Any:
        inputs, parameters = self._validate(spec, args, kwargs)
        self._require(spec, self.dtype_of(inputs[0]), "backward", "fresh")
        self._require_native(spec, "g", g)
        self._validate_cotangent(spec, g, inputs, output_shape(spec, inputs, parameters))
        return self._vjp(spec.name, parameters)(g, *inputs)

    def _call_vjp_from_output(self, spec: OpSpec, g: Any, *args: Any, **kwargs: Any) -> Any:
        (y,), parameters = self._validate(spec, args, kwargs)
        self._require(spec, self.dtype_of(y), "backward", "fresh", "output")
        self._require_native(spec, "g", g)
        self._validate_cotangent(spec, g, (y,), output_shape(spec, (y,), parameters))
        return self._vjp_from_output(spec.name, parameters)(g, y)

    def _call_derivative(self, spec: OpSpec, *args: Any, **kwargs: Any) -> Any:
        (x,), parameters = self._validate(spec, args, kwargs)
        ones = self.asarray(np.ones(tuple(x.shape)), self.dtype_of(x))
        return self._call_vjp(spec, ones, x, **parameters)

    def _require(
        self, spec: OpSpec, dtype: str | None, mode: Mode, allocation: Allocation, saved: Saved = "input"
    ) -> None:
        # Said only where it is asked for: who overrides `supports` may not know it.
        more: dict[str, Any] = {} if saved == "input" else {"saved": saved}
        answer = self.supports(spec.name, dtype=dtype, mode=mode, allocation=allocation, **more)
        if isinstance(answer, Gap):
            start = "" if saved == "input" else f", from a saved {saved}"
            raise NotSupported(
                answer, f"{spec.name}: {dtype or 'any type'}, {mode}, allocation {allocation!r}{start}"
            )

    def _validate(
        self, spec: OpSpec, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort a call into inputs and parameters; check types, dtypes, shapes, axis and labels."""
        inputs, parameters = sort_arguments(spec, args, kwargs)
        given = [(d, a) for d, a in zip(spec.inputs, inputs, strict=True) if a is not None or not d.optional]
        for declared, array in given:
            self._require_native(spec, declared.name, array)
            self._validate_dtype(spec, declared.name, array, labels=declared.domain == "labels")
        first = inputs[0]
        if spec.along_axis:
            validate_axis(spec, parameters["axis"], first.ndim)
        if spec.shape is not None:
            output_shape(spec, inputs, parameters)
        for declared, array in given[1:]:
            validate_shape(spec, declared, tuple(array.shape), tuple(first.shape), parameters)
            if declared.domain == "labels":
                labels, classes = self._labels_of(array), tuple(first.shape)[parameters["axis"]]
                validate_labels(spec, declared.name, labels, classes, parameters)
            elif array.dtype != first.dtype:
                raise TypeError(
                    f"{spec.name}: {declared.name} must be {self.dtype_of(first)} like {spec.inputs[0].name}; "
                    f"got {self.dtype_of(array)}"
                )
        return inputs, parameters

    def _labels_of(self, array: Any) -> Any:
        """Return native labels as an array that can be compared, indexed and asked for its `min` and `max`."""
        return array

    def _require_native(self, spec: OpSpec, name: str, array: Any) -> None:
        if not self.is_native(array):
            raise TypeError(
                f"{spec.name}: {name} must be an array of the {self.name} backend (see asarray); "
                f"got {type(array).__module__}.{type(array).__qualname__}"
            )

    def _validate_dtype(self, spec: OpSpec, name: str, array: Any, *, labels: bool) -> None:
        dtype = self.dtype_of(array)
        if labels:
            if dtype not in ("int32", "int64"):
                raise TypeError(f"{spec.name}: {name} must be int32 or int64; got {dtype}")
        elif dtype not in DTYPES + NARROW:
            raise TypeError(f"{spec.name}: {name} must be one of {', '.join(DTYPES + NARROW)}; got {dtype}")

    def _validate_cotangent(
        self, spec: OpSpec, cotangent: Any, inputs: Sequence[Any], shape: tuple[int, ...]
    ) -> None:
        if tuple(cotangent.shape) != shape:
            raise ValueError(f"{spec.name}: g must have the output's shape {shape}; got {tuple(cotangent.shape)}")
        if cotangent.dtype != inputs[0].dtype:
            raise TypeError(
                f"{spec.name}: g must be {self.dtype_of(inputs[0])} like {spec.inputs[0].name}; "
                f"got {self.dtype_of(cotangent)}"
            )


_T = TypeVar("_T")


def merged(*tables: Mapping[str, _T]) -> dict[str, _T]:
    """Return the ops of several modules as one table; raise ValueError for an op that is in two of them."""
    found: dict[str, _T] = {}
    for table in tables:
        if twice := found.keys() & table.keys():
            raise ValueError(f"ops: two modules define {', '.join(sorted(twice))}")
        found |= table
    return found


def restorable(call: Callable[[], Any], restore: Callable[[], None]) -> InPlace:
    """Return `call`, a partial or function, with `restore` as an attribute; a call costs no more than before."""
    vars(call)["restore"] = restore
    return cast("InPlace", call)


def host_array(array: Any, dtype: str | None, *, order: Literal["C", "K"] = "K") -> np.ndarray:
    """Return a plain NumPy array with a copy of the values of a host array, a list or a subclass of ndarray.

    Raises ValueError if `dtype` is neither None nor one of `ARRAY_DTYPES`, TypeError for a masked array: its mask
    would be lost.
    """
    if dtype is not None:
        _choose("dtype", dtype, ARRAY_DTYPES)
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("array: must not be masked, since ops know no masks; give them array.filled(value)")
    return np.array(array, dtype, order=order)


def is_plain(array: Any) -> bool:
    """Tell whether `array` is a NumPy array and of no subclass, whose operators may mean something else."""
    return type(array) is np.ndarray


def output_shape(spec: OpSpec, inputs: Sequence[Any], parameters: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of an op's output for valid inputs and complete parameters."""
    shape = tuple(inputs[0].shape)
    if spec.shape is not None:
        try:
            return spec.shape(shape, **parameters)
        except ValueError as error:
            raise ValueError(f"{spec.name}: {error}") from None
    if spec.kind != "loss":
        return shape
    if parameters["reduction"] != "none":
        return ()
    return without_axis(shape, parameters["axis"]) if spec.along_axis else shape


def _choose(argument: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{argument}: must be one of {', '.join(choices)}; got {value!r}")
