"""The calls that are timed: the harness makes them itself for a backend that is not of this repository.

What a foreign `bind` returns could be anything, such as an answer that was computed when it was bound. So only our
own backends bind their calls; of any other, the op itself is called, with inputs that the harness has made.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import backends
from backends.base import NARROW, BaseBackend
from backends.catalogue import OPS
from backends.host import HostBackend
from backends.interface import Backend, Gap, NotSupported
from benchmarks.record.schema import Case

Call = Callable[..., Any]


@cache
def is_own(name: str) -> bool:
    """Tell whether a backend's module lies in the folder of our own backends."""
    module = backends.declarations()[name].module
    if not module.startswith(f"{backends.__name__}."):
        return False  # an installed package's: to look for it would import what is around it
    found = importlib.util.find_spec(module)
    home = Path(str(backends.__file__)).resolve().parent
    return found is not None and found.origin is not None and Path(found.origin).resolve().is_relative_to(home)


def made_here(backend: Backend, case: Case) -> bool:
    """Tell whether the harness makes the calls: not ours, and with a fresh output.

    An output that is reused, or written over an input, is known to the backend alone.
    """
    return case.allocation == "fresh" and not is_own(backend.name)


def saves_its_forward(backend: Backend, case: Case) -> bool:
    """Tell whether a framework differentiates a candidate: what the forward saves is made when the call is.

    So it is for the framework's own backend. What then saves it is our class around the candidate's function.
    """
    return case.mode != "forward" and getattr(backend, "pulls_back", False) is True


def bound(backend: Backend, case: Case, inputs: Sequence[Any], cotangent: Any) -> Callable[[], Any]:
    """Return a call of the op, its vjp or both on native arrays; one made here has not been called yet.

    Where the case is launched as a graph, the call replays what was captured. Raises NotSupported where none can.
    """
    if case.launch == "graph":
        return _captured(backend, case, inputs, cotangent)
    if not made_here(backend, case):
        return _bind(backend, case, inputs, cotangent)
    made: Any = backend  # of any type that the protocol does not know
    if saves_its_forward(backend, case):
        bound: Callable[[], Any] = made._bind(  # noqa: SLF001 - `bind` would make a first call
            OPS[case.op], case.mode, inputs, cotangent, OPS[case.op].defaults, case.allocation
        )
        return bound
    if case.mode == "forward":
        return partial(_forward(made, case), *inputs)
    pull = _vjp if case.saved == "input" else _vjp_from_output
    backward = partial(pull(made, case), cotangent, *inputs)
    if case.mode == "backward":
        return backward
    forward = partial(_forward(made, case), *inputs)
    return lambda: (forward(), backward())


def _captured(backend: Backend, case: Case, inputs: Sequence[Any], cotangent: Any) -> Callable[[], Any]:
    """Return a call that replays the op's kernels; raise NotSupported where the backend captures none."""
    capture = getattr(backend, "captured", None)
    if capture is None:
        raise NotSupported(Gap("this revision of it captures no graphs", "todo"), "launch 'graph'")
    replay: Callable[[], Any] = capture(partial(_bind, backend, case, inputs, cotangent))
    return replay


def _bind(backend: Backend, case: Case, inputs: Sequence[Any], cotangent: Any) -> Callable[[], Any]:
    """Return what the backend itself binds."""
    # Said only where it is asked for: older revisions do not know it.
    more: Any = {} if case.saved == "input" else {"saved": case.saved}
    return backend.bind(case.op, *inputs, mode=case.mode, allocation=case.bound_as, cotangent=cotangent, **more)


@lru_cache(maxsize=4)
def _forward(backend: Any, case: Case) -> Call:
    """Return the op as `f(*inputs)`, without what `BaseBackend` checks on every call.

    Bound anew it is the same function: another one might have to be compiled first.
    """
    return _function(backend, case, case.op, lambda: getattr(backend, case.op))


@lru_cache(maxsize=4)
def _vjp(backend: Any, case: Case) -> Call:
    """Return its vjp as `f(g, *inputs)`."""
    return _function(backend, case, f"{case.op}_vjp", lambda: backend.vjp(case.op))


@lru_cache(maxsize=4)
def _vjp_from_output(backend: Any, case: Case) -> Call:
    """Return its vjp from the op's output as `f(g, y)`."""
    if isinstance(backend, BaseBackend):
        return backend._vjp_from_output(case.op, OPS[case.op].defaults)  # noqa: SLF001
    public: Call = backend.vjp_from_output(case.op)
    return public


def _function(backend: Any, case: Case, name: str, public: Callable[[], Call]) -> Call:
    """Return a backend's function called `name`; of one that is no `BaseBackend`, its `public` method.

    Functions of NumPy arrays are called as they are, but in narrow types, which are widened around them.
    """
    parameters = OPS[case.op].defaults
    if isinstance(backend, HostBackend) and case.dtype not in NARROW:
        return backend._kernel(name, parameters)  # noqa: SLF001
    if isinstance(backend, BaseBackend):
        make = backend._forward if name == case.op else backend._vjp  # noqa: SLF001
        return make(case.op, parameters)
    return public()
