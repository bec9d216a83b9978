"""The vocabulary shared by every backend: what an op is, what a gap is, what a backend offers.

Standard library only, so that the catalogue and the command line can read it without importing a framework.

Some paths never move, since `python -m benchmarks ab` loads older and newer revisions of this package by them:
`backends.declarations` and `backends.load`; `backends.base.output_shape`; `backends.catalogue.OPS`; and, of this
module, `Allocation`, `Backend`, `BackendUnavailable`, `Gap`, `Input`, `Mode` and `OpSpec`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Literal, Protocol, get_args

Kind = Literal["elementwise", "along_axis", "loss"]
Mode = Literal["forward", "backward", "forward+backward"]
Allocation = Literal["fresh", "reuse", "inplace"]
Saved = Literal["input", "output"]
Domain = Literal[
    "real",
    "unit",
    "signed_unit",
    "positive",
    "nonnegative",
    "sign",
    "distribution",
    "log_distribution",
    "one_hot",
    "labels",
]
Extent = Literal["same", "rows", "classes", "broadcast"]
GapKind = Literal["todo", "upstream", "never"]

MODES: tuple[Mode, ...] = get_args(Mode)
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)
SAVED: tuple[Saved, ...] = get_args(Saved)
REDUCTIONS = ("mean", "sum", "none")

OP_SPECS = "ACTIVATION_BENCH_OP_SPECS"
"""The environment variable that lists files with ops of somebody's own (see `backends.catalogue.own`)."""


def kind_of(device: str) -> str:
    """Return what a backend declares of a device: `cuda`, also of `cuda:1`, the second of its kind."""
    return device.partition(":")[0]


def index_of(device: str) -> int:
    """Return which of its kind a device is, counted from 0."""
    return int(device.partition(":")[2] or 0)


class BackendUnavailable(RuntimeError):  # noqa: N818 - part of the public interface under this name
    """A backend cannot run here: its package or its device is missing. The message says what would help."""


class NotSupported(NotImplementedError):  # noqa: N818 - reads as the sentence it is
    """What was asked for (`asked`, in words) is a declared `Gap` of this backend."""

    def __init__(self, gap: Gap, asked: str) -> None:
        super().__init__(f"{asked}: {gap}")
        self.gap = gap


@dataclass(frozen=True)
class Gap:
    """Something that a backend does not offer, and why.

    `kind` is `todo` (ours to write), `upstream` (the framework lacks it) or `never` (it makes no sense).
    An empty tuple means "all of them".
    """

    reason: str
    kind: GapKind
    ops: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    saved: tuple[Saved, ...] = ()

    def covers(
        self, *, op: str, mode: str, allocation: str, dtype: str | None, device: str, saved: str = "input"
    ) -> bool:
        """Tell whether this gap stands in the way of the combination given."""
        return (
            (not self.ops or op in self.ops)
            and (not self.modes or mode in self.modes)
            and (not self.allocations or allocation in self.allocations)
            and (not self.dtypes or dtype in self.dtypes)
            and (not self.devices or kind_of(device) in self.devices)
            and (not self.saved or saved in self.saved)
        )

    def __str__(self) -> str:
        return f"{self.reason} ({self.kind})"

    def __bool__(self) -> bool:
        # So that `if backend.supports(...)` reads as it should.
        return False


@dataclass(frozen=True)
class Input:
    """One array argument of an op, and where its values may lie.

    `domain` is `real`, `unit` (0 to 1), `signed_unit` (-1 to 1), `positive`, `nonnegative`, `sign` (-1 or 1),
    `distribution` (non-negative, sums to one along the class axis), `log_distribution` (its logarithm), `one_hot`
    or `labels` (integers from 0 to the number of classes minus one). `extent` says which shape goes with the first
    input's: the `same`, that without the class axis (`rows`), a vector as long as the class axis (`classes`), or
    any that broadcasts to it. An `optional` input is None unless given.
    """

    name: str
    domain: Domain = "real"
    extent: Extent = "same"
    optional: bool = False


