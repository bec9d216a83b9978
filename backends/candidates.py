"""Candidates: somebody's own function, as a backend of the one op that it computes.

A module that declares a candidate lies in a folder `backends/` on the path, like any backend from outside; its
`create` opens a `Candidate` with the class of its framework (`backends/<framework>/candidate.py`).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from backends.arguments import without_axis
from backends.base import DTYPES, NARROW, BaseBackend, output_shape
from backends.catalogue import find
from backends.host import HostBackend
from backends.interface import MODES, Allocation, BackendUnavailable, Gap, Mode, NotSupported, OpSpec, Saved

Function = Callable[..., Any]

N = 8
"""Elements of the array (or of each of two rows) that shows whether a function takes a type."""


@dataclass(frozen=True)
class Framework:
    """A framework whose functions can be tried: its name here, and the packages that tell it by an import.

    `on_numpy` says that its functions take NumPy arrays.
    """

    name: str
    imports: tuple[str, ...]
    extra: str
    devices: tuple[str, ...] = ("cpu",)
    on_numpy: bool = False


NUMPY = "numpy"
"""What the others come with: an import of it tells little."""


FRAMEWORKS: Mapping[str, Framework] = {
    framework.name: framework
    for framework in (
        Framework(NUMPY, ("numpy", "scipy"), "", on_numpy=True),
        Framework("numba", ("numba",), "numba", on_numpy=True),
        Framework("torch", ("torch", "triton"), "torch", ("cpu", "cuda")),
        Framework("jax", ("jax", "flax"), "jax", ("cpu", "cuda")),
    )
}
"""The frameworks by name; a kernel of Triton is called through PyTorch."""


class WrongResult(TypeError):  # noqa: N818 - read as the sentence it is
    """A result that has not the type, the dtype or the shape that is due."""


@dataclass(frozen=True)
class Candidate:
    """A function to be tried, before it is imported.

    `source` is the path of a Python file, or the name of a module; `vjp` the name of a function
    `(g, *inputs)` beside it for the gradient, empty for the framework's own differentiation.
    """

    name: str
    source: str
    function: str
    op: str
    vjp: str = ""


@dataclass(frozen=True)
class Kernel:
    """The imported functions of a candidate: called as they are, with nothing around them that would take time."""

    name: str
    spec: OpSpec
    forward: Function
    vjp: Function | None

    def call(self, parameters: Mapping[str, Any]) -> Function:
        """Return `f(*inputs)`; raise NotSupported for a parameter that the function does not take."""
        return _with_parameters(self.name, self.spec, self.forward, parameters, 0)

    def pull(self, parameters: Mapping[str, Any]) -> Function:
        """Return `f(g, *inputs)`, where a function for the gradient was given."""
        assert self.vjp is not None
        return _with_parameters(self.name, self.spec, self.vjp, parameters, 1)


def opened(candidate: Candidate) -> Kernel:
    """Import a candidate; raise BackendUnavailable, with one line, where it cannot be called as its op is."""
    module = _module(candidate.source)
    spec = find(candidate.op)
    forward = _function(module, candidate.function, spec, [d.name for d in spec.inputs if not d.optional])
    vjp = None
    if candidate.vjp:
        vjp = _function(module, candidate.vjp, spec, ["g", *(d.name for d in spec.inputs if not d.optional)])
    return Kernel(candidate.name, spec, forward, vjp)


class Tried(BaseBackend):
    """What candidates of all frameworks share: one op, fresh outputs, no promises.

    `pulls_back` says that the framework differentiates the function: a call of its gradient then starts from what
    the forward pass saved, as it does for the framework's own backend. `no_gradient` is why it cannot.
    """

    gaps: tuple[Gap, ...] = (
        Gap("a candidate is called as it is: it allocates its output", "never", allocations=("reuse", "inplace")),
        Gap("the gradient of a candidate starts from the op's inputs", "never", saved=("output",)),
    )
    kernel: Kernel
    no_gradient = ""
    _tried: dict[tuple[str, str], str]

    @property
    def pulls_back(self) -> bool:
        """Whether the framework makes the gradient."""
        return self.kernel.vjp is None and not self.no_gradient

    def implements(self, op: str) -> bool:
        """Tell whether it was given as this op."""
        return op == self.kernel.spec.name

    def _absent(self, op: str) -> Gap:
        return Gap(f"{self.name} was given as {self.kernel.spec.name}", "never", ops=(op,))

    def promised_ulp(self, op: str, *, mode: Mode, dtype: str) -> float:  # noqa: ARG002
        """Return infinity: a candidate is held to the op's budget, or to what its user allows."""
        return math.inf

    def supports(
        self,
        op: str,
        *,
        dtype: str | None = None,
        mode: Mode = "forward",
        allocation: Allocation = "fresh",
        saved: Saved = "input",
    ) -> Literal[True] | Gap:
        """Return True, or the Gap in the way: a type that the function raises for, or no gradient."""
        answer = super().supports(op, dtype=dtype, mode=mode, allocation=allocation, saved=saved)
        if answer:
            refusal = self._refusal(dtype or DTYPES[0], mode)
            return True if refusal is None else refusal
        return answer

    def _refusal(self, dtype: str, mode: Mode) -> Gap | None:
        """Return why the function is not measured in a type or mode; None too where it fails in every type.

        What fails everywhere is no lack but a mistake: that is told where it is called.
        """
        if (reason := self._raised(dtype, "forward")) and any(
            not self._raised(other, "forward") for other in (*DTYPES, *NARROW) if other != dtype
        ):
            return Gap(f"{self.name} does not take {dtype}: {reason}", "never", dtypes=(dtype,))
        if mode == "forward" or self.kernel.vjp is not None or reason:
            return None
        if lacks := self.no_gradient or self._raised(dtype, "backward"):
            return Gap(f"{self.name} has no gradient: {lacks}", "never", modes=MODES[1:])
        return None

    def _raised(self, dtype: str, mode: str) -> str:
        """Return what the function raises on a few ordinary numbers of a type, in a line; empty if nothing."""
        if (dtype, mode) not in self._tried:
            try:
                self._try_on(dtype, mode)
            except Exception as error:  # whatever somebody's code raises
                self._tried[dtype, mode] = in_a_line(error)
            else:
                self._tried[dtype, mode] = ""
        return self._tried[dtype, mode]

    def _try_on(self, dtype: str, mode: str) -> None:
        spec, parameters = self.kernel.spec, self.kernel.spec.defaults
        host = ordinary(spec)
        native = [None if a is None else self.asarray(a, None if a.dtype.kind == "i" else dtype) for a in host]
        if mode == "forward":
            self.synchronize(self._forward(spec.name, parameters)(*native))
        else:
            g = self.asarray(np.ones(output_shape(spec, host, parameters)), dtype)
            self.synchronize(self._vjp(spec.name, parameters)(g, *native))

    # --- what users call: with a look at what comes back ---------------------------------------------------------

    def _call(self, spec: OpSpec, *args: Any, **kwargs: Any) -> Any:
        inputs, parameters = self._validate(spec, args, kwargs)
        found = super()._call(spec, *args, **kwargs)
        return self._checked(self.kernel.name, found, inputs[0], output_shape(spec, inputs, parameters))

    def _call_vjp(self, spec: OpSpec, g: Any, *args: Any, **kwargs: Any) -> Any:
        inputs, _ = self._validate(spec, args, kwargs)
        found = super()._call_vjp(spec, g, *args, **kwargs)
        return self._checked(f"the gradient of {self.kernel.name}", found, inputs[0], tuple(inputs[0].shape))

    def _checked(self, what: str, found: Any, first: Any, shape: tuple[int, ...]) -> Any:
        """Return a result; raise WrongResult unless it is a native array of the right dtype and shape."""
        if isinstance(found, np.generic):
            found = np.asarray(found)
        if not self.is_native(found):
            raise WrongResult(f"{what} is a {type(found).__qualname__}, and not a {type(first).__qualname__}")
        if self.dtype_of(found) != self.dtype_of(first):
            raise WrongResult(f"{what} is {self.dtype_of(found)} for {self.dtype_of(first)} inputs")
        if tuple(found.shape) != shape:
            raise WrongResult(f"{what} has shape {tuple(found.shape)} where {shape} is due")
        return found


