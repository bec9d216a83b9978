"""The vocabulary shared by every backend: what an op is, what a gap is, what a backend offers.

Standard library only, so that the catalogue and the command line can read it without importing a framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

Kind = Literal["elementwise", "along_axis", "loss"]
Mode = Literal["forward", "backward", "forward+backward"]
Allocation = Literal["fresh", "reuse", "inplace"]
Domain = Literal["real", "unit", "distribution", "labels"]
GapKind = Literal["todo", "upstream", "never"]

MODES: tuple[Mode, ...] = get_args(Mode)
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)
REDUCTIONS = ("mean", "sum", "none")

Formula = Callable[..., Any]
"""A textbook formula: called with a math namespace `m`, then the op's inputs, then its parameters."""


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
    An empty tuple or None means "all of them".
    """

    reason: str
    kind: GapKind
    op: str | None = None
    modes: tuple[Mode, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    def covers(self, *, op: str, mode: str, allocation: str, dtype: str | None, device: str) -> bool:
        """Tell whether this gap stands in the way of the combination given."""
        return (
            self.op in (None, op)
            and (not self.modes or mode in self.modes)
            and (not self.allocations or allocation in self.allocations)
            and (not self.dtypes or dtype in self.dtypes)
            and (not self.devices or device in self.devices)
        )

    def __str__(self) -> str:
        return f"{self.reason} ({self.kind})"

    def __bool__(self) -> bool:
        # So that `if backend.supports(...)` reads as it should.
        return False


@dataclass(frozen=True)
class Input:
    """One array argument of an op, and where its values may lie.

    `domain` is `real`, `unit` (0 to 1), `distribution` (non-negative, sums to one along the class axis) or
    `labels` (integers from 0 to the number of classes minus one).
    """

    name: str
    domain: Domain = "real"


@dataclass(frozen=True)
class Parameter:
    """One keyword argument of an op: its default, and its allowed values (`choices`) or type."""

    name: str
    default: Any
    choices: tuple[Any, ...] = ()
    minimum: float | None = None

    def validate(self, op: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the parameter, when `value` is not allowed."""
        if self.choices:
            if value not in self.choices:
                allowed = ", ".join(repr(c) for c in self.choices)
                raise ValueError(f"{op}: {self.name} must be one of {allowed}; got {value!r}")
            return
        wanted = int if isinstance(self.default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            noun = "an integer" if wanted is int else "a number"
            raise TypeError(f"{op}: {self.name} must be {noun}; got {value!r} of type {type(value).__name__}")
        if self.minimum is not None and value < self.minimum:
            raise ValueError(f"{op}: {self.name} must be at least {self.minimum:g}; got {value!r}")


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
class OpSpec:
    """Everything there is to know about one op, stated once.

    `definition(m, *inputs, **parameters)` and `gradient(m, g, *inputs, **parameters)` are the textbook formulas
    over a math namespace `m`. For losses both are per element (or per row, for losses along an axis), before the
    reduction; `gradient` returns the derivative with respect to the first input. `derivative(m, x, **parameters)`
    is f'(x) of an elementwise activation. `limits` holds (x, f(x), f'(x)) where a formula alone would not say.
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


@dataclass(frozen=True)
class Declaration:
    """What a backend module says about itself, readable without importing its framework."""

    module: str
    package: str
    extra: str
    devices: tuple[str, ...]
    variants: tuple[str, ...] = field(default=())


class Backend(Protocol):
    """What `backends.load` returns: the same ops, whoever computes them.

    Every op is also a method (`backend.sigmoid(x)`): native arrays in, native array out.
    """

    name: str
    device: str
    threads: int
    asynchronous: bool

    def __getattr__(self, op: str) -> Callable[..., Any]:
        """Return an op as a method; raise AttributeError with the names of all."""
        ...

    @property
    def version(self) -> str:
        """Version of the framework that computes."""
        ...

    def asarray(self, array: Any, dtype: str | None = None) -> Any:
        """Bring a host array to the device; `dtype` is a name such as `float32`."""
        ...

    def to_numpy(self, array: Any) -> Any:
        """Bring a native array back to the host as a NumPy array."""
        ...

    def synchronize(self, result: Any = None) -> None:
        """Wait for all work queued on the device, `result` included."""
        ...

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory, or None on the host."""
        ...

    def vjp(self, op: str) -> Callable[..., Any]:
        """Return `f(g, *inputs, **parameters)`: the gradient with respect to the first input."""
        ...

    def derivative(self, op: str) -> Callable[..., Any]:
        """Return `f(x, **parameters)`: the derivative of an elementwise activation."""
        ...

    def supports(
        self, op: str, *, dtype: str | None = None, mode: Mode = "forward", allocation: Allocation = "fresh"
    ) -> Literal[True] | Gap:
        """Return True, or the Gap that stands in the way."""
        ...

    def bind(
        self,
        op: str,
        *inputs: Any,
        mode: Mode = "forward",
        allocation: Allocation = "fresh",
        cotangent: Any = None,
        **parameters: Any,
    ) -> Callable[[], Any]:
        """Validate, transfer and compile once; the callable returned only computes."""
        ...