@dataclass(frozen=True)
class Parameter:
    """One keyword argument of an op: its default, and its allowed values (`choices`) or type and range.

    Numbers must be finite, at least `minimum`, more than `above`, at most `maximum`. None is allowed where it is
    the default, or where `optional`; `whole` asks for an integer.
    """

    name: str
    default: Any
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    whole: bool = False
    optional: bool = False

    def validate(self, op: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the parameter, when `value` is not allowed."""
        if self.choices:
            if not any(type(value) is type(c) and value == c for c in self.choices):
                allowed = ", ".join(repr(c) for c in self.choices)
                raise ValueError(f"{op}: {self.name} must be one of {allowed}; got {value!r}")
            return
        if value is None and (self.optional or self.default is None):
            return
        wanted = Integral if self.whole else Real
        if isinstance(value, bool) or not isinstance(value, wanted):
            noun = "an integer" if self.whole else "a number"
            raise TypeError(f"{op}: {self.name} must be {noun}; got {value!r} of type {type(value).__name__}")
        self._validate_range(op, value)

    def _validate_range(self, op: str, value: Any) -> None:
        if not math.isfinite(value):
            raise ValueError(f"{op}: {self.name} must be finite; got {value!r}")
        if self.minimum is not None and value < self.minimum:
            raise ValueError(f"{op}: {self.name} must be at least {self.minimum:g}; got {value!r}")
        if self.above is not None and value <= self.above:
            raise ValueError(f"{op}: {self.name} must be more than {self.above:g}; got {value!r}")
        if self.maximum is not None and value > self.maximum:
            raise ValueError(f"{op}: {self.name} must be at most {self.maximum:g}; got {value!r}")


class Math(Protocol):
    """The math namespace of an op's formulas: functions of arrays of numbers, whatever their precision.

    `ratio(a, b)` is a / b, and 0 where both are 0; `quotient(a, b)` is a / b, and NaN there. A namespace that is
    meant for losses and for ops along an axis may lack `pi` and `erfc`.
    """

    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    cosh: Callable[[Any], Any]
    sign: Callable[[Any], Any]
    ratio: Callable[[Any, Any], Any]
    quotient: Callable[[Any, Any], Any]

    @property
    def pi(self) -> Any:
        """Return π."""
        raise AttributeError("pi: not in this namespace")

    @property
    def erfc(self) -> Callable[[Any], Any]:
        """Return the complementary error function."""
        raise AttributeError("erfc: not in this namespace")

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        """Choose elementwise."""

    def sum(self, x: Any, *, axis: int, keepdims: bool = False) -> Any:
        """Sum along an axis."""

    def max(self, x: Any, *, axis: int, keepdims: bool = False) -> Any:
        """Return the largest along an axis."""

    def sort(self, x: Any, *, axis: int) -> Any:
        """Sort in ascending order along an axis."""

    def cumsum(self, x: Any, *, axis: int) -> Any:
        """Sum up to each entry along an axis."""

    def halves(self, x: Any, *, axis: int) -> Any:
        """Return the two halves along an axis."""

    def join(self, *parts: Any, axis: int) -> Any:
        """Join arrays along an axis."""

    def along(self, x: Any, ndim: int, axis: int) -> Any:
        """Return a vector as an array of `ndim` dimensions that lies along one of them."""

    def count(self, x: Any, *, axis: int) -> Any:
        """Return 1, 2, 3, ... along an axis of an array like x."""

    def one_hot(self, labels: Any, classes: int, axis: int) -> Any:
        """Return 1 at each label and 0 elsewhere, classes along `axis`; 0 alone where a label is negative."""


class Formula(Protocol):
    """A textbook formula: called with a math namespace, then the op's inputs, then its parameters."""

    def __call__(self, m: Math, /, *inputs: Any, **parameters: Any) -> Any:
        """Evaluate."""


@dataclass(frozen=True)
class Budget:
    """How many ULP a result may be off, and why that many.

    Errors are measured in units of the last place of the exact value, or of `scale`, where that is larger:
    the size of the largest term that any formula must add or subtract to get there.
    """

    forward: float
    backward: float
    reason: str
    forward_scale: Formula | None = None
    backward_scale: Formula | None = None

    def ulp(self, mode: str) -> float:
        """Return the budget of `mode` in ULP."""
        return self.forward if mode == "forward" else self.backward


@dataclass(frozen=True)
class FromOutput:
    """The vjp of an op as a function of what its forward pass returned, y, and of nothing else but the cotangent.

    `gradient(m, g, y, **parameters)` is that function, and `formula` says it. It is exact in g and y: what y has
    lost by being rounded (σ near 1 is 1) is lost before it starts, and is no error of who computes it. `domain`
    says where y lies, and `budget.backward` how far a result may be off.
    """

    domain: Domain
    gradient: Formula
    formula: str
    budget: Budget


@dataclass(frozen=True)
class OpSpec:
    """Everything there is to know about one op, stated once.

    `definition(m, *inputs, **parameters)` and `gradient(m, g, *inputs, **parameters)` are the textbook formulas
    over a math namespace `m`. For losses both are per element (or per row, for losses along an axis), before the
    reduction; `gradient` returns the derivative with respect to the first input. `derivative(m, x, **parameters)`
    is f'(x) of an elementwise activation. `limits` holds (x, f(x), f'(x)) where a formula alone would not say.

    `shape(first, **parameters)` is the output's shape (before a reduction), where that is not the first input's;
    it raises ValueError for an unsuitable first input. `mean_weight(m, *inputs, **parameters)` is how much each
    loss counts in a mean, where that is not 1. `linear` says that the gradient does not depend on the first input,
    `gathers` that the op reads one element of each row of it. `fuses` names ops that compute the same one after
    another, each from the last one's output. `alternatives` are parameters worth a test besides the defaults.
    `from_output` is its vjp as a function of its output, where it is one; `of_output` then tells of that function.
    `choice` says which convention this op follows where the field disagrees, `elsewhere` what others do.
    """

    name: str
    kind: Kind
    summary: str
    formula: str
    source: str
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    definition: Formula
    gradient: Formula
    budget: Budget
    derivative: Formula | None = None
    limits: tuple[tuple[float, float, float], ...] = ()
    kinks: tuple[float, ...] = ()
    kink_convention: str = ""
    transcendentals: int = 0
    course_notes: bool = False
    aliases: tuple[str, ...] = ()
    shape: Callable[..., tuple[int, ...]] | None = None
    mean_weight: Formula | None = None
    linear: bool = False
    gathers: bool = False
    fuses: tuple[str, ...] = ()
    alternatives: tuple[Mapping[str, Any], ...] = ()
    from_output: FromOutput | None = None
    choice: str = ""
    elsewhere: str = ""

    @property
    def of_output(self) -> OpSpec:
        """The op of input y whose gradient this op's is, as a function of its output y; see `FromOutput`.

        Its forward pass is nobody's: y as it is. Raises ValueError for an op whose gradient needs its input.
        """
        if self.from_output is None:
            raise ValueError(f"{self.name}: its gradient is not a function of its output")
        return replace(
            self,
            inputs=(Input("y", self.from_output.domain),),
            definition=_as_it_is,
            gradient=self.from_output.gradient,
            budget=self.from_output.budget,
            derivative=None,
            limits=(),
            kinks=(),
            from_output=None,
        )

    @property
    def along_axis(self) -> bool:
        """Whether classes lie along an axis."""
        return any(p.name == "axis" for p in self.parameters)

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters at their defaults."""
        return {p.name: p.default for p in self.parameters}

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return `given` over the defaults, validated; raise TypeError for a parameter that the op lacks."""
        known = {p.name: p for p in self.parameters}
        for name, value in given.items():
            if name not in known:
                allowed = ", ".join(known) or "none"
                raise TypeError(f"{self.name}: unknown parameter {name!r}; it takes {allowed}")
            known[name].validate(self.name, value)
        return self.defaults | dict(given)


def _as_it_is(m: Math, y: Any, /, **parameters: Any) -> Any:
    """Y."""
    del m, parameters
    return y


@dataclass(frozen=True)
class Declaration:
    """What a backend module says about itself, readable without importing its framework.

    `candidate` says where a function lies that somebody wants to try, such as `kernels.py:fast_gelu`, `gradient`
    the function of its gradient, `max_ulp` which error its results may have, as a number, and `like` the backend
    whose known deviations it may have too. All are empty for every other backend.
    """

    module: str
    package: str
    extra: str
    devices: tuple[str, ...]
    variants: tuple[str, ...]
    on_request: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    candidate: str = ""
    gradient: str = ""
    max_ulp: str = ""
    like: str = ""


class InPlace(Protocol):
    """What `Backend.bind` returns for `inplace`: each call overwrites the first input with the output.

    The next call starts from what the last one left there, and may overwrite what that one returned.
    """

    def __call__(self) -> Any:
        """Compute once; return the output."""

    def restore(self) -> None:
        """Put the first input back as it was bound, and wait until it is there."""


class Backend(Protocol):
    """What `backends.load` returns: the same ops, whichever framework computes them.

    Every op is also a method (`backend.sigmoid(x)`): native arrays in, native array out.
    """

    name: str
    device: str
    threads: int
    asynchronous: bool
    gaps: tuple[Gap, ...]

    def __getattr__(self, op: str) -> Callable[..., Any]:
        """Return an op as a method; raise AttributeError with the names of all."""

    @property
    def version(self) -> str:
        """Version of the framework that computes."""

    def asarray(self, array: Any, dtype: str | None = None) -> Any:
        """Bring a host array to the device; `dtype` is a name such as `float32`."""

    def to_numpy(self, array: Any) -> Any:
        """Bring a native array back to the host as a NumPy array."""

    def synchronize(self, result: Any = None) -> None:
        """Wait for all work queued on the device, `result` included."""

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory, or None on the host."""

    def reader(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that reads `n_bytes` of the device's memory, or None on the host."""

    def device_name(self) -> str | None:
        """Return the device's model, such as `NVIDIA H100 80GB HBM3`, or None on the host."""

    def settings(self) -> str:
        """Return the framework's settings that change numbers or speed, such as `x64=True`; empty without any."""

    def cache_bytes(self) -> int | None:
        """Return the size of the device's last-level cache; None on the host or where it is unknown."""

    def transfer_seconds(self, n_bytes: int, *, pinned: bool) -> tuple[float, float] | None:
        """Return the seconds that bytes of the host's memory take to the device, and back.

        None on the host, or where the framework offers no memory that is `pinned`.
        """

    def free_bytes(self) -> int | None:
        """Return how much of the device's memory may still be taken; None on the host or where it is unknown."""

    def release_memory(self) -> None:
        """Give back what the framework keeps of the device's memory and does not use, where it can."""

    def device_seconds(self, run: Callable[[], Any], iterations: int) -> float | None:
        """Return seconds per call by the device's own clock, launches not counted; None if that cannot be told."""

    def captured(self, bind: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
        """Return a call that replays, as one graph, what the call that `bind` returns launches on the device.

        It writes the same output each time, and reads the inputs where they lay. Raises NotSupported where there
        are no graphs, or none of such a call.
        """

    def peak_bytes(self, run: Callable[[], Any]) -> int | None:
        """Return how much more device memory a call takes at its peak, by the framework's own count.

        None on the host, or where the framework cannot tell.
        """

    def vjp(self, op: str) -> Callable[..., Any]:
        """Return `f(g, *inputs, **parameters)`: the gradient with respect to the first input."""

    def vjp_from_output(self, op: str) -> Callable[..., Any]:
        """Return `f(g, y, **parameters)`: that gradient from the op's output y, where it is a function of it."""

    def derivative(self, op: str) -> Callable[..., Any]:
        """Return `f(x, **parameters)`: the derivative of an elementwise activation."""

    def pullback(self, function: Callable[..., Any]) -> Callable[..., Any] | None:
        """Return `f(g, *inputs)`, the framework's own gradient of any function; None if it has none."""

    def supports(
        self,
        op: str,
        *,
        dtype: str | None = None,
        mode: Mode = "forward",
        allocation: Allocation = "fresh",
        saved: Saved = "input",
    ) -> Literal[True] | Gap:
        """Return True, or the Gap that stands in the way."""

    def promised_ulp(self, op: str, *, mode: Mode, dtype: str) -> float:
        """Return the largest error, in ULP, that this backend promises; infinity if it makes no promise."""

    def how(self, op: str) -> str:
        """Return in a line how an op is computed, for the documentation; empty if that is told nowhere."""

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
        """Validate, transfer and compile once; the callable returned only computes.

        With allocation `fresh` each call returns a new output, and several threads may call at once; with `reuse`
        it is always the same one; with `inplace` the callable is an `InPlace`, whose calls overwrite a copy of the
        first input. With `saved="output"`, a gradient starts from the op's output, the one array given.
        """