class HostCandidate(Tried, HostBackend):
    """A function of NumPy arrays; in `threads` threads, by a library of `version`."""

    no_gradient = "NumPy arrays are not differentiated; give a function (g, *inputs) with --vjp"

    def __init__(self, candidate: Candidate, threads: int, version: str) -> None:
        super().__init__(candidate.name, threads, {})
        self.kernel, self._version, self._tried = opened(candidate), version, {}

    @property
    def version(self) -> str:
        """Version of the library."""
        return self._version

    def _kernel(self, name: str, parameters: dict[str, Any]) -> Function:
        if name != self.kernel.spec.name:
            return self.kernel.pull(parameters)
        call = self.kernel.call(parameters)
        # The mean of losses is a number in NumPy, and an array where arrays are what counts.
        return partial(_as_array, call) if self.kernel.spec.kind == "loss" else call

    def _forward(self, op: str, parameters: dict[str, Any]) -> Function:
        return self._kernel(op, parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Function:
        return self._kernel(f"{op}_vjp", parameters)

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        return BaseBackend._bind(self, spec, mode, inputs, cotangent, parameters, allocation)  # noqa: SLF001


def ordinary(spec: OpSpec) -> list[np.ndarray | None]:
    """Return a few ordinary values for each input of an op, float64 or labels; None for optional ones."""
    shape = (2, N) if spec.along_axis else (N,)
    return [
        None if declared.optional else _values(declared.domain, declared.extent, shape) for declared in spec.inputs
    ]


def in_a_line(error: BaseException) -> str:
    """Return an exception's type and the first line of what it says, cut at 120 letters."""
    said = str(error).strip().partition("\n")[0]
    said = f"{said[:117]}..." if len(said) > 120 else said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _values(domain: str, extent: str, shape: tuple[int, ...]) -> np.ndarray:
    if extent == "rows":
        return np.zeros(without_axis(shape, -1), np.int64)
    at = {"same": shape, "classes": shape[-1:], "broadcast": (1,)}[extent]
    if domain == "one_hot":
        return np.eye(at[-1])[np.zeros(at[:-1], int)]
    if domain == "real":
        return np.resize(np.linspace(-2, 2, N), at)
    level = {"unit": 0.5, "distribution": 1 / N, "log_distribution": -math.log(N)}.get(domain, 1.0)
    return np.full(at, level)


def _as_array(function: Function, *arrays: Any) -> np.ndarray:
    return np.asarray(function(*arrays))


# --- importing what somebody wrote ------------------------------------------------------------------------------


def _module(source: str) -> ModuleType:
    try:
        return _of_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except (Exception, SystemExit) as error:  # whatever somebody's code raises
        raise BackendUnavailable(f"{Path(source).name}: fails to import: {in_a_line(error)}") from error


def _of_file(path: Path) -> ModuleType:
    """Import a file, as a part of its package where it stands in one and imports from it by dots."""
    folder, name = path.resolve().parent, path.stem
    if "from ." in path.read_text(encoding="utf-8"):
        while (folder / "__init__.py").is_file():
            folder, name = folder.parent, f"{folder.name}.{name}"
    sys.path.append(str(folder))  # the last: nothing in it hides a package that is installed
    if "." in name:
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"candidate_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _function(module: ModuleType, name: str, spec: OpSpec, arrays: Sequence[str]) -> Function:
    """Return a function of a module that takes these arrays; raise BackendUnavailable where there is none."""
    found = getattr(module, name, None)
    if not callable(found):
        lacks = "has no" if found is None else f"has {type(found).__name__}, which cannot be called, as its"
        raise BackendUnavailable(f"{module.__name__.removeprefix('candidate_')}: {lacks} {name}")
    signature = _signature(found)
    if signature is not None:
        try:
            signature.bind(*arrays, **{name: None for name in spec.defaults if name in signature.parameters})
        except TypeError as error:
            raise BackendUnavailable(
                f"{name}{signature}: is to be called as {name}({', '.join(arrays)}) for {spec.name}: {error}"
            ) from None
    return found  # type: ignore[no-any-return]


def _signature(function: Function) -> inspect.Signature | None:
    """Return what a function takes; None where nothing tells, as of one written in C."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _with_parameters(
    name: str, spec: OpSpec, function: Function, parameters: Mapping[str, Any], n_before: int
) -> Function:
    """Return a function with the parameters that it takes by name, as a function of arrays alone.

    Raises NotSupported for one that it does not take and that is not at its default.
    """
    signature = _signature(function)
    taken = {key: value for key, value in parameters.items() if _takes(signature, key)}
    left = [key for key, value in parameters.items() if key not in taken and value != spec.defaults[key]]
    if left:
        gap = Gap(f"{name} takes no parameter {', '.join(left)}", "never", ops=(spec.name,))
        raise NotSupported(gap, f"{spec.name}: {', '.join(f'{key}={parameters[key]!r}' for key in left)}")
    call = partial(function, **taken) if taken else function
    n_arrays, n_required = (n_before + len(spec.inputs), n_before + sum(not d.optional for d in spec.inputs))
    if n_arrays == n_required or _binds(signature, n_arrays):
        return call
    return partial(_without_optional, call, n_required, name)


def _takes(signature: inspect.Signature | None, parameter: str) -> bool:
    if signature is None:
        return False
    kinds = {each.kind for each in signature.parameters.values()}
    found = signature.parameters.get(parameter)
    return (
        found is not None and found.kind is not found.POSITIONAL_ONLY
    ) or inspect.Parameter.VAR_KEYWORD in kinds


def _binds(signature: inspect.Signature | None, n_arrays: int) -> bool:
    try:
        return signature is not None and bool(signature.bind(*[None] * n_arrays))
    except TypeError:
        return False


def _without_optional(function: Function, n: int, name: str, *arrays: Any) -> Any:
    """Call a function of `n` arrays; raise TypeError where an optional one is given, which it does not take."""
    if any(array is not None for array in arrays[n:]):
        raise TypeError(f"{name} takes {n} arrays; got an optional one too")
    return function(*arrays[:n])
